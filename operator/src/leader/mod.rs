//! Leader election among replicas on a Lease, as Kubernetes' own controllers do it.
//!
//! [`decide`] (pure: the next step) ← `contend` (takes it) → `lease` (requests).
//!
//! A leader renews the Lease each retry period. If it could not renew for the renew deadline, it
//! stops leading, before another replica takes a Lease that did not change for the lease duration.
//! A released Lease is taken at once.
//!
//! Clocks are not compared, but they have to run at about the same speed. Two things are beyond any
//! such election: a request that is on its way when a leadership ends, and a Lease that is deleted
//! at the moment when a new replica starts.

mod contend;
pub mod decide;
mod lease;
mod timings;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use grape::clock;
use kube::Client;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use contend::Contender;
use decide::Loss;
use lease::Failure;
pub use timings::{BadTimings, Timings};

/// Which Lease, and under which identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectionConfig {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name, a DNS subdomain.
    pub lease: String,
    /// The identity. No two running processes may have the same; a process that restarts may keep
    /// it, and need not wait for itself.
    pub identity: String,
    /// The times of the election.
    pub timings: Timings,
}

/// Contends for one Lease.
pub struct Elector {
    client: Client,
    config: ElectionConfig,
}

/// The Lease could not be released: others wait until it ends.
#[derive(Debug, thiserror::Error)]
#[error("cannot release the lease: {0}")]
pub struct NotReleased(String);

impl Elector {
    /// Does nothing before [`Elector::campaign`].
    pub fn new(client: Client, config: ElectionConfig) -> Self {
        Self { client, config }
    }

    /// Contends until it leads, however long the API server is unreachable or refuses, and logs
    /// that. Ends with `stop`; `None` if it does not lead by then.
    pub async fn campaign(&self, stop: &CancellationToken) -> Option<Leadership> {
        let mut contender = Contender::new(self.client.clone(), &self.config);
        loop {
            if let Some(until) = contender.leads_until() {
                return Some(Leadership::begin(
                    contender,
                    self.config.timings.renew_deadline(),
                    until,
                ));
            }
            if stop.is_cancelled() {
                return None;
            }
            // Followers hold no state that a hand-over could lose.
            let _ = contender.step(stop).await;
        }
    }
}

/// The state of a leadership.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Leads { until: Instant },
    Lost(Loss),
}

/// The Lease is held, and renewed in the background. When this is dropped without
/// [`Leadership::release`], others lead after the lease duration.
pub struct Leadership {
    state: watch::Receiver<State>,
    renew_deadline: Duration,
    release: CancellationToken,
    task: AbortOnDropHandle<Result<(), Failure>>,
}

impl Leadership {
    fn begin(contender: Contender, renew_deadline: Duration, until: Instant) -> Self {
        let (reported, state) = watch::channel(State::Leads { until });
        let release = CancellationToken::new();
        let task = tokio::spawn(lead(contender, reported, release.clone()));
        Self { state, renew_deadline, release, task: AbortOnDropHandle::new(task) }
    }

    /// Completes when the leadership has ended. Each poll reads the clock: in a process that was
    /// suspended past its time, a `select!` that polls this first does nothing else any more.
    /// Cancel safe.
    pub async fn lost(&self) -> Loss {
        let mut heard = pin!(self.heard());
        poll_fn(|context| {
            let over = match *self.state.borrow() {
                State::Leads { until } => clock::now() >= until,
                State::Lost(_) => false,
            };
            if over { Poll::Ready(self.expired()) } else { heard.as_mut().poll(context) }
        })
        .await
    }

    /// Completes when the loss is reported, or when no renewal was in time.
    async fn heard(&self) -> Loss {
        let mut state = self.state.clone();
        loop {
            let until = match &*state.borrow_and_update() {
                State::Leads { until } => *until,
                State::Lost(loss) => return loss.clone(),
            };
            tokio::select! {
                // If the task ended, nothing would be reported, and the time would run out.
                Ok(()) = state.changed() => {}
                () = sleep_until(until.into()) => return self.expired(),
            }
        }
    }

    fn expired(&self) -> Loss {
        Loss::Expired(self.renew_deadline)
    }

    /// Releases the Lease, so that another replica may lead at once. Called after all work that
    /// only a leader may do has ended. After a loss it does nothing.
    ///
    /// # Errors
    ///
    /// The API server did not take the write; others lead after the lease duration.
    pub async fn release(self) -> Result<(), NotReleased> {
        self.release.cancel();
        let released = self.task.await.map_err(|ended| NotReleased(ended.to_string()))?;
        released.map_err(|failure| NotReleased(format!("{:#}", anyhow::Error::new(failure))))
    }
}

/// Renews until the leadership is lost or to be released.
async fn lead(
    mut contender: Contender,
    reported: watch::Sender<State>,
    release: CancellationToken,
) -> Result<(), Failure> {
    while !release.is_cancelled() {
        if let Err(loss) = contender.step(&release).await {
            reported.send_replace(State::Lost(loss));
            return Ok(());
        }
        if let Some(until) = contender.leads_until() {
            let now = State::Leads { until };
            reported.send_if_modified(|state| {
                let before = std::mem::replace(state, now);
                before != *state
            });
        }
    }
    contender.release().await
}
