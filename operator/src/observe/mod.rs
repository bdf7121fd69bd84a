//! What the Grapes of one cluster see of the DHT, and whether services find each other through
//! them. It knows nothing of Kubernetes: targets in, an [`Observation`] out.
//!
//! [`ask`] (their status pages) → [`topology`] (pure: who sees whom), and [`canary`] (a name
//! announced here is found there) → [`window`] (pure: the canaries of late) → [`band`] (pure: their
//! latency, coarse). [`call`] is the HTTP under both. [`sidecars`] (pure) are the Grapes of
//! services, of which less can be seen. The partitions that a probe has found are introduced to
//! each other, and new Grapes to the others: `introduce` (pure) decides which.

pub mod ask;
pub mod band;
pub mod call;
pub mod canary;
pub mod complaint;
mod introduce;
pub mod outside;
pub mod sidecars;
pub mod topology;
pub mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use grape::clock;

use ask::Answer;
use call::{Caller, Limits};
use canary::Probe;
use complaint::Complaint;
use introduce::Introduction;
use outside::{BootstrapReport, Outside, Trouble};
use sidecars::{InjectedSidecar, SidecarConnection};
use topology::{Topology, View};

/// Most Grapes of one cluster that are asked at once. Fewer than [`Limits::at_once`]: a cluster
/// whose Grapes all hang leaves room for the others.
const ASKED_AT_ONCE: usize = 32;

/// Where a Grape is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its pod's name.
    pub name: String,
    /// Its pod's address, which is also the one that it advertises.
    pub ip: IpAddr,
    /// TCP port of its API.
    pub api_port: u16,
    /// TCP port of its admin pages.
    pub admin_port: u16,
    /// UDP port of its DHT node.
    pub dht_port: u16,
    /// Whether canaries may be announced and looked up there: one that drains takes no announces.
    pub ready: bool,
}

impl Target {
    /// Address of its API.
    pub fn api(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.api_port)
    }

    /// Address of its admin pages.
    pub fn admin(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.admin_port)
    }

    /// Address of its DHT node.
    pub fn dht(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.dht_port)
    }
}

/// One look at the Grapes of a cluster.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When it was begun.
    pub at: Instant,
    /// Who sees whom.
    pub topology: Topology,
    /// What each Grape that answered reported, by its pod's name.
    pub answers: BTreeMap<String, Answer>,
    /// The canaries of this round.
    pub probes: Vec<Probe>,
    /// Where the Grapes of services are that were asked, by their pods' names.
    pub sidecars: BTreeMap<String, SidecarConnection>,
    /// Those of them for whom the name by which they join the cluster does not resolve.
    pub unresolved: BTreeSet<String>,
    /// What the cluster's own Grapes report of bootstrap names.
    pub outside: Outside,
    /// Addresses from which Grapes of other networks sent something to the cluster's own Grapes
    /// lately; 8 of each at most.
    pub other_networks: BTreeSet<SocketAddr>,
    /// What the authors of services should know, by the name of the pod; without pods that have no
    /// complaints.
    pub complaints: BTreeMap<String, Vec<Complaint>>,
}

/// What the cluster's own Grapes reported.
#[derive(Default)]
struct ClusterAnswers {
    views: Vec<View>,
    answers: BTreeMap<String, Answer>,
    other_networks: BTreeSet<SocketAddr>,
    outside: Outside,
}

/// Looks at Grapes. Cheap to clone: all clones share one pool of connections and one bound on
/// their calls.
#[derive(Debug, Clone)]
pub struct Observer {
    caller: Caller,
}

