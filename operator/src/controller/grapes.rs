//! The state of the Grape in a pod. Pure.

use std::net::IpAddr;

use grape_cluster::limits;
use grape_cluster::validate::ValidatedCluster;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition};
use kube::ResourceExt;

use super::failing::{self, Failing};
use super::rollout::GrapePod;
use crate::desired::container::{ADMIN, API, CONTAINER, DHT};
use crate::observe::Target;

/// How long a Grape may take from its pod's start to being ready before it counts as failing. A
/// Grape takes seconds, but the image has to be fetched, too.
const START: SignedDuration = SignedDuration::from_secs(180);

/// How long a node may take to begin a container before its events are read.
const BEGIN: SignedDuration = SignedDuration::from_secs(5);

/// How long after its last end a container that has ended twice counts as one that keeps ending:
/// the longest pause between two starts, and a start.
const LATELY: SignedDuration = SignedDuration::from_secs(8 * 60);

/// The label with the revision of a StatefulSet's pod.
const REVISION: &str = "controller-revision-hash";

/// The Grape in a pod.
pub fn grape(pod: &Pod, now: Timestamp) -> GrapePod {
    let leaving = pod.metadata.deletion_timestamp.is_some();
    let ready = is_ready(pod);
    GrapePod {
        pod: pod.name_any(),
        revision: pod.labels().get(REVISION).cloned().unwrap_or_default(),
        ready,
        leaving,
        failing: if ready || leaving { None } else { failing(pod, now) },
    }
}

/// The ordinal of a StatefulSet's pod.
pub fn ordinal(pod: &Pod) -> Option<i32> {
    pod.metadata.name.as_deref()?.rsplit_once('-')?.1.parse().ok()
}

