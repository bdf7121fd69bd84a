//! The images of the project's binaries, as files: what is in them, and that they are the same
//! bytes wherever they are built.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use grape_tests::kubernetes::{images, script};
use serde_json::Value;

#[test]
fn the_grape_is_alone_in_its_small_image_and_runs_unprivileged() {
    let image = images::build("grape").unwrap();
    assert!(fs::metadata(&image.tar).unwrap().len() < 6 << 20, "it is a few MB");
    let index: Value = serde_json::from_slice(&read(&image.tar, "index.json")).unwrap();
    assert_eq!(index["manifests"][0]["digest"], image.digest);
    let manifest: Value = serde_json::from_slice(&blob(&image.tar, &image.digest)).unwrap();
    let config = blob(&image.tar, manifest["config"]["digest"].as_str().unwrap());
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/grape");

    let folder = tempfile::tempdir().unwrap();
    let layer = folder.path().join("layer");
    let packed = blob(&image.tar, manifest["layers"][0]["digest"].as_str().unwrap());
    fs::write(&layer, packed).unwrap();
    let listed = run(Command::new("tar").arg("--list").arg("--file").arg(&layer));
    assert_eq!(String::from_utf8(listed).unwrap(), "grape\n");
    run(Command::new("tar").current_dir(folder.path()).arg("--extract").arg("--file").arg(&layer));
    run(Command::new(folder.path().join("grape")).arg("--version"));
    let needed = Command::new("ldd").arg(folder.path().join("grape")).output().unwrap();
    assert!(!String::from_utf8_lossy(&needed.stdout).contains("=>"), "it is static: {needed:?}");
}

/// From a copy of the sources, in another folder, into another.
#[test]
fn two_builds_in_different_places_give_one_digest() {
    let here = images::build("grape").unwrap();
    // Beside what else is built, so that a second run of the tests finds it built.
    let place = here.tar.ancestors().nth(2).unwrap().join("elsewhere");
    let sources = place.join("sources");
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir_all(&place).unwrap();
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir(&sources).unwrap();
    for part in ["Cargo.toml", "Cargo.lock", "operator", "release", "sidecar", "tests"] {
        // With their times, by which cargo knows what has changed.
        run(Command::new("cp").args(["-a"]).arg(project.join(part)).arg(&sources));
    }
    let mut image = Command::new(sources.join("tests/kubernetes/image"));
    image.arg("grape").env("CARGO_TARGET_DIR", place.join("target"));
    let there = images::parse(&script::run(&mut image).unwrap()).unwrap();
    assert_ne!(there.tar, here.tar);
    assert_eq!(there.digest, here.digest);
    assert_eq!(fs::read(there.tar).unwrap(), fs::read(here.tar).unwrap());
}

fn blob(tar: &Path, digest: &str) -> Vec<u8> {
    read(tar, PathBuf::from("blobs").join(digest.replace(':', "/")).to_str().unwrap())
}

fn read(tar: &Path, name: &str) -> Vec<u8> {
    run(Command::new("tar").args(["--extract", "--to-stdout", "--file"]).arg(tar).arg(name))
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}
