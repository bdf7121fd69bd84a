//! Events of a cluster: one when something changes, none while it stays. `kubectl describe` shows
//! them.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use grape::services::{HeldBack, Refusal};
use grape_cluster::{GrapeCluster, GrapeClusterStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};
use tracing::{info, warn};

use super::error::Error;
use super::objects::ObjectChanges;
use super::report::{self, reasons, types};
use super::sidecars::lack::Lack;
use super::sidecars::pod::Maker;
use super::stores::Stored;
use crate::api_client::MANAGER;

/// Longest note that Kubernetes takes, in bytes.
const MAX_NOTE: usize = 1024;

/// How long the Grapes of a new cluster may take to find each other, before it is worth a warning.
const STARTUP: SignedDuration = SignedDuration::from_mins(2);

/// The fact that a status cannot be written.
const STATUS: &str = "status";

/// Where events go.
pub struct Events {
    recorder: Recorder,
    /// Clusters, by uid, for which an event about a lasting fact was published that no status has.
    told: Mutex<HashSet<(String, &'static str)>>,
}

impl Events {
    /// Events of the operator that is called `identity`.
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter =
            Reporter { controller: MANAGER.to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client, reporter), told: Mutex::default() }
    }

    /// Publishes how a status differs from the one that the cluster had.
    pub async fn status(&self, cluster: &GrapeCluster, now: &GrapeClusterStatus) {
        let of = |status: &GrapeClusterStatus| {
            status.conditions.iter().find(|it| it.type_ == types::READY).cloned()
        };
        let before = cluster.status.as_ref().and_then(of);
        let Some(ready) = of(now) else { return };
        let was_ready = before.as_ref().is_some_and(|before| before.status == "True");
        let same = before.is_some_and(|before| {
            (before.status, before.reason) == (ready.status.clone(), ready.reason.clone())
        });
        if same {
            return;
        }
        let age = cluster.creation_timestamp().map(|made| Timestamp::now().duration_since(made.0));
        let starts = !was_ready && age.is_some_and(|age| age < STARTUP);
        let kind = match &*ready.reason {
            reasons::HEALTHY | reasons::SCALING | reasons::ROLLING_OUT | reasons::NOT_OBSERVED => {
                EventType::Normal
            }
            reasons::TOO_FEW_KNOWN
            | reasons::PROBES_FAILING
            | reasons::PARTITIONED
            | reasons::GRAPES_UNREACHABLE
            | reasons::GRAPES_NOT_READY
                if starts =>
            {
                EventType::Normal
            }
            _ => EventType::Warning,
        };
        self.publish(cluster, kind, &ready.reason, "Report", ready.message).await;
    }

    /// Publishes what was done to the objects of a cluster.
    pub async fn applied(&self, cluster: &GrapeCluster, changes: &ObjectChanges) {
        for set in &changes.created {
            let note = format!("Created the StatefulSet {set}.");
            self.publish(cluster, EventType::Normal, "Created", "Apply", note).await;
        }
        for set in &changes.recreated {
            let note = format!(
                "Recreated the StatefulSet {set} around its running pods: it cannot be changed in place."
            );
            self.publish(cluster, EventType::Normal, "Recreated", "Apply", note).await;
        }
        if changes.monitor_unknown && self.is_new(cluster, "monitor") {
            let note = "spec.monitoring.serviceMonitor is true, but this Kubernetes has no API for \
                        ServiceMonitors: install the Prometheus operator, or set the field to false.";
            let kind = EventType::Warning;
            self.publish(cluster, kind, "NoServiceMonitors", "Apply", note.to_owned()).await;
        }
    }

    /// Publishes that a pool is gone which is no longer in the spec.
    pub async fn pool_removed(&self, cluster: &GrapeCluster, set: &str) {
        let note = format!("Removed the StatefulSet {set}: the spec has no such pool.");
        self.publish(cluster, EventType::Normal, "PoolRemoved", "Prune", note).await;
    }

    /// Publishes which pods newly run without a Grape, each as `NAMESPACE/NAME`, all for one cause.
    pub async fn without_grape(&self, cluster: &GrapeCluster, pods: &[String], lack: Lack) {
        let Some(first) = pods.first() else { return };
        let runs = match pods.len() {
            1 => "runs without a sidecar",
            _ => "run without sidecars",
        };
        let note = format!("{} {runs}: {}.", report::few(pods), lack.explanation());
        let told = (EventType::Warning, reasons::PODS_WITHOUT_GRAPE, "Inject");
        self.publish_with(cluster, Some(pod_reference(first)), told, note).await;
    }

    /// Publishes that a pod, `NAMESPACE/NAME`, was evicted, for its controller to recreate it.
    pub async fn repaired(&self, cluster: &GrapeCluster, pod: &str) {
        let note =
            format!("Evicted {pod}, so that its controller creates it again with a sidecar.");
        let told = (EventType::Normal, reasons::REPAIRED, "Evict");
        self.publish_with(cluster, Some(pod_reference(pod)), told, note).await;
    }

    /// Publishes that pods of a controller are no longer evicted.
    pub async fn repair_failed(&self, cluster: &GrapeCluster, maker: &Maker) {
        let note = format!(
            "Evicting a pod of {maker} did not help: the operator evicts no other pod of it."
        );
        let told = (EventType::Warning, reasons::REPAIR_FAILED, "Evict");
        self.publish_with(cluster, Some(maker.reference()), told, note).await;
    }

    /// Publishes, at a pod, that its Grape refuses what a service asks.
    pub async fn refused(&self, cluster: &GrapeCluster, pod: &ObjectReference, what: &Refusal) {
        let Refusal { verb, name, reason, hint, .. } = what;
        let who = if name.is_empty() { "a service".to_owned() } else { format!("{name:?}") };
        let note = format!("The Grape refused to {verb} {who}: {reason}. Fix: {hint}");
        // Two causes are two events.
        let cause = ObjectReference {
            field_path: Some(format!("{verb} {name}: {reason}")),
            ..cluster.object_ref(&())
        };
        let told = (EventType::Warning, reasons::REQUEST_REFUSED, "Observe");
        self.record(pod, Some(cause), told, note).await;
    }

    /// Publishes, at a pod, that its Grape does not announce a service.
    pub async fn held_back(&self, cluster: &GrapeCluster, pod: &ObjectReference, what: &HeldBack) {
        let HeldBack { name, port, reason } = what;
        let note = format!(
            "The Grape has not announced {name:?} at port {port} for 30 s or more, so that lookups \
             do not find it: {reason}."
        );
        let cause = ObjectReference {
            field_path: Some(format!("{name}:{port}: {reason}")),
            ..cluster.object_ref(&())
        };
        let told = (EventType::Warning, reasons::ANNOUNCE_HELD_BACK, "Observe");
        self.record(pod, Some(cause), told, note).await;
    }

    /// Publishes that a cluster cannot be read at all.
    pub async fn unreadable(&self, stored: &Stored, why: &str) {
        let note = format!("Cannot read this GrapeCluster: {why}. Apply it again.");
        self.publish(stored, EventType::Warning, reasons::INVALID, "Validate", note).await;
    }

    /// Publishes that the status of a cluster cannot be written, once until it can.
    pub async fn status_refused(&self, cluster: &GrapeCluster, why: &Error) {
        if self.is_new(cluster, STATUS) {
            let kind = EventType::Warning;
            self.publish(cluster, kind, reasons::REFUSED, "Report", why.to_string()).await;
        }
    }

    /// Takes note that the status of a cluster was written.
    pub fn status_written(&self, cluster: &GrapeCluster) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.remove(&(cluster.uid().unwrap_or_default(), STATUS));
    }

    /// Forgets what was published about a cluster that is gone.
    pub fn forget(&self, uid: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(of, _)| of != uid);
    }

    fn is_new(&self, cluster: &GrapeCluster, fact: &'static str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert((cluster.uid().unwrap_or_default(), fact))
    }

    async fn publish<K>(
        &self,
        about: &K,
        type_: EventType,
        reason: &str,
        action: &str,
        note: String,
    ) where
        K: Resource<DynamicType = ()>,
    {
        self.publish_with(about, None, (type_, reason, action), note).await;
    }

    /// With what else it is about.
    async fn publish_with<K>(
        &self,
        about: &K,
        secondary: Option<ObjectReference>,
        told: (EventType, &str, &str),
        note: String,
    ) where
        K: Resource<DynamicType = ()>,
    {
        self.record(&about.object_ref(&()), secondary, told, note).await;
    }

    async fn record(
        &self,
        about: &ObjectReference,
        secondary: Option<ObjectReference>,
        (type_, reason, action): (EventType, &str, &str),
        mut note: String,
    ) {
        // The API server refuses longer notes, and the event would be lost.
        note.truncate(note.floor_char_boundary(MAX_NOTE));
        let (name, namespace) = (about.name.as_deref(), about.namespace.as_deref());
        match type_ {
            EventType::Normal => info!(name, namespace, reason, "{note}"),
            EventType::Warning => warn!(name, namespace, reason, "{note}"),
        }
        // To Kubernetes two events are one where nothing but their notes differs, and the second note is
        // lost. So the note is where the related object is pointed at.
        let related = secondary.unwrap_or_else(|| about.clone());
        let field_path = related.field_path.or_else(|| Some(note.clone()));
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: Some(ObjectReference { field_path, ..related }),
        };
        // Nothing depends on an event: the log has it, too.
        if let Err(error) = self.recorder.publish(&event, about).await {
            warn!(name, namespace, %error, "cannot write an event");
        }
    }
}

/// The reference to a pod that is given as `NAMESPACE/NAME`.
fn pod_reference(title: &str) -> ObjectReference {
    let (namespace, name) = title.split_once('/').unwrap_or_default();
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        ..ObjectReference::default()
    }
}
