//! The registry is needed at the start only, so that is when its link breaks.

use std::sync::Arc;

use fault_proxy::{Fault, HowToCut, Way};
use libtest_mimic::Trial;
use platform_tests::LinkName;

use crate::Bench;
use crate::cases::Health;
use crate::episode::Episode;
use crate::trial;

const CASES: [(&str, Fault); 4] = [
    ("refused", Fault::Refuse),
    ("half_open", Fault::HalfOpen),
    ("answers_stall", Fault::Stall(Way::Down)),
    (
        "closed_in_an_answer",
        Fault::Cut {
            way: Way::Down,
            bytes: 50,
            how: HowToCut::Close,
        },
    ),
];

pub(crate) fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trials = CASES.iter().map(|(name, fault)| {
        let title = format!("registry::{name}_while_programs_start");
        trial(bench, title.clone(), async move |bench| {
            broken_at_the_start(bench, title, *fault).await
        })
    });
    trials.collect()
}

async fn broken_at_the_start(bench: &Bench, title: String, fault: Fault) -> anyhow::Result<()> {
    let link = bench.links.of(LinkName::Registry);
    let mut episode = Episode::begin(bench, title, LinkName::Registry).await?;
    link.inject(fault);
    episode.note(format!("{fault:?}, and all who need the registry start again"));
    for name in LinkName::Registry.users() {
        bench.platform.stack.stop_one(*name, 0);
        bench.platform.stack.start_one(*name, 0)?;
    }
    let seen = episode.suffer(Health::TurnsRed, async || Ok(link.hits())).await;
    link.heal();
    episode.note("healed");
    let done = episode.end(seen).await;
    link.bury();
    done
}
