//! A run: the plan happens, everything heals, and the judge looks at what is left.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use streams::seeded_bug::{self, Bug};
use streams::testing::simulation::{Place, Universe};
use tokio::task::LocalSet;

use crate::client::{Notebook, fulfil};
use crate::judge::{self, Violation};
use crate::plan::{CLIENTS, Plan, Wish};
use crate::world::World;

/// How long a run may take to come to rest after the last trouble, in its own time.
const REST_WITHIN: Duration = Duration::from_secs(200);
/// How often it is asked whether everything rests.
const LOOK_EVERY_TICKS: u32 = 16;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was broken; `None` if nothing was.
    pub violation: Option<Violation>,
    /// Steps that were made.
    pub steps: u64,
    /// What happened, line by line, if it was to be told.
    pub story: Vec<String>,
}

/// Runs a plan to its end, with or without a known mistake in the program.
///
/// # Panics
/// If the runtime cannot be built.
#[must_use]
pub fn run(plan: &Plan, bug: Option<Bug>, tells_story: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    seeded_bug::with(bug, || LocalSet::new().block_on(&runtime, simulate(plan, tells_story)))
}

async fn simulate(plan: &Plan, tells_story: bool) -> Outcome {
    let universe = Universe::new(plan.seed, tells_story);
    let world = Rc::new(RefCell::new(World::new(plan, &universe)));
    let notebook = Notebook::default();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let process = universe.process("client");
            let wishes = plan
                .wishes
                .iter()
                .cloned()
                .enumerate()
                .filter(|(_, wish)| wish.client == client);
            let wishes: Vec<(usize, Wish)> = wishes.collect();
            tokio::task::spawn_local(fulfil(world.clone(), process, wishes, notebook.clone()))
        })
        .collect();

    let mut idle = Duration::from_millis(1);
    let mut incidents = plan.incidents.iter().peekable();
    while incidents.peek().is_some() || !clients.iter().all(tokio::task::JoinHandle::is_finished) {
        while let Some(incident) = incidents.next_if(|incident| incident.at_step <= universe.steps()) {
            world.borrow_mut().suffer(&incident.what);
        }
        tick(&world, &mut idle).await;
    }
    heal(&world.borrow(), &universe);
    let unrest = come_to_rest(&world, &universe, &mut idle).await;
    let violation = unrest.or_else(|| judge::judge(&world.borrow(), &plan.wishes, &notebook.borrow()));
    if let Some(violation) = &violation {
        universe.tell(|| format!("BROKEN: {violation}"));
    }
    Outcome {
        violation,
        steps: universe.steps(),
        story: universe.story(),
    }
}

async fn tick(world: &Rc<RefCell<World>>, idle: &mut Duration) {
    let tick = world.borrow_mut().simulation.make_a_step();
    tick.pass(idle).await;
}

/// All parts are back, and all clocks are right.
fn heal(world: &World, universe: &Universe) {
    universe.tell(|| "everything heals".to_owned());
    for place in [Place::Database(0), Place::Database(1), Place::Broker, Place::Registry] {
        universe.break_down(place, Duration::ZERO);
    }
    universe.set_clocks_right();
    universe.forget_mishaps();
    world.discard();
}

/// Waits until nothing is left to do; tells what still is, if that takes too long.
async fn come_to_rest(world: &Rc<RefCell<World>>, universe: &Universe, idle: &mut Duration) -> Option<Violation> {
    let began = universe.elapsed();
    loop {
        for _ in 0..LOOK_EVERY_TICKS {
            tick(world, idle).await;
        }
        // An operator gives up what was forged; everybody who waits behind it goes on.
        world.borrow().discard();
        let unrest = judge::unrest(&world.borrow())?;
        if universe.elapsed() - began > REST_WITHIN {
            return Some(unrest);
        }
    }
}
