//! The platform in a universe: two APIs, two processors, each twice, two databases, one cluster.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use orders::{MemoryClosing, MemoryPlaceOrders};
use payments::{MemoryCharging, MemoryTopUps};
use schemas::{Amount, Balance, Codec, PaymentOutcome, PaymentRequest, PaymentStatus};
use streams::event::Serializer as _;
use streams::testing::simulation::{Log, Process, Simulation, Universe, start_processor};
use streams::{Batcher, BatcherConfig, MemoryBackend};
use uuid::Uuid;

use crate::plan::{OPENING_CENTS, PROCESSES, Plan, Trouble, USERS};
use crate::registry::LateDeserializer;

/// The databases, by their numbers.
pub(crate) const ORDERS: usize = 0;
pub(crate) const PAYMENTS: usize = 1;
const PARTITIONS: i32 = 2;

pub(crate) static REQUESTS: LazyLock<Arc<Codec<PaymentRequest>>> = LazyLock::new(|| Arc::new(Codec::offline(1)));
pub(crate) static STATUSES: LazyLock<Arc<Codec<PaymentStatus>>> = LazyLock::new(|| Arc::new(Codec::offline(2)));

/// What a process of an API offers; another one after each of its deaths.
type Fronts<C> = Vec<Rc<RefCell<Option<(Process, Batcher<C>)>>>>;

/// Everything that there is.
pub(crate) struct World {
    pub(crate) simulation: Simulation,
    pub(crate) orders_database: MemoryBackend,
    pub(crate) payments_database: MemoryBackend,
    pub(crate) orders: MemoryClosing,
    pub(crate) payments: MemoryCharging,
    pub(crate) place: Fronts<MemoryPlaceOrders>,
    pub(crate) top_up: Fronts<MemoryTopUps>,
}

impl World {
    pub(crate) fn new(plan: &Plan, universe: &Universe) -> Self {
        let log = Log::new(universe, &[PaymentRequest::TOPIC, PaymentStatus::TOPIC], PARTITIONS);
        let databases = vec![MemoryBackend::default(), MemoryBackend::default()];
        let (orders_database, payments_database) = (databases[ORDERS].clone(), databases[PAYMENTS].clone());
        let mut world = Self {
            simulation: Simulation::new(universe.clone(), log, databases),
            orders_database,
            payments_database,
            orders: MemoryClosing::default(),
            payments: MemoryCharging::default(),
            place: Vec::new(),
            top_up: Vec::new(),
        };
        for user in &USERS[..3] {
            world.payments.open(user, opening());
        }
        for name in PROCESSES {
            match name.rsplit_once('-').expect("a name and a number").0 {
                "orders-api" => world.add_orders_api(name),
                "payments-api" => world.add_payments_api(name),
                "orders-processor" => world.add_orders_processor(name, plan.batch_max),
                _ => world.add_payments_processor(name, plan.batch_max),
            }
        }
        world
    }

    fn add_orders_api(&mut self, name: &'static str) {
        let front = Rc::new(RefCell::new(None));
        self.place.push(front.clone());
        let (database, orders) = (self.orders_database.clone(), self.orders.clone());
        self.simulation.add(name, move |process| {
            let database = Simulation::database_for(&database, ORDERS, process);
            let batcher = Batcher::start(MemoryPlaceOrders::new(database, orders.clone()), limits());
            front.replace(Some((process.clone(), batcher)));
        });
    }

    fn add_payments_api(&mut self, name: &'static str) {
        let front = Rc::new(RefCell::new(None));
        self.top_up.push(front.clone());
        let (database, payments) = (self.payments_database.clone(), self.payments.clone());
        self.simulation.add(name, move |process| {
            let database = Simulation::database_for(&database, PAYMENTS, process);
            let batcher = Batcher::start(MemoryTopUps::new(database, payments.clone()), limits());
            front.replace(Some((process.clone(), batcher)));
        });
    }

    fn add_orders_processor(&mut self, name: &'static str, batch_max: usize) {
        let (database, orders, log) = (
            self.orders_database.clone(),
            self.orders.clone(),
            self.simulation.log.clone(),
        );
        self.simulation.add(name, move |process| {
            let statuses = Arc::new(LateDeserializer::new(STATUSES.clone(), process));
            let topology = orders::topology(orders.clone(), statuses);
            start_processor(process, &log, (&database, ORDERS), topology, batch_max);
        });
    }

    fn add_payments_processor(&mut self, name: &'static str, batch_max: usize) {
        let (database, payments, log) = (
            self.payments_database.clone(),
            self.payments.clone(),
            self.simulation.log.clone(),
        );
        self.simulation.add(name, move |process| {
            let requests = Arc::new(LateDeserializer::new(REQUESTS.clone(), process));
            let topology = payments::topology(payments.clone(), requests, STATUSES.clone());
            start_processor(process, &log, (&database, PAYMENTS), topology, batch_max);
        });
    }

