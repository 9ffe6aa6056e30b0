//! The README's commands, run as they stand there.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kassa::stack::root;
use serde_json::Value;

use crate::tool::Tool;

/// Run by this test's own start, by CI, and by nobody here: there is no engine.
const ELSEWHERE: [&str; 2] = ["cargo kassa up", "cargo kassa test"];

/// The shell commands of the README, one per block.
fn commands() -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let blocks = text.split("```sh\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap_or_default().trim().to_owned())
        .collect()
}

/// Runs a command of the README on the tool's platform.
fn run(tool: &Tool, command: &str) -> String {
    let here = command
        .replace("localhost:8080", &format!("localhost:{}", tool.ports.gateway))
        .replace("cargo kassa audit", &format!("cargo kassa audit --name {}", tool.name))
        .replace(
            "cargo kassa dead-letters",
            &format!("cargo kassa dead-letters --name {}", tool.name),
        )
        .replace("cargo kassa", &Tool::program().display().to_string());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &here])
        .current_dir(root())
        .output();
    let output = output.expect("bash starts");
    assert!(output.status.success(), "{command}\n{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(tool: &Tool, command: &str) -> Value {
    let answer = run(tool, command);
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{command}\n{error}: {answer}"))
}

pub(crate) fn commands_do_what_it_says(tool: &Tool) {
    let commands = commands();
    let (elsewhere, here): (Vec<String>, Vec<String>) = commands
        .into_iter()
        .partition(|command| ELSEWHERE.contains(&command.as_str()));
    assert_eq!(elsewhere.len(), ELSEWHERE.len());
    let [
        open,
        top_up,
        order,
        list,
        balance,
        transactions,
        audit,
        schemas,
        dead_letters,
        doctor,
    ] = <[String; 10]>::try_from(here).expect("every command of the README is run here; add a new one");

    assert_eq!(json(tool, &open)["balance"], "0.00");
    assert_eq!(json(tool, &top_up)["balance"], "100.00");
    let placed = json(tool, &order);
    assert_eq!(
        (&placed["status"], &placed["amount"]),
        (&Value::from("NEW"), &Value::from("30.00"))
    );
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let orders = json(tool, &list);
        assert_eq!(orders[0]["id"], placed["id"]);
        if orders[0]["status"] == "FINISHED" {
            break;
        }
        assert!(Instant::now() < until, "the order is not finished: {orders}");
        sleep(Duration::from_millis(50));
    }
    assert_eq!(json(tool, &balance)["balance"], "70.00");
    assert_eq!(json(tool, &transactions)[0]["amount"], "-30.00");
    assert_eq!(json(tool, &order)["id"], placed["id"], "the same key places nothing");
    assert_eq!(json(tool, &list).as_array().map(Vec::len), Some(1));

    let books = run(tool, &audit);
    assert!(books.contains("0 lost, 0 doubled, 0 out of order, 0 wrong"), "{books}");
    the_judge_seals_and_measures(tool);
    assert!(run(tool, &schemas).contains("payment-request-value: v1 and v1 read each other"));
    assert!(run(tool, &dead_letters).contains("no dead letters"));
    assert!(run(tool, &doctor).contains("Postgres"));
}

/// The judge's options, as docs/operations.md has them.
fn the_judge_seals_and_measures(tool: &Tool) {
    let folder = std::env::temp_dir().join(format!("{}-audit", tool.name));
    fs::create_dir_all(&folder).expect("a folder");
    let (seal, metrics) = (folder.join("seal.json"), folder.join("audit.prom"));
    let command = format!(
        "cargo kassa audit --seal {} --metrics {}",
        seal.display(),
        metrics.display()
    );
    for audit in [command.clone(), command.clone(), format!("{command} --full")] {
        let books = run(tool, &audit);
        assert!(
            books.contains("0 lost, 0 doubled, 0 out of order, 0 wrong"),
            "{audit}: {books}"
        );
        let measured = fs::read_to_string(&metrics).expect("metrics");
        for line in ["audit_done 1", "audit_orders_open 0", "audit_findings{kind=\"lost\"} 0"] {
            assert!(measured.lines().any(|given| given == line), "{audit}: {measured}");
        }
    }
    assert!(seal.exists(), "it is sealed");
    fs::remove_dir_all(&folder).expect("removed");
}

pub(crate) fn the_order_is_still_there(tool: &Tool) {
    let list = commands()
        .into_iter()
        .find(|command| command.starts_with("curl -s http://localhost:8080/orders "));
    let orders = json(tool, &list.expect("the README lists orders"));
    assert_eq!(orders[0]["status"], "FINISHED");
}
