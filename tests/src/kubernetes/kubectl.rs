//! kubectl, as people run it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{script, tools};
use crate::process::Process;

/// A kubectl that talks to one API server.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    // Where it caches what an API server serves; for an API server of the user's own it is the
    // user's cache.
    cache: Option<PathBuf>,
}

impl Kubectl {
    /// For an API server of ours.
    ///
    /// # Errors
    /// When there is no kubectl.
    pub fn ours(kubeconfig: &Path) -> Result<Self> {
        Ok(Self {
            program: tools::binary("kubectl")?,
            kubeconfig: kubeconfig.to_owned(),
            // It goes by host and port, and those another server had a minute ago.
            cache: Some(kubeconfig.with_extension("cache")),
        })
    }

    /// For a cluster of somebody else, who has a kubectl that goes with it.
    pub fn theirs(kubeconfig: &Path) -> Self {
        let kubeconfig = kubeconfig.to_owned();
        Self { program: PathBuf::from("kubectl"), kubeconfig, cache: None }
    }

    /// What it prints.
    ///
    /// # Errors
    /// When it fails; why has been shown.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        script::run(&mut self.command(arguments))
    }

    /// What it says when it fails.
    ///
    /// # Errors
    /// When it does not.
    pub fn refused<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        let mut command = self.command(arguments);
        let output = command.stdin(Stdio::null()).output().context("cannot start kubectl")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(!output.status.success(), "{command:?} was to fail, and printed {printed}");
        Ok(String::from_utf8(output.stderr)?.trim_end().to_owned())
    }

    /// Starts one that goes on, such as `logs --follow`. `name` is what it is called in messages.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Process> {
        Process::start(name, &mut self.command(arguments).into())
    }

    fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig).args(arguments);
        if let Some(cache) = &self.cache {
            command.env("KUBECACHEDIR", cache);
        }
        command
    }
}
