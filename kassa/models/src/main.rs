//! `cargo kassa models`: looks at all states of each model, then for each known mistake.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use models::consumer::{self, ConsumerModel};
use models::relay::{self, RelayModel};
use models::{Report, check, find, mistakes_table, states_table};

fn main() -> ExitCode {
    let consumer = check(ConsumerModel::new(None));
    let relay = check(RelayModel { mistake: None });
    for (name, report) in [("consumer", &consumer), ("relay", &relay)] {
        print_report(name, report);
    }
    println!("{}\n", states_table(&[("consumer", &consumer), ("relay", &relay)]));
    println!("{}\n", mistakes_table());
    let missed = missed();
    for mistake in &missed {
        println!("NOT FOUND: {mistake}");
    }
    if missed.is_empty() && consumer.broken.is_empty() && relay.broken.is_empty() {
        println!("every mistake is found");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_report(model: &str, report: &Report) {
    for name in &report.kept {
        println!("{model}: in every state, {name}");
    }
    for name in &report.reached {
        println!("{model}: it comes up that {name}");
    }
    for (name, way) in &report.broken {
        println!("{model}: BROKEN: {name}: {way}");
    }
    println!("{model}: {:.1} s\n", report.took.as_secs_f64());
}

/// The mistakes that no property finds.
fn missed() -> Vec<&'static str> {
    let consumer = consumer::Mistake::ALL.iter().filter(|mistake| {
        let model = ConsumerModel::new(Some(**mistake));
        find(model, mistake.breaks()).is_none()
    });
    let relay = relay::Mistake::ALL.iter().filter(|mistake| {
        let model = RelayModel {
            mistake: Some(**mistake),
        };
        find(model, mistake.breaks()).is_none()
    });
    let consumer = consumer.map(|mistake| mistake.what());
    consumer.chain(relay.map(|mistake| mistake.what())).collect()
}
