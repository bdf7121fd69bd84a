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
//! | [`store`] | the clusters and namespaces of the informers, or a fresh read | I/O |
//! | [`recorder`] | counters and events | I/O |
//! | [`relief`] | the end: another replica serves | I/O |

pub mod admit;
pub mod certificates;
pub mod configuration;
pub mod recorder;
pub mod relief;
pub mod review;
pub mod server;
pub mod store;

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use kube::Client;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use crate::admin::Readiness;
use crate::config::WebhookConfig;
use crate::process::Context;
use admit::Admission;
use certificates::cert_resolver::CertResolver;
use certificates::decide::CertSpec;
use certificates::folder;
use certificates::rotator::Rotator;
use recorder::AdmissionRecorder;
use server::Stop;
use store::AdmissionStore;

/// Serves the webhook until it is told to stop. `readiness` says yes once it can answer.
///
/// # Errors
/// It cannot listen, or one of its tasks ended.
pub async fn run(
    webhook: &WebhookConfig,
    context: Context,
    readiness: &Readiness,
) -> anyhow::Result<()> {
    let Context { client, namespace, turn, metrics, informers, config, stop, .. } = context;
    let address = webhook.bind;
    let listener = grape::http::bind(Some(address.ip()), address.port())
        .with_context(|| format!("cannot listen at {address} (--webhook-bind)"))?;
    info!(address = %listener.local_addr()?, name = webhook.name, "serving the webhook");

    let resolver = CertResolver::new(Arc::clone(&metrics));
    let rotating = certificates_task(webhook, &client, &namespace, resolver.clone());
    let name = webhook.configuration(&namespace);
    let service = format!("{}.{namespace}.svc", webhook.name);
    let end = CancellationToken::new();
    let ending = {
        let (asked, end) = (stop.clone(), end.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            asked.cancelled().await;
            relief::come(&service).await;
            end.cancel();
        }))
    };
    let standing = turn.standing();
    let configuration = configuration::ConfigurationController {
        client: client.clone(),
        name,
        namespace,
        standing,
    };
    let configuring = AbortOnDropHandle::new(tokio::spawn(configuration.run()));
    let store = AdmissionStore::new(client.clone(), informers);
    let (recorder, recording) = AdmissionRecorder::new(client, &config.identity, metrics);
    let ready = ready(store.clone(), resolver.clone(), readiness.clone(), end.clone());
    let ready = AbortOnDropHandle::new(tokio::spawn(ready));

    let tls = resolver.config().context("TLS cannot be used")?;
    let admission =
        Arc::new(Admission { store, recorder, grape_image: config.grape_image.clone() });
    let answer = move |body| {
        let admission = Arc::clone(&admission);
        async move { admission.answer(body).await }
    };
    let tls = TlsAcceptor::from(Arc::new(tls));
    let serving = server::serve(listener, tls, answer, Stop { asked: stop.clone(), end });
    tokio::select! {
        () = serving => {}
        ended = rotating => bail!("the task of the certificate ended: {ended:?}"),
        ended = configuring => bail!("the task of the configuration ended: {ended:?}"),
        ended = recording => bail!("the task of the events ended: {ended:?}"),
    }
    drop((ready, ending));
    ensure!(stop.is_cancelled(), "the webhook ended without having been asked");
    Ok(())
}

fn certificates_task(
    config: &WebhookConfig,
    client: &Client,
    namespace: &str,
    resolver: CertResolver,
) -> AbortOnDropHandle<()> {
    let WebhookConfig { bind, name, configuration_name: _, certificates, lifetime } = config;
    AbortOnDropHandle::new(match certificates {
        Some(folder) => tokio::spawn(folder::follow(folder.clone(), resolver)),
        None => {
            // Where it is served at one address, it is asked for by that, too.
            let address = (!bind.ip().is_unspecified()).then(|| bind.ip().to_string());
            let service = format!("{name}.{namespace}");
            let names = [format!("{service}.svc"), service.clone(), name.clone()];
            let spec =
                CertSpec { names: names.into_iter().chain(address).collect(), life: *lifetime };
            let secret = (namespace, format!("{name}-tls"));
            let configuration = config.configuration(namespace);
            tokio::spawn(Rotator::new(client, secret, configuration, spec, resolver).run())
        }
    })
}

/// Says yes once it can answer, and no once `stop` is cancelled.
async fn ready(
    store: AdmissionStore,
    resolver: CertResolver,
    readiness: Readiness,
    stop: CancellationToken,
) {
    let able = async {
        readiness.not_ready("the clusters and namespaces are not known yet");
        if !store.completed().await {
            return std::future::pending().await;
        }
        readiness.not_ready("the webhook has no certificate yet");
        resolver.is_there().await;
        readiness.ready();
        info!("the webhook can answer");
    };
    stop.run_until_cancelled(able).await;
    stop.cancelled().await;
    readiness.not_ready("stopping");
}