impl Observer {
    /// An observer with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { caller: Caller::new(limits) }
    }

    /// Asks the Grapes at `targets` and those of services, `sidecars`, of what they see, and then sends the
    /// canaries of this round among those at `targets` that answered and are ready: whoever cannot be
    /// reached is told of as such, and would only hold up the look, and fill the canaries of late with
    /// failures that are none of the others' lookups. `round` counts the looks at this cluster; see
    /// [`canary::pairs`].
    ///
    /// With Grapes that hang it takes a time-out for each 32 of them, another for the sidecars, and three
    /// more where their APIs alone do.
    /// Dropped before its end, it leaves canaries to lapse.
    pub async fn observe(
        &self,
        targets: &[Target],
        sidecars: &[InjectedSidecar],
        round: u64,
    ) -> Observation {
        let at = clock::now();
        let mut complaints = BTreeMap::new();
        let ClusterAnswers { views, answers, other_networks, outside } =
            self.ask_all(targets, &mut complaints).await;
        let (sidecar_views, unresolved) = self.ask_sidecars(sidecars, &mut complaints).await;
        let topology = Topology::of(&views);
        let connections = sidecars::connections(&views, sidecar_views.clone());
        if introduce::are_parts(&topology, &connections) {
            let own = targets.iter().map(|target| (target.name.clone(), target.admin()));
            let admin =
                sidecars.iter().map(|sidecar| (sidecar.name.clone(), sidecar.admin())).chain(own);
            let introductions = introduce::between_parts(&views, &sidecar_views, &admin.collect());
            self.introduce(introductions).await;
        }
        // Only now: pages of many Grapes that are read meanwhile would delay the lookups' answers.
        let answering = targets.iter().filter(|target| answers.contains_key(&target.name));
        let probes = self.probe(answering, round).await;
        Observation {
            at,
            topology,
            answers,
            probes,
            sidecars: connections,
            unresolved,
            outside,
            other_networks,
            complaints,
        }
    }

    /// Introduces Grapes that have just started to those at `ready`, to each other, and to some of
    /// services. `sole` says that there is none but one newcomer, and that none is to come.
    pub async fn welcome(
        &self,
        newcomers: &[Target],
        ready: &[Target],
        sidecars: &[InjectedSidecar],
        sole: bool,
    ) {
        self.introduce(introduce::of_newcomers(newcomers, ready, sidecars, sole)).await;
    }

    async fn introduce(&self, introductions: Vec<Introduction>) {
        if introductions.is_empty() {
            return;
        }
        tracing::debug!(count = introductions.len(), "introducing Grapes to each other");
        let telling = introductions.into_iter().map(|introduction| async move {
            let (to, body) = (introduction.to, introduction.body());
            // One of an older release takes none, and others find it all the same; one that has just
            // started may not listen yet, and is told again.
            if let Err(error) = self.caller.post(to, "/introduce", body).await {
                tracing::debug!(%to, %error, "an introduction was not taken");
            }
        });
        iter(telling).buffer_unordered(ASKED_AT_ONCE).collect::<()>().await;
    }

    async fn ask_all(
        &self,
        targets: &[Target],
        complaints: &mut BTreeMap<String, Vec<Complaint>>,
    ) -> ClusterAnswers {
        let asking = targets.iter().cloned().map(|target| async move {
            let report = ask::ask(&self.caller, target.admin()).await;
            (target, report)
        });
        let mut answering = iter(asking).buffer_unordered(ASKED_AT_ONCE);
        let mut answered = ClusterAnswers::default();
        while let Some((target, report)) = answering.next().await {
            let address = target.dht();
            let live = report.map(|report| {
                note(complaints, &target.name, report.complaints);
                let (id, troubles) = (report.answer.id.clone(), report.troubles);
                answered.outside.insert(target.name.clone(), BootstrapReport { id, troubles });
                answered.answers.insert(target.name.clone(), report.answer);
                answered.other_networks.extend(report.other_networks);
                report.live
            });
            answered.views.push(View { name: target.name, address, live });
        }
        answered
    }

    async fn ask_sidecars(
        &self,
        sidecars: &[InjectedSidecar],
        complaints: &mut BTreeMap<String, Vec<Complaint>>,
    ) -> (Vec<View>, BTreeSet<String>) {
        let asking = sidecars.iter().cloned().map(|sidecar| async move {
            let report = ask::ask(&self.caller, sidecar.admin()).await;
            (sidecar, report)
        });
        let mut answering = iter(asking).buffer_unordered(ASKED_AT_ONCE);
        let (mut views, mut unresolved) = (Vec::with_capacity(sidecars.len()), BTreeSet::new());
        while let Some((sidecar, report)) = answering.next().await {
            let address = sidecar.dht();
            let live = report.map(|report| {
                note(complaints, &sidecar.name, report.complaints);
                if let Some(Trouble::Unresolved(_)) = report.troubles.get(&sidecar.seed) {
                    unresolved.insert(sidecar.name.clone());
                }
                report.live
            });
            views.push(View { name: sidecar.name, address, live });
        }
        (views, unresolved)
    }

    async fn probe(&self, targets: impl Iterator<Item = &Target>, round: u64) -> Vec<Probe> {
        let mut ready: Vec<&Target> = targets.filter(|target| target.ready).collect();
        // The plan follows the names, however the targets came.
        ready.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let probes = canary::pairs(ready.len(), round).into_iter().map(|(announcer, looker)| {
            canary::probe(&self.caller, ready[announcer], ready[looker])
        });
        join_all(probes).await
    }
}

fn note(complaints: &mut BTreeMap<String, Vec<Complaint>>, pod: &str, report: Vec<Complaint>) {
    if !report.is_empty() {
        complaints.insert(pod.to_owned(), report);
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}
