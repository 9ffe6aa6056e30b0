//! Clients: each makes its wishes one after the other, at whatever replica, and repeats what got no answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use orders::{Order, PlaceOrder, Placed};
use payments::{TopUp, ToppedUp};
use schemas::PaymentRequest;
use streams::request_keys::{Keyed, RequestKey};
use streams::testing::simulation::{Place, Process, Universe};
use streams::{BatcherError, StagedEvent};
use tokio::time::error::Elapsed;
use uuid::Uuid;

use crate::plan::{Wish, WishKind};
use crate::world::{REQUESTS, World, amount, uuid_at};

/// Longer than a service takes over a request.
const PATIENCE: Duration = Duration::from_secs(6);
const TRIES: usize = 6;

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Placed(Order),
    ToppedUp(ToppedUp),
    /// The key was used for another body.
    Reused,
    /// The request cannot be stored.
    Refused,
    /// Nothing, or that it may have been done.
    Unknown,
}

/// A try at a wish, and what the client was told.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// The number of the wish.
    pub(crate) wish: usize,
    /// What the request was called in its description; unique.
    pub(crate) name: String,
    /// The id that a top-up's line has, if it is made.
    pub(crate) line_id: Uuid,
    pub(crate) told: Told,
}

/// All tries, in the order of their answers.
pub(crate) type Notebook = Rc<RefCell<Vec<Tried>>>;

/// Fulfils a client's wishes.
pub(crate) async fn fulfil(
    world: Rc<RefCell<World>>,
    process: Process,
    wishes: Vec<(usize, Wish)>,
    notebook: Notebook,
) {
    let client = Client {
        universe: process.universe().clone(),
        world,
        process,
        notebook,
    };
    for (number, wish) in wishes {
        let pause = Duration::from_millis(client.universe.choose(40) as u64);
        tokio::time::sleep(pause).await;
        match wish.kind {
            WishKind::TopUp => client.top_up(number, &wish).await,
            WishKind::OrderTwice => {
                tokio::join!(
                    client.order(number, &wish, "left"),
                    client.order(number, &wish, "right")
                );
            }
            WishKind::Order | WishKind::OrderTooLong => client.order(number, &wish, "one").await,
        }
    }
}

struct Client {
    universe: Universe,
    world: Rc<RefCell<World>>,
    process: Process,
    notebook: Notebook,
}

impl Client {
    async fn order(&self, number: usize, wish: &Wish, side: &str) {
        for attempt in 1..=TRIES {
            self.process.step(Place::Within, "send a request").await;
            let name = format!("wish {number}, {side}, try {attempt}");
            let Some((api, batcher)) = self.front(|world| &world.place) else {
                continue;
            };
            let request = place_order(&api, wish, &name);
            let answer = tokio::time::timeout(PATIENCE, batcher.submit(request)).await;
            let told = told(answer, |Placed(order)| Told::Placed(order));
            if self.note(number, wish, name, Uuid::nil(), told) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn top_up(&self, number: usize, wish: &Wish) {
        for attempt in 1..=TRIES {
            self.process.step(Place::Within, "send a request").await;
            let name = format!("wish {number}, top-up, try {attempt}");
            let Some((api, batcher)) = self.front(|world| &world.top_up) else {
                continue;
            };
            let line_id = uuid_at(&self.universe, api.time());
            let request = TopUp {
                line_id,
                user_id: wish.user.to_owned(),
                amount: amount(wish.cents),
                key: key(wish, "POST /accounts/topup"),
            };
            let answer = tokio::time::timeout(PATIENCE, batcher.submit(request)).await;
            let told = told(answer, Told::ToppedUp);
            if self.note(number, wish, name, line_id, told) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One of the replicas that are up.
    fn front<C: Clone>(&self, of: impl Fn(&World) -> &Vec<Rc<RefCell<Option<C>>>>) -> Option<C> {
        let world = self.world.borrow();
        let fronts = of(&world);
        fronts[self.universe.choose(fronts.len())].borrow().as_ref().cloned()
    }

    /// Writes down what a client was told; true if it leaves it at that. Without a key it must not try again.
    fn note(&self, number: usize, wish: &Wish, name: String, line_id: Uuid, told: Option<Told>) -> bool {
        let Some(told) = told else { return false };
        self.universe.tell(|| {
            format!(
                "{name} ({} for {} cents) is told {}",
                wish.user,
                wish.cents,
                summary(&told)
            )
        });
        let is_over = told != Told::Unknown || wish.key.is_none();
        self.notebook.borrow_mut().push(Tried {
            wish: number,
            name,
            line_id,
            told,
        });
        is_over
    }
}

/// What an answer tells; `None` if the key is just being worked on.
fn told<A>(answer: Result<Result<Keyed<A>, BatcherError>, Elapsed>, done: impl Fn(A) -> Told) -> Option<Told> {
    match answer {
        Ok(Ok(Keyed::First(answer) | Keyed::Replayed(answer))) => Some(done(answer)),
        Ok(Ok(Keyed::KeyReused)) => Some(Told::Reused),
        Ok(Ok(Keyed::InProgress)) => None,
        Ok(Err(BatcherError::Rejected(_))) => Some(Told::Refused),
        Ok(Err(BatcherError::Overloaded(_))) | Err(_) => Some(Told::Unknown),
    }
}

fn summary(told: &Told) -> String {
    match told {
        Told::Placed(order) => format!("that order {} is placed", order.id),
        Told::ToppedUp(ToppedUp::Done(account)) => format!("that the balance is {:?}", account.balance),
        Told::ToppedUp(refused) => format!("{refused:?}"),
        Told::Reused => "that the key was used before".to_owned(),
        Told::Refused => "that it cannot be stored".to_owned(),
        Told::Unknown => "nothing".to_owned(),
    }
}

/// What the orders API makes of a request.
fn place_order(api: &Process, wish: &Wish, name: &str) -> PlaceOrder {
    let universe = api.universe();
    let order_id = uuid_at(universe, api.time());
    let event = PaymentRequest {
        event_id: uuid_at(universe, api.time()),
        order_id,
        user_id: wish.user.to_owned(),
        amount: amount(wish.cents),
        requested_at: api.time(),
    };
    let description = if wish.kind == WishKind::OrderTooLong {
        "x".repeat(501)
    } else {
        name.to_owned()
    };
    PlaceOrder {
        order_id,
        user_id: wish.user.to_owned(),
        amount: amount(wish.cents),
        description: Some(description),
        event: StagedEvent::new(PaymentRequest::TOPIC, &event, &**REQUESTS, None).expect("a valid event"),
        key: key(wish, "POST /orders"),
    }
}

/// The amount stands for the body: another one under the same key is another request.
fn key(wish: &Wish, route: &'static str) -> Option<RequestKey> {
    wish.key.map(|key| RequestKey {
        scope: wish.user.to_owned(),
        route,
        key: key.to_string(),
        fingerprint: wish.cents.to_be_bytes().to_vec(),
    })
}
