//! What can happen to a link, as data.

use std::sync::Arc;
use std::time::Duration;

use fault_proxy::{Fault, HowToCut, Way};
use libtest_mimic::Trial;
use platform_tests::LinkName;

use crate::Bench;
use crate::episode::Episode;
use crate::trial;

/// What `/health/ready` must say while the fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Somebody who uses the link says that it is broken, before it is healed.
    TurnsRed,
    /// It may, and need not: the link is bad, and works. The fault lasts so long.
    IsItsOwnAffair(Duration),
}

/// A fault with a name.
pub(crate) type Case = (&'static str, Fault, Health);

const A_WHILE: Health = Health::IsItsOwnAffair(Duration::from_millis(1_500));
use Health::TurnsRed;

/// Of every link. Half-open, and what is lost one way, stays so for the connections that were there: recovery means new
/// ones.
const COMMON: [Case; 12] = [
    ("latency", latency(40, 40), A_WHILE),
    ("long_latency", latency(250, 100), A_WHILE),
    (
        "drip",
        Fault::Drip {
            bytes_per_second: 4_000,
        },
        A_WHILE,
    ),
    ("reset", Fault::Reset, TurnsRed),
    ("refused", Fault::Refuse, TurnsRed),
    ("half_open", Fault::HalfOpen, TurnsRed),
    ("requests_stall", Fault::Stall(Way::Up), TurnsRed),
    ("answers_stall", Fault::Stall(Way::Down), TurnsRed),
    ("both_ways_stall", Fault::Stall(Way::Both), TurnsRed),
    ("requests_are_lost", Fault::Lose(Way::Up), TurnsRed),
    ("answers_are_lost", Fault::Lose(Way::Down), TurnsRed),
    ("reset_in_requests", cut(Way::Up, 3_000, HowToCut::Reset), A_WHILE),
];

/// Where in its protocol each link is cut.
const POSTGRES: [Case; 4] = [
    ("cut_after_each_commit", Fault::CutAfterCommit { every: 1 }, A_WHILE),
    ("cut_after_some_commits", Fault::CutAfterCommit { every: 3 }, A_WHILE),
    ("closed_in_an_answer", cut(Way::Down, 1_500, HowToCut::Close), A_WHILE),
    ("reset_in_an_answer", cut(Way::Down, 2_500, HowToCut::Reset), A_WHILE),
];
const KAFKA: [Case; 3] = [
    // Requests get through, and most of their answers do not.
    ("closed_in_an_answer", cut(Way::Down, 700, HowToCut::Close), A_WHILE),
    ("reset_in_an_answer", cut(Way::Down, 1_500, HowToCut::Reset), A_WHILE),
    ("produced_and_not_told", cut(Way::Down, 3_000, HowToCut::Reset), A_WHILE),
];
const APIS: [Case; 3] = [
    ("closed_in_a_head", cut(Way::Down, 60, HowToCut::Close), A_WHILE),
    ("closed_in_a_body", cut(Way::Down, 400, HowToCut::Close), A_WHILE),
    ("reset_in_a_body", cut(Way::Down, 900, HowToCut::Reset), A_WHILE),
];

const fn latency(least_ms: u64, jitter_ms: u64) -> Fault {
    Fault::Latency {
        least: Duration::from_millis(least_ms),
        jitter: Duration::from_millis(jitter_ms),
    }
}

const fn cut(way: Way, bytes: u64, how: HowToCut) -> Fault {
    Fault::Cut { way, bytes, how }
}

/// One trial for each case of each link.
pub(crate) fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let links = [
        (LinkName::Postgres, &POSTGRES[..]),
        (LinkName::Kafka, &KAFKA),
        (LinkName::Apis, &APIS),
    ];
    let all = links
        .into_iter()
        .flat_map(|(link, own)| COMMON.iter().chain(own).map(move |case| (link, *case)));
    all.map(|(link, case)| on_link(bench, link, case)).collect()
}

fn on_link(bench: &Arc<Bench>, link: LinkName, (name, fault, health): Case) -> Trial {
    let title = format!("{}::{name}", link.as_str());
    trial(bench, title.clone(), async move |bench| {
        let mut episode = Episode::begin(bench, title, link).await?;
        let broken = bench.links.of(link);
        broken.inject(fault);
        episode.note(format!("{fault:?} on {}", link.as_str()));
        let seen = episode.suffer(health, async || Ok(broken.hits())).await;
        broken.heal();
        episode.note("healed");
        let done = episode.end(seen).await;
        // Only now: recovery must not have needed it.
        broken.bury();
        done
    })
}
