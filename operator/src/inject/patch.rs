//! What changes in a pod beside the Grape's container, as operations on its JSON.

use std::collections::BTreeMap;

use grape_cluster::validate::ValidatedCluster;
use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{AddOperation, Patch, PatchOperation};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::{Value, json};

use super::annotations::{Annotations, INJECTED_BY, INJECTED_IMAGE};
use super::selection::SelectedCluster;
use super::sidecar;
use crate::desired::grape::{self, Ports};
use crate::desired::labels;

/// The environment variable with the URL of a service's Grape.
pub const GRAPE_URL: &str = "GRAPE_URL";

/// How long containers wait before they are stopped, in seconds, unless the pod sets it: meanwhile
/// the Grape withdraws them, and clients that found them before go elsewhere. npm's Link keeps what
/// it looked up for ten seconds; a node that is short of CPU takes seconds to begin the Grape's
/// hook.
const DRAIN: i64 = 15;
/// How long a pod may take to end where it says nothing, in seconds.
const GRACE: i64 = 30;

/// Operations to come, each on what those before it leave.
#[derive(Default)]
pub(super) struct Edit(Vec<PatchOperation>);

impl Edit {
    pub(super) fn patch(self) -> Patch {
        Patch(self.0)
    }

    /// Sets a member, or puts an entry into a list before the one that is there.
    fn add<'a>(&mut self, path: impl IntoIterator<Item = Token<'a>>, value: Value) {
        let path = PointerBuf::from_tokens(path);
        self.0.push(PatchOperation::Add(AddOperation { path, value }));
    }
}

/// `/spec/containers/1/env`, say.
macro_rules! path {
    ($($step:expr),+) => { [$(Token::from($step)),+] };
}

/// The pod's labels and annotations, for a Grape of this image.
pub(super) fn mark(edit: &mut Edit, pod: &Pod, selected: &SelectedCluster, image: &str) {
    let mut labels = vec![(labels::SIDECAR, labels::INJECTED.to_owned())];
    if selected.inherited {
        // NetworkPolicies and the operator find the pod by it.
        labels.push((labels::CLUSTER, selected.value().to_owned()));
    }
    entries(edit, "labels", pod.metadata.labels.as_ref(), &labels);
    let made_by = format!("{} {}", labels::OPERATOR, env!("CARGO_PKG_VERSION"));
    let notes = [(INJECTED_BY, made_by), (INJECTED_IMAGE, image.to_owned())];
    entries(edit, "annotations", pod.metadata.annotations.as_ref(), &notes);
}

fn entries(
    edit: &mut Edit,
    field: &str,
    there: Option<&BTreeMap<String, String>>,
    entries: &[(&str, String)],
) {
    if there.is_none() {
        edit.add(path!["metadata", field], json!({}));
    }
    for (key, value) in entries {
        edit.add(path!["metadata", field, *key], json!(value));
    }
}

/// The Grape may listen at its ports, also at one that takes a privilege elsewhere. It is for the whole
/// pod, whose containers have one network.
pub(super) fn ports(edit: &mut Edit, spec: &PodSpec, ports: Ports) {
    if ports.privileged().is_none() {
        return;
    }
    let any = grape::any_port();
    match spec.security_context.as_ref().map(|context| &context.sysctls) {
        None => edit.add(path!["spec", "securityContext"], json!({"sysctls": [any]})),
        Some(None) => edit.add(path!["spec", "securityContext", "sysctls"], json!([any])),
        // One of its own is good enough, or was objected to.
        Some(Some(sysctls)) if sysctls.iter().any(|it| it.name == any.name) => {}
        Some(Some(_)) => edit.add(path!["spec", "securityContext", "sysctls", "-"], json!(any)),
    }
}

/// The secrets to fetch the Grape's image with, if they are the pod's to have: in another namespace
/// a secret of that name is another one, or none.
pub(super) fn pull(edit: &mut Edit, spec: &PodSpec, cluster: &ValidatedCluster, same: bool) {
    let there = spec.image_pull_secrets.as_ref();
    let secrets = cluster.image.pull_secrets.iter().filter(|_| same);
    let lacking: Vec<_> =
        secrets.filter(|secret| there.is_none_or(|there| !there.contains(secret))).collect();
    if there.is_none() && !lacking.is_empty() {
        edit.add(path!["spec", "imagePullSecrets"], json!(lacking));
        return;
    }
    for secret in lacking {
        edit.add(path!["spec", "imagePullSecrets", "-"], json!(secret));
    }
}

/// Containers wait before they are stopped, and the pod may take as much longer to end.
pub(super) fn drain(edit: &mut Edit, spec: &PodSpec, own: &Annotations) {
    // The containers of a Job end by themselves, and have no clients that could still come.
    let serves = spec.restart_policy.as_deref().is_none_or(|policy| policy == "Always");
    let seconds = own.drain.unwrap_or(if serves { DRAIN } else { 0 });
    let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE);
    // Without any grace no hook runs, and of 0 seconds none is allowed.
    if seconds == 0 || grace <= 0 {
        return;
    }
    let hook = json!({"sleep": {"seconds": seconds}});
    let mut waits = false;
    // Sidecars end after these anyway.
    for (index, container) in spec.containers.iter().enumerate() {
        let path = |last| path!["spec", "containers", index, "lifecycle"].into_iter().chain(last);
        match &container.lifecycle {
            None => edit.add(path(None), json!({"preStop": hook})),
            Some(lifecycle) if lifecycle.pre_stop.is_none() => {
                edit.add(path(Some(Token::from("preStop"))), hook.clone());
            }
            Some(_) => continue,
        }
        waits = true;
    }
    if waits {
        let longer = json!(grace.saturating_add(seconds));
        edit.add(path!["spec", "terminationGracePeriodSeconds"], longer);
    }
}

/// Where the API of a pod's own Grape is, at this port.
pub(super) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Every container but the Grape learns where the API is, at this port.
pub(super) fn tell(edit: &mut Edit, spec: &PodSpec, port: u16) {
    let lists = [
        ("initContainers", spec.init_containers.as_deref().unwrap_or_default()),
        ("containers", &spec.containers),
    ];
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            if !sidecar::is_grape(container) {
                tell_one(edit, (list, index), container, port);
            }
        }
    }
}

/// An envFrom may set it too, which cannot be seen here; `env` takes precedence.
fn tell_one(edit: &mut Edit, (list, index): (&str, usize), container: &Container, port: u16) {
    let variable = json!({"name": GRAPE_URL, "value": url(port)});
    match &container.env {
        None => edit.add(path!["spec", list, index, "env"], json!([variable])),
        Some(env) if env.iter().any(|variable| variable.name == GRAPE_URL) => {}
        // First, so that the others may be made of it.
        Some(_) => edit.add(path!["spec", list, index, "env", 0_usize], variable),
    }
}

/// The Grape comes before all init containers, so that it is there for them, and ends after all.
pub(super) fn put_first(edit: &mut Edit, spec: &PodSpec, grape: &Container) {
    match spec.init_containers {
        None => edit.add(path!["spec", "initContainers"], json!([grape])),
        Some(_) => edit.add(path!["spec", "initContainers", 0_usize], json!(grape)),
    }
}
