//! What the machine needs installed: found, or installed with one sentence said first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::fetch::{output, run};

/// Something that must be on the machine.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// What it is for.
    pub what: &'static str,
    /// Debian's package.
    pub package: &'static str,
    /// Whether it is there.
    pub is_there: fn() -> bool,
}

/// What Debian's packages supply.
pub const NEEDS: [Need; 8] = [
    Need {
        what: "a C compiler, to build librdkafka",
        package: "gcc",
        is_there: || on_path("cc"),
    },
    Need {
        what: "a C++ compiler, which librdkafka's configure script asks for",
        package: "g++",
        is_there: || on_path("c++"),
    },
    Need {
        what: "make, to build librdkafka",
        package: "make",
        is_there: || on_path("make"),
    },
    Need {
        what: "pkg-config, to build librdkafka",
        package: "pkg-config",
        is_there: || on_path("pkg-config"),
    },
    Need {
        what: "zlib's headers, to build librdkafka",
        package: "zlib1g-dev",
        is_there: has_zlib,
    },
    Need {
        what: "Maven, to fetch Kafka and the registry",
        package: "maven",
        is_there: || on_path("mvn"),
    },
    Need {
        what: "Postgres",
        package: "postgresql",
        is_there: || postgres_bin().is_some(),
    },
    Need {
        what: "Python with venv, for checks in another language",
        package: "python3-venv",
        is_there: has_venv,
    },
];

/// Whether a program is on the PATH.
#[must_use]
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn has_zlib() -> bool {
    Path::new("/usr/include/zlib.h").exists()
}

fn has_venv() -> bool {
    Command::new("python3")
        .args(["-c", "import venv, ensurepip"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The newest Postgres server's programs.
#[must_use]
pub fn postgres_bin() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let numbered = versions.filter_map(|entry| {
        let version = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let bin = entry.path().join("bin");
        (bin.join("initdb").exists() && bin.join("postgres").exists()).then_some((version, bin))
    });
    numbered.max().map(|(_, bin)| bin)
}

/// Installs what is missing, one sentence each; needs root, or sudo.
///
/// # Errors
/// Something cannot be installed; says what to install by hand.
pub fn install_missing(say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        say(&format!(
            "{} is missing: installing Debian's package {}",
            need.what, need.package
        ));
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = || format!("install it by hand: apt-get install {}", packages.join(" "));
    if !on_path("apt-get") {
        bail!("this is no Debian; {}", by_hand());
    }
    run(&mut apt(&["update", "-q"])).with_context(by_hand)?;
    let install = [&["install", "-q", "-y", "--no-install-recommends"][..], &packages].concat();
    run(&mut apt(&install)).with_context(by_hand)?;
    match missing.iter().find(|need| !(need.is_there)()) {
        Some(need) => bail!("{} is still missing after {} was installed", need.what, need.package),
        None => Ok(()),
    }
}

fn apt(args: &[&str]) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.arg("apt-get");
        sudo
    };
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// A Python of our own in the cache, with `modules` from PyPI.
///
/// # Errors
/// It cannot be made, or a module cannot be installed.
pub fn python(cache: &Path, modules: &[&str], say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    let folder = cache.join("python");
    let python = folder.join("bin/python3");
    if !python.exists() {
        say("making a Python environment for checks in another language");
        fs::create_dir_all(cache)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    for module in modules {
        let import = format!("import {module}");
        if output(Command::new(&python).args(["-c", &import])).is_err() {
            say(&format!("fetching {module} from PyPI"));
            run(Command::new(&python).args(["-m", "pip", "install", "-q", "--disable-pip-version-check", module]))?;
        }
    }
    Ok(python)
}
