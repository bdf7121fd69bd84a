//! What became of pods: counters of all, and events of those that did not get their Grape. An event
//! is told once in a while, however often a ReplicaSet tries.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, ResourceExt};
use lru::LruCache;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, warn};

use crate::controller::apply::MANAGER;
use crate::inject::{Reason, Verdict};
use crate::metrics::Metrics;

/// How long the same is not told again.
const QUIET: Duration = Duration::from_secs(300);

/// Most events that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("more than none");

/// Most events that wait to be written. Further ones are lost: the log has them.
const WAITING: usize = 256;

/// Where it is told.
pub struct Told {
    metrics: Arc<Metrics>,
    events: mpsc::Sender<News>,
}

/// What is told in an event.
struct News {
    about: ObjectReference,
    reason: Reason,
    refused: bool,
    note: String,
}

impl Told {
    /// Events of the operator that is called `identity`, which the task writes.
    pub fn new(
        client: Client,
        identity: &str,
        metrics: Arc<Metrics>,
    ) -> (Self, AbortOnDropHandle<()>) {
        let reporter =
            Reporter { controller: MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        let recorder = Recorder::new(client, reporter);
        let (events, waiting) = mpsc::channel(WAITING);
        let task = AbortOnDropHandle::new(tokio::spawn(write(recorder, waiting)));
        (Self { metrics, events }, task)
    }

    /// Tells what became of a pod that was to be made. Where no controller makes it, `other` is what
    /// an event is about: the cluster that it asks for, or its namespace.
    pub fn tell(
        &self,
        (namespace, pod): (&str, &Pod),
        other: impl FnOnce() -> Option<ObjectReference>,
        verdict: &Verdict,
    ) {
        let (result, reason) = (verdict.result(), verdict.reason());
        self.metrics.injection(result, reason);
        let name = pod.metadata.name.as_deref().or(pod.metadata.generate_name.as_deref());
        let name = name.unwrap_or_default();
        let (message, refused) = match verdict {
            Verdict::Inject { .. } | Verdict::Unchanged { .. } => {
                debug!(namespace, name, result, %reason, "a pod is made");
                return;
            }
            Verdict::Skip { message, .. } => (message, false),
            Verdict::Refuse { message, .. } => (message, true),
        };
        let note = format!("Pod {name}: {message}");
        let news = controller(namespace, pod).or_else(other).map(|about| News {
            about,
            reason,
            refused,
            note,
        });
        if news.is_none_or(|news| self.events.try_send(news).is_err()) {
            warn!(namespace, name, %reason, refused, "{message}");
        }
    }
}

/// Who makes the pod, and makes it again: what people look at when it does not come.
fn controller(namespace: &str, pod: &Pod) -> Option<ObjectReference> {
    let by = pod.owner_references().iter().find(|by| by.controller == Some(true))?;
    Some(ObjectReference {
        api_version: Some(by.api_version.clone()),
        kind: Some(by.kind.clone()),
        name: Some(by.name.clone()),
        uid: Some(by.uid.clone()),
        namespace: Some(namespace.to_owned()),
        ..ObjectReference::default()
    })
}

async fn write(recorder: Recorder, mut waiting: mpsc::Receiver<News>) {
    let mut lately = Lately::default();
    while let Some(News { about, reason, refused, note }) = waiting.recv().await {
        if !lately.is_new(&about, reason, grape::clock::now()) {
            continue;
        }
        let (kind, name) = (about.kind.as_deref(), about.name.as_deref());
        warn!(namespace = about.namespace, kind, name, %reason, refused, "{note}");
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_string(),
            note: Some(cut(note)),
            action: if refused { "Refuse" } else { "Skip" }.to_owned(),
            secondary: None,
        };
        // Nothing depends on an event: the log has it, too.
        if let Err(error) = recorder.publish(&event, &about).await {
            warn!(kind, name, %error, "cannot write an event");
        }
    }
}

/// To the kilobyte that an event's note may have.
fn cut(mut note: String) -> String {
    while note.len() > 1024 {
        note.pop();
    }
    note
}

/// What was told not long ago.
struct Lately(LruCache<(ObjectReferenceKey, Reason), Instant>);

/// By what objects are told apart.
type ObjectReferenceKey = [Option<String>; 4];

impl Default for Lately {
    fn default() -> Self {
        Self(LruCache::new(REMEMBERED))
    }
}

impl Lately {
    /// Whether this was not told of that lately; from now on it was.
    fn is_new(&mut self, about: &ObjectReference, reason: Reason, now: Instant) -> bool {
        let ObjectReference { kind, namespace, name, uid, .. } = about.clone();
        let key = ([kind, namespace, name, uid], reason);
        if self.0.get(&key).is_some_and(|told| now.duration_since(*told) < QUIET) {
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
        let mut lately = Lately::default();
        let now = grape::clock::now();
        let late = now + QUIET;
        let of = |name: &str| ObjectReference { name: Some(name.to_owned()), ..<_>::default() };
        let (one, two) = (of("one"), of("two"));
        assert!(lately.is_new(&one, Reason::PortTaken, now));
        assert!(lately.is_new(&two, Reason::PortTaken, now));
        assert!(lately.is_new(&one, Reason::Windows, now));
        assert!(!lately.is_new(&one, Reason::PortTaken, late - Duration::from_nanos(1)));
        assert!(lately.is_new(&one, Reason::PortTaken, late));
        assert!(!lately.is_new(&one, Reason::PortTaken, late));
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
