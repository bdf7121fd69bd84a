//! A release, as `release/build` builds it.
//!
//! | file | what is tested |
//! |---|---|
//! | `refusals.rs` | versions that differ, files that are not as in the commit, images that are too large |
//! | `built.rs` | every file is there, is what it says, and has its checksum |
//! | `again.rs` | another checkout gives the same bytes; what cannot be built or run here is named |
//! | `chart.rs` | what the chart says of itself |
//! | `licences.rs` | the licences that are collected are those that are allowed |
//! | `emulated.rs` | the programs for arm64, under qemu |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod again;
mod built;
mod chart;
mod emulated;
mod licences;
mod refusals;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use grape_tests::release::{VERSION, tools};

fn project() -> PathBuf {
    tools::of_project(".").unwrap().canonicalize().unwrap()
}

fn target() -> PathBuf {
    grape_tests::release::target().unwrap()
}

/// `release/build` of these sources, in the target folder of the tests: what they share is built once.
fn build(sources: &Path) -> Command {
    let mut command = Command::new(sources.join("release/build"));
    command.env("CARGO_TARGET_DIR", target());
    command
}

/// The release of these sources.
fn dist() -> &'static Path {
    static DIST: OnceLock<PathBuf> = OnceLock::new();
    DIST.get_or_init(|| grape_tests::release::built::dist().unwrap())
}

/// A binary of the release.
fn binary(name: &str, arch: &str) -> PathBuf {
    dist().join(format!("bin/{name}-{VERSION}-linux-{arch}"))
}

/// What a command prints; it has to succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", errors(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The architecture of this machine.
fn native() -> &'static str {
    if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }
}

/// An architecture of a release.
#[derive(Debug, Clone, Copy)]
struct Architecture {
    arch: &'static str,
    /// Its number in ELF, `e_machine`.
    machine: u16,
    /// As Rust calls it.
    target: &'static str,
}

const ARCHITECTURES: [Architecture; 2] = [
    Architecture { arch: "amd64", machine: 62, target: "x86_64-unknown-linux-musl" },
    Architecture { arch: "arm64", machine: 183, target: "aarch64-unknown-linux-musl" },
];

/// The architectures of this release: both, but for one whose Rust target cannot be had here.
fn architectures() -> Vec<Architecture> {
    // It adds the targets.
    dist();
    let installed = said(Command::new("rustup").args(["target", "list", "--installed"]));
    let has = |each: &Architecture| installed.lines().any(|line| line == each.target);
    ARCHITECTURES.into_iter().filter(has).collect()
}

/// The files of a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(each) = folders.pop() {
        for entry in fs::read_dir(each).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}
