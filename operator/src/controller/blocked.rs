//! Why a StatefulSet does not create a pod.
//!
//! Its status does not say: that the API server refuses a pod is only in the events of its
//! controller, of which there may be few. Without such an event, the API server is asked to create
//! the pod as a dry run.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};

use super::error::is_lasting;
use super::kubernetes_events::{self, time};
use super::rollout::Pool;
use super::words;
use crate::api_client::MANAGER;

/// Most characters that are kept of the API server's message.
const MAX_WHY: usize = 400;
/// The reason of events about a pod that was not created.
const FAILED_CREATE: &str = "reason=FailedCreate";
/// What separates the pod from the API server's message in such an event.
const SAYS: &str = " failed error: ";

/// A pod that is not created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Its StatefulSet.
    pub set: String,
    /// The pod; others may be missing for the same cause.
    pub pod: String,
    /// The cause, in the API server's words.
    pub why: String,
}

/// Finds out why a pod of a pool is missing, whose StatefulSet is `wanted` and has this uid.
/// `client` repeats no request. The cause found `before` stays while it holds, because each pod is
/// refused in words of its own.
pub async fn probe(
    client: &Client,
    (wanted, uid): (&StatefulSet, &str),
    pool: &Pool,
    before: Option<&Blocked>,
) -> Option<Blocked> {
    let namespace = wanted.metadata.namespace.as_deref()?;
    let missing: Vec<_> = pool.missing().map(|ordinal| pool.pod_name(ordinal)).collect();
    let first = missing.first()?;
    let events = kubernetes_events::of(client, namespace, uid, FAILED_CREATE).await;
    let cause = choose(&events, &missing, before, Timestamp::now());
    let cause = match cause {
        Some(cause) => Some(cause),
        None => refusal(client, wanted, first).await.map(|why| (first.clone(), why)),
    };
    cause.map(|(pod, why)| Blocked { set: pool.set_name.clone(), pod, why })
}

/// A missing pod that an event is about, and the cause.
fn choose(
    events: &[Event],
    missing: &[String],
    before: Option<&Blocked>,
    now: Timestamp,
) -> Option<(String, String)> {
    let lately: Vec<_> = kubernetes_events::lately(events, now).collect();
    let last_of = |pod: &str| {
        let about = format!("Pod {pod} in StatefulSet ");
        let cause = lately.iter().filter_map(|event| {
            let (what, why) = event.message.as_deref()?.split_once(SAYS)?;
            what.contains(&about).then(|| (time(event), words::line(why, MAX_WHY)))
        });
        cause.max_by_key(|(at, _)| *at).map(|(_, why)| why)
    };
    let before = before.filter(|before| missing.contains(&before.pod) && !lately.is_empty());
    if let Some(Blocked { pod, why, .. }) = before {
        return Some((pod.clone(), last_of(pod).unwrap_or_else(|| why.clone())));
    }
    missing.iter().find_map(|pod| Some((pod.clone(), last_of(pod)?)))
}

/// The API server's objection to a pod, if any.
async fn refusal(client: &Client, set: &StatefulSet, pod: &str) -> Option<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), set.metadata.namespace.as_deref()?);
    let dry = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
    match api.create(&dry, &like(set, pod)?).await {
        // A webhook that refuses dry runs says nothing about the pod.
        Err(kube::Error::Api(refusal)) if is_lasting(&refusal) && refusal.code != 400 => {
            Some(words::line(&refusal.message, MAX_WHY))
        }
        Ok(_) | Err(_) => None,
    }
}

/// A pod as its StatefulSet would create it.
fn like(set: &StatefulSet, pod: &str) -> Option<Pod> {
    let spec = set.spec.as_ref()?;
    let template = spec.template.metadata.clone().unwrap_or_default();
    let mut pod_spec = spec.template.spec.clone()?;
    pod_spec.hostname = Some(pod.to_owned());
    pod_spec.subdomain.clone_from(&spec.service_name);
    Some(Pod {
        metadata: ObjectMeta {
            name: Some(pod.to_owned()),
            namespace: set.metadata.namespace.clone(),
            labels: template.labels,
            annotations: template.annotations,
            ..ObjectMeta::default()
        },
        spec: Some(pod_spec),
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;

    fn event(pod: &str, why: &str, minutes: i64) -> Event {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
        serde_json::from_value(json!({
            "metadata": {},
            "involvedObject": {},
            "reason": "FailedCreate",
            "message": format!("create Pod {pod} in StatefulSet market failed error: {why}"),
            "lastTimestamp": at.to_string(),
        }))
        .unwrap()
    }

    fn chosen(events: &[Event], before: Option<(&str, &str)>) -> Option<String> {
        let before = before.map(|(pod, why)| Blocked {
            set: "market".to_owned(),
            pod: pod.to_owned(),
            why: why.to_owned(),
        });
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(60);
        let missing = ["market-1".to_owned(), "market-2".to_owned()];
        let cause = choose(events, &missing, before.as_ref(), now);
        cause.map(|(pod, why)| format!("{pod}: {why}"))
    }

    #[test]
    fn the_reason_is_that_of_the_lowest_pod_and_stays() {
        let events = [
            event("market-2", "quota 2", 59),
            event("market-1", "limits", 56),
            event("market-1", "quota 1", 58),
            event("market-10", "quota 10", 59),
        ];
        assert_eq!(chosen(&events, None).as_deref(), Some("market-1: quota 1"));
        let before = Some(("market-2", "quota 2"));
        assert_eq!(chosen(&events, before).as_deref(), Some("market-2: quota 2"));
        let before = Some(("market-2", "limits"));
        assert_eq!(chosen(&events, before).as_deref(), Some("market-2: quota 2"), "it changed");
        let only = &events[3..];
        assert_eq!(chosen(only, before).as_deref(), Some("market-2: limits"), "none of its own");
        assert_eq!(chosen(only, Some(("market-3", "limits"))), None, "it is there");
    }

    #[test]
    fn old_events_are_ignored() {
        let events = [event("market-1", "quota", 53)];
        assert_eq!(chosen(&events, None), None);
        assert_eq!(chosen(&events, Some(("market-1", "quota"))), None);
        assert_eq!(chosen(&[], None), None);
    }
}
