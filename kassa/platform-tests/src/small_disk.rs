//! A disk so small that a test can fill it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use kassa::machine::fetch::run;

/// A file system in memory, unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    mount: PathBuf,
}

impl SmallDisk {
    /// Mounts `megabytes` of memory; `None` where that is not permitted.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub fn mount(megabytes: u32) -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        sweep();
        let mount = Path::new(FOLDER).join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir_all(&mount)?;
        let mounted = run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=755"), "kassa"])
            .arg(&mount));
        if mounted.is_err() {
            fs::remove_dir(&mount)?;
            return Ok(None);
        }
        Ok(Some(Self { mount }))
    }

    /// A folder on it that belongs to Postgres' user.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self) -> anyhow::Result<PathBuf> {
        let folder = self.mount.join("wal");
        fs::create_dir_all(&folder)?;
        run(Command::new("chown").arg("postgres:").arg(&folder))?;
        Ok(folder)
    }

    /// Takes all that is left of it.
    ///
    /// # Errors
    /// There is no file to be made.
    pub fn fill(&self) -> anyhow::Result<()> {
        let ballast = self.mount.join(BALLAST);
        let mut ballast = OpenOptions::new().create(true).append(true).open(ballast)?;
        // As far as it goes, and then byte by byte.
        for piece in [&[0_u8; 1 << 20][..], &[0; 4096], &[0; 1]] {
            while ballast.write_all(piece).is_ok() {}
        }
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn free(&self) -> anyhow::Result<()> {
        fs::remove_file(self.mount.join(BALLAST)).context("the disk was not full")
    }
}

const FOLDER: &str = "/var/tmp";
const PREFIX: &str = "kassa-small-disk-";
const BALLAST: &str = "ballast";

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.mount);
    }
}

fn unmount(mount: &Path) {
    // Lazily: a process that dies more slowly than we do holds it a little longer.
    let _ = run(Command::new("umount").arg("-l").arg(mount));
    let _ = fs::remove_dir(mount);
}

/// Unmounts what a test left behind that was killed.
fn sweep() {
    let left = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    for folder in left {
        let name = folder.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            unmount(&folder.path());
        }
    }
}
