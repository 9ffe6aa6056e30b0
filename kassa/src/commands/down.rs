//! Stops a platform that runs, or that was left behind; with `--wipe` deletes its data.

use crate::machine::leftovers;
use crate::stack::{Settings, wipe};

/// Stops whatever `up` has started, the tool itself first, so that it restarts nothing.
///
/// # Errors
/// The data cannot be deleted.
pub fn down(with_data: bool) -> anyhow::Result<()> {
    let settings = Settings::local();
    let mut stopped = leftovers::clear(&settings.folder.join("tool"));
    stopped.extend(leftovers::clear(&settings.pids()));
    if stopped.is_empty() {
        println!("nothing was running");
    } else {
        println!("stopped {}", stopped.join(", "));
    }
    if with_data {
        wipe(&settings)?;
        println!("the data are deleted");
    }
    Ok(())
}
