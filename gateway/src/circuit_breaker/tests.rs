//! The state machine by examples, and by thousands of random histories.

use proptest::prelude::*;

use super::*;

const POLICY: Policy = Policy {
    failures: 3,
    open_for: Duration::from_millis(1_000),
};

/// A circuit with a clock that the test moves.
struct Bench {
    circuit: CircuitBreaker,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            circuit: CircuitBreaker::new(POLICY),
            now: Instant::now(),
        }
    }

    fn pass(&mut self) -> Pass {
        self.circuit.admit(self.now).expect("it is let through")
    }

    fn refused(&mut self) -> u128 {
        self.circuit.admit(self.now).expect_err("it is refused").as_millis()
    }

    fn settle(&mut self, pass: Pass, outcome: Outcome) -> Option<Change> {
        self.circuit.settle(pass, outcome, self.now)
    }

    fn ask(&mut self, outcome: Outcome) -> Option<Change> {
        let pass = self.pass();
        self.settle(pass, outcome)
    }

    fn after(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn opened() -> Self {
        let mut bench = Self::new();
        for change in [None, None, Some(Change::Opened)] {
            assert_eq!(bench.ask(Outcome::Failed), change);
        }
        bench
    }
}

#[test]
fn only_failures_in_a_row_open_it() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        bench.ask(Outcome::Failed);
        bench.ask(Outcome::Failed);
        bench.ask(Outcome::Worked);
    }
    bench.ask(Outcome::Failed);
    bench.ask(Outcome::Failed);
    bench.ask(Outcome::Unknown);
    assert_eq!(bench.ask(Outcome::Failed), Some(Change::Opened));
    assert_eq!(bench.refused(), 1_000);
}

#[test]
fn after_a_while_one_probe_is_let_through_and_closes_it_again() {
    let mut bench = Bench::opened();
    bench.after(999);
    assert_eq!(bench.refused(), 1);
    bench.after(1);
    let probe = bench.pass();
    assert_eq!(bench.refused(), 1_000);
    assert_eq!(bench.settle(probe, Outcome::Worked), Some(Change::Closed));
    bench.ask(Outcome::Failed);
    bench.ask(Outcome::Failed);
    bench.pass();
}

#[test]
fn a_probe_that_fails_opens_it_for_as_long_again() {
    let mut bench = Bench::opened();
    bench.after(1_000);
    assert_eq!(bench.ask(Outcome::Failed), Some(Change::Opened));
    assert_eq!(bench.refused(), 1_000);
}

#[test]
fn a_probe_that_was_given_up_makes_room_for_the_next_one_at_once() {
    let mut bench = Bench::opened();
    bench.after(1_000);
    assert_eq!(bench.ask(Outcome::Unknown), None);
    assert_eq!(bench.ask(Outcome::Worked), Some(Change::Closed));
}

#[test]
fn a_probe_that_takes_long_is_joined_by_another_and_either_may_close_it() {
    let mut bench = Bench::opened();
    bench.after(1_000);
    let slow = bench.pass();
    bench.after(1_000);
    bench.pass();
    assert_eq!(bench.settle(slow, Outcome::Worked), Some(Change::Closed));
}

#[test]
fn what_was_asked_before_tells_nothing_of_now() {
    let mut bench = Bench::new();
    let old: Vec<Pass> = (0..5).map(|_| bench.pass()).collect();
    for _ in 0..3 {
        bench.ask(Outcome::Failed);
    }
    assert_eq!(bench.settle(old[0], Outcome::Worked), None);
    assert_eq!(bench.refused(), 1_000, "an old success does not close it");
    bench.after(1_000);
    bench.ask(Outcome::Worked);
    for pass in old {
        assert_eq!(bench.settle(pass, Outcome::Failed), None);
    }
    bench.pass();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Admit,
    Settle(usize, Outcome),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![4 => Just(Outcome::Failed), 2 => Just(Outcome::Worked), 1 => Just(Outcome::Unknown)];
    let step = prop_oneof![
        4 => Just(Step::Admit),
        4 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Settle(which, outcome)),
        1 => (0_u64..1_500).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Counted from outside, without looking into the machine.
    #[test]
    fn in_any_history_it_opens_for_a_reason_probes_one_at_a_time_and_recovers(steps in steps()) {
        let mut bench = Bench::new();
        let mut outstanding: Vec<Pass> = Vec::new();
        // The last time that it opened, `None` while closed; probes let through since, by time.
        let (mut opened, mut probes): (Option<Instant>, Vec<Instant>) = (None, Vec::new());
        let mut failures_in_a_row = 0;

        for step in steps {
            match step {
                Step::Wait(ms) => bench.after(ms),
                Step::Admit => match bench.circuit.admit(bench.now) {
                    Ok(pass) => {
                        outstanding.push(pass);
                        if let Some(opened) = opened {
                            prop_assert!(bench.now >= opened + POLICY.open_for, "let through while open");
                            probes.push(bench.now);
                        }
                    }
                    Err(wait) => {
                        prop_assert!(opened.is_some(), "refused while closed");
                        prop_assert!(!wait.is_zero() && wait <= POLICY.open_for, "{wait:?}");
                    }
                },
                Step::Settle(which, outcome) if !outstanding.is_empty() => {
                    let pass = outstanding.swap_remove(which % outstanding.len());
                    let counts = pass.epoch == bench.circuit.epoch;
                    let before = bench.circuit.clone();
                    let change = bench.settle(pass, outcome);
                    if !counts {
                        prop_assert_eq!(bench.circuit.state, before.state, "an old answer changed something");
                        continue;
                    }
                    match outcome {
                        Outcome::Failed => failures_in_a_row += 1,
                        Outcome::Worked => failures_in_a_row = 0,
                        Outcome::Unknown => probes.clear(),
                    }
                    match change {
                        Some(Change::Opened) => {
                            prop_assert!(opened.is_some() || failures_in_a_row == POLICY.failures);
                            (opened, probes) = (Some(bench.now), Vec::new());
                        }
                        Some(Change::Closed) => {
                            prop_assert!(opened.is_some() && outcome == Outcome::Worked);
                            (opened, failures_in_a_row, probes) = (None, 0, Vec::new());
                        }
                        None => prop_assert!(opened.is_some() || failures_in_a_row < POLICY.failures),
                    }
                }
                Step::Settle(..) => {}
            }
            let too_close = |pair: &[Instant]| pair[1] < pair[0] + POLICY.open_for;
            prop_assert!(!probes.windows(2).any(too_close), "two probes at a time");
        }

        // Whatever has happened, a service that works again is found out within one period.
        bench.after(1_000);
        bench.ask(Outcome::Worked);
        for _ in 0..10 {
            bench.ask(Outcome::Worked);
        }
    }
}
