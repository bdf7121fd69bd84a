//! Makes the status of a cluster from the actual state and the observations. Pure.
//!
//! The texts change only with the facts, so that a cluster at rest costs no write.

mod bootstrap;
mod conditions;
mod injected;
mod other_networks;
pub mod reasons;
mod status;
pub mod types;

use std::collections::BTreeSet;

use grape_cluster::GrapeClusterStatus;
use grape_cluster::validate::{Invalid, ValidatedCluster};

use crate::metrics::Health;
use crate::observe::window::Window;

use super::blocked::Blocked;
use super::error::Error;
use super::observations::{Connectivity, HealthSnapshot};
use super::rollout::{Phase, Pool};
use super::sidecars::counts::Counts;
use super::sidecars::repair::RepairProgress;

pub use status::{band, invalid, repair_failures, status};

/// All that a status is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The cluster.
    pub cluster: &'a ValidatedCluster,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its metadata.generation.
    pub generation: Option<i64>,
    /// The image that its Grapes are to run.
    pub image: &'a str,
    /// The image that pods of services get: that of the last change which reached all Grapes.
    pub rolled_out: &'a str,
    /// Its pools as they are, in the order of the spec.
    pub pools: &'a [Pool],
    /// Pools that it has no more in its spec.
    pub leaving: &'a [Pool],
    /// Where a change of its pods stands.
    pub phase: &'a Phase,
    /// What was seen of its Grapes.
    pub snapshot: HealthSnapshot<'a>,
    /// Why the objects are not as they should be, if that lasts.
    pub trouble: Option<&'a Error>,
    /// Pods that StatefulSets cannot make.
    pub blocked: &'a [Blocked],
    /// The pods of services; none while they are not known.
    pub services: Option<&'a Services>,
}

/// The pods of services of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// How many there are.
    pub counts: Counts,
    /// Those whose Grapes are not where they should be.
    pub connectivity: Connectivity,
    /// How their repair goes; none where it is not asked for.
    pub repair: Option<RepairProgress>,
}

/// The share of canaries under which lookups are not healthy.
const HEALTHY_SHARE: f64 = 0.95;

impl Facts<'_> {
    fn wanted(&self) -> usize {
        self.cluster.replicas
    }

    /// Wanted Grapes that are ready.
    fn ready(&self) -> usize {
        self.pools.iter().map(ready).sum()
    }

    /// Wanted Grapes that are as the spec wants them.
    fn updated(&self) -> usize {
        self.pools.iter().map(updated).sum()
    }

    fn there(&self) -> usize {
        self.pools.iter().chain(self.leaving).map(|pool| pool.grapes.len()).sum()
    }

    /// Whether a pool has other pods than it is to have.
    fn scales(&self) -> bool {
        self.pools.iter().any(|pool| {
            let staying = pool.grapes.values().filter(|grape| !grape.leaving).count();
            i64::try_from(staying).ok() != Some(i64::from(pool.desired))
                || pool.set.as_ref().is_none_or(|set| set.replicas != pool.desired)
        })
    }

    /// Wanted Grapes that are not ready, with why they will not be if that is known.
    fn unready(&self) -> Vec<String> {
        let grapes = self.pools.iter().flat_map(|pool| pool.grapes.values());
        let unready = grapes.filter(|grape| !grape.ready);
        unready
            .map(|grape| match &grape.failing {
                Some(why) => format!("{}: {why}", grape.pod),
                None => grape.pod.clone(),
            })
            .collect()
    }

    fn fails(&self) -> bool {
        self.pools.iter().flat_map(|pool| pool.grapes.values()).any(|grape| grape.failing.is_some())
    }

    /// Pods that are ready, so that they should answer.
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

/// Whether a status says that all is well.
pub fn is_ready(status: &GrapeClusterStatus) -> bool {
    status.conditions.iter().any(|it| it.type_ == types::READY && it.status == "True")
}

/// Whether a status says that pods are refused.
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

/// What is wrong with a spec, as one text.
fn joined(invalid: &[Invalid]) -> String {
    invalid.iter().map(Invalid::to_string).collect::<Vec<_>>().join("; ")
}

/// A few of many names or phrases, and how many more there are. Phrases may have commas of their own.
pub(super) fn few(names: &[String]) -> String {
    const FEW: usize = 4;
    let more = names.len().saturating_sub(FEW);
    let separator = if names.iter().any(|name| name.contains(' ')) { "; " } else { ", " };
    let shown = names.iter().take(FEW).cloned().collect::<Vec<_>>().join(separator);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests;
