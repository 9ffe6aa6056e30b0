//! One run of chaos on a platform of its own, judged piece by piece: a test per crash point, per part, per promise.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{bail, ensure};
use chaos::points::PROGRAMS;
use chaos::record::Record;
use chaos::run::{Options, run};
use kassa::stack::Name;
use libtest_mimic::{Arguments, Trial};

const OPTIONS: Options = Options {
    kills: 200,
    outages: 5,
    joins_and_leaves: 30,
    minutes: 0,
    seed: 1,
};

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let is_asked_for = |name: &str| {
        arguments
            .filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter.as_str()))
    };
    // A run takes minutes: not for a filter that means other tests.
    if arguments.list || !names().iter().any(|name| is_asked_for(name)) {
        println!("test result: ok. 0 passed; 0 failed");
        return Ok(ExitCode::SUCCESS);
    }
    let record = run(OPTIONS)?;
    println!("\n{}\n", record.table());
    let conclusion = libtest_mimic::run(&arguments, trials(&record));
    Ok(conclusion.exit_code())
}

fn names() -> Vec<String> {
    trials(&Arc::default())
        .iter()
        .map(|trial| trial.name().to_owned())
        .collect()
}

fn trials(record: &Arc<Record>) -> Vec<Trial> {
    let mut all = Vec::new();
    let mut trial = |name: String, holds: Box<dyn FnOnce(&Record) -> anyhow::Result<()> + Send>| {
        let record = record.clone();
        all.push(Trial::test(name, move || Ok(holds(&record)?)));
    };
    for program in PROGRAMS {
        for point in program.points() {
            trial(
                format!("chaos::{}_dies_at_{point}", program.name),
                Box::new(move |record| {
                    ensure!(record.deaths_at(program.name, &point) > 0, "it was not reached");
                    Ok(())
                }),
            );
        }
    }
    for part in Name::PARTS {
        for how in ["kill -9", "SIGSTOP"] {
            trial(
                format!("chaos::{part}_comes_back_after_{how}").replace(' ', "_"),
                Box::new(move |record| came_back(record, part, how)),
            );
        }
    }
    trial(
        "chaos::two_hundred_kills_are_survived".to_owned(),
        Box::new(|record| {
            ensure!(record.kills() >= OPTIONS.kills, "only {} kills", record.kills());
            Ok(())
        }),
    );
    trial(
        "chaos::a_storm_of_rebalances_is_survived".to_owned(),
        Box::new(|record| {
            ensure!(record.joins_and_leaves() >= OPTIONS.joins_and_leaves, "no storm");
            Ok(())
        }),
    );
    trial(
        "chaos::no_request_fails_while_replicas_are_restarted".to_owned(),
        Box::new(|record| {
            let (restarts, failed) = record.restarts();
            ensure!(
                restarts == 10 && failed == 0,
                "{restarts} restarts, {failed} failed requests"
            );
            Ok(())
        }),
    );
    trial(
        "chaos::nothing_is_lost_doubled_or_wrong".to_owned(),
        Box::new(|record| match record.violations().as_slice() {
            [] => Ok(()),
            violations => bail!("{}", violations.join("\n")),
        }),
    );
    all
}

fn came_back(record: &Record, part: Name, how: &str) -> anyhow::Result<()> {
    let faults = record.faults();
    let faults: Vec<_> = faults
        .iter()
        .filter(|fault| fault.part == part && fault.how == how)
        .collect();
    ensure!(faults.len() as u64 >= OPTIONS.outages, "only {} times", faults.len());
    let is_needed = part != Name::Registry;
    ensure!(
        faults.iter().all(|fault| fault.red_after.is_some() == is_needed),
        "who needs it says so, and nobody else: {faults:?}"
    );
    Ok(())
}
