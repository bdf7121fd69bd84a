//! Makes the objects of each GrapeCluster as its spec wants them, and keeps them so.
//!
//! [`mod@reconcile`] is the pipeline, in stages; [`repairer`] is a controller of its own beside it.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`stores`] | copies of the operator's objects, watched | I/O |
//! | [`diff_store`], [`cluster_store`] | what each event changes in a copy; the clusters that exist | pure |
//! | [`cluster_state`] | what is remembered of a cluster between two reconciliations | |
//! | [`actual_state`], [`grapes`] | the pools and pods of a cluster | pure |
//! | [`failing`], [`previous_failures`] | why a Grape does not start, and what the status said of it before | pure |
//! | [`stuck`], [`kubernetes_events`] | why a node does not start a Grape, read from events | I/O |
//! | [`missing`] | which pods are missing, and since when | pure |
//! | [`blocked`] | why missing pods are not created | I/O |
//! | [`diagnoses`] | the causes that were found, and when | pure |
//! | [`observations`], [`mod@bootstrap`] | results of probes, and when the next probe is due | pure |
//! | [`unready`] | why Grapes that run are not ready | pure |
//! | [`rollout`] | which Grape is replaced next | pure |
//! | [`objects`], [`apply`] | objects applied, recreated, removed | I/O |
//! | [`report`] | status, conditions and figures | pure |
//! | [`mod@write`], [`events`] | writes the status and events | I/O |
//! | [`complaints`] | which complaints of Grapes become events of their pods | pure |
//! | [`sidecars`] | the Grapes in pods of services | |
//! | [`words`] | texts of others, in one line | pure |
//! | [`queue`] | which clusters wait to be reconciled | |

