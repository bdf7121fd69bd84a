//! Which of several operators works: two that ran the GrapeClusters of one namespace would undo each
//! other's writes for ever.
//!
//! Each operator writes beside its Lease where it runs GrapeClusters, and reads the Leases of the
//! others. An operator that starts where another works waits until the other is gone; then it takes
//! the next turn. Replicas of one operator share a Lease, and the turn with it. Operators of
//! different namespaces do not wait for each other.
//!
//! | module | concern | |
//! |---|---|---|
//! | [`claim`] | what a Lease says | pure |
//! | [`index`] | who is there, and who works | pure |
//! | [`belief`] | whether one may work at all | I/O |

pub mod belief;
pub mod claim;
pub mod index;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt;
use grape::clock;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Error};
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api_client::MANAGER;
use crate::api_client::is_refusal;
use belief::Belief;
use claim::{Claim, LABEL, Scope};
use index::{LeaseName, OperatorIndex, Other};

/// How long the API server may take for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after one that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Whether another operator works where this one would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The Leases have not been read yet.
    Unknown,
    /// No other operator does.
    First,
    /// This one does.
    After(Other),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the Leases of other operators are not read yet"),
            Self::First => f.write_str("no other operator works here"),
            Self::After(Other { name: (namespace, name), shared }) => write!(
                f,
                "another operator, {name} in the namespace {namespace}, runs the GrapeClusters of \
                 {shared}: this one waits until that one is gone. To run both, give each its own \
                 namespaces: watchNamespaces in the values of the chart, or --watch-namespaces"
            ),
        }
    }
}

/// What this operator knows of the others. Clones share it.
#[derive(Clone)]
pub struct Turn {
    client: Client,
    own: LeaseName,
    scope: Scope,
    state: Arc<Mutex<TurnState>>,
    standing: watch::Sender<Standing>,
}

struct TurnState {
    index: OperatorIndex,
    belief: Belief,
    /// Whether the Leases may not be read, which is logged once.
    forbidden: bool,
}

impl Turn {
    /// For the operator whose Lease has this namespace and name. Nothing is known before
    /// [`Turn::watch`] is polled.
    pub fn new(client: Client, own: LeaseName, scope: Scope) -> Self {
        let state = TurnState {
            index: OperatorIndex::new(own.clone(), scope.clone()),
            belief: Belief::new(client.clone()),
            forbidden: false,
        };
        let standing = watch::Sender::new(Standing::Unknown);
        Self { client, own, scope, state: Arc::new(Mutex::new(state)), standing }
    }

