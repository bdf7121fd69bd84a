//! Rotates the certificate in the Secret, and keeps the `caBundle` of the webhook's configuration
//! current. Every replica does both: a write names the version that it changes, so that the first
//! writer wins, and the others read what it wrote.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::bundle::Bundle;
use super::cert_resolver::CertResolver;
use super::chain;
use super::decide::{CertSpec, Next, Reason, decide, read, renew};
use crate::api_client::MANAGER;

/// How long the API server may take for a write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// When the Secret is read again after a write, at the latest: the watch should have reported it
/// long before.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Longest pause between two reads.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// The Secret and the configuration that are kept current.
pub struct Rotator {
    /// Secrets of the operator's namespace.
    pub secrets: Api<Secret>,
    /// The Secret's name.
    pub secret: String,
    /// Configurations of webhooks.
    pub configurations: Api<MutatingWebhookConfiguration>,
    /// The name of the webhook's configuration.
    pub configuration: String,
    /// What certificates are issued for.
    pub spec: CertSpec,
    /// Where certificates are served.
    pub resolver: CertResolver,
}

impl Rotator {
    /// A rotator for a Secret and a configuration of these names.
    pub fn new(
        client: &Client,
        (namespace, secret): (&str, String),
        configuration: String,
        spec: CertSpec,
        resolver: CertResolver,
    ) -> Self {
        let secrets = Api::namespaced(client.clone(), namespace);
        let configurations = Api::all(client.clone());
        Self { secrets, secret, configurations, configuration, spec, resolver }
    }

    /// Keeps both current, for as long as the process runs.
    pub async fn run(self) {
        let mut secrets =
            watch_object(self.secrets.clone(), &self.secret).default_backoff().boxed();
        let mut configurations = watch_object(self.configurations.clone(), &self.configuration)
            .default_backoff()
            .boxed();
        // The outer `Option`: whether the object was read yet.
        let (mut secret, mut configuration) = (None, None);
        let mut pause = MAX_PAUSE;
        loop {
            tokio::select! {
                Some(seen) = secrets.next() => match seen {
                    Ok(seen) => secret = Some(seen),
                    Err(error) => warn!(secret = self.secret, %error, "cannot watch; trying again"),
                },
                Some(seen) = configurations.next() => match seen {
                    Ok(seen) => configuration = Some(seen),
                    Err(error) => {
                        warn!(configuration = self.configuration, %error, "cannot watch; trying again");
                    }
                },
                () = sleep(pause) => {}
            }
            let Some(secret) = &secret else { continue };
            let configuration = configuration.as_ref().map(Option::as_ref);
            pause = match timeout(WRITE_TIMEOUT, self.rotate(secret.as_ref(), configuration)).await
            {
                Ok(Ok(pause)) => pause,
                Ok(Err(error)) => {
                    let error = format!("{error:#}");
                    warn!(error, "cannot keep the webhook's certificate; trying again");
                    RETRY_PAUSE
                }
                Err(_) => RETRY_PAUSE,
            };
        }
    }

    /// Serves the present certificate, and changes what is due. Returns when to look again.
    async fn rotate(
        &self,
        secret: Option<&Secret>,
        configuration: Option<Option<&MutatingWebhookConfiguration>>,
    ) -> anyhow::Result<Duration> {
        let now = Timestamp::now();
        let found = secret.and_then(Bundle::of);
        let (chain, problem) = match read(found.as_ref(), &self.spec) {
            Ok(chain) => (chain, None),
            Err(problem) => (None, Some(problem)),
        };
        let (mut trusted, mut published) = (false, Ok(()));
        if let (Some(found), Some(_)) = (&found, &chain) {
            if self.resolver.serve(found.certificate.as_bytes(), found.key.as_bytes())? {
                info!(secret = self.secret, "serving another certificate");
            }
            match configuration {
                // No configuration asks this webhook, then.
                Some(None) => trusted = true,
                Some(Some(configuration)) => {
                    published = self.publish(configuration, &found.authorities).await;
                    trusted = is_trusted(configuration, &found.authorities);
                }
                None => {}
            }
        }
        let next = decide(chain.as_ref(), trusted, &self.spec, now);
        let reason = Reason::of(chain.as_ref(), problem, now);
        if let Next::Keep(until) = next {
            let pause = Duration::try_from(until.duration_since(now)).unwrap_or_default();
            // Certificates hold whole seconds.
            return published.map(|()| (pause + Duration::from_millis(100)).min(MAX_PAUSE));
        }
        let made = renew(found.as_ref(), next, &self.spec, now);
        self.write(secret, made.context("cannot make a certificate")?, &reason).await?;
        published.map(|()| RETRY_PAUSE)
    }

