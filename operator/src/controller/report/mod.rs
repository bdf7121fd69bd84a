//! The status of a cluster, from its objects and the results of probes. Pure.
//!
//! The words do not change while the facts do not: a cluster at rest costs no write.

mod bootstrap;
mod conditions;
mod injected;
mod other_networks;
pub mod reasons;
mod seeds;
mod status;
pub mod types;

use std::collections::BTreeSet;

use grape_cluster::GrapeClusterStatus;
use grape_cluster::validate::{Invalid, ValidatedCluster};

use crate::metrics::Health;
use crate::observe::seeds::{UnresolvedSeed, UnresolvedSeeds};
use crate::observe::window::Window;

use super::blocked::Blocked;
use super::error::Error;
use super::observations::{Connectivity, HealthSnapshot};
use super::rollout::{Phase, Pool};
use super::sidecars::counts::Counts;
use super::sidecars::repair::RepairProgress;

pub use status::{band, invalid, repair_failures, status};

/// Everything that a status is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The cluster.
    pub cluster: &'a ValidatedCluster,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its metadata.generation.
    pub generation: Option<i64>,
    /// The image of its Grapes.
    pub image: &'a str,
    /// The image of sidecars: that of the last rollout that reached all Grapes.
    pub rolled_out: &'a str,
    /// Its current pools, in the order of the spec.
    pub pools: &'a [Pool],
    /// Pools that the spec no longer has.
    pub leaving: &'a [Pool],
    /// The state of the rollout.
    pub phase: &'a Phase,
    /// The results of probes.
    pub snapshot: HealthSnapshot<'a>,
    /// Names that do not resolve in the pods of Grapes that are not ready.
    pub unresolved: &'a UnresolvedSeeds,
    /// Why the objects are not as they should be, if that lasts.
    pub trouble: Option<&'a Error>,
    /// Pods that StatefulSets cannot create.
    pub blocked: &'a [Blocked],
    /// The pods of services; none while they are not known.
    pub services: Option<&'a Services>,
}

/// The pods of services of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// How many there are.
    pub counts: Counts,
    /// Those whose Grapes are not connected.
    pub connectivity: Connectivity,
    /// The progress of their repair; none if it is not asked for.
    pub repair: Option<RepairProgress>,
}

/// The share of found canaries below which lookups are not healthy.
const HEALTHY_SHARE: f64 = 0.95;

impl Facts<'_> {
    fn wanted(&self) -> usize {
        self.cluster.replicas
    }

    /// Wanted Grapes that are ready.
    fn ready(&self) -> usize {
        self.pools.iter().map(ready).sum()
    }

    /// Wanted Grapes of the current spec.
    fn updated(&self) -> usize {
        self.pools.iter().map(updated).sum()
    }

    fn there(&self) -> usize {
        self.pools.iter().chain(self.leaving).map(|pool| pool.grapes.len()).sum()
    }

    /// Whether a pool has other pods than the wanted ones.
    fn scales(&self) -> bool {
        self.pools.iter().any(|pool| {
            let staying = pool.grapes.values().filter(|grape| !grape.leaving).count();
            i64::try_from(staying).ok() != Some(i64::from(pool.desired))
                || pool.set.as_ref().is_none_or(|set| set.replicas != pool.desired)
        })
    }

    /// Wanted Grapes that are not ready, each with the cause if it will not become so by waiting.
    fn unready(&self) -> Vec<String> {
        let grapes = self.pools.iter().flat_map(|pool| pool.grapes.values());
        let unready = grapes.filter(|grape| !grape.ready);
        unready
            .map(|grape| match &grape.failing {
                Some(why) => format!("{}: {why}", grape.pod),
                None => match self.unresolved.get(&grape.pod) {
                    Some(UnresolvedSeed { name, reason }) => {
                        format!("{}: the name {name} does not resolve there: {reason}", grape.pod)
                    }
                    None => grape.pod.clone(),
                },
            })
            .collect()
    }

    fn fails(&self) -> bool {
        self.pools.iter().flat_map(|pool| pool.grapes.values()).any(|grape| grape.failing.is_some())
    }

    /// Ready pods, whose Grapes should answer.
    fn ready_pods(&self) -> BTreeSet<&str> {
        let grapes = self.pools.iter().chain(self.leaving).flat_map(|pool| pool.grapes.values());
        grapes.filter(|grape| grape.ready).map(|grape| &*grape.pod).collect()
    }
}

