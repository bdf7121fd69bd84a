//! What the Grapes of one cluster see of the DHT, and whether services find each other through
//! them. It knows nothing of Kubernetes: targets in, an [`Observation`] out.
//!
//! [`ask`] (their status pages) → [`topology`] (pure: who sees whom), and [`canary`] (a name
//! announced here is found there) → [`window`] (pure: the canaries of late) → [`band`] (pure: their
//! latency, coarse). [`call`] is the HTTP under both. [`sidecars`] (pure) are the Grapes of
//! services, of which less can be seen. The partitions that a probe has found are introduced to
//! each other, and new Grapes to the others: `introduce` (pure) decides which.
//!
//! Between changes, [`hint`] (pure) says which Grapes need not be asked, since they say of themselves,
//! by gossip, what they have answered before.

pub mod ask;
pub mod band;
pub mod call;
pub mod canary;
pub mod complaint;
pub mod hint;
mod introduce;
pub mod outside;
pub mod seeds;
pub mod sidecars;
pub mod topology;
pub mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::iter;
use grape::clock;
use prometheus::IntCounterVec;

use ask::{Answer, GrapeReport};
use call::{CallError, Caller, Limits};
use canary::Probe;
use complaint::Complaint;
use hint::KnownGrapes;
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
    /// Whether every Grape was asked itself.
    pub is_whole: bool,
    /// The last reports of Grapes that answered, by which fewer of them need be asked.
    pub known: Arc<KnownGrapes>,
}

/// A Grape of the cluster, and what it reported.
type Reported = (Target, Result<Arc<GrapeReport>, CallError>);

/// What the cluster's own Grapes reported.
#[derive(Default)]
struct ClusterAnswers {
    views: Vec<View>,
    known: KnownGrapes,
    answers: BTreeMap<String, Answer>,
    other_networks: BTreeSet<SocketAddr>,
    outside: Outside,
}

impl ClusterAnswers {
    fn of(reports: Vec<Reported>, complaints: &mut BTreeMap<String, Vec<Complaint>>) -> Self {
        let mut all = Self::default();
        for reported in reports {
            all.views.push(view_of(&reported));
            let (target, Ok(report)) = reported else { continue };
            let name = &target.name;
            note(complaints, name, report.complaints.clone());
            let (id, troubles) = (report.answer.id.clone(), report.troubles.clone());
            all.outside.insert(name.clone(), BootstrapReport { id, troubles });
            all.answers.insert(name.clone(), report.answer.clone());
            all.other_networks.extend(&report.other_networks);
            all.known.insert(target, report);
        }
        all
    }
}

fn view_of((target, report): &Reported) -> View {
    let live = report.as_ref().map(|report| report.live.clone()).map_err(Clone::clone);
    View { name: target.name.clone(), address: target.dht(), live }
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
        Self { caller: Caller::new(limits, None) }
    }

    /// The same with the usual limits; it counts its requests by their paths.
    pub fn counted(requests: IntCounterVec) -> Self {
        Self { caller: Caller::new(Limits::default(), Some(requests)) }
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
        self.look(targets, sidecars, round, None).await
    }

    /// The same, but asks fewer Grapes where all is well: one of them for its view of the others, and
    /// then those whose last report, in `known`, may not hold any more. If anything is odd by that, it
    /// asks all the others too.
    pub async fn glance(
        &self,
        targets: &[Target],
        sidecars: &[InjectedSidecar],
        round: u64,
        known: &KnownGrapes,
    ) -> Observation {
        self.look(targets, sidecars, round, Some(known)).await
    }

    async fn look(
        &self,
        targets: &[Target],
        sidecars: &[InjectedSidecar],
        round: u64,
        known: Option<&KnownGrapes>,
    ) -> Observation {
        let at = clock::now();
        let mut complaints = BTreeMap::new();
        let (reports, is_whole) = match known {
            Some(known) => self.ask_some(targets, round, known).await,
            None => (self.ask_all(targets.to_vec()).await, true),
        };
        let ClusterAnswers { views, known, answers, other_networks, outside } =
            ClusterAnswers::of(reports, &mut complaints);
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
            is_whole,
            known: Arc::new(known),
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

    async fn ask_all(&self, targets: Vec<Target>) -> Vec<Reported> {
        let asking = targets.into_iter().map(|target| async move {
            let report = ask::ask(&self.caller, target.admin()).await;
            (target, report.map(Arc::new))
        });
        iter(asking).buffer_unordered(ASKED_AT_ONCE).collect().await
    }

    /// Asks those Grapes of which one of the others gives a reason. Returns whether all were asked.
    async fn ask_some(
        &self,
        targets: &[Target],
        round: u64,
        known: &KnownGrapes,
    ) -> (Vec<Reported>, bool) {
        let Some(reader) = hint::reader(targets.len(), round).map(|place| &targets[place]) else {
            return (Vec::new(), true);
        };
        let view = match ask::view(&self.caller, reader.admin()).await {
            Ok(view) => view,
            Err(error) => {
                // One of an older release has none.
                tracing::debug!(pod = reader.name, %error, "a Grape shows no view of the others");
                return (self.ask_all(targets.to_vec()).await, true);
            }
        };
        let (mut asked, mut spared, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for target in targets {
            match hint::spared(target, known, &view).filter(|_| target != reader) {
                Some(report) => {
                    spared.push(target.clone());
                    kept.push((target.clone(), Ok(Arc::clone(report))));
                }
                None => asked.push(target.clone()),
            }
        }
        let mut reports = self.ask_all(asked).await;
        let hinted: Vec<_> = reports.iter().cloned().chain(kept).collect();
        let views: Vec<_> = hinted.iter().map(view_of).collect();
        if Topology::of(&views).is_odd() {
            reports.extend(self.ask_all(spared).await);
            return (reports, true);
        }
        (hinted, spared.is_empty())
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
