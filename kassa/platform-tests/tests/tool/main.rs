//! `cargo kassa` as a user meets it: a platform of its own name, on free ports, beside a running one.

mod readme;
mod tool;

use kassa::stack::{Ports, Settings};
use tool::Tool;

/// One story, because each start of a platform takes its time: what `up` starts, `up` and `down` stop.
#[test]
fn up_runs_the_readmes_commands_survives_a_crash_and_leaves_nothing_behind() {
    let name = format!("tool-{}", std::process::id());
    let ports = Ports::free().expect("free ports");
    let settings = Settings::named(&name).expect("a name");
    let mut tool = Tool::new(&name, ports);

    // A port that somebody has.
    let taken = std::net::TcpListener::bind(("127.0.0.1", ports.gateway)).expect("a free port");
    let refusal = tool.up_refused();
    let me = std::process::id().to_string();
    for part in [ports.gateway.to_string(), me, "--port gateway=".to_owned()] {
        assert!(refusal.contains(&part), "{part} is not in: {refusal}");
    }
    drop(taken);

    tool.up();
    readme::commands_do_what_it_says(&tool);
    assert!(tool.up_refused().contains("already running"));
    tool.a_service_that_dies_is_restarted(&settings);

    // The tool itself crashes: its processes go on, and the next `up` clears them.
    let left = tool.crash(&settings);
    assert_eq!(left.len(), 8, "three parts and five services: {left:?}");
    tool.up();
    assert!(tool.said("which an earlier run had left behind"), "{}", tool.log());
    assert!(left.iter().all(|(_, identity)| !identity.is_running()), "{left:?}");
    readme::the_order_is_still_there(&tool);

    let running = tool.running(&settings);
    tool.interrupt();
    assert!(
        running.iter().all(|(_, identity)| !identity.is_running()),
        "{running:?}"
    );
    assert!(settings.folder.exists(), "the data stay");

    // `down` stops what runs, and wipes when it is asked to.
    tool.up();
    let running = tool.running(&settings);
    tool.down_with_wipe();
    assert!(
        running.iter().all(|(_, identity)| !identity.is_running()),
        "{running:?}"
    );
    assert!(
        !settings.folder.exists() && !settings.postgres_data().exists(),
        "the data are gone"
    );
}