    /// Who works, now and later.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Watches the Leases of operators, for ever.
    pub async fn watch(self) {
        let config = watcher::Config::default().labels(&selector());
        let leases: Api<Lease> = Api::all(self.client.clone());
        let mut changes = watcher(leases, config).default_backoff().boxed();
        let (mut listed, mut blind) = (Vec::new(), false);
        loop {
            let end = self.state.lock().await.index.next_end(clock::now());
            let ends = async {
                match end {
                    Some(end) if !blind => sleep_until(end.into()).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(change) = changes.next() => match change {
                    Ok(Event::Init) => listed.clear(),
                    Ok(Event::InitApply(lease)) => listed.push(lease),
                    Ok(Event::InitDone) => {
                        self.listed(&std::mem::take(&mut listed), std::mem::take(&mut blind)).await;
                    }
                    Ok(Event::Apply(lease)) => self.saw(&lease).await,
                    Ok(Event::Delete(lease)) => self.gone(&lease).await,
                    Err(error) => {
                        blind = true;
                        self.failed(&error).await;
                    }
                },
                () = ends => self.publish(&*self.state.lock().await),
            }
        }
    }

    /// Announces where this operator works, waits until no other works there, and takes its turn.
    /// To be called by the one replica that holds the Lease. `false` when it is to end before.
    pub async fn take(&self, stop: &CancellationToken) -> bool {
        let account = self.account().await;
        let announcement = claim::announcement(&self.scope, account.as_deref());
        let taken = async {
            let mut standing = self.standing();
            while !self.done(self.patch(&announcement).await).await {}
            loop {
                if !self.done(self.list().await).await {
                    continue;
                }
                let before = standing.borrow_and_update().clone();
                if let Standing::After(_) = &before {
                    warn!("{before}");
                    // Until it is another one, or none.
                    let _ = standing.wait_for(|now| *now != before).await;
                    continue;
                }
                let Some(turn) = self.state.lock().await.index.turn_to_take() else { return };
                // And looks again: somebody else may have taken the same turn.
                if self.done(self.patch(&claim::turn(turn)).await).await {
                    info!(turn, namespaces = %self.scope, "no other operator works here");
                }
                if self.state.lock().await.forbidden {
                    return;
                }
            }
        };
        stop.run_until_cancelled(taken).await.is_some()
    }

    /// Completes when another operator works where this one does, with what to say of that.
    pub async fn lost(&self) -> String {
        let mut standing = self.standing();
        match standing.wait_for(|now| matches!(now, Standing::After(_))).await {
            Ok(after) => after.to_string(),
            // The sender lives as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Reads all Leases as they are now.
    async fn list(&self) -> anyhow::Result<()> {
        let leases: Api<Lease> = Api::all(self.client.clone());
        let parameters = ListParams::default().labels(&selector());
        match timeout(REQUEST_TIMEOUT, leases.list(&parameters)).await.context("no answer")? {
            Ok(found) => self.listed(&found.items, false).await,
            Err(Error::Api(refusal)) if refusal.code == 403 => self.forbidden(&refusal).await,
            Err(error) => return Err(error).context("cannot read the Leases of other operators"),
        }
        Ok(())
    }

    async fn listed(&self, leases: &[Lease], was_blind: bool) {
        let mut state = self.state.lock().await;
        if was_blind {
            state.index.sees_again(clock::now());
        }
        let claims: Vec<_> = leases.iter().filter_map(|it| Some((it, Claim::of(it)?))).collect();
        state.index.retain(|name| {
            claims.iter().any(|(_, claim)| (&claim.namespace, &claim.name) == (&name.0, &name.1))
        });
        for (lease, claim) in claims {
            self.take_in(&mut state, lease, claim).await;
        }
        state.forbidden = false;
        self.publish(&state);
    }

    async fn saw(&self, lease: &Lease) {
        let Some(claim) = Claim::of(lease) else { return self.gone(lease).await };
        let mut state = self.state.lock().await;
        self.take_in(&mut state, lease, claim).await;
        self.publish(&state);
    }

    async fn take_in(&self, state: &mut TurnState, lease: &Lease, claim: Claim) {
        let now = clock::now();
        if !state.index.is_own(&claim) {
            let Some(shared) = self.scope.shared_with(&claim.scope) else { return };
            let asked = timeout(REQUEST_TIMEOUT, state.belief.holds(&claim, &shared, now)).await;
            let (namespace, name) = (&claim.namespace, &claim.name);
            match asked {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return state.index.gone(&(namespace.clone(), name.clone())),
                // If this cannot be checked, wait: waiting in vain is better than undoing the
                // writes of another operator.
                Ok(Err(error)) => warn!(namespace, name, %error, "cannot tell what it may do"),
                Err(_) => warn!(namespace, name, "cannot tell what it may do: no answer"),
            }
        }
        state.index.saw(lease, claim, now);
    }

    async fn gone(&self, lease: &Lease) {
        let name = (lease.metadata.namespace.clone(), lease.metadata.name.clone());
        let (Some(namespace), Some(name)) = name else { return };
        let mut state = self.state.lock().await;
        state.index.gone(&(namespace, name));
        self.publish(&state);
    }

    async fn failed(&self, error: &watcher::Error) {
        if is_refusal(error) {
            self.forbidden(error).await;
        } else {
            warn!(%error, "cannot watch the Leases of other operators; trying again");
        }
    }

    /// Works as if it were alone: it always did so before it could read them.
    async fn forbidden(&self, error: &(dyn fmt::Display + Sync)) {
        let mut state = self.state.lock().await;
        if !std::mem::replace(&mut state.forbidden, true) {
            info!(
                %error,
                "other operators are not noticed: this one may not read their Leases \
                 (otherOperators.notice in the values of the chart)"
            );
        }
        state.index.retain(|_| false);
        self.publish(&state);
    }

    fn publish(&self, state: &TurnState) {
        let now = match state.index.works_before(clock::now()) {
            Some(other) => Standing::After(other),
            None => Standing::First,
        };
        self.standing.send_if_modified(|before| {
            let is_another = *before != now;
            if is_another {
                *before = now;
            }
            is_another
        });
    }

    async fn patch(&self, patch: &Value) -> anyhow::Result<()> {
        let (namespace, name) = &self.own;
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        let written = leases.patch(name, &parameters, &patch);
        timeout(REQUEST_TIMEOUT, written)
            .await
            .context("no answer")?
            .with_context(|| format!("cannot write the Lease {namespace}/{name}"))?;
        Ok(())
    }

    /// Whether it went well; if not, logs the error and waits a while.
    async fn done(&self, outcome: anyhow::Result<()>) -> bool {
        if let Err(error) = &outcome {
            warn!(error = format!("{error:#}"), "cannot take a turn; trying again");
            sleep(RETRY_PAUSE).await;
        }
        outcome.is_ok()
    }

    /// The ServiceAccount of this process in the Lease's namespace; `None` for everybody else.
    async fn account(&self) -> Option<String> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let (parameters, review) = Default::default();
        let asked = reviews.create(&parameters, &review);
        let review = match timeout(REQUEST_TIMEOUT, asked).await {
            Ok(Ok(review)) => review,
            Ok(Err(error)) => {
                warn!(%error, "cannot tell whose rights it has; other operators may not notice it");
                return None;
            }
            Err(_) => return None,
        };
        let user = review.status?.user_info?.username?;
        let account = user.strip_prefix("system:serviceaccount:")?;
        let account = account.strip_prefix(&self.own.0)?.strip_prefix(':')?;
        Some(account.to_owned())
    }
}

fn selector() -> String {
    let (label, value) = LABEL;
    format!("{label}={value}")
}
