//! Makes what there is as GrapeClusters want it, and keeps it so.
//!
//! [`mod@reconcile`] is the pipeline, in stages; [`repairer`] is a controller of its own beside it.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`stores`] | copies of what there is, watched | I/O |
//! | [`diff_store`], [`cluster_store`] | a copy that tells what an event changed, and that of clusters | pure |
//! | [`cluster_state`] | what is remembered of a cluster between two reconciliations | |
//! | [`actual_state`], [`grapes`] | the pools and pods of a cluster | pure |
//! | [`failing`], [`previous_failures`] | why a Grape does not start, and what was said of it before | pure |
//! | [`stuck`], [`kubernetes_events`] | why its node does not start it, read from events | I/O |
//! | [`missing`] | which pods are missing, and since when | pure |
//! | [`blocked`] | why they are not created | I/O |
//! | [`diagnoses`] | what was found out of either, and when | pure |
//! | [`observations`], [`mod@bootstrap`] | what probes of Grapes have shown, and when the next is due | pure |
//! | [`rollout`] | which Grape is replaced next | pure |
//! | [`objects`], [`apply`] | objects applied, recreated, removed | I/O |
//! | [`report`] | status, conditions and figures | pure |
//! | [`mod@write`], [`events`] | the status and events, written | I/O |
//! | [`complaints`] | which complaints of Grapes become events of their pods | pure |
//! | [`sidecars`] | the Grapes in pods of services | |
//! | [`unwatched`] | namespaces that cannot be watched | |
//! | [`words`] | what others say, in one line | pure |
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
pub mod unwatched;
pub mod words;
pub mod write;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use futures_util::stream::{self, select};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use kube::ResourceExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::watcher::{self, watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::observe::Observer;
use crate::process::Context;
use cluster_state::ClusterStates;
use error::Error;
use events::Events;
use queue::Queue;
use reconcile::{REFUSED_INTERVAL, Reconciler, reconcile};
use repairer::{Repairer, repair};
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

/// Reconciles clusters until it is told to stop.
pub async fn run(context: Context) {
    let observer = Observer::default();
    // One for all namespaces: a pod may select a cluster of another one.
    let config = &context.config;
    let webhook = config.webhook.as_ref().map(|webhook| webhook.configuration(&context.namespace));
    let sidecars = Sidecars::new(&config.watch_namespaces, webhook);
    let control = |namespace| control(&context, namespace, observer.clone(), sidecars.clone());
    let controls: Vec<_> = match &config.watch_namespaces[..] {
        [] => vec![control(None)],
        some => some.iter().map(|it| control(Some(it))).collect(),
    };
    tokio::select! {
        _ = join_all(controls) => {}
        () = sidecars.watch(&context.client) => {}
    }
}

async fn control(
    context: &Context,
    namespace: Option<&str>,
    observer: Observer,
    sidecars: Sidecars,
) {
    let Context { client, once, metrics, config, stop, .. } = context;
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
    let options = controller::Config::default().concurrency(config.concurrency);
    let [stopped, stopped_too] = [stop.clone(), stop.clone()];
    let repairs = Controller::for_stream(stream::pending(), store.clone())
        .with_config(options.clone())
        .reconcile_on(select(received(repairs_due), sidecars.changes(namespace)))
        .graceful_shutdown_on(async move { stopped.cancelled().await })
        .run(repair, |_, never, _| match *never {}, repairer);
    let results = Controller::for_stream(clusters, store)
        .with_config(options.debounce(GATHER))
        .reconcile_on(signals)
        .graceful_shutdown_on(async move { stopped_too.cancelled().await })
        .run(reconcile, retry, Arc::clone(&reconciler));
    info!(namespace = namespace.unwrap_or("all"), "watching GrapeClusters");
    let has_begun = || reconciler.has_begun();
    let reconciling = drive(results, stop, has_begun, |error| match error {
        // Logged by `retry`.
        controller::Error::ReconcilerFailed(..) => {}
        // Something was told of one that is gone.
        controller::Error::ObjectNotFound(gone) => {
            debug!(%gone, "cluster deleted");
            let namespace = gone.namespace.as_deref().unwrap_or_default();
            reconciler.queue.leave(&ObjectRef::new(&gone.name).within(namespace));
        }
        // Logged as it was watched.
        controller::Error::QueueError(_) => {}
        error => warn!(%error, "the controller of GrapeClusters goes on"),
    });
    let repairing = drive(repairs, stop, has_begun, |error| match error {
        controller::Error::ObjectNotFound(_) => {}
        error => warn!(%error, "the controller of repairs goes on"),
    });
    // By one task: of several tasks that wait for one store, only the last is woken.
    tokio::join!(reconciling, repairing);
}

/// Completes when all copies are whole; `false` when they never will be.
async fn whole(stores: Stores, sidecars: Sidecars) -> bool {
    let whole = stores.are_whole().await;
    // Grapes are run all the same where services may not be watched.
    let _ = timeout(SERVICES, sidecars.known()).await;
    whole
}

/// What is received, as a stream.
fn received<T>(receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// Runs a controller until it has ended. With `stop` it is not waited for unless it `has_begun`: kube
/// would wait for the first list for ever, and nothing is under way.
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

/// When a reconciliation that failed is tried again: soon at first, and within a minute ever after;
/// within [`REFUSED_INTERVAL`] where something is refused, which may be over at any time.
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