    /// Writes the Secret, unless another replica did so meanwhile: the watch then reports that
    /// version.
    async fn write(
        &self,
        secret: Option<&Secret>,
        made: Bundle,
        reason: &Reason,
    ) -> anyhow::Result<()> {
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let written = match secret {
            Some(secret) => {
                // The metadata has its version.
                let object = Secret { data: Some(made.data()), ..secret.clone() };
                self.secrets.replace(&self.secret, &params, &object).await
            }
            None => {
                let metadata =
                    ObjectMeta { name: Some(self.secret.clone()), ..ObjectMeta::default() };
                let object = Secret { metadata, data: Some(made.data()), ..Secret::default() };
                self.secrets.create(&params, &object).await
            }
        };
        match written {
            Ok(_) => {
                info!(secret = self.secret, %reason, "issued certificate");
                Ok(())
            }
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => Ok(()),
            Err(kube::Error::Api(refusal)) if refusal.code == 403 && secret.is_none() => {
                anyhow::bail!(
                    "there is no Secret {}, and the operator may not make one: `helm upgrade` does \
                     ({refusal})",
                    self.secret
                )
            }
            Err(error) => {
                Err(error).with_context(|| format!("cannot write the Secret {}", self.secret))
            }
        }
    }

    /// Writes the authorities into the `caBundle` of each webhook that has others.
    async fn publish(
        &self,
        configuration: &MutatingWebhookConfiguration,
        authorities: &str,
    ) -> anyhow::Result<()> {
        let bundle = ByteString(authorities.as_bytes().to_vec());
        let webhooks = configuration.webhooks.iter().flatten();
        let stale = webhooks.filter(|it| it.client_config.ca_bundle.as_ref() != Some(&bundle));
        // A server-side apply merges each webhook with the existing one of its name.
        let stale: Vec<_> = stale
            .map(|it| json!({"name": it.name, "clientConfig": {"caBundle": bundle}}))
            .collect();
        if stale.is_empty() {
            return Ok(());
        }
        let version = configuration.resource_version();
        let patch = json!({"metadata": {"resourceVersion": version}, "webhooks": stale});
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..<_>::default() };
        let patch = Patch::Strategic(&patch);
        match self.configurations.patch(&self.configuration, &params, &patch).await {
            Ok(_) => {
                info!(configuration = self.configuration, "updated the webhook's CA bundle");
                Ok(())
            }
            // Another writer changed the object meanwhile, or it was deleted: the watch reports it.
            Err(kube::Error::Api(refusal)) if matches!(refusal.code, 404 | 409) => Ok(()),
            Err(error) => Err(error).with_context(|| {
                format!("cannot write the MutatingWebhookConfiguration {}", self.configuration)
            }),
        }
    }
}

/// Whether all API servers that read this bundle trust certificates of these authorities.
fn is_trusted(configuration: &MutatingWebhookConfiguration, authorities: &str) -> bool {
    configuration.webhooks.iter().flatten().all(|webhook| {
        let bundle = webhook.client_config.ca_bundle.as_ref();
        bundle.is_some_and(|bundle| chain::trusts(&bundle.0, authorities))
    })
}
