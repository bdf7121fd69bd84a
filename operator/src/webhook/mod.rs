//! Pods that ask for a Grape get it as they are made: a mutating admission webhook, served by every
//! replica. What a pod gets is decided in [`inject`](crate::inject), which is pure.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`certificates`] | the certificate that it serves with, kept and believed | I/O |
//! | [`configuration`] | whose its configuration is, and whether it is asked | I/O |
//! | [`server`] | HTTPS, bounded | I/O |
//! | [`admit`] | a review to its answer | I/O |
//! | [`review`] | AdmissionReviews, read and answered | pure |
//! | [`known`] | which clusters and namespaces there are | I/O |
//! | [`joinable`] | a cluster as pods need it | pure |
//! | [`told`] | counters and events | I/O |

pub mod admit;
pub mod certificates;
pub mod configuration;
pub mod joinable;
pub mod known;
pub mod review;
pub mod server;
pub mod told;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use kube::Client;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use crate::admin::Readiness;
use crate::metrics::Metrics;
use crate::turn::Standing;
use admit::Admission;
use certificates::decide::Terms;
use certificates::folder;
use certificates::keep::Keeper;
use certificates::served::Served;
use known::Known;
use told::Told;

/// What the webhook is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where it is served.
    pub bind: SocketAddr,
    /// The name of its Service. The Secret is called NAME-tls, the MutatingWebhookConfiguration
    /// NAME.NAMESPACE.
    pub name: String,
    /// The folder of a certificate that somebody else keeps; `None`: the operator keeps one.
    pub certificates: Option<PathBuf>,
    /// How long a certificate is valid that the operator makes, in whole seconds.
    pub lifetime: Duration,
}

impl WebhookConfig {
    /// The name of its MutatingWebhookConfiguration, where the operator is in this namespace.
    pub fn configuration(&self, namespace: &str) -> String {
        format!("{}.{namespace}", self.name)
    }
}

/// What the webhook works with.
#[derive(Clone)]
pub struct Setup {
    /// The way to the API server.
    pub client: Client,
    /// The operator's own namespace.
    pub namespace: String,
    /// Whether another operator works where this one would.
    pub standing: watch::Receiver<Standing>,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// The namespaces whose clusters pods may join; none for all.
    pub namespaces: Vec<String>,
    /// The image of a Grape where neither pod nor cluster names one.
    pub grape_image: String,
    /// The name under which events are told.
    pub identity: String,
    /// Ends it: connections are taken for a while yet, and what is under way is finished.
    pub stop: CancellationToken,
}

/// Serves the webhook until it is told to stop. `readiness` says yes once it can answer.
///
/// # Errors
/// It cannot listen, or one of its tasks ended.
pub async fn run(
    config: &WebhookConfig,
    setup: Setup,
    readiness: &Readiness,
) -> anyhow::Result<()> {
    let Setup { client, namespace, standing, metrics, namespaces, grape_image, identity, stop } =
        setup;
    let address = config.bind;
    let listener = grape::http::bind(Some(address.ip()), address.port())
        .with_context(|| format!("cannot listen at {address} (--webhook-bind)"))?;
    info!(address = %listener.local_addr()?, name = config.name, "serving the webhook");

    let served = Served::new(Arc::clone(&metrics));
    let keeping = keep(config, &client, &namespace, served.clone());
    let name = format!("{}.{namespace}", config.name);
    let configuration = configuration::Keeper { client: client.clone(), name, namespace, standing };
    let configuring = AbortOnDropHandle::new(tokio::spawn(configuration.keep()));
    let (known, watching) = Known::watch(&client, &namespaces, &metrics);
    let (told, telling) = Told::new(client, &identity, metrics);
    let ready = ready(known.clone(), served.clone(), readiness.clone(), stop.clone());
    let tasks = [keeping, AbortOnDropHandle::new(tokio::spawn(watching)), telling];
    let ready = AbortOnDropHandle::new(tokio::spawn(ready));

    let config = served.config().context("TLS cannot be used")?;
    let admission = Arc::new(Admission { known, told, grape_image });
    let answer = move |body| {
        let admission = Arc::clone(&admission);
        async move { admission.answer(body).await }
    };
    let serving =
        server::serve(listener, TlsAcceptor::from(Arc::new(config)), answer, stop.clone());
    let [keeping, watching, telling] = tasks;
    tokio::select! {
        () = serving => {}
        ended = keeping => bail!("the task of the certificate ended: {ended:?}"),
        ended = configuring => bail!("the task of the configuration ended: {ended:?}"),
        ended = watching => bail!("the watches of the webhook ended: {ended:?}"),
        ended = telling => bail!("the task of the events ended: {ended:?}"),
    }
    drop(ready);
    ensure!(stop.is_cancelled(), "the webhook ended without having been asked");
    Ok(())
}

fn keep(
    config: &WebhookConfig,
    client: &Client,
    namespace: &str,
    served: Served,
) -> AbortOnDropHandle<()> {
    let WebhookConfig { bind, name, certificates, lifetime } = config;
    AbortOnDropHandle::new(match certificates {
        Some(folder) => tokio::spawn(folder::keep(folder.clone(), served)),
        None => {
            // Where it is served at one address, it is asked for by that, too.
            let address = (!bind.ip().is_unspecified()).then(|| bind.ip().to_string());
            let service = format!("{name}.{namespace}");
            let names = [format!("{service}.svc"), service.clone(), name.clone()];
            let terms =
                Terms { names: names.into_iter().chain(address).collect(), life: *lifetime };
            let secret = (namespace, format!("{name}-tls"));
            let configuration = config.configuration(namespace);
            tokio::spawn(Keeper::new(client, secret, configuration, terms, served).keep())
        }
    })
}

/// Says yes once it can answer, and no once it is to end.
async fn ready(known: Known, served: Served, readiness: Readiness, stop: CancellationToken) {
    let able = async {
        readiness.not_ready("the clusters and namespaces are not known yet");
        if !known.is_whole().await {
            return std::future::pending().await;
        }
        readiness.not_ready("the webhook has no certificate yet");
        served.is_there().await;
        readiness.ready();
        info!("the webhook can answer");
    };
    stop.run_until_cancelled(able).await;
    stop.cancelled().await;
    readiness.not_ready("stopping");
}
