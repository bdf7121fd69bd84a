//! Where Kubernetes' binaries are.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::script;

/// The path of `etcd`, `kube-apiserver`, `kubectl`, `helm`, ….
///
/// It is in the folder `KUBEBUILDER_ASSETS`, if that is set; else it is built, once on a machine,
/// which takes about ten minutes and is announced.
///
/// # Errors
/// When it is not there, and cannot be built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("KUBEBUILDER_ASSETS") {
        Some(given) => PathBuf::from(given),
        None => PathBuf::from(script::run(&mut Command::new(script::path("tools/build")))?),
    };
    let path = folder.join(name);
    ensure!(path.is_file(), "there is no {name} in {}", folder.display());
    Ok(path)
}
