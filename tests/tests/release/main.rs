//! A release, as `release/build` builds it.
//!
//! | file | what is tested |
//! |---|---|
//! | `refusals.rs` | versions that differ, files that are not as in the commit, images that are too large |
//! | `built.rs` | every file is there, is what it says, and has its checksum; another checkout gives the same |
//! | `chart.rs` | what the chart says of itself |
//! | `licences.rs` | the licences that are collected are those that are allowed |
//! | `emulated.rs` | the programs for arm64, under qemu |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod built;
mod chart;
mod emulated;
mod licences;
mod refusals;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The target folder that cargo uses for these tests.
fn target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

/// `release/build` of these sources, in the target folder of the tests: what they share is built once.
fn build(sources: &Path) -> Command {
    let mut command = Command::new(sources.join("release/build"));
    command.env("CARGO_TARGET_DIR", target());
    command
}

/// The release of these sources, built once.
fn dist() -> &'static Path {
    static DIST: OnceLock<PathBuf> = OnceLock::new();
    DIST.get_or_init(|| {
        let out = target().join("release-tests/dist");
        said(build(&project()).args([VERSION, "--trial", "--out"]).arg(&out));
        out
    })
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
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
}
