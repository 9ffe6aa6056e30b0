//! Points at which a test lets this very process die, as if its power had failed.
//!
//! Without the feature `crash-points` a point is nothing, and no program that is released has it. With the feature,
//! `KASSA_CRASH_AT=NAME#3` kills the process when it passes the point NAME for the third time: by SIGKILL, so that no
//! destructor runs and nothing is flushed. `cargo kassa chaos` walks all points.

use std::future::Future;

/// A step with a point before it and a point after it.
pub trait CrashPoints: Future + Sized {
    /// Passes `NAME.before`, takes the step, passes `NAME.after`.
    #[cfg(feature = "crash-points")]
    fn crash_points(self, name: &'static str) -> impl Future<Output = Self::Output> {
        async move {
            armed::pass(name, ".before");
            let output = self.await;
            armed::pass(name, ".after");
            output
        }
    }

    /// The step itself.
    #[cfg(not(feature = "crash-points"))]
    fn crash_points(self, _name: &'static str) -> Self {
        self
    }
}

impl<F: Future> CrashPoints for F {}

/// Passes the point `name`.
#[cfg(feature = "crash-points")]
pub fn pass(name: &'static str) {
    armed::pass(name, "");
}

/// Does nothing.
#[cfg(not(feature = "crash-points"))]
pub const fn pass(_name: &'static str) {}

/// Whether a setting of this name is meant for this module.
pub(crate) fn is_setting(key: &str) -> bool {
    cfg!(feature = "crash-points") && key == "crash_at"
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    struct Plan {
        point: String,
        passes_left: AtomicU64,
    }

    static PLAN: LazyLock<Option<Plan>> = LazyLock::new(|| {
        let plan = std::env::var("KASSA_CRASH_AT").ok()?;
        let (point, pass) = plan.split_once('#').unwrap_or((&plan, "1"));
        Some(Plan {
            point: point.to_owned(),
            passes_left: AtomicU64::new(pass.parse().expect("KASSA_CRASH_AT is NAME or NAME#PASS")),
        })
    });

    pub(super) fn pass(name: &str, side: &str) {
        let Some(plan) = PLAN.as_ref() else { return };
        let is_it = plan.point.strip_prefix(name) == Some(side);
        if is_it && plan.passes_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            eprintln!("crash point {} is reached", plan.point);
            // If even this fails there is still the other way to end without destructors.
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort();
        }
    }
}
