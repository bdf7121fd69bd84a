//! Processes of pods: those of a cluster of ours are this machine's.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::script;

/// Kills (SIGKILL) programs that run in a pod, one right after the other, as the system does when
/// memory is short. The pod stays, and its containers are started again.
///
/// # Errors
/// When one of them does not run, or not on this machine.
pub fn kill(pod: &Pod, programs: &[&str]) -> Result<()> {
    for id in running(pod, programs)? {
        let killed = script::run(Command::new("kill").arg("-KILL").arg(&id));
        // One may end by itself as another is killed: the command `grape` does when its Grape ends.
        if Path::new("/proc").join(&id).exists() {
            killed?;
        }
    }
    Ok(())
}

/// The ids of programs that run in a pod.
///
/// # Errors
/// When one of them does not run, or not on this machine.
pub fn running(pod: &Pod, programs: &[&str]) -> Result<Vec<OsString>> {
    let uid = pod.uid().context("a pod that is not stored")?;
    let mut ids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // One that has ended meanwhile has neither.
        let program = fs::read_link(path.join("exe")).unwrap_or_default();
        let program = program.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let cgroup = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        if programs.contains(&program) && cgroup.contains(&uid) {
            ids.push(path.file_name().context("no id")?.to_owned());
        }
    }
    let (found, wanted) = (ids.len(), programs.len());
    ensure!(found == wanted, "{found} processes {programs:?} of the pod {}", pod.name_any());
    Ok(ids)
}
