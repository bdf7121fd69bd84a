//! Records the verdicts on pods: counters of all, and events of pods that did not get their Grape.
//! An event is published once in a while, however often a ReplicaSet tries.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::core::ObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};
use lru::LruCache;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::api_client::MANAGER;
use crate::inject::Verdict;
use crate::metrics::Metrics;

/// The reason of an event about a pod that has its Grape, and whose author should know something.
const WARNED: &str = "InjectedWithWarnings";

/// How long the API server may take to name the owner of a ReplicaSet.
const OWNER_LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the same event is not published again.
const REPEAT_AFTER: Duration = Duration::from_secs(300);

/// Most events that are remembered.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("more than none");

/// Most events that wait to be written. Further ones are lost: the log has them.
const MAX_WAITING: usize = 256;

/// Where verdicts are recorded.
pub struct AdmissionRecorder {
    metrics: Arc<Metrics>,
    events: mpsc::Sender<AdmissionEvent>,
}

/// The texts of an event.
struct AdmissionEvent {
    about: ObjectReference,
    reason: String,
    action: &'static str,
    note: String,
}

impl AdmissionRecorder {
    /// A recorder of the operator that is called `identity`, and the task that writes its events.
    pub fn new(
        client: Client,
        identity: &str,
        metrics: Arc<Metrics>,
    ) -> (Self, AbortOnDropHandle<()>) {
        let reporter =
            Reporter { controller: MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter);
        let (events, waiting) = mpsc::channel(MAX_WAITING);
        let task = AbortOnDropHandle::new(tokio::spawn(write(client, recorder, waiting)));
        (Self { metrics, events }, task)
    }

    /// Records the verdict on a new pod. `other` is the object of the event if no controller makes
    /// the pod: the cluster that the pod asks for, or its namespace.
    pub fn record(
        &self,
        (namespace, pod): (&str, &Pod),
        other: impl FnOnce() -> Option<ObjectReference>,
        verdict: &Verdict,
    ) {
        let (result, reason) = (verdict.result(), verdict.reason());
        self.metrics.injection(result, reason);
        let controller = controller(namespace, pod);
        let it = title(pod, controller.as_ref());
        let (reason, action, note) = match verdict {
            // The author of a bare pod sees the warnings in the answer; a controller shows them to
            // nobody.
            Verdict::Inject { warnings, .. } if !warnings.is_empty() && controller.is_some() => {
                (WARNED.to_owned(), "Inject", format!("{it}: {}", warnings.join("; ")))
            }
            Verdict::Inject { .. } | Verdict::Unchanged { .. } => {
                debug!(namespace, pod = it, result, %reason, "a pod is made");
                return;
            }
            Verdict::Skip { message, .. } => {
                (reason.to_string(), "Skip", format!("{it}: {message}"))
            }
            Verdict::Refuse { message, .. } => {
                (reason.to_string(), "Refuse", format!("{it} is refused: {message}"))
            }
        };
        match controller.or_else(other) {
            Some(about) => {
                let event = AdmissionEvent { about, reason, action, note };
                if let Err(TrySendError::Full(event) | TrySendError::Closed(event)) =
                    self.events.try_send(event)
                {
                    warn!(namespace, reason = event.reason, action, "{}", event.note);
                }
            }
            None => warn!(namespace, reason, action, "{note}"),
        }
    }
}

/// A pod's name in texts: of a pod that a controller makes, the API server chooses the end of the
/// name.
fn title(pod: &Pod, controller: Option<&ObjectReference>) -> String {
    match (&pod.metadata.name, controller) {
        (Some(name), _) => format!("Pod {name}"),
        (None, Some(by)) => {
            let [kind, name] = [&by.kind, &by.name].map(|it| it.as_deref().unwrap_or_default());
            format!("A pod of {kind} {name}")
        }
        (None, None) => {
            format!("Pod {}", pod.metadata.generate_name.as_deref().unwrap_or_default())
        }
    }
}

/// The controller that makes the pod: people look there when the pod does not come.
fn controller(namespace: &str, pod: &Pod) -> Option<ObjectReference> {
    controller_of(namespace, &pod.metadata)
}

fn controller_of(namespace: &str, of: &ObjectMeta) -> Option<ObjectReference> {
    let by = of.owner_references.iter().flatten().find(|by| by.controller == Some(true))?;
    Some(ObjectReference {
        api_version: Some(by.api_version.clone()),
        kind: Some(by.kind.clone()),
        name: Some(by.name.clone()),
        uid: Some(by.uid.clone()),
        namespace: Some(namespace.to_owned()),
        ..ObjectReference::default()
    })
}

