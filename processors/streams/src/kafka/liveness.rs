//! Whether Kafka answers, by what the client library counts.

use rdkafka::statistics::{Broker, Statistics};

use crate::runner::GroupState;

/// What lies between two heartbeats at most. A member without partitions hears of a broker's silence by them alone.
pub(super) const HEARTBEAT_MAX_MS: u32 = 450;

/// More than twice [`HEARTBEAT_MAX_MS`], so that the wait for one that has just been sent is no silence.
const SILENT_MICROS: i64 = 1_000_000;

/// As a reading of the statistics shows it, which come every half a second.
pub(super) fn group_state(statistics: &Statistics) -> GroupState {
    let joined = (statistics.cgrp.as_ref()).is_some_and(|group| group.join_state == "steady");
    let brokers = || statistics.brokers.values();
    // A member that is joining may wait at the coordinator for long, for the others to join; one that has joined only
    // sends it heartbeats.
    let is_away = joined && brokers().any(|broker| is_coordinator(broker) && is_silent(broker));
    let is_reached = if brokers().any(|broker| is_real(broker) && is_up(broker)) {
        brokers().any(answers)
    } else {
        // A member that was never given a partition has a connection to its coordinator, and to no broker by its number.
        joined && brokers().any(|broker| is_coordinator(broker) && is_up(broker))
    };
    GroupState {
        broker_up: !is_away && is_reached,
        joined,
    }
}

fn answers(broker: &Broker) -> bool {
    is_real(broker) && is_up(broker) && !is_silent(broker)
}

fn is_real(broker: &Broker) -> bool {
    broker.nodeid >= 0 && !is_coordinator(broker)
}

fn is_up(broker: &Broker) -> bool {
    broker.state == "UP"
}

/// It has an entry of its own, beside that of the broker which it is.
fn is_coordinator(broker: &Broker) -> bool {
    broker.source == "logical"
}

/// A broker that has stopped in mid-step keeps its connections, and lets its requests wait: even one with nothing to say
/// answers a fetch within half a second, and a heartbeat at once.
fn is_silent(broker: &Broker) -> bool {
    broker.waitresp_cnt > 0 && broker.rxidle > SILENT_MICROS
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::ConsumerGroup;

    use super::*;

    const JUST_NOW: i64 = 20_000;
    const LONG_AGO: i64 = SILENT_MICROS + 1;

    #[test]
    fn a_broker_that_owes_nothing_may_be_silent() {
        let fetching = (1, JUST_NOW);
        for real in [fetching, (0, LONG_AGO), (1, SILENT_MICROS)] {
            assert!(state("steady", real, (0, LONG_AGO)).broker_up, "{real:?}");
        }
        assert!(!state("steady", (1, LONG_AGO), (0, JUST_NOW)).broker_up);
    }

    #[test]
    fn a_member_without_partitions_hears_the_silence_of_its_coordinator() {
        let nothing_to_fetch = (0, LONG_AGO);
        assert!(state("steady", nothing_to_fetch, (1, JUST_NOW)).broker_up);
        let state = state("steady", nothing_to_fetch, (1, LONG_AGO));
        assert!(state.joined && !state.broker_up, "{state:?}");
    }

    #[test]
    fn a_member_that_was_never_given_a_partition_hears_its_coordinator_alone() {
        let state = |join_state: &str, coordinator: (i64, i64), is_connected: bool| {
            let mut coordinator = broker("logical", -1, coordinator);
            if !is_connected {
                coordinator.state = "INIT".to_owned();
            }
            let brokers = [
                broker("configured", -1, (0, JUST_NOW)),
                Broker {
                    state: "INIT".to_owned(),
                    ..broker("learned", 1, (0, -1))
                },
                coordinator,
            ];
            group_state(&Statistics {
                brokers: (0..).map(|number: u8| number.to_string()).zip(brokers).collect(),
                cgrp: Some(ConsumerGroup {
                    join_state: join_state.to_owned(),
                    ..ConsumerGroup::default()
                }),
                ..Statistics::default()
            })
        };
        assert!(state("steady", (0, JUST_NOW), true).broker_up);
        assert!(!state("steady", (1, LONG_AGO), true).broker_up);
        assert!(!state("steady", (0, JUST_NOW), false).broker_up);
        assert!(!state("init", (0, JUST_NOW), true).broker_up);
    }

    #[test]
    fn a_member_that_joins_waits_for_the_others() {
        let state = state("wait-join", (0, LONG_AGO), (1, LONG_AGO));
        assert!(state.broker_up && !state.joined, "{state:?}");
    }

    #[test]
    fn neither_the_bootstrap_nor_the_coordinators_entry_is_a_broker() {
        let only = |broker| Statistics {
            brokers: [(String::new(), broker)].into(),
            ..Statistics::default()
        };
        assert!(group_state(&only(broker("learned", 1, (0, 0)))).broker_up);
        assert!(!group_state(&only(broker("configured", -1, (0, 0)))).broker_up);
        assert!(!group_state(&only(broker("logical", 1, (0, 0)))).broker_up);
        let down = Broker {
            state: "CONNECT".to_owned(),
            ..broker("learned", 1, (0, 0))
        };
        assert!(!group_state(&only(down)).broker_up);
    }

    /// Of one broker, which is the coordinator too; each is (requests that wait, microseconds since the last answer).
    fn state(join_state: &str, real: (i64, i64), coordinator: (i64, i64)) -> GroupState {
        group_state(&Statistics {
            brokers: [
                ("broker".to_owned(), broker("learned", 1, real)),
                ("GroupCoordinator".to_owned(), broker("logical", 1, coordinator)),
            ]
            .into(),
            cgrp: Some(ConsumerGroup {
                join_state: join_state.to_owned(),
                ..ConsumerGroup::default()
            }),
            ..Statistics::default()
        })
    }

    fn broker(source: &str, nodeid: i32, (waitresp_cnt, rxidle): (i64, i64)) -> Broker {
        Broker {
            source: source.to_owned(),
            nodeid,
            state: "UP".to_owned(),
            waitresp_cnt,
            rxidle,
            ..Broker::default()
        }
    }
}