fn ready(pool: &Pool) -> usize {
    pool.grapes.values().filter(|grape| grape.ready).count()
}

fn updated(pool: &Pool) -> usize {
    pool.grapes.values().filter(|grape| !grape.leaving && pool.is_updated(grape)).count()
}

/// Whether a status is healthy.
pub fn is_ready(status: &GrapeClusterStatus) -> bool {
    status.conditions.iter().any(|it| it.type_ == types::READY && it.status == "True")
}

/// Whether a status says something else than the one before of whether the cluster is healthy, or
/// partitioned.
pub fn changes_verdict(status: &GrapeClusterStatus, before: Option<&GrapeClusterStatus>) -> bool {
    let verdict = |status: &GrapeClusterStatus, kind: &str| {
        let condition = status.conditions.iter().find(|it| it.type_ == kind);
        condition.map(|condition| condition.status.clone())
    };
    [types::READY, types::PARTITIONED]
        .iter()
        .any(|kind| verdict(status, kind) != before.and_then(|before| verdict(before, kind)))
}

/// Whether a status reports refused pods.
pub fn is_blocked(status: &GrapeClusterStatus) -> bool {
    let mut stalled = status.conditions.iter().filter(|it| it.type_ == types::STALLED);
    stalled.any(|it| it.status == "True" && it.reason == reasons::PODS_REFUSED)
}

/// The figures of a cluster, whose status is `status`.
pub fn health(facts: &Facts<'_>, status: &GrapeClusterStatus, window: &Window) -> Health {
    let topology = facts.snapshot.topology.filter(|topology| topology.answered > 0);
    let is = |kind: &str| {
        let condition = status.conditions.iter().find(|it| it.type_ == kind)?;
        match &*condition.status {
            "True" => Some(true),
            "False" => Some(false),
            _ => None,
        }
    };
    let there = |kind: &&str| status.conditions.iter().any(|it| it.type_ == **kind);
    let sometimes = types::SOMETIMES.into_iter().filter(there);
    let conditions = types::ALWAYS.into_iter().chain(sometimes).map(|kind| (kind, is(kind)));
    let injected = status.injected.clone().unwrap_or_default();
    let count = |number| usize::try_from(number).unwrap_or_default();
    Health {
        desired: facts.wanted(),
        ready: facts.ready(),
        updated: facts.updated(),
        unreachable: facts.snapshot.topology.map_or(0, |topology| topology.unreachable.len()),
        conditions: conditions.collect(),
        partitions: topology.map(|topology| topology.partitions.len()),
        known_nodes_min: topology.map(|topology| topology.min_known_nodes),
        lookup_success_ratio: window.success_ratio(),
        lookup_p50: window.p50(),
        lookup_p95: window.p95(),
        sidecars: count(injected.pods),
        sidecars_ready: count(injected.ready),
        sidecars_outdated: count(injected.outdated),
        pods_without_grape: count(injected.missing),
        sidecars_disconnected: count(injected.disconnected),
    }
}

/// The problems of a spec, as one text.
fn joined(invalid: &[Invalid]) -> String {
    invalid.iter().map(Invalid::to_string).collect::<Vec<_>>().join("; ")
}

/// The first of many names or phrases, and how many more there are. Phrases may contain commas.
pub(super) fn few(names: &[String]) -> String {
    const FEW: usize = 4;
    let more = names.len().saturating_sub(FEW);
    let separator = if names.iter().any(|name| name.contains(' ')) { "; " } else { ", " };
    let shown = names.iter().take(FEW).cloned().collect::<Vec<_>>().join(separator);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests;
