//! What the images are made of.

use std::fs;

use kassa::machine::fetch::{KAFKA, REGISTRY};
use kassa::stack::root;

use crate::compose_file::{ComposeFile, OURS, text};
use crate::dockerfile::{stages, stages_by_name};

#[test]
fn every_build_target_is_a_stage() {
    let (compose, stages) = (ComposeFile::load(), stages_by_name());
    for (service, target, _) in compose.of_our_programs() {
        assert!(
            stages.contains_key(target),
            "{service}: Dockerfile has no stage {target}"
        );
    }
}

#[test]
fn every_program_has_an_image_that_runs_it() {
    let stages = stages_by_name();
    for program in OURS.into_iter().chain(["schemas"]) {
        let stage = stages.get(program).expect("a stage of the program's name");
        assert_eq!(stage.base, "runtime", "{program}");
        assert_eq!(stage.entrypoint.as_deref(), Some(format!("[\"{program}\"]").as_str()));
        let [copy] = &stage.copies[..] else {
            panic!("{program}: an image gets its program and nothing else");
        };
        assert_eq!(copy.from.as_deref(), Some("build"));
        assert_eq!(copy.sources, [format!("/kassa/target/release/{program}")]);
    }
}

#[test]
fn every_copied_path_exists() {
    let mut known: Vec<String> = Vec::new();
    for stage in stages() {
        for copy in &stage.copies {
            match &copy.from {
                Some(from) => assert!(known.contains(from), "{}: there is no stage {from} above", stage.name),
                None => {
                    for source in &copy.sources {
                        assert!(root().join(source).exists(), "{}: there is no {source}", stage.name);
                    }
                }
            }
        }
        known.push(stage.name);
    }
}

fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml can be read");
    let members = manifest
        .split("members = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    let quoted = members.expect("a workspace has members").split('"');
    quoted.skip(1).step_by(2).map(ToOwned::to_owned).collect()
}

#[test]
fn every_member_of_the_workspace_is_copied() {
    let stages = stages_by_name();
    let copied: Vec<&String> = stages["source"].copies.iter().flat_map(|copy| &copy.sources).collect();
    for member in members() {
        let is_copied = copied.iter().any(|folder| member.split('/').next() == Some(folder));
        assert!(is_copied, "{member} is not copied");
    }
}

/// The package of a program.
fn package_of(program: &str) -> String {
    let packages = members().into_iter().map(|member| {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).expect("a member's manifest");
        let name = manifest
            .split("name = \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        (member, name.expect("a package has a name").to_owned())
    });
    let owner = packages.into_iter().find(|(member, name)| {
        let source = root().join(member).join("src");
        let is_main = name == program && source.join("main.rs").exists();
        is_main || source.join("bin").join(format!("{program}.rs")).exists()
    });
    owner
        .unwrap_or_else(|| panic!("no package has the program {program}"))
        .1
}

#[test]
fn every_programs_package_is_built() {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("Dockerfile can be read");
    let built: Vec<&str> = text
        .split("--package ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '"']).next())
        .collect();
    for program in OURS.into_iter().chain(["schemas"]) {
        assert!(
            built.contains(&package_of(program).as_str()),
            "{program} is not among {built:?}"
        );
    }
}

#[test]
fn nothing_that_is_copied_is_ignored() {
    let ignored = fs::read_to_string(root().join(".dockerignore")).expect(".dockerignore can be read");
    for stage in stages() {
        for source in stage
            .copies
            .iter()
            .filter(|copy| copy.from.is_none())
            .flat_map(|copy| &copy.sources)
        {
            assert!(
                !ignored.lines().any(|line| line == source),
                "{source} is in .dockerignore"
            );
        }
    }
}

#[test]
fn every_image_has_a_fixed_tag() {
    let compose = ComposeFile::load();
    let stages = stages();
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    let bases = stages.iter().map(|stage| stage.base.as_str());
    let foreign = bases.filter(|base| !names.contains(base) && *base != "scratch");
    let pulled = compose.services.values().filter_map(|service| service.image.as_deref());
    for image in foreign.chain(pulled) {
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        let is_fixed = tag.is_some_and(|tag| tag.starts_with(|first: char| first.is_ascii_digit()));
        assert!(is_fixed, "{image}: name a version");
    }
}

#[test]
fn images_run_as_nobody() {
    let text = fs::read_to_string(root().join("Dockerfile")).expect("Dockerfile can be read");
    let runtime = text
        .split("AS runtime")
        .nth(1)
        .and_then(|rest| rest.split("FROM").next());
    assert!(runtime.expect("a stage for the runtime").contains("\nUSER 65534"));
}

#[test]
fn there_is_no_zookeeper() {
    assert!(!text().to_lowercase().contains("zookeeper"));
}

#[test]
fn containers_run_the_versions_that_run_natively() {
    let compose = ComposeFile::load();
    for (part, version) in [("kafka", KAFKA), ("registry", REGISTRY)] {
        let image = compose.service(part).image.clone().expect("an image");
        assert!(image.ends_with(&format!(":{version}")), "{image} is not {version}");
    }
}
