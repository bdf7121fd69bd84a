//! Programs that a release is made and tested with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kubernetes::script;

/// A file of the project, by its path there.
///
/// # Errors
/// When these sources have no folder above them.
pub fn of_project(path: &str) -> Result<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no project")?;
    Ok(project.join(path))
}

/// `crane` or `helm`, with which a release is made.
///
/// # Errors
/// When it is not there, and cannot be built.
pub fn of_release(name: &str) -> Result<PathBuf> {
    built("release/tools/build", name)
}

/// `kustomize` or `registry`, with which a release is tested.
///
/// # Errors
/// When it is not there, and cannot be built.
pub fn of_tests(name: &str) -> Result<PathBuf> {
    built("tests/release/tools/build", name)
}

fn built(build: &str, name: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(script::run(&mut Command::new(of_project(build)?))?);
    let path = folder.join(name);
    ensure!(path.is_file(), "there is no {name} in {}", folder.display());
    Ok(path)
}
