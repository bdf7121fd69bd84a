//! A second release, of binaries that are there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use grape_tests::figure;
use tempfile::TempDir;

use super::{
    Architecture, VERSION, architectures, binary, build, dist, errors, files, native, project,
    said, target,
};

/// From a copy in another folder, whose files have other times, on a machine without an emulator. That the
/// binaries are the same wherever they are built is tested beside the images.
#[test]
fn another_checkout_gives_the_same_bytes() {
    let place = target().join("release-tests");
    let sources = place.join("sources");
    let _ = fs::remove_dir_all(&sources);
    // With its commit, which is in the images, and the time of that commit.
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--shared", "--no-checkout"]);
    said(clone.arg(project()).arg(&sources));
    copy_to(&sources);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["charts/grape-operator/values.yaml", "charts/grape-operator/Chart.yaml"] {
        fs::File::open(sources.join(name)).unwrap().set_modified(old).unwrap();
    }
    let out = place.join("dist-again");
    let programs = programs_but("qemu-");
    let mut command = build(&sources);
    command.env("PATH", programs.path()).args([VERSION, "--trial", "--out"]).arg(&out);
    let told = said(command.arg("--binaries").arg(dist().join("bin")));
    let (here, there) = (files(dist()), files(&out));
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (name, content) in &here {
        assert!(there[name] == *content, "{name} differs");
    }
    figure::tell(&format!("the same bytes twice: {} files", here.len()));

    for Architecture { arch, .. } in
        architectures().into_iter().filter(|each| each.arch != native())
    {
        let not_run = format!("NOT RUN: all for {arch}: qemu-");
        let line = told.lines().find(|line| line.starts_with(&not_run)).expect(&told);
        assert!(line.ends_with("Install it: apt-get install -y qemu-user-static"), "{line}");
    }
}

#[test]
fn an_architecture_that_is_not_there_is_left_out_and_named() {
    let place = tempfile::tempdir().unwrap();
    let [binaries, out] = ["bin", "dist"].map(|name| place.path().join(name));
    fs::create_dir(&binaries).unwrap();
    let mut expected: BTreeMap<_, _> = files(dist());
    for program in ["grape", "grape-operator"] {
        let there = binary(program, native());
        fs::copy(&there, binaries.join(there.file_name().unwrap())).unwrap();
    }
    let other = if native() == "amd64" { "arm64" } else { "amd64" };
    expected.retain(|name, _| !name.contains(other));
    let mut command = build(&project());
    command.args([VERSION, "--trial", "--out"]).arg(&out).arg("--binaries").arg(&binaries);
    let told = said(&mut command);
    let line = format!("NOT BUILT: all for {other}: --binaries {} does not", binaries.display());
    assert!(told.contains(&line), "{told}");
    assert_eq!(files(&out).keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
}

/// A machine that cannot get Rust's target: the exit code with which `release/build` goes on.
#[test]
fn a_target_that_cannot_be_had_is_named() {
    let programs = programs_but("rustup");
    let rustup = programs.path().join("rustup");
    fs::write(&rustup, "#!/bin/sh\ntest \"$2\" = list\n").unwrap();
    said(Command::new("chmod").arg("755").arg(&rustup));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(project().join("release/static-binary"));
    command.args(["--arch", "arm64", "grape", "--out"]).arg(folder.path().join("grape"));
    command.env("PATH", programs.path()).env("CARGO_TARGET_DIR", target());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let line = "Rust's target aarch64-unknown-linux-musl is missing. \
                Install it: rustup target add aarch64-unknown-linux-musl";
    assert!(errors(&output).contains(line), "{output:?}");
}

/// A folder with the programs of this machine, but for those whose names begin so.
fn programs_but(beginning: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for place in std::env::split_paths(&path) {
        for program in fs::read_dir(place).into_iter().flatten() {
            let program = program.unwrap();
            let name = program.file_name();
            if !name.to_str().unwrap().starts_with(beginning) {
                // The first of a name is the one that is run.
                let _ = symlink(program.path(), folder.path().join(name));
            }
        }
    }
    folder
}

/// A copy of the project's files, without git, whose times are other ones.
fn copy_to(folder: &Path) {
    let list = said(Command::new("git").current_dir(project()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]));
    for name in list.split_terminator('\0') {
        let from = project().join(name);
        // One that was removed and is not yet committed is listed too.
        if !from.exists() {
            continue;
        }
        let to = folder.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}
