//! Each known mistake breaks the property that is written beside it: one test for each.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial, run};
use models::consumer::{self, ConsumerModel};
use models::find;
use models::relay::{self, RelayModel};

fn main() -> ExitCode {
    let consumer = consumer::Mistake::ALL.iter().map(|mistake| {
        let is_found = || told(find(ConsumerModel::new(Some(*mistake)), mistake.breaks()));
        Trial::test(format!("consumer::{mistake:?}"), is_found)
    });
    let relay = relay::Mistake::ALL.iter().map(|mistake| {
        let is_found = || {
            told(find(
                RelayModel {
                    mistake: Some(*mistake),
                },
                mistake.breaks(),
            ))
        };
        Trial::test(format!("relay::{mistake:?}"), is_found)
    });
    run(&Arguments::from_args(), consumer.chain(relay).collect()).exit_code()
}

fn told<Step>(way: Option<Vec<Step>>) -> Result<(), Failed> {
    way.map(|_| ()).ok_or_else(|| "no state breaks the property".into())
}
