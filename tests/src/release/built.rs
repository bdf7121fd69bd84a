//! The release of these sources, built once for all tests.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::tools;
use crate::kubernetes::script;

/// The version of these sources.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The target folder that cargo uses for these tests.
///
/// # Errors
/// When their program lies elsewhere.
pub fn target() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.ancestors().nth(3).context("a test lies in target/debug/deps")?.to_owned())
}

/// The folder that `release/build` makes of these sources, for every architecture. Whoever asks first
/// builds it, which takes minutes; others wait, of other processes too. Nobody changes its files.
///
/// # Errors
/// When it cannot be built; why has been shown.
pub fn dist() -> Result<PathBuf> {
    let place = target()?.join("release-tests");
    fs::create_dir_all(&place)?;
    let turn = File::create(place.join(".lock"))?;
    turn.lock()?;
    let (dist, built_from) = (place.join("dist"), place.join("built-from"));
    let now = sources()?;
    if fs::read_to_string(&built_from).is_ok_and(|before| before == now) {
        return Ok(dist);
    }
    let _ = fs::remove_file(&built_from);
    let mut build = Command::new(tools::of_project("release/build")?);
    build.args([VERSION, "--trial", "--out"]).arg(&dist).env("CARGO_TARGET_DIR", target()?);
    script::run(&mut build)?;
    fs::write(built_from, now)?;
    Ok(dist)
}

/// What tells these sources from others: the commit, and the files that a release is built from.
fn sources() -> Result<String> {
    let project = tools::of_project(".")?;
    let git =
        |arguments: &[&str]| script::run(Command::new("git").current_dir(&project).args(arguments));
    let commit = git(&["rev-parse", "HEAD"])?;
    let files = git(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut hasher = DefaultHasher::new();
    for name in files.split_terminator('\0') {
        // No release has them.
        if ["tests", "docs"].iter().any(|folder| Path::new(name).starts_with(folder)) {
            continue;
        }
        // One that was removed and is not yet committed is listed too.
        let content = fs::read(project.join(name)).unwrap_or_default();
        (name, content).hash(&mut hasher);
    }
    Ok(format!("{commit} {:016x}\n", hasher.finish()))
}