/// Whether a pod is ready and does not terminate.
pub fn is_ready(pod: &Pod) -> bool {
    let ready = condition(pod, "Ready").is_some_and(|it| it.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// For how long the Grape in a pod has run without being ready; none if it is ready, does not run,
/// or terminates.
pub fn newcomer(pod: &Pod, now: Timestamp) -> Option<SignedDuration> {
    if pod.metadata.deletion_timestamp.is_some() || is_ready(pod) {
        return None;
    }
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    let grape = containers.iter().find(|it| it.name == CONTAINER)?;
    let running = grape.state.as_ref()?.running.as_ref()?;
    let started = running.started_at.as_ref().map_or(now, |at| at.0);
    Some(now.duration_since(started))
}

/// The addresses of the Grape in a pod; none before the pod has one. The ports are the pod's: the
/// cluster's may have changed since.
pub fn target(pod: &Pod, cluster: &ValidatedCluster) -> Option<Target> {
    let ip: IpAddr = pod.status.as_ref()?.pod_ip.as_deref()?.parse().ok()?;
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let grape = containers.into_iter().find(|it| it.name == CONTAINER);
    let port = |name| grape.and_then(|grape| port(grape, name));
    Some(Target {
        name: pod.name_any(),
        ip,
        api_port: port(API).unwrap_or(cluster.api.port),
        admin_port: port(ADMIN).unwrap_or(limits::ADMIN_PORT),
        dht_port: port(DHT).unwrap_or(cluster.dht.port),
        ready: is_ready(pod),
    })
}

/// The number of a container's port of this name.
pub fn port(container: &Container, name: &str) -> Option<u16> {
    let mut ports = container.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

/// What a Grape lacks whose image a registry does not give.
const PULL_SECRETS: &str = "the registry wants a login: spec.image.pullSecrets needs a Secret of this \
                            namespace that may pull the image";

/// Whether a node has accepted a pod and has not begun its container for longer than that takes,
/// except for fetching an image.
pub fn is_stuck(pod: &Pod, now: Timestamp) -> bool {
    let Some(status) = &pod.status else { return false };
    let since = status.start_time.as_ref().map_or(now, |at| at.0);
    let container = status.container_statuses.iter().flatten().find(|it| it.name == CONTAINER);
    let waiting = container.and_then(|it| it.state.as_ref()?.waiting.as_ref());
    let begins = || waiting.is_some_and(|it| it.reason.as_deref() == Some("ContainerCreating"));
    pod.metadata.deletion_timestamp.is_none()
        && now.duration_since(since) >= BEGIN
        && (container.is_none() || begins())
}

/// Why a Grape that is not ready does not become so by waiting.
fn failing(pod: &Pod, now: Timestamp) -> Option<Failing> {
    let status = pod.status.as_ref()?;
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled.reason.as_deref() == Some("Unschedulable")
    {
        let message = scheduled.message.as_deref().unwrap_or("no node takes it");
        let why = format!("it is not scheduled: {}", first_sentence(message));
        return Some(Failing::from(&*why));
    }
    if let Some(failing) = failing::pod(status) {
        return Some(failing);
    }
    let container = status.container_statuses.iter().flatten().find(|it| it.name == CONTAINER);
    if let Some(container) = container {
        let ended = failing::last(container).and_then(|ended| ended.finished_at.as_ref());
        let lately = ended.is_none_or(|at| now.duration_since(at.0) < LATELY);
        if let Some(failing) = failing::container(container, lately, PULL_SECRETS) {
            return Some(failing);
        }
    }
    let start = status.start_time.as_ref()?.0;
    let waited = now.duration_since(start);
    // A Grape that was ready before may be so again by itself, as when its node returns.
    let started = container.and_then(|it| it.started).unwrap_or_default();
    (waited > START && !started).then(|| {
        let why = format!("it is not ready {} s after its start", START.as_secs());
        Failing::from(&*why)
    })
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// The scheduler counts the nodes first, as in `0/2 nodes are available: …`; the text after the
/// first sentence changes from try to try.
fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use grape_cluster::GrapeCluster;
    use grape_cluster::validate::validate;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "market-zone-1-12",
                "labels": {"controller-revision-hash": "market-zone-1-abc"},
            },
            "status": status,
        }))
        .unwrap()
    }

    fn waiting(reason: &str) -> Value {
        json!({"containerStatuses": [{
            "name": "grape", "image": "grenache/grape:2", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": reason, "message": "no such thing"}},
        }]})
    }

    fn ended(state: &str, reason: &str) -> Value {
        json!({"containerStatuses": [{
            "name": "grape", "image": "grenache/grape:2", "imageID": "", "ready": false,
            "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            state: {"terminated": {
                "reason": reason, "exitCode": 2, "message": "grape: cannot bind\n",
            }},
        }]})
    }

    fn running_again(restarts: i32, finished: &str) -> Value {
        json!({"containerStatuses": [{
            "name": "grape", "image": "i", "imageID": "", "ready": false, "restartCount": restarts,
            "started": true, "state": {"running": {}},
            "lastState": {"terminated": {"reason": "Error", "exitCode": 7, "finishedAt": finished}},
        }]})
    }

    fn not_ready(started: bool) -> Value {
        json!({
            "startTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            "containerStatuses": [{
                "name": "grape", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "started": started, "state": {"running": {}},
            }],
        })
    }

    #[rstest]
    #[case(
        waiting("ErrImagePull"),
        Some("its image grenache/grape:2 cannot be fetched: no such thing")
    )]
    #[case(
        waiting("ImagePullBackOff"),
        Some("its image grenache/grape:2 cannot be fetched: no such thing")
    )]
    #[case(waiting("InvalidImageName"), Some("its image grenache/grape:2 has no valid name"))]
    #[case(
        waiting("CreateContainerConfigError"),
        Some("its container cannot be made (CreateContainerConfigError): no such thing")
    )]
    #[case(waiting("ContainerCreating"), None)]
    #[case(ended("lastState", "Error"), Some("it ends with exit code 2: cannot bind"))]
    #[case(ended("state", "Error"), Some("it ends with exit code 2: cannot bind"))]
    #[case(ended("lastState", "OOMKilled"), Some("it is killed for its memory: raise its limit"))]
    #[case(running_again(1, "2026-01-01T00:09:00Z"), None)]
    #[case(running_again(2, "2026-01-01T00:09:00Z"), Some("it ends with exit code 7"))]
    #[case(running_again(2, "2025-12-31T00:09:00Z"), None)]
    #[case(
        json!({"phase": "Failed", "reason": "SysctlForbidden", "message": "forbidden sysctl."}),
        Some("its node does not run it (SysctlForbidden): forbidden sysctl")
    )]
    #[case(not_ready(false), Some("it is not ready 180 s after its start"))]
    #[case(not_ready(true), None)]
    #[case(
        json!({"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 Insufficient memory. preemption: 0/2 nodes …",
        }]}),
        Some("it is not scheduled: 0/2 nodes are available: 2 Insufficient memory")
    )]
    fn why_a_grape_does_not_start(#[case] status: Value, #[case] why: Option<&str>) {
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        let grape = grape(&pod(status), now);
        let failure = grape.failing.map(|failing| failing.to_string());
        assert_eq!((grape.ready, failure.as_deref()), (false, why));
    }

    #[test]
    fn a_grape_is_asked_at_the_ports_that_it_was_made_with() {
        let spec = serde_json::from_value(json!({"api": {"port": 30009}})).unwrap();
        let cluster = validate(&GrapeCluster::new("market", spec)).unwrap();
        let mut pod = pod(json!({"podIP": "10.0.0.1"}));
        let ports = |pod: &Pod| {
            let target = target(pod, &cluster).unwrap();
            (target.api_port, target.admin_port, target.dht_port)
        };
        assert_eq!(ports(&pod), (30009, 9091, 20001), "nobody tells");
        let named = |name: &str, port: u16| json!({"name": name, "containerPort": port});
        let made = json!({"containers": [
            {"name": "other", "ports": [named("api", 1)]},
            {"name": "grape", "ports": [named("dht", 20009), named("api", 30001)]},
        ]});
        pod.spec = Some(serde_json::from_value(made).unwrap());
        assert_eq!(ports(&pod), (30001, 9091, 20009), "before the change of spec.api.port");
    }

    #[test]
    fn a_newcomer_runs_and_is_not_ready() {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let since = |status: Value| newcomer(&pod(status), now).map(|it| it.as_secs());
        let mut status = not_ready(true);
        assert_eq!(since(status.clone()), Some(0), "nobody tells since when");
        status["containerStatuses"][0]["state"]["running"] =
            json!({"startedAt": "2026-01-01T00:00:20Z"});
        assert_eq!(since(status.clone()), Some(40));
        status["conditions"][0]["status"] = json!("True");
        assert_eq!(since(status), None, "it is ready");
        assert_eq!(since(waiting("ContainerCreating")), None, "it does not run");
    }

    #[test]
    fn a_ready_pod_has_its_revision_and_ordinal() {
        let mut pod = pod(json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(ordinal(&pod), Some(12));
        let ready = grape(&pod, now);
        assert_eq!((ready.ready, &*ready.revision), (true, "market-zone-1-abc"));
        pod.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        let leaving = grape(&pod, now);
        assert_eq!((leaving.ready, leaving.leaving), (false, true));
    }
}
