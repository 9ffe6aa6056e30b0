//! How many files a process may have open: each connection is one, and the gateway has another for it behind itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises the limit to what the system allows. Many systems start with 1,024, for the sake of programs that are older than
/// `poll`.
pub(super) fn raise_limit(connections_max: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("could not raise the limit of open files: {error}");
    }
    let needed = 2 * connections_max as u64;
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|files| *files < needed) {
        warn!(
            "only {files} files may be open at once, and {connections_max} connections may take {needed}: raise the limit \
             (`ulimit -Hn`, `LimitNOFILE`, `ulimits`)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_allows() {
        let limit = getrlimit(Resource::Nofile);
        let few = Rlimit {
            current: Some(512),
            ..limit
        };
        setrlimit(Resource::Nofile, few).expect("fewer are always allowed");
        raise_limit(10_000);
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }
}
