//! A platform is its log and its databases together: one without the other is put aside, and both begin anew.
//!
//! Postgres' data may lie outside the platform's folder ([`Settings::postgres_data`]), so that whoever deletes the
//! folder deletes the log alone. Positions and outbox would then speak of records that no topic has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use super::settings::Settings;

/// Renames the data of Postgres if Kafka has none, and the other way round; nothing is deleted.
///
/// # Errors
/// They cannot be renamed.
pub(super) fn put_aside(settings: &Settings, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let kafka = settings.folder.join("kafka");
    let has_log = kafka.join("log/meta.properties").exists();
    let postgres = settings.postgres_data();
    let has_databases = postgres.join("PG_VERSION").exists();
    let (left_over, of, missing) = match (has_log, has_databases) {
        (true, false) => (kafka, "Kafka", "Postgres"),
        (false, true) => (postgres, "Postgres", "Kafka"),
        _ => return Ok(()),
    };
    let aside = aside(&left_over);
    fs::rename(&left_over, &aside)
        .with_context(|| format!("could not rename {} to {}", left_over.display(), aside.display()))?;
    say(&format!(
        "there were data of {of} and none of {missing}: an earlier platform, of which the rest was deleted. They are in \
         {} now, and this platform begins anew",
        aside.display()
    ));
    Ok(())
}

/// A name beside it that nothing has: with the second in which it was made.
fn aside(folder: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut name = folder.as_os_str().to_owned();
    name.push(format!("-until-{}", now.as_secs()));
    name.into()
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
