//! The simulation's log is held against this Kafka: the scenarios that run on it run here, too.

use std::sync::Arc;

use libtest_mimic::Trial;
use streams::testing::{CLUSTER_SCENARIOS, run_on_kafka};

use crate::Bench;

pub(crate) fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |scenario: &&'static str| {
        let (bench, scenario) = (bench.clone(), *scenario);
        Trial::test(format!("cluster::{scenario}"), move || {
            let brokers = bench.platform.stack.settings().kafka_brokers();
            bench.runtime.block_on(run_on_kafka(&brokers, scenario));
            Ok(())
        })
    };
    CLUSTER_SCENARIOS.iter().map(trial).collect()
}
