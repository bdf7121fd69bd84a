//! helm, as people run it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{script, tools};

/// helm, without the caller's own settings, which may be for another cluster.
///
/// # Errors
/// When there is no helm.
pub fn command() -> Result<Command> {
    let mut helm = Command::new(tools::binary("helm")?);
    for variable in ["HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_DRIVER", "KUBECONFIG"] {
        helm.env_remove(variable);
    }
    Ok(helm)
}

/// The folder of the operator's chart.
///
/// # Errors
/// When these sources have no folder above them.
pub fn chart() -> Result<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(project.context("no project")?.join("charts/grape-operator"))
}

/// The same of the release before this one: `tests/kubernetes/release-before`.
///
/// # Errors
/// When git's history does not have it.
pub fn chart_before() -> Result<PathBuf> {
    let sources = script::run(&mut Command::new(script::path("release-before")))?;
    Ok(Path::new(&sources).join("charts/grape-operator"))
}

/// What helm prints, of the cluster of a kubeconfig.
///
/// # Errors
/// When it fails; why has been shown.
pub fn run<S: AsRef<OsStr>>(
    kubeconfig: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String> {
    script::run(command()?.arg("--kubeconfig").arg(kubeconfig).args(arguments))
}
