//! The Lease at the API server: read, written, watched.

use std::time::Duration;

use futures_util::stream::{BoxStream, StreamExt};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::runtime::watcher::{self, ExponentialBackoff, watch_object};
use kube::runtime::{WatchStreamExt, utils::Backoff};
use kube::{Client, Error};
use tokio::time::timeout;

/// First pause after a watch broke, and the shortest.
const WATCH_PAUSE: Duration = Duration::from_millis(200);

/// The field manager of the Lease.
const FIELD_MANAGER: &str = "grape-operator";

/// The Lease after each change; `None` when it is deleted.
pub(super) type Changes = BoxStream<'static, Result<Option<Lease>, watcher::Error>>;

/// One Lease.
pub(super) struct Access {
    api: Api<Lease>,
    name: String,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Another process wrote since the Lease was read.
    #[error("another replica wrote first")]
    Outrun,
    /// The API server refused, or could not be reached.
    #[error(transparent)]
    Refused(#[from] Error),
    /// The API server did not answer.
    #[error("no answer in {0:?}")]
    Silent(Duration),
}

impl Access {
    pub(super) fn new(client: Client, namespace: &str, name: String) -> Self {
        Self { api: Api::namespaced(client, namespace), name }
    }

    /// Reads the Lease from etcd, not from a cache.
    pub(super) async fn read(&self, patience: Duration) -> Result<Option<Lease>, Failure> {
        timeout(patience, self.api.get_opt(&self.name))
            .await
            .map_err(|_| Failure::Silent(patience))?
            .map_err(Failure::Refused)
    }

    /// Writes a record if the Lease is still `known`, or if there is still none.
    pub(super) async fn write(
        &self,
        known: Option<&Lease>,
        record: LeaseSpec,
        patience: Duration,
    ) -> Result<Lease, Failure> {
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = async {
            match known {
                // The write keeps the resourceVersion, and labels and annotations of others.
                Some(lease) => {
                    let lease = Lease { spec: Some(record), ..lease.clone() };
                    self.api.replace(&self.name, &params, &lease).await
                }
                None => {
                    let metadata =
                        ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
                    let lease = Lease { metadata, spec: Some(record) };
                    self.api.create(&params, &lease).await
                }
            }
        };
        match timeout(patience, written).await {
            Ok(Ok(lease)) => Ok(lease),
            Ok(Err(Error::Api(status)))
                if status.code == 409 || (status.code == 404 && known.is_some()) =>
            {
                Err(Failure::Outrun)
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Failure::Silent(patience)),
        }
    }

    /// Watches the Lease. A broken watch begins again, at the latest after `pause`.
    pub(super) fn watch(&self, pause: Duration) -> Changes {
        watch_object(self.api.clone(), &self.name).backoff(backoff(pause)).boxed()
    }
}

fn backoff(longest: Duration) -> impl Backoff {
    let pauses = backon::ExponentialBuilder::new()
        .with_min_delay(WATCH_PAUSE.min(longest))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times();
    ExponentialBackoff::from(pauses)
}

/// The wall clock, for people who read the Lease, in the microseconds that it keeps.
pub(super) fn wall() -> MicroTime {
    let now = Timestamp::now();
    MicroTime(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
}
