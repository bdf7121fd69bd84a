//! Makes what is there as GrapeClusters want it, and keeps it so.
//!
//! [`mod@reconcile`] is the pipeline: validate → build → apply → observe → report.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`stores`] | what there is, watched | I/O |
//! | [`actual_state`], [`grapes`] | what of it is a cluster's, and how its Grapes are | pure |
//! | [`failing`] | why a Grape does not start | pure |
//! | [`stuck`], [`kubernetes_events`] | why its node does not start it, told in events alone | I/O |
//! | [`rollout`] | which Grape is replaced next | pure |
//! | [`missing`] | which pods are not there, and since when | pure |
//! | [`blocked`] | why they are not made | I/O |
//! | [`diagnoses`] | what was found of either, and when | pure |
//! | [`objects`], [`apply`] | objects applied, made anew, removed | I/O |
//! | [`report`] | status, conditions and figures | pure |
//! | [`mod@write`], [`events`] | status and events written | I/O |
//! | [`sidecars`] | the Grapes in pods of services: who lacks one, and its repair | |
//! | [`cluster_state`] | what is known from one reconciliation to the next | |
//! | [`unwatched`] | namespaces that cannot be watched | |
//! | [`observations`] | what was seen of Grapes, and when to look again | pure |
//! | [`complaints`] | which complaints of Grapes are told at the pods | pure |
//! | [`words`] | what others say, in one line | pure |
//! | [`queue`] | who waits | |
//! | [`cluster_store`] | which clusters there are | pure |

pub mod actual_state;
pub mod apply;
pub mod blocked;
pub mod bootstrap;
pub mod cluster_state;
pub mod cluster_store;
pub mod complaints;
pub mod diagnoses;
pub mod error;
pub mod events;
pub mod failing;
pub mod grapes;
pub mod kubernetes_events;
pub mod missing;
pub mod objects;
pub mod observations;
pub mod queue;
pub mod reconcile;
pub mod report;
pub mod rollout;
pub mod sidecars;
pub mod stores;
pub mod stuck;
pub mod unwatched;
pub mod words;
pub mod write;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use futures_util::stream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::metrics::Metrics;
use crate::observe::Observer;
use cluster_state::ClusterStates;
use error::Error;
use events::Events;
use queue::Queue;
use reconcile::{REFUSED, Reconciler, Settings, reconcile};
use sidecars::Sidecars;
use stores::{Stored, Stores};
use unwatched::Unwatched;

/// How long signals of one cluster are gathered before it is reconciled: a StatefulSet changes
/// several objects at once.
const GATHER: Duration = Duration::from_millis(50);

/// How long reconciliations wait for the pods of services to be known, at the start.
const SERVICES: Duration = Duration::from_secs(10);

/// Longest pause between two tries of a cluster that cannot be reconciled.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(60);

/// What a controller needs.
#[derive(Clone)]
pub struct Setup {
    /// The way to the API server.
    pub client: Client,
    /// The same, but that nothing is tried again: a refusal may be an answer.
    pub once: Client,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// The namespaces to watch; none for all.
    pub namespaces: Vec<String>,
    /// The name of the MutatingWebhookConfiguration of the webhook that this operator serves, if it
    /// serves one.
    pub webhook: Option<String>,
    /// Most clusters reconciled at once, at least 1.
    pub concurrency: u16,
    /// The name under which events are told.
    pub identity: String,
    /// What reconciliations go by.
    pub settings: Settings,
    /// Ends it: what is under way is finished.
    pub stop: CancellationToken,
}

/// Reconciles clusters until it is told to stop.
pub async fn run(setup: Setup) {
    let observer = Observer::default();
    // Of all namespaces together: a pod may wish a cluster of another one.
    let sidecars = Sidecars::new(&setup.namespaces, setup.webhook.clone());
    let control = |namespace| control(&setup, namespace, observer.clone(), sidecars.clone());
    let controls: Vec<_> = match &setup.namespaces[..] {
        [] => vec![control(None)],
        some => some.iter().map(|it| control(Some(it))).collect(),
    };
    tokio::select! {
        _ = join_all(controls) => {}
        () = sidecars.watch(&setup.client) => {}
    }
}

