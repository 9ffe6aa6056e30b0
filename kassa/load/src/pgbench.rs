//! Runs Debian's pgbench and reads what it prints.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// As a service's connections have them.
const PLANS: &str = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c jit=off";

/// What pgbench says of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Runs of the script.
    pub(crate) transactions: u64,
    /// The same per second, without the time to connect.
    pub(crate) per_second: f64,
}

/// Runs `script` over and over, on `clients` connections with prepared statements.
///
/// # Errors
/// It cannot be started, or a statement fails.
pub(crate) fn run(program: &Path, database: &str, script: &str, clients: u16, seconds: u64) -> anyhow::Result<Outcome> {
    run_with(program, database, script, clients, seconds, &[])
}

/// The same with variables, which are the statements' parameters, and plans as the services have them: made once.
pub(crate) fn run_with(
    program: &Path,
    database: &str,
    script: &str,
    clients: u16,
    seconds: u64,
    variables: &[(&str, &str)],
) -> anyhow::Result<Outcome> {
    let mut command = Command::new(program);
    command.args(variables.iter().map(|(name, value)| format!("--define={name}={value}")));
    command
        .args(["--no-vacuum", "--protocol=prepared", "--file=-"])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={seconds}"))
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Variables such as PGOPTIONS would change what is measured.
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    if !variables.is_empty() {
        command.env("PGOPTIONS", PLANS);
    }
    let name = program.display();
    let mut child = command.spawn().with_context(|| format!("could not start {name}"))?;
    let mut input = child.stdin.take().context("the input is piped")?;
    input.write_all(script.as_bytes())?;
    drop(input);
    let done = child.wait_with_output()?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        bail!("{name} ended with {}:\n{text}", done.status);
    }
    parse(&String::from_utf8_lossy(&done.stdout))
}

fn parse(text: &str) -> anyhow::Result<Outcome> {
    let after = |label: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(label));
        let number = rest.and_then(|rest| rest.split_ascii_whitespace().next());
        number.with_context(|| format!("pgbench does not say {label}:\n{text}"))
    };
    let failed = after("number of failed transactions:")?;
    ensure!(failed == "0", "{failed} transactions of pgbench failed:\n{text}");
    Ok(Outcome {
        transactions: after("number of transactions actually processed:")?.parse()?,
        per_second: after("tps =")?.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
pgbench (15.18 (Debian 15.18-0+deb12u1))
transaction type: -
scaling factor: 1
query mode: prepared
number of clients: 4
number of threads: 1
maximum number of tries: 1
duration: 5 s
number of transactions actually processed: 564
number of failed transactions: 0 (0.000%)
latency average = 35.629 ms
initial connection time = 20.879 ms
tps = 112.268945 (without initial connection time)
";

    #[test]
    fn its_output_is_read() {
        let expected = Outcome {
            transactions: 564,
            per_second: 112.268_945,
        };
        assert_eq!(parse(OUTPUT).expect("an outcome"), expected);
    }

    #[test]
    fn a_run_with_failures_is_none() {
        let text = OUTPUT.replace("transactions: 0 (", "transactions: 3 (");
        let error = parse(&text).expect_err("failures").to_string();
        assert!(error.starts_with("3 transactions of pgbench failed"), "{error}");
        assert!(parse("pgbench (15.18)").is_err());
    }
}