    /// Lets something happen.
    pub(crate) fn suffer(&mut self, trouble: &Trouble) {
        let simulation = &mut self.simulation;
        let universe = simulation.universe.clone();
        match trouble {
            Trouble::Kill(place, down, unnoticed) => return simulation.kill(*place, *down, *unnoticed),
            Trouble::Stall(place, time) => return simulation.stall(*place, *time),
            _ => universe.tell(|| format!("{trouble:?}")),
        }
        match trouble {
            Trouble::Mishap(mishap) => universe.bring(*mishap),
            Trouble::Outage(place, time) => universe.break_down(*place, *time),
            Trouble::HostClock(place, by) => simulation.process(*place).jump_clock(*by),
            Trouble::DatabaseClock(number, by) => universe.jump_database_clock(*number, *by),
            Trouble::Rebalance => simulation.log.rebalance(),
            Trouble::PublishAgain(topic, count) => simulation.log.publish_again(topic, *count),
            Trouble::Garbage(topic, user) => {
                let garbage = Some(b"no event".to_vec());
                simulation.log.append(topic, user.as_bytes(), garbage, Vec::new());
            }
            Trouble::AskAgain(number) => self.ask(*number, 0),
            Trouble::AskForMore(number) => self.ask(*number, 1),
            Trouble::Unstorable(user) => self.ask_for_the_unstorable(user),
            Trouble::Contradict(number) => self.contradict(*number),
            Trouble::Replay => {
                self.orders_database.replay_dead_letters();
                self.payments_database.replay_dead_letters();
            }
            Trouble::Discard => self.discard(),
            Trouble::Kill(..) | Trouble::Stall(..) => {}
        }
    }

    /// Gives up everything that failed; what waits behind it goes on.
    pub(crate) fn discard(&self) {
        self.orders_database.discard_dead_letters();
        self.payments_database.discard_dead_letters();
    }

    /// Asks once more for an order that has been decided, for `more` cents more.
    fn ask(&mut self, number: usize, more: i64) {
        let decided = self.orders.all();
        let decided: Vec<_> = decided
            .iter()
            .filter(|order| self.payments.attempt(order.id).is_some())
            .collect();
        let Some(order) = decided.get(number % decided.len().max(1)) else {
            return;
        };
        let request = PaymentRequest {
            event_id: event_id(&self.simulation.universe),
            order_id: order.id,
            user_id: order.user_id.clone(),
            amount: amount(order.amount.cents() + more),
            requested_at: order.created_at,
        };
        self.forge(&request);
    }

    /// Asks for an order that the payments database refuses.
    fn ask_for_the_unstorable(&mut self, user: &str) {
        let universe = &self.simulation.universe;
        let request = PaymentRequest {
            event_id: event_id(universe),
            order_id: event_id(universe),
            user_id: user.to_owned(),
            amount: amount(100),
            requested_at: universe.database_time(PAYMENTS),
        };
        self.payments.refuse(request.order_id);
        self.forge(&request);
    }

    fn forge(&self, request: &PaymentRequest) {
        let value = REQUESTS.serialize(request).expect("a valid event");
        let key = request.user_id.as_bytes();
        self.simulation
            .log
            .append(PaymentRequest::TOPIC, key, Some(value), Vec::new());
    }

    /// Tells the contrary of an order that has been closed.
    fn contradict(&mut self, number: usize) {
        let closed = self.orders.all();
        let closed: Vec<_> = closed.iter().filter(|order| order.status.is_terminal()).collect();
        let Some(order) = closed.get(number % closed.len().max(1)) else {
            return;
        };
        let was_paid = order.status == orders::OrderStatus::Finished;
        let status = PaymentStatus {
            event_id: event_id(&self.simulation.universe),
            order_id: order.id,
            user_id: order.user_id.clone(),
            status: if was_paid {
                PaymentOutcome::Failed
            } else {
                PaymentOutcome::Success
            },
            reason: was_paid.then(|| "changed_my_mind".to_owned()),
            decided_at: order.created_at,
            request_published_at: None,
        };
        let value = STATUSES.serialize(&status).expect("a valid event");
        let key = order.id.to_string();
        self.simulation
            .log
            .append(PaymentStatus::TOPIC, key.as_bytes(), Some(value), Vec::new());
    }
}

fn limits() -> BatcherConfig {
    BatcherConfig {
        batch_max: 20,
        committers: 1,
        queue_max: 100,
        deadline: Duration::from_secs(4),
    }
}

pub(crate) fn amount(cents: i64) -> Amount {
    Amount::from_cents(cents).expect("an amount")
}

pub(crate) fn opening() -> Balance {
    Balance::ZERO.checked_add(amount(OPENING_CENTS)).expect("in range")
}

/// A UUIDv7 of a time and of chance.
pub(crate) fn uuid_at(universe: &Universe, time: chrono::DateTime<chrono::Utc>) -> Uuid {
    let mut random = [0; 10];
    random
        .iter_mut()
        .for_each(|byte| *byte = u8::try_from(universe.choose(256)).expect("a byte"));
    let millis = u64::try_from(time.timestamp_millis()).expect("after 1970");
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn event_id(universe: &Universe) -> Uuid {
    uuid_at(universe, universe.database_time(usize::MAX))
}