async fn control(setup: &Setup, namespace: Option<&str>, observer: Observer, sidecars: Sidecars) {
    let Setup { client, once, metrics, concurrency, identity, settings, stop, .. } = setup;
    let (stores, mut signals) = Stores::watch(client, namespace);
    let watched = stores.clone();
    let services = sidecars.clone();
    let whole = async move {
        let whole = watched.are_whole().await;
        // Grapes are run all the same where services may not be watched.
        let _ = timeout(SERVICES, services.known()).await;
        whole
    };
    let whole = whole.boxed().shared();
    let (probed, probes) = mpsc::unbounded_channel();
    let reconciler = Arc::new(Reconciler {
        client: client.clone(),
        once: once.clone(),
        stores,
        sidecars: sidecars.clone(),
        whole,
        states: ClusterStates::default(),
        cluster_store: Mutex::default(),
        queue: Queue::new(Arc::clone(metrics)),
        observer,
        events: Events::new(client.clone(), identity),
        metrics: Arc::clone(metrics),
        probed,
        settings: settings.clone(),
        stop: stop.clone(),
    });
    let probes = stream::unfold(probes, |mut probes: mpsc::UnboundedReceiver<_>| async move {
        Some((probes.recv().await?, probes))
    });
    signals.push(probes.boxed());
    signals.push(sidecars.changes(namespace).boxed());
    let queued = Arc::clone(&reconciler);
    let signals = signals.inspect(move |cluster| queued.queue.join(cluster.clone()));

    let (store, writer) = reflector::store();
    let watched = Arc::clone(&reconciler);
    let mut unwatched = Unwatched::new(namespace, Arc::clone(metrics));
    let clusters = watcher(stores::api::<Stored>(client, namespace), watcher::Config::default())
        .modify(|cluster| cluster.managed_fields_mut().clear())
        .default_backoff()
        .inspect(move |change| {
            unwatched.note(change);
        })
        .reflect(writer)
        .inspect_ok(move |event| watched.noted(event))
        .touched_objects();
    let config = controller::Config::default().concurrency(*concurrency).debounce(GATHER);
    let stopped = stop.clone();
    let mut results = Controller::for_stream(clusters, store)
        .with_config(config)
        .reconcile_on(signals)
        .graceful_shutdown_on(async move { stopped.cancelled().await })
        .run(reconcile, retry, Arc::clone(&reconciler))
        .boxed();
    info!(namespace = namespace.unwrap_or("all"), "watching GrapeClusters");
    let mut stopping = false;
    loop {
        let result = tokio::select! {
            result = results.next() => result,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                if reconciler.has_begun() {
                    continue;
                }
                // kube would wait for the first list for ever, and nothing is under way.
                None
            }
        };
        match result {
            None => break,
            // Told by `retry`, or it went well.
            Some(Ok(_) | Err(controller::Error::ReconcilerFailed(..))) => {}
            // Something was told of one that is gone.
            Some(Err(controller::Error::ObjectNotFound(gone))) => {
                debug!(%gone, "cluster deleted");
                let namespace = gone.namespace.as_deref().unwrap_or_default();
                reconciler.queue.leave(&ObjectRef::new(&gone.name).within(namespace));
            }
            // Told as it was watched.
            Some(Err(controller::Error::QueueError(_))) => {}
            Some(Err(error)) => warn!(%error, "the controller of GrapeClusters goes on"),
        }
    }
}

/// When a reconciliation that failed is tried again: soon at first, and within a minute ever after;
/// within [`REFUSED`] where something is refused, which may be over at any time.
fn retry(stored: Arc<Stored>, error: &Error, reconciler: Arc<Reconciler>) -> Action {
    let uid = stored.uid().unwrap_or_default();
    let failures = reconciler.states.of(&uid, |state| {
        state.failures += 1;
        state.failures
    });
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(MAX_RETRY_PAUSE)
        .without_max_times()
        .with_jitter();
    // The jitter comes on top of the delay.
    let longest = if error.is_refusal() { REFUSED } else { MAX_RETRY_PAUSE };
    let pause = pauses.build().nth(failures.min(16)).unwrap_or(longest).min(longest);
    let (name, namespace) = (stored.name_any(), stored.namespace());
    warn!(name, namespace, failures, ?pause, %error, "cannot reconcile; trying again");
    Action::requeue(pause)
}