/// The object where people look when a pod does not come: the Deployment, if a ReplicaSet makes the
/// pod.
async fn owner_of(client: &Client, by: ObjectReference) -> ObjectReference {
    if by.kind.as_deref() != Some("ReplicaSet") {
        return by;
    }
    let [namespace, name] = [&by.namespace, &by.name].map(|it| it.as_deref().unwrap_or_default());
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), namespace);
    match timeout(OWNER_LOOKUP_TIMEOUT, sets.get_metadata(name)).await {
        Ok(Ok(set)) => controller_of(namespace, &set.metadata).unwrap_or(by),
        // People look at the ReplicaSet, too.
        Ok(Err(_)) | Err(_) => by,
    }
}

async fn write(client: Client, recorder: Recorder, mut waiting: mpsc::Receiver<AdmissionEvent>) {
    let mut recent = RecentEvents::default();
    while let Some(AdmissionEvent { about, reason, action, note }) = waiting.recv().await {
        if !recent.is_new(&about, &reason, grape::clock::now()) {
            continue;
        }
        let about = owner_of(&client, about).await;
        let (kind, name) = (about.kind.as_deref(), about.name.as_deref());
        warn!(namespace = about.namespace, kind, name, reason, action, "{note}");
        let event = Event {
            type_: EventType::Warning,
            reason,
            note: Some(cut(note)),
            action: action.to_owned(),
            secondary: None,
        };
        // Nothing depends on an event: the log has it, too.
        if let Err(error) = recorder.publish(&event, &about).await {
            warn!(kind, name, %error, "cannot write an event");
        }
    }
}

/// Cuts a note to the kilobyte that an event may have.
fn cut(mut note: String) -> String {
    while note.len() > 1024 {
        note.pop();
    }
    note
}

/// The events that were published lately.
struct RecentEvents(LruCache<(ObjectReferenceKey, String), Instant>);

/// What distinguishes the objects of events.
type ObjectReferenceKey = [Option<String>; 4];

impl Default for RecentEvents {
    fn default() -> Self {
        Self(LruCache::new(MAX_REMEMBERED))
    }
}

impl RecentEvents {
    /// Whether this event was not published lately; from now on it was.
    fn is_new(&mut self, about: &ObjectReference, reason: &str, now: Instant) -> bool {
        let ObjectReference { kind, namespace, name, uid, .. } = about.clone();
        let key = ([kind, namespace, name, uid], reason.to_owned());
        if self.0.get(&key).is_some_and(|published| now.duration_since(*published) < REPEAT_AFTER) {
            return false;
        }
        self.0.put(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_again_after_a_while_and_another_at_once() {
        let mut recent = RecentEvents::default();
        let now = grape::clock::now();
        let late = now + REPEAT_AFTER;
        let of = |name: &str| ObjectReference { name: Some(name.to_owned()), ..<_>::default() };
        let (one, two) = (of("one"), of("two"));
        assert!(recent.is_new(&one, "PortTaken", now));
        assert!(recent.is_new(&two, "PortTaken", now));
        assert!(recent.is_new(&one, "Windows", now));
        assert!(!recent.is_new(&one, "PortTaken", late - Duration::from_nanos(1)));
        assert!(recent.is_new(&one, "PortTaken", late));
        assert!(!recent.is_new(&one, "PortTaken", late));
    }

    #[test]
    fn who_makes_a_pod_is_told_of_it() {
        let mut pod = Pod::default();
        assert_eq!(controller("shop", &pod), None);
        let by = |name: &str, controller| {
            let json = serde_json::json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "1",
                "controller": controller,
            });
            serde_json::from_value(json).unwrap()
        };
        pod.metadata.owner_references = Some(vec![by("other", false), by("web", true)]);
        let found = controller("shop", &pod).unwrap();
        assert_eq!(
            (found.name.as_deref(), found.namespace.as_deref()),
            (Some("web"), Some("shop"))
        );
    }

    #[test]
    fn a_note_is_cut_between_characters() {
        assert_eq!(cut("ü".repeat(600)).len(), 1024);
        assert_eq!(cut("a".to_owned() + &"ü".repeat(600)).len(), 1023);
    }
}