pub mod actual_state;
pub mod apply;
pub mod blocked;
pub mod bootstrap;
pub mod cluster_state;
pub mod cluster_store;
pub mod complaints;
pub mod diagnoses;
pub mod diff_store;
pub mod error;
pub mod events;
pub mod failing;
pub mod grapes;
pub mod kubernetes_events;
pub mod missing;
pub mod objects;
pub mod observations;
pub mod previous_failures;
pub mod queue;
pub mod reconcile;
pub mod repairer;
pub mod report;
pub mod rollout;
pub mod sidecars;
pub mod stores;
pub mod stuck;
pub mod unready;
pub mod words;
pub mod write;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use futures_util::stream::{self, select};
use futures_util::{FutureExt, Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::informers::Clusters;
use crate::informers::stored::Stored;
use crate::observe::Observer;
use crate::process::Context;
use cluster_state::ClusterStates;
use error::Error;
use events::Events;
use queue::Queue;
use reconcile::{REFUSED_INTERVAL, Reconciler, reconcile};
use repairer::{Repairer, repair};
use sidecars::Sidecars;
use stores::Stores;

/// How long signals of one cluster are gathered before it is reconciled: a StatefulSet changes
/// several objects at once.
const GATHER: Duration = Duration::from_millis(50);

/// How long reconciliations wait for the pods of services to be known, at the start.
const SERVICES: Duration = Duration::from_secs(10);

/// Longest pause between two tries of a cluster that cannot be reconciled.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(60);

/// Reconciles clusters until `context.stop`.
pub async fn run(context: Context) {
    let observer = Observer::counted(context.metrics.grape_requests());
    // One for all namespaces: a pod may select a cluster of another namespace.
    let config = &context.config;
    let webhook = config.webhook.as_ref().map(|webhook| webhook.configuration(&context.namespace));
    let sidecars = Sidecars::new(&config.watch_namespaces, webhook);
    let each = context.informers.clusters().iter();
    let controls = each.map(|it| control(&context, it, observer.clone(), sidecars.clone()));
    tokio::select! {
        _ = join_all(controls) => {}
        () = sidecars.watch(&context.client, context.informers.namespaces()) => {}
    }
}

async fn control(context: &Context, clusters: &Clusters, observer: Observer, sidecars: Sidecars) {
    let Context { client, once, metrics, config, stop, .. } = context;
    let namespace = clusters.namespace.as_deref();
    let (stores, mut signals) = Stores::watch(client, namespace);
    let whole = whole(stores.clone(), sidecars.clone()).boxed().shared();
    let states = ClusterStates::default();
    let events = Arc::new(Events::new(client.clone(), &config.identity));
    let (changed, changes) = mpsc::unbounded_channel();
    let (repair_due, repairs_due) = mpsc::unbounded_channel();
    let repairer = Arc::new(Repairer {
        once: once.clone(),
        sidecars: sidecars.clone(),
        whole: whole.clone(),
        states: states.clone(),
        events: Arc::clone(&events),
        changed: changed.clone(),
        grape_image: config.grape_image.clone(),
        stop: stop.clone(),
    });
    let reconciler = Arc::new(Reconciler {
        client: client.clone(),
        once: once.clone(),
        stores,
        sidecars: sidecars.clone(),
        whole,
        states,
        cluster_store: Mutex::default(),
        queue: Queue::new(Arc::clone(metrics)),
        observer,
        events,
        metrics: Arc::clone(metrics),
        changed,
        repair_due,
        namespace: context.namespace.clone(),
        config: Arc::clone(config),
        stop: stop.clone(),
    });
    signals.push(received(changes).boxed());
    signals.push(sidecars.changes(namespace).boxed());
    let watched = Arc::clone(&reconciler);
    let changed = clusters.informer.subscribe().filter_map(move |event| {
        watched.note(&event);
        std::future::ready(match event {
            Event::Apply(cluster) | Event::InitApply(cluster) => {
                Some(ObjectRef::from_obj(&*cluster))
            }
            Event::Init | Event::InitDone | Event::Delete(_) => None,
        })
    });
    signals.push(changed.boxed());
    let queued = Arc::clone(&reconciler);
    let signals = signals.inspect(move |cluster| queued.queue.join(cluster.clone()));

    let store = clusters.informer.store();
    let options = controller::Config::default().concurrency(config.concurrency);
    let [stopped, stopped_too] = [stop.clone(), stop.clone()];
    let repairs = Controller::for_stream(stream::pending(), store.clone())
        .with_config(options.clone())
        .reconcile_on(select(received(repairs_due), sidecars.changes(namespace)))
        .graceful_shutdown_on(async move { stopped.cancelled().await })
        .run(repair, |_, never, _| match *never {}, repairer);
    let results = Controller::for_stream(stream::pending(), store.clone())
        .with_config(options.debounce(GATHER))
        .reconcile_on(signals)
        .graceful_shutdown_on(async move { stopped_too.cancelled().await })
        .run(reconcile, retry, Arc::clone(&reconciler));
    info!(namespace = namespace.unwrap_or("all"), "watching GrapeClusters");
    let has_begun = || reconciler.has_begun();
    let reconciling = drive(results, stop, has_begun, |error| match error {
        // Logged by `retry`.
        controller::Error::ReconcilerFailed(..) => {}
        // A signal came for a cluster that was deleted.
        controller::Error::ObjectNotFound(gone) => {
            debug!(%gone, "cluster deleted");
            let namespace = gone.namespace.as_deref().unwrap_or_default();
            reconciler.queue.leave(&ObjectRef::new(&gone.name).within(namespace));
        }
        error => warn!(%error, "the controller of GrapeClusters goes on"),
    });
    let repairing = drive(repairs, stop, has_begun, |error| match error {
        controller::Error::ObjectNotFound(_) => {}
        error => warn!(%error, "the controller of repairs goes on"),
    });
    // By one task: of several tasks that wait for one store, only the last is woken.
    tokio::join!(reconciling, repairing);
}

/// Completes when all copies are complete; `false` when they never will be.
async fn whole(stores: Stores, sidecars: Sidecars) -> bool {
    let whole = stores.are_whole().await;
    // Grapes run all the same if services may not be watched.
    let _ = timeout(SERVICES, sidecars.known()).await;
    whole
}

/// The received items as a stream.
fn received<T>(receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// Runs a controller until it has ended. After `stop` it is waited for only if it `has_begun`:
/// without a first list nothing is under way, and kube would wait for that list without end.
async fn drive<T, E>(
    results: impl Stream<Item = Result<T, E>>,
    stop: &CancellationToken,
    has_begun: impl Fn() -> bool,
    on_error: impl Fn(E),
) {
    let mut results = std::pin::pin!(results);
    let mut stopping = false;
    loop {
        let result = tokio::select! {
            result = results.next() => result,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                if has_begun() {
                    continue;
                }
                None
            }
        };
        match result {
            None => break,
            Some(Ok(_)) => {}
            Some(Err(error)) => on_error(error),
        }
    }
}

/// When a failed reconciliation is tried again: soon at first, later once a minute; after a refusal
/// within [`REFUSED_INTERVAL`], because the cause may end at any time.
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
    let longest = if error.is_refusal() { REFUSED_INTERVAL } else { MAX_RETRY_PAUSE };
    let pause = pauses.build().nth(failures.min(16)).unwrap_or(longest).min(longest);
    let (name, namespace) = (stored.name_any(), stored.namespace());
    warn!(name, namespace, failures, ?pause, %error, "cannot reconcile; trying again");
    Action::requeue(pause)
}
