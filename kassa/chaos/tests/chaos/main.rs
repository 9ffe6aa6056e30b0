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
    if !conclusion.has_failed() {
        kassa::evidence::record("chaos", &record.figures());
    }
    Ok(conclusion.exit_code())
}

fn names() -> Vec<String> {
    trials(&Arc::default())
        .iter()
        .map(|trial| trial.name().to_owned())
        .collect()
}

type Holds = Box<dyn FnOnce(&Record) -> anyhow::Result<()> + Send>;

fn trials(record: &Arc<Record>) -> Vec<Trial> {
    let trial = |name: String, holds: Holds| {
        let record = record.clone();
        Trial::test(format!("chaos::{name}"), move || Ok(holds(&record)?))
    };
    let points = PROGRAMS.iter().flat_map(|program| {
        let of_program = program.points().into_iter();
        of_program.map(move |point| {
            let name = format!("{}_dies_at_{point}", program.name);
            trial(name, Box::new(move |record| was_reached(record, program.name, &point)))
        })
    });
    let outages = Name::PARTS
        .into_iter()
        .flat_map(|part| ["kill -9", "SIGSTOP"].map(|how| (part, how)));
    let outages = outages.map(|(part, how)| {
        let name = format!("{part}_comes_back_after_{how}").replace(' ', "_");
        trial(name, Box::new(move |record| came_back(record, part, how)))
    });
    macro_rules! all_in_all {
        ($($test:ident),*) => { [$(trial(stringify!($test).to_owned(), Box::new($test))),*] };
    }
    let all_in_all = all_in_all![
        two_hundred_kills_are_survived,
        a_storm_of_rebalances_is_survived,
        no_request_fails_while_replicas_are_restarted,
        nothing_is_lost_doubled_or_wrong
    ];
    points.chain(outages).chain(all_in_all).collect()
}

fn was_reached(record: &Record, name: Name, point: &str) -> anyhow::Result<()> {
    ensure!(record.deaths_at(name, point) > 0, "nobody died there");
    Ok(())
}

fn two_hundred_kills_are_survived(record: &Record) -> anyhow::Result<()> {
    ensure!(record.kills() >= OPTIONS.kills, "only {} kills", record.kills());
    Ok(())
}

fn a_storm_of_rebalances_is_survived(record: &Record) -> anyhow::Result<()> {
    let times = record.joins_and_leaves();
    ensure!(times >= OPTIONS.joins_and_leaves, "only {times} joins and leaves");
    Ok(())
}

fn no_request_fails_while_replicas_are_restarted(record: &Record) -> anyhow::Result<()> {
    let (restarts, failed) = record.restarts();
    ensure!(
        restarts == 10 && failed == 0,
        "{restarts} restarts, {failed} failed requests"
    );
    Ok(())
}

fn nothing_is_lost_doubled_or_wrong(record: &Record) -> anyhow::Result<()> {
    match record.violations().as_slice() {
        [] => Ok(()),
        violations => bail!("{}", violations.join("\n")),
    }
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
