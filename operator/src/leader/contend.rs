//! Does at the API server what a [`Candidate`] decides.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use grape::clock;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::ElectionConfig;
use super::decide::{Candidate, Loss, Step};
use super::lease::{self, Access, Changes, Failure};

/// A candidate, and its hands.
pub(super) struct Contender {
    candidate: Candidate,
    config: ElectionConfig,
    access: Access,
    changes: Changes,
    /// The Lease on whose resourceVersion the next write builds.
    known: Option<Lease>,
    /// Whether the last request failed, so that an outage is logged once.
    failing: bool,
    /// The holder that was last logged.
    reported: Option<String>,
}

impl Contender {
    pub(super) fn new(client: kube::Client, config: &ElectionConfig) -> Self {
        let access = Access::new(client, &config.namespace, config.lease.clone());
        Self {
            candidate: Candidate::new(config.identity.clone(), config.timings, clock::now()),
            config: config.clone(),
            changes: access.watch(config.timings.retry_period()),
            access,
            known: None,
            failing: false,
            reported: None,
        }
    }

    /// Until when it leads without a further renewal.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        self.candidate.leads_until()
    }

    /// Takes one step. Waiting ends with `stop`; a request never does, for one that was given up
    /// may still be written.
    ///
    /// # Errors
    /// When it led, and leads no more.
    pub(super) async fn step(&mut self, stop: &CancellationToken) -> Result<(), Loss> {
        match self.candidate.step(clock::now()) {
            Step::Look => {
                self.candidate.tries(clock::now());
                self.look().await;
            }
            Step::Acquire | Step::Renew => self.claim().await,
            Step::Wait { until } => self.wait(until, stop).await,
            Step::Lost(loss) => return Err(loss),
        }
        Ok(())
    }

    /// Lets go of the Lease, if it is held, so that others need not wait for its end.
    pub(super) async fn release(mut self) -> Result<(), Failure> {
        let patience = self.half();
        loop {
            let Some(record) = self.candidate.release(lease::wall()) else { return Ok(()) };
            match self.access.write(self.known.as_ref(), record, patience).await {
                // A renewal that was given up arrived after all; what is there now decides.
                Err(Failure::Outrun) => {
                    let lease = self.access.read(patience).await?;
                    self.observe(lease);
                }
                written => return written.map(|_| ()),
            }
        }
    }

    async fn look(&mut self) {
        match self.access.read(self.patience()).await {
            Ok(lease) => {
                self.succeeded();
                self.observe(lease);
            }
            Err(error) => self.failed(error),
        }
    }

    async fn claim(&mut self) {
        let sent = clock::now();
        self.candidate.tries(sent);
        let record = self.candidate.claim(lease::wall());
        match self.access.write(self.known.as_ref(), record, self.patience()).await {
            Ok(lease) => {
                self.succeeded();
                let record = lease.spec.clone().unwrap_or_default();
                self.known = Some(lease);
                self.candidate.wrote(record, sent);
            }
            Err(Failure::Outrun) => self.look().await,
            // Should it have been written all the same, the next one is outrun, and that is seen.
            Err(error) => self.failed(error),
        }
    }

    async fn wait(&mut self, until: Instant, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep_until(until.into()) => {}
            Some(change) = self.changes.next() => match change {
                Ok(lease) => {
                    let record = lease.as_ref().and_then(|lease| lease.spec.as_ref());
                    if self.candidate.doubts(record) {
                        self.look().await;
                    } else if self.candidate.leads_until().is_none() {
                        self.observe(lease);
                    }
                }
                // It is begun again; until then what is known of the Lease ages, which is safe.
                Err(error) => debug!(%error, "the watch of the lease broke"),
            },
        }
    }

    fn observe(&mut self, lease: Option<Lease>) {
        let record = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        self.candidate.observe(record, clock::now());
        self.known = lease;
        let holder = self.candidate.waits_for().map(str::to_owned);
        if self.candidate.leads_until().is_none() && holder != self.reported {
            if let Some(holder) = &holder {
                info!(%holder, lease = self.config.lease, "waiting for the lease");
            }
            self.reported = holder;
        }
    }

    /// How long one request may take: of two in a row one can fail before a leader has to give up,
    /// and none is waited for beyond that.
    fn patience(&self) -> Duration {
        let left = self.leads_until().map(|until| until.saturating_duration_since(clock::now()));
        left.map_or(self.half(), |left| left.min(self.half()))
    }

    fn half(&self) -> Duration {
        self.config.timings.renew_deadline() / 2
    }

    fn succeeded(&mut self) {
        if std::mem::take(&mut self.failing) {
            info!(lease = self.config.lease, "the lease is reached again");
        }
    }

    fn failed(&mut self, error: Failure) {
        let error = format!("{:#}", anyhow::Error::new(error));
        let ElectionConfig { namespace, lease, .. } = &self.config;
        if std::mem::replace(&mut self.failing, true) {
            debug!(error, namespace, lease, "the lease is still not reached");
        } else {
            warn!(error, namespace, lease, "the lease cannot be read or written; trying again");
        }
    }
}
