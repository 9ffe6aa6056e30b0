//! What the machine needs installed: found, or installed with one sentence said first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::fetch::{once, output, run};

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

/// What Debian's packages supply for the tests and pictures of the page; nobody needs it to run the platform.
pub const BROWSER_NEEDS: [Need; 4] = [
    Need {
        what: "Chromium, to look at the page",
        package: "chromium",
        is_there: || on_path("chromium"),
    },
    NODE,
    NPM,
    Need {
        what: "Inter, so that the page looks the same everywhere",
        package: "fonts-inter",
        is_there: || Path::new("/usr/share/fonts/opentype/inter").exists(),
    },
];

const NODE: Need = Need {
    what: "Node, to drive Chromium and to run the Postman collection",
    package: "nodejs",
    is_there: || on_path("node"),
};
const NPM: Need = Need {
    what: "npm, to fetch Playwright, axe and newman",
    package: "npm",
    is_there: || on_path("npm"),
};

/// Whether a program is on the PATH.
#[must_use]
pub fn on_path(program: &str) -> bool {
    find_on_path(program).is_some()
}

/// Where a program is on the PATH.
#[must_use]
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file())
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
    install(&NEEDS, say)
}

/// Installs those of `needs` that are missing, as [`install_missing`] does.
///
/// # Errors
/// Something cannot be installed; says what to install by hand.
pub fn install(needs: &[Need], say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_there)()).collect();
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

/// A Python of our own in the cache, with `modules` from PyPI, by name or as `name==version`.
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
        let import = match module.split_once("==") {
            None => format!("import {module}"),
            Some((name, version)) => {
                format!("import importlib.metadata as there; assert there.version('{name}') == '{version}'")
            }
        };
        if output(Command::new(&python).args(["-c", &import])).is_err() {
            say(&format!("fetching {module} from PyPI"));
            run(Command::new(&python).args(["-m", "pip", "install", "-q", "--disable-pip-version-check", module]))?;
        }
    }
    Ok(python)
}

/// What npm supplies beside [`BROWSER_NEEDS`]: to drive the browser, and to judge a page's accessibility.
const NODE_MODULES: [&str; 2] = ["playwright-core@1.58.0", "axe-core@4.14.1"];

/// A folder of our own in the cache with [`NODE_MODULES`]; none of them runs a script while it is installed.
///
/// # Errors
/// npm cannot fetch them.
pub fn node_modules(cache: &Path, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    npm(cache, &NODE_MODULES, say)
}

/// Newman, which runs Postman's collections: the script to give to node.
///
/// # Errors
/// Node or npm cannot be installed, or npm cannot fetch it.
pub fn newman(cache: &Path, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    install(&[NODE, NPM], say)?;
    let folder = npm(cache, &["newman@6.2.2"], say)?;
    Ok(folder.join("node_modules/newman/bin/newman.js"))
}

fn npm(cache: &Path, modules: &[&str], say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    let folder = modules.join("+").replace('@', "-");
    once(cache, &folder, |folder| {
        say(&format!("fetching {} from npm", modules.join(" and ")));
        // Without a package of its own npm would look for one in the folders above.
        fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
        ]);
        run(npm.args(modules).current_dir(folder))
    })
}
