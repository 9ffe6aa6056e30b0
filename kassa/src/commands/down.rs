//! Stops a platform that runs, or that was left behind; with `--wipe` deletes its data.

use crate::machine::leftovers;
use crate::stack::{Parts, Settings, containers, wipe};

/// What `down` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct DownArgs {
    /// Also delete the data.
    #[arg(long)]
    wipe: bool,
    /// Which platform, if it was given a name.
    #[arg(long, default_value = "local")]
    name: String,
}

/// Stops whatever `up` has started, the tool itself first, so that it restarts nothing.
///
/// # Errors
/// The data cannot be deleted.
pub fn down(args: &DownArgs) -> anyhow::Result<()> {
    let settings = Settings::saved(&args.name)?;
    let mut stopped = leftovers::clear(&settings.folder.join("tool"));
    stopped.extend(leftovers::clear(&settings.pids()));
    if stopped.is_empty() {
        println!("nothing was running");
    } else {
        println!("stopped {}", stopped.join(", "));
    }
    if settings.parts == Parts::Containers {
        if args.wipe {
            containers::wipe()
        } else {
            containers::stop()
        }?;
    }
    if args.wipe {
        wipe(&settings)?;
        println!("the data are deleted");
    }
    Ok(())
}
