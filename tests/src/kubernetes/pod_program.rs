//! A program of `tests/peers` in a pod: its output by `kubectl logs`, its input by `kubectl
//! attach`.

use anyhow::Result;
use serde_json::Value;

use super::{Kubectl, service_pod};
use crate::process::Process;
use crate::programs::{self, Talks};

/// A program that runs in a pod of [`service_pod::node_js`], for as long as its container lives.
#[derive(Debug)]
pub struct PodProgram {
    said: Process,
    told: Process,
}

impl PodProgram {
    /// That of a pod which has started, from its first word on.
    ///
    /// # Errors
    /// When kubectl cannot be started.
    pub fn of(kubectl: &Kubectl, namespace: &str, pod: &str) -> Result<Self> {
        let container = ["--namespace", namespace, pod, "--container", service_pod::CONTAINER];
        let start = |verb: &[&str]| kubectl.start(pod, verb.iter().chain(&container));
        Ok(Self { said: start(&["logs", "--follow"])?, told: start(&["attach", "--stdin"])? })
    }
}

impl Talks for PodProgram {
    async fn tell(&mut self, command: Value) -> Result<()> {
        self.told.say(&command.to_string()).await
    }

    async fn event(&mut self, kind: &str) -> Result<Value> {
        programs::event(&mut self.said, kind).await
    }
}
