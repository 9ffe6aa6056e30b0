//! `cargo kassa …`

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use kassa::commands::bench::{BenchArgs, bench};
use kassa::commands::chaos::chaos;
use kassa::commands::coverage::coverage;
use kassa::commands::delegate::{audit, delegate};
use kassa::commands::doctor::doctor;
use kassa::commands::down::{DownArgs, down};
use kassa::commands::fuzz::{FuzzArgs, fuzz};
use kassa::commands::guarantees::{GuaranteesArgs, guarantees};
use kassa::commands::models::models;
use kassa::commands::mutants::mutants;
use kassa::commands::postman::postman;
use kassa::commands::screenshots::screenshots;
use kassa::commands::simulate::simulate;
use kassa::commands::test::{TestArgs, test};
use kassa::commands::up::{UpArgs, up};
use kassa::stack::Name;

/// Runs, tests and looks after Kassa.
#[derive(Parser)]
#[command(name = "cargo kassa", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the whole platform and stays in the foreground; Ctrl-C stops it.
    Up(UpArgs),
    /// Stops what is running or was left behind.
    Down(DownArgs),
    /// Runs every check and test.
    Test(TestArgs),
    /// Measures orders per second beside the limit of this machine.
    Bench(BenchArgs),
    /// Runs the platform in simulated universes, seed after seed, and tells the story of the first that breaks a rule.
    Simulate {
        /// `--seeds 100000`, `--first 7 --story`, `--bugs`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Prints what the last run of the tests has counted; `--write` puts it into docs/guarantees.md.
    Guarantees(GuaranteesArgs),
    /// Looks at all states of the models of consumer and relay.
    Models,
    /// Kills the platform at every crash point and at random, takes its parts away, and lets the audit judge.
    Chaos {
        /// `--minutes 30`, `--kills 500`, `--seed 7`, `--list`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Prints how much of the core the tests run, and fails below 90 % of its lines.
    Coverage,
    /// Changes the core in one place at a time, and looks whether a test notices.
    Mutants {
        /// cargo-mutants' own: `--re charge_account.rs`, `--list`, `--shard 1/8`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Looks for input that the core cannot take, by what it makes the code do.
    Fuzz(FuzzArgs),
    /// Takes the README's pictures of the page anew.
    Screenshots,
    /// Makes `postman_collection.json` anew from the gateway's document.
    Postman,
    /// Shows what this machine has and lacks.
    Doctor,
    /// Checks, registers or lists the schemas.
    Schemas {
        /// `check`, `register`, `list`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Tells whether the books are right: nothing lost, nothing doubled, nothing out of order.
    Audit {
        /// Of which platform, if it was given a name.
        #[arg(long, default_value = "local")]
        name: String,
        /// `--json`, `--grace-seconds 30`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Prints when an order passed each stage.
    Timeline {
        /// The order's id.
        order_id: String,
        /// Of which platform, if it was given a name.
        #[arg(long, default_value = "local")]
        name: String,
    },
    /// Lists, shows, replays and discards records that could not be applied.
    DeadLetters {
        /// Whose.
        #[arg(long, value_enum)]
        service: Service,
        /// Of which platform, if it was given a name.
        #[arg(long, default_value = "local")]
        name: String,
        /// `list`, `show ID`, `replay ID…`, `discard ID… --reason …`; each but `show` also `--where reason=…`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Service {
    Orders,
    Payments,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(args) => up(&args).map(|()| ExitCode::SUCCESS),
        Command::Down(args) => down(&args).map(|()| ExitCode::SUCCESS),
        Command::Test(args) => test(&args),
        Command::Bench(args) => bench(&args),
        Command::Simulate { args } => simulate(&args),
        Command::Guarantees(args) => guarantees(&args).map(|()| ExitCode::SUCCESS),
        Command::Models => models(),
        Command::Chaos { args } => chaos(&args),
        Command::Coverage => coverage(),
        Command::Mutants { args } => mutants(&args),
        Command::Fuzz(args) => fuzz(&args).map(|()| ExitCode::SUCCESS),
        Command::Screenshots => screenshots().map(|()| ExitCode::SUCCESS),
        Command::Postman => postman().map(|()| ExitCode::SUCCESS),
        Command::Doctor => {
            doctor();
            Ok(ExitCode::SUCCESS)
        }
        Command::Schemas { args } => delegate("local", None, "schemas", &args),
        Command::Audit { name, args } => audit(&name, &args),
        Command::Timeline { order_id, name } => {
            let args = ["timeline".to_owned(), order_id];
            delegate(&name, Some(Name::OrdersApi), Name::OrdersApi.as_str(), &args)
        }
        Command::DeadLetters { service, name, args } => {
            let processor = match service {
                Service::Orders => Name::OrdersProcessor,
                Service::Payments => Name::PaymentsProcessor,
            };
            delegate(
                &name,
                Some(processor),
                processor.as_str(),
                &[vec!["dead-letters".to_owned()], args].concat(),
            )
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}
