//! Fetches Kafka and the registry once, into a cache that all stacks share.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The broker.
pub const KAFKA: &str = "4.1.1";
/// The registry, whose schema ids outlive it in a database.
pub const REGISTRY: &str = "3.3.3";

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kassa</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>KAFKA</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.25.2</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.2</version></dependency>
  </dependencies>
</project>
"#;

/// Runs a command; its output is shown only if it fails.
///
/// # Errors
/// It cannot be started, or fails.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    output(command).map(|_| ())
}

/// Runs a command and returns what it printed.
///
/// # Errors
/// It cannot be started, or fails; with the end of what it printed.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("could not start {program}"))?;
    if !done.status.success() {
        let text = [done.stdout, done.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let tail: Vec<&str> = text.lines().rev().take(15).collect();
        bail!(
            "{program} failed with {}:\n{}",
            done.status,
            tail.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The folder with Kafka's jars.
///
/// # Errors
/// Maven cannot fetch them.
pub fn kafka(cache: &Path, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    once(cache, &format!("kafka-{KAFKA}"), |folder| {
        say(&format!("fetching Apache Kafka {KAFKA} from Maven Central (43 MB)"));
        let pom = folder.join("pom.xml");
        fs::write(&pom, POM.replace("KAFKA", KAFKA))?;
        let jars = format!("-DoutputDirectory={}", folder.display());
        run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(&pom).args([
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            &jars,
        ]))
    })
}

/// The folder with the registry.
///
/// # Errors
/// Maven cannot fetch it, or it cannot be unpacked.
pub fn registry(cache: &Path, say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    once(cache, &format!("registry-{REGISTRY}"), |folder| {
        say(&format!(
            "fetching Apicurio Registry {REGISTRY} from Maven Central (159 MB)"
        ));
        let artifact = format!("-Dartifact=io.apicurio:apicurio-registry-app:{REGISTRY}:tar.gz:all");
        let to = format!("-DoutputDirectory={}", folder.display());
        run(Command::new("mvn")
            .args(["-q", "-B", "dependency:copy", &artifact, &to])
            .current_dir(folder))?;
        let archive = folder.join(format!("apicurio-registry-app-{REGISTRY}-all.tar.gz"));
        run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder))?;
        Ok(fs::remove_file(archive)?)
    })
}

/// Fills a folder once: under another name first, so that a broken download is never taken for a whole one.
pub(super) fn once(cache: &Path, name: &str, fill: impl Fn(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
    let folder = cache.join(name);
    if folder.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(cache)?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    lock.lock().context("the cache cannot be locked")?;
    if folder.exists() {
        return Ok(folder);
    }
    let partial = cache.join(format!("{name}.partial"));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    fill(&partial)?;
    fs::rename(&partial, &folder)?;
    Ok(folder)
}
