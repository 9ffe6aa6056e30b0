//! A platform is its log and its databases together: one without the other is put aside, and both begin anew.
//!
//! Postgres' data may lie outside the platform's folder ([`Settings::postgres_data`]), so that whoever deletes the
//! folder deletes the log alone. Positions and outbox would then speak of records that no topic has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::settings::Settings;

/// Whose data those of Postgres are: written beside them, for a name made from a folder may be that of two.
const OWNER: &str = "kassa.folder";

/// Renames the data of Postgres if Kafka has none, and the other way round; nothing is deleted.
///
/// # Errors
/// They are another platform's, or in use, or cannot be looked at; nothing has been renamed then.
pub(super) fn put_aside(settings: &Settings, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let kafka = settings.folder.join("kafka");
    let postgres = settings.postgres_data();
    // What cannot be looked at is not what is not there.
    let has_log = is_there(&kafka.join("log/meta.properties"))?;
    let has_databases = is_there(&postgres.join("PG_VERSION"))?;
    if has_databases {
        check_owner(settings, &postgres)?;
    }
    let (left_over, of, missing) = match (has_log, has_databases) {
        (true, false) => (kafka, "Kafka", "Postgres"),
        (false, true) => (postgres, "Postgres", "Kafka"),
        _ => return Ok(()),
    };
    check_unused(settings, &left_over)?;
    let aside = aside(&left_over);
    fs::rename(&left_over, &aside)
        .with_context(|| format!("could not rename {} to {}", left_over.display(), aside.display()))?;
    say(&format!(
        "there were data of {of} and none of {missing}, the rest of an earlier platform: they are in {} now, and this one \
         begins anew",
        aside.display()
    ));
    Ok(())
}

/// Writes down whose the data of Postgres are.
///
/// # Errors
/// They cannot be written.
pub(super) fn own(settings: &Settings) -> anyhow::Result<()> {
    let owner = settings.postgres_data().join(OWNER);
    Ok(fs::write(owner, settings.folder.as_os_str().as_encoded_bytes())?)
}

fn is_there(path: &Path) -> anyhow::Result<bool> {
    path.try_exists()
        .with_context(|| format!("could not look at {}", path.display()))
}

fn check_owner(settings: &Settings, postgres: &Path) -> anyhow::Result<()> {
    let Ok(owner) = fs::read(postgres.join(OWNER)) else {
        return Ok(());
    };
    let owner = String::from_utf8_lossy(&owner).into_owned();
    ensure!(
        owner == settings.folder.to_string_lossy(),
        "{} belongs to the platform in {owner}: give this one another --name",
        postgres.display()
    );
    Ok(())
}

/// Neither a server that runs nor a platform that another user has started whole.
fn check_unused(settings: &Settings, left_over: &Path) -> anyhow::Result<()> {
    let pid = fs::read_to_string(left_over.join("postmaster.pid")).unwrap_or_default();
    let pid = pid.lines().next().and_then(|pid| pid.trim().parse().ok());
    let is_running = pid
        .and_then(Pid::from_raw)
        .is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH));
    ensure!(
        !is_running,
        "a Postgres server is running on {}, whose platform's folder has been deleted: stop it first",
        left_over.display()
    );
    for other in settings.postgres_data_of_anybody() {
        ensure!(
            // A folder that may not be looked into is another's.
            other == left_over || !is_there(&other.join("PG_VERSION")).unwrap_or(true),
            "this platform's databases are in {}: run it as the user who made it, for Postgres does not run as root and \
             keeps a root's data elsewhere",
            other.display()
        );
    }
    Ok(())
}

