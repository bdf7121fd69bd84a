//! Processes of pods: those of a cluster of ours are this machine's.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::script;

/// Kills (SIGKILL) a program that runs in a pod, as the system does when memory is short. The pod
/// stays, and its container is started again.
///
/// # Errors
/// When it does not run, or not on this machine.
pub fn kill(pod: &Pod, program: &str) -> Result<()> {
    let uid = pod.uid().context("a pod that is not stored")?;
    let mut killed = 0;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // One that has ended meanwhile has neither.
        let of = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        if of("comm").trim_end() == program && of("cgroup").contains(&uid) {
            let id = path.file_name().context("no id")?;
            script::run(Command::new("kill").arg("-KILL").arg(id))?;
            killed += 1;
        }
    }
    ensure!(killed == 1, "{killed} processes {program} of the pod {}", pod.name_any());
    Ok(())
}
