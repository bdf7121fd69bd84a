//! One leader among several replicas: leader election on a Lease, as Kubernetes' own controllers do
//! it.
//!
//! [`decide`] (pure: what to do about what was seen) ← `contend` (does it) → `lease` (requests).
//!
//! A leader renews the Lease each retry period. When it could not for as long as the renew deadline
//! it leads no more, and says so, before any other takes a Lease that did not change for the lease
//! duration. A Lease that is let go of is taken at once.
//!
//! Clocks are not compared, but they have to run at about the same speed, and two things are beyond
//! any such election: a request that is on its way when a leadership ends, and a Lease that is
//! deleted at the moment in which a new replica starts.

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

/// Which Lease is contended for, and by which identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectionConfig {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name, a DNS subdomain.
    pub lease: String,
    /// The candidate's name. No two running processes may have the same; one that restarts may, and
    /// need not wait for itself.
    pub identity: String,
    /// How long things take.
    pub timings: Timings,
}

/// Contends for one Lease.
pub struct Elector {
    client: Client,
    config: ElectionConfig,
}

/// The Lease could not be let go of: others wait until it ends.
#[derive(Debug, thiserror::Error)]
#[error("cannot release the lease: {0}")]
pub struct NotReleased(String);

impl Elector {
    /// Nothing happens before [`Elector::campaign`].
    pub fn new(client: Client, config: ElectionConfig) -> Self {
        Self { client, config }
    }

    /// Contends until it leads, however long the API server is down or refuses; failures are
    /// logged. Ends at `stop`, and returns `None` if it does not lead by then.
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

/// What is known of a leadership.
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

    /// Completes when this is no leadership any more. The clock is read at each poll: in a process
    /// that was suspended past its time, a `select!` that polls this first does nothing else any
    /// more. Can be dropped and called again.
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
                // If the task were gone, nothing would be reported any more, and the deadline would
                // pass.
                Ok(()) = state.changed() => {}
                () = sleep_until(until.into()) => return self.expired(),
            }
        }
    }

    fn expired(&self) -> Loss {
        Loss::Expired(self.renew_deadline)
    }

    /// Lets go of the Lease, so that another may lead at once. To be called when nothing is done
    /// any more that only a leader may do. After a loss it does nothing.
    ///
    /// # Errors
    ///
    /// When the API server cannot be reached; then another replica leads after the lease duration.
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
