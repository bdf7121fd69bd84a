//! The life of `grape-operator run`: it starts, serves its admin pages, waits until it leads and no
//! other operator works where it would, runs the controller, and ends.
//!
//! What the leader does, and the background task of every replica, are parameters: this module starts
//! the informers for both, and reads none of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use backon::{ExponentialBuilder, Retryable};
use grape_local::stop::Stop;
use http::Uri;
use kube::{Client, Config};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::admin::{self, Pages, Readiness};
use crate::api_client;
use crate::config::{Component, OperatorConfig};
use crate::informers::{Informers, NamespaceAccess};
use crate::leader::decide::Loss;
use crate::leader::{self, Elector, Leadership};
use crate::metrics::Metrics;
use crate::turn::claim::Scope;
use crate::turn::{Standing, Turn};

/// How long the controller may take to end. Kubernetes kills a pod 60 s after it asked.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// How long the API server may take to answer the first request.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// First pause after the API server could not be reached, and the longest.
const CONNECT_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];

/// What the controller and the background task work with.
#[derive(Clone)]
pub struct Context {
    /// A client, whose API server has answered.
    pub client: Client,
    /// A client that repeats no refused request.
    pub once: Client,
    /// A client for the Lease alone.
    pub for_lease: Client,
    /// Where the operator's own pods and its Lease are.
    pub namespace: String,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
    /// Whether this operator works, or another one.
    pub turn: Turn,
    /// The GrapeClusters and the labels of namespaces.
    pub informers: Informers,
    /// Cancelled when the controller is to finish what it has begun, and return.
    pub stop: CancellationToken,
    /// The flags.
    pub config: Arc<OperatorConfig>,
}

/// Runs until a signal asks it to end, on the Kubernetes of `KUBECONFIG`, of the user's kubeconfig,
/// or of the pod that it is in. See [`run_until`].
///
/// # Errors
///
/// Those of [`run_until`]; no Kubernetes is configured, or signals cannot be received.
pub async fn run(
    config: OperatorConfig,
    background: impl AsyncFnOnce(Context, Readiness) -> anyhow::Result<()>,
    control: impl AsyncFnOnce(Context) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut signals = Stop::listen().context("cannot listen for signals")?;
    let stop = CancellationToken::new();
    let heard = stop.clone();
    let _hearing = AbortOnDropHandle::new(tokio::spawn(async move {
        signals.asked().await;
        heard.cancel();
    }));
    let kubeconfig = Config::infer().await.context("no Kubernetes is configured")?;
    run_until(config, kubeconfig, stop, background, control).await
}

/// The background task of a replica without a webhook: the replica is ready at once.
///
/// # Errors
///
/// None.
pub async fn no_background_task(context: Context, readiness: Readiness) -> anyhow::Result<()> {
    readiness.ready();
    context.stop.cancelled().await;
    Ok(())
}

/// Runs until `stop`: `background` as soon as the API server answers, and `control` while this
/// process leads. A process that runs the webhook alone never leads.
///
/// `background` reports when this process is ready. It is asked to end as `control` is, also when
/// the leadership is lost, and is waited for.
///
/// `control` is only polled while this process leads, and is dropped when it does not: all of its
/// work has to be in its own future, or in tasks that end with that. The token of its [`Context`]
/// asks it to end, and it gets 20 s; then the Lease is released.
///
/// # Errors
///
/// Invalid `config`, kubeconfig or system settings; the leadership was lost; the controller failed,
/// or ended without having been asked.
pub async fn run_until(
    config: OperatorConfig,
    kubeconfig: Config,
    stop: CancellationToken,
    background: impl AsyncFnOnce(Context, Readiness) -> anyhow::Result<()>,
    control: impl AsyncFnOnce(Context) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let url = kubeconfig.cluster_url.clone();
    let namespace =
        config.namespace.clone().unwrap_or_else(|| kubeconfig.default_namespace.clone());
    info!(
        version = env!("CARGO_PKG_VERSION"),
        api_server = %url,
        namespace,
        identity = config.identity,
        lease = config.lease,
        component = ?config.component,
        watch_namespaces = config.watch_namespaces.join(","),
        grape_image = config.grape_image,
        observe_interval = ?config.observe_interval,
        concurrency = config.concurrency,
        "starting"
    );
    let client = |retries| {
        let mut kubeconfig = kubeconfig.clone();
        kubeconfig.default_retry = retries;
        api_client::connect(kubeconfig)
    };
    let clients = client(true).and_then(|again| {
        Ok((again, client(false)?, api_client::connect_for_one(kubeconfig.clone())?))
    });
    let (client, once, for_lease) =
        clients.context("the Kubernetes configuration cannot be used")?;

    let address = config.admin;
    let listener = grape::http::bind(Some(address.ip()), address.port())
        .with_context(|| format!("cannot listen at {address} (--admin-bind)"))?;
    info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    let readiness = Readiness::not_yet("the API server is not reached yet");
    let metrics = Arc::new(Metrics::new()?);
    let pages = Pages { readiness: readiness.clone(), metrics: Arc::clone(&metrics) };
    let pages = tokio::spawn(admin::serve(listener, pages, CancellationToken::new()));

    let own = (namespace.clone(), config.lease.clone());
    let turn = Turn::new(client.clone(), own, Scope::of(&config.watch_namespaces));
    let access = match (&config.webhook, &config.watch_namespaces[..]) {
        // The webhook's rights include watching all namespaces.
        (Some(_), _) | (None, []) => NamespaceAccess::Watch,
        (None, _) => NamespaceAccess::Read,
    };
    let (informers, filling) = Informers::new(&client, &config.watch_namespaces, access, &metrics);
    let config = Arc::new(config);
    let context =
        Context { client, once, for_lease, namespace, metrics, turn, informers, stop, config };
    tokio::select! {
        biased;
        // Without its pages nobody could see the operator's state.
        ended = AbortOnDropHandle::new(pages) => bail!("the admin pages ended: {ended:?}"),
        worked = work(context, &url, filling, &readiness, background, control) => worked?,
    }
    info!("stopped");
    Ok(())
}