/// A name beside it that nothing has: with the second in which it was made.
fn aside(folder: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let named = |number: u64| {
        let mut name = folder.as_os_str().to_owned();
        name.push(format!("-until-{}", now.as_secs() + number));
        PathBuf::from(name)
    };
    (0..).map(named).find(|name| !name.exists()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Runs `act` on the settings of a platform of which these two are there; tells what was said.
    fn with(name: &str, has_log: bool, has_databases: bool, act: impl FnOnce(&Settings)) -> Vec<String> {
        let settings = Settings::named(&format!("halves-{name}-{}", std::process::id())).expect("a name");
        let make = |file: PathBuf| {
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, "mine").expect("written");
        };
        if has_log {
            make(settings.folder.join("kafka/log/meta.properties"));
        }
        if has_databases {
            make(settings.postgres_data().join("PG_VERSION"));
        }
        let said = RefCell::new(Vec::new());
        put_aside(&settings, &|text| said.borrow_mut().push(text.to_owned())).expect("put aside");
        act(&settings);
        super::super::wipe(&settings).expect("wiped");
        said.into_inner()
    }

    /// What has been put aside of `folder`; deleted here.
    fn aside_of(folder: &Path) -> Vec<PathBuf> {
        let name = format!("{}-until-", folder.file_name().expect("a name").to_string_lossy());
        let beside = fs::read_dir(folder.parent().expect("a folder")).expect("read");
        let is_aside = |path: &PathBuf| {
            path.file_name()
                .is_some_and(|it| it.to_string_lossy().starts_with(&name))
        };
        beside
            .map(|entry| entry.expect("read").path())
            .filter(is_aside)
            .collect()
    }

    #[test]
    fn databases_whose_log_was_deleted_are_put_aside() {
        let said = with("databases", false, true, |settings| {
            let postgres = settings.postgres_data();
            assert!(!postgres.exists());
            let aside = aside_of(&postgres);
            let kept = fs::read_to_string(aside[0].join("PG_VERSION")).expect("kept");
            assert_eq!((aside.len(), kept.as_str()), (1, "mine"));
            fs::remove_dir_all(&aside[0]).expect("deleted");
        });
        assert!(said[0].contains("data of Postgres and none of Kafka"), "{said:?}");
    }

    #[test]
    fn a_log_whose_databases_were_deleted_is_put_aside() {
        let said = with("log", true, false, |settings| {
            let kafka = settings.folder.join("kafka");
            assert!(!kafka.exists());
            assert!(aside_of(&kafka)[0].join("log/meta.properties").exists());
        });
        assert!(said[0].contains("data of Kafka and none of Postgres"), "{said:?}");
    }

    #[test]
    fn data_of_another_platform_or_of_a_server_that_runs_are_refused() {
        let refused = |name: &str, file: &str, text: &str| {
            let settings = Settings::named(&format!("halves-{name}-{}", std::process::id())).expect("a name");
            let postgres = settings.postgres_data();
            fs::create_dir_all(&postgres).expect("made");
            fs::write(postgres.join("PG_VERSION"), "mine").expect("written");
            fs::write(postgres.join(file), text).expect("written");
            let refusal = put_aside(&settings, &|_| ()).expect_err("refused").to_string();
            assert!(postgres.join("PG_VERSION").exists(), "it stays where it is");
            super::super::wipe(&settings).expect("wiped");
            refusal
        };
        let refusal = refused("theirs", OWNER, "/another/folder");
        assert!(
            refusal.contains("belongs to the platform in /another/folder"),
            "{refusal}"
        );
        let refusal = refused("running", "postmaster.pid", &format!("{}\n/data\n", std::process::id()));
        assert!(refusal.contains("a Postgres server is running"), "{refusal}");
    }

    #[test]
    fn data_of_a_server_that_has_died_are_put_aside() {
        // No process has this number.
        let settings = Settings::named(&format!("halves-died-{}", std::process::id())).expect("a name");
        let postgres = settings.postgres_data();
        fs::create_dir_all(&postgres).expect("made");
        fs::write(postgres.join("PG_VERSION"), "mine").expect("written");
        fs::write(postgres.join("postmaster.pid"), "2147483646\n").expect("written");
        own(&settings).expect("owned");
        put_aside(&settings, &|_| ()).expect("put aside");
        let aside = aside_of(&postgres);
        assert_eq!((postgres.exists(), aside.len()), (false, 1));
        fs::remove_dir_all(&aside[0]).expect("deleted");
        let _ = super::super::wipe(&settings);
    }

    #[test]
    fn a_whole_platform_and_a_new_one_stay_as_they_are() {
        for (name, is_there) in [("whole", true), ("new", false)] {
            let said = with(name, is_there, is_there, |settings| {
                assert_eq!(settings.postgres_data().join("PG_VERSION").exists(), is_there);
                assert_eq!(settings.folder.join("kafka/log/meta.properties").exists(), is_there);
            });
            assert_eq!(said, [""; 0]);
        }
    }
}