/// All that needs the API server.
async fn work(
    context: Context,
    url: &Uri,
    filling: impl Future<Output = ()> + Send + 'static,
    readiness: &Readiness,
    background: impl AsyncFnOnce(Context, Readiness) -> anyhow::Result<()>,
    control: impl AsyncFnOnce(Context) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stop = context.stop.clone();
    let reached = stop.run_until_cancelled(reach(&context.client, url)).await;
    let Some(reached) = reached else { return Ok(()) };
    reached?;
    let turn = context.turn.clone();
    let watching = AbortOnDropHandle::new(tokio::spawn(turn.clone().watch()));
    let filling = AbortOnDropHandle::new(tokio::spawn(filling));
    let waiting = AbortOnDropHandle::new(tokio::spawn(wait(turn.standing(), readiness.clone())));
    // Whichever ends first asks the other to end.
    let background = async {
        let ended = Box::pin(background(context.clone(), readiness.clone())).await;
        stop.cancel();
        ended
    };
    let elected = async {
        let ended = if context.config.component == Component::Webhook {
            stop.cancelled().await;
            info!("stopping");
            Ok(())
        } else {
            // On the heap: the future is large, with all that the leader does in it.
            Box::pin(elect(context.clone(), readiness, control)).await
        };
        stop.cancel();
        ended
    };
    tokio::select! {
        (background, elected) = async { tokio::join!(background, elected) } => elected.and(background),
        ended = watching => bail!("the watch of other operators ended: {ended:?}"),
        ended = filling => bail!("the watches of GrapeClusters ended: {ended:?}"),
        ended = waiting => bail!("the task of the readiness ended: {ended:?}"),
    }
}

/// No replica is ready while another operator works where this one would.
async fn wait(mut standing: watch::Receiver<Standing>, readiness: Readiness) {
    loop {
        let now = standing.borrow_and_update().clone();
        readiness.waits((now != Standing::First).then(|| now.to_string()));
        if standing.changed().await.is_err() {
            return;
        }
    }
}

/// Leads when it is this operator's turn, and as long as it is.
async fn elect(
    context: Context,
    readiness: &Readiness,
    control: impl AsyncFnOnce(Context) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Context { for_lease, namespace, metrics, turn, stop, config, .. } = context.clone();
    let election = leader::ElectionConfig {
        namespace,
        lease: config.lease.clone(),
        identity: config.identity.clone(),
        timings: config.timings,
    };
    let Some(leadership) = Elector::new(for_lease, election).campaign(&stop).await else {
        return Ok(());
    };
    info!(lease = config.lease, identity = config.identity, "leading");
    let control = async {
        if !turn.take(&stop).await {
            return Ok(());
        }
        metrics.leader(true);
        let ended = tokio::select! {
            biased;
            after = turn.lost() => Err(anyhow::anyhow!(after)),
            ended = Box::pin(control(context)) => ended,
        };
        metrics.leader(false);
        ended
    };
    // One that serves the webhook is ready until another replica serves it.
    let readiness = config.served_webhook().is_none().then_some(readiness);
    let led = lead(&leadership, control, &stop, readiness).await;
    metrics.leader(false);
    match led {
        Ok(ended) => {
            if let Err(error) = leadership.release().await {
                warn!(%error, "others wait until the lease ends");
            }
            ended
        }
        // Ended rather than campaigning again: requests may be on their way, and another operator
        // now keeps the state of clusters. A new process begins without any.
        Err(loss) => Err(anyhow::Error::new(loss).context("lost the leadership")),
    }
}

/// Waits until the API server answers.
async fn reach(client: &Client, url: &Uri) -> anyhow::Result<()> {
    let [first, longest] = CONNECT_PAUSES;
    let pauses = ExponentialBuilder::new()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times();
    let ask =
        || async { anyhow::Ok(timeout(FIRST_ANSWER_TIMEOUT, client.apiserver_version()).await??) };
    let version = ask
        .retry(pauses)
        .sleep(sleep)
        .notify(|error, pause| {
            let error = format!("{error:#}");
            warn!(%url, error, retry_in = ?pause, "the API server cannot be reached; trying again");
        })
        .await?;
    info!(%url, version = version.git_version, "the API server is reached");
    Ok(())
}

/// Runs the controller as long as this is the leader, and for [`STOP_GRACE`] after it was asked to end.
async fn lead(
    leadership: &Leadership,
    control: impl Future<Output = anyhow::Result<()>>,
    stop: &CancellationToken,
    readiness: Option<&Readiness>,
) -> Result<anyhow::Result<()>, Loss> {
    let grace = async {
        stop.cancelled().await;
        info!("stopping");
        if let Some(readiness) = readiness {
            readiness.not_ready("stopping");
        }
        sleep(STOP_GRACE).await;
    };
    tokio::select! {
        // In this order: once the leadership is over, the controller is not polled, whatever else
        // has happened.
        biased;
        loss = leadership.lost() => Err(loss),
        () = grace => {
            warn!(after = ?STOP_GRACE, "the controller did not end: it is not waited for any longer");
            Ok(Ok(()))
        }
        ended = control => Ok(ended.and_then(|()| {
            ensure!(stop.is_cancelled(), "the controller ended without having been asked");
            Ok(())
        })),
    }
}
