//! The whole status of a cluster.

use super::{reasons, types};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use grape_cluster::limits;
use grape_cluster::status::{GrapeClusterStatus, Partition, PoolStatus, Summary, Topology};
use grape_cluster::validate::Invalid;

use super::conditions::{Finding, findings, percent};
use super::{Facts, injected, joined, ready, updated};
use crate::controller::rollout::Pool;
use crate::desired::{labels, names};
use crate::observe::band::P95Band;
use crate::observe::topology::Topology as Observed;

/// The status of a cluster, after what it was before.
pub fn status(
    facts: &Facts<'_>,
    before: Option<&GrapeClusterStatus>,
    now: Timestamp,
) -> GrapeClusterStatus {
    let known = before.map_or(&[][..], |before| &before.conditions);
    let dated = |finding: Finding| finding.dated(known, facts.generation, now);
    let pools = facts.pools.iter().map(pool_status).collect::<Vec<_>>();
    let shown = pools.iter().map(|it| format!("{} {}/{}", it.name, it.ready_replicas, it.desired));
    let name = &facts.cluster.name;
    // The former conditions on services stay until new facts are known.
    let stands = |it: &&Condition| facts.services.is_none() && it.type_ == types::INJECTED;
    let standing = known.iter().filter(stands).cloned();
    let injected = match facts.services {
        Some(_) => facts.injected().map(injected::status),
        None => before.and_then(|before| before.injected.clone()),
    };
    GrapeClusterStatus {
        observed_generation: facts.generation,
        replicas: number(facts.there()),
        ready_replicas: number(facts.ready()),
        updated_replicas: number(facts.updated()),
        selector: labels::selector_text(name),
        endpoint: names::endpoint(name, facts.namespace, facts.cluster.dht.port).to_string(),
        image: facts.image.to_owned(),
        rolled_out_image: facts.rolled_out.to_owned(),
        summary: Summary {
            grapes: format!("{}/{}", facts.ready(), facts.wanted()),
            pools: shown.collect::<Vec<_>>().join(", "),
            lookups: lookups(facts),
            sidecars: injected
                .as_ref()
                .map_or_else(|| "-".to_owned(), |it| format!("{}/{}", it.ready, it.pods)),
        },
        pools: pools.into_iter().chain(facts.leaving.iter().map(pool_status)).collect(),
        topology: facts.snapshot.topology.map(topology),
        lookup_latency_limit: facts.snapshot.band.map(|band| band.limit().into()),
        injected,
        conditions: findings(facts).into_iter().map(dated).chain(standing).collect(),
    }
}

/// The status of a cluster whose spec cannot be used: what else is known of it stays.
pub fn invalid(
    invalid: &[Invalid],
    before: Option<&GrapeClusterStatus>,
    generation: Option<i64>,
    now: Timestamp,
) -> GrapeClusterStatus {
    let before = before.cloned().unwrap_or_default();
    let message = joined(invalid);
    let found = [
        (types::READY, false),
        (types::PROGRESSING, false),
        (types::RECONCILING, false),
        (types::STALLED, true),
    ];
    let findings = found
        .map(|(kind, is)| Finding::new(kind, is, reasons::INVALID, message.clone()))
        .map(|finding| finding.dated(&before.conditions, generation, now));
    let is_other = |it: &&Condition| found.iter().all(|(kind, _)| *kind != it.type_);
    let others = before.conditions.iter().filter(is_other);
    let conditions: Vec<Condition> = findings.into_iter().chain(others.cloned()).collect();
    GrapeClusterStatus { observed_generation: generation, conditions, ..before }
}

fn pool_status(pool: &Pool) -> PoolStatus {
    PoolStatus {
        name: pool.name.clone(),
        desired: pool.desired,
        replicas: number(pool.grapes.len()),
        ready_replicas: number(ready(pool)),
        updated_replicas: number(updated(pool)),
    }
}

fn lookups(facts: &Facts<'_>) -> String {
    match (facts.snapshot.success, facts.snapshot.band) {
        (Some(success), Some(band)) => {
            format!("{} <{}ms", percent(success), band.limit().as_millis())
        }
        (Some(success), None) => percent(success),
        (None, _) => "-".to_owned(),
    }
}

/// The controllers whose repair has failed, as a status names them.
pub fn repair_failures(status: Option<&GrapeClusterStatus>) -> &[String] {
    let injected = status.and_then(|status| status.injected.as_ref());
    injected.map(|injected| &injected.repair_failures[..]).unwrap_or_default()
}

/// The band of latencies that a status holds; none of a status without the field, which an earlier
/// release has written: then the first observation sets the band.
pub fn band(status: &GrapeClusterStatus) -> Option<P95Band> {
    let limit = status.lookup_latency_limit.as_ref()?.parse().ok()?;
    Some(P95Band::of(limit))
}

fn topology(observed: &Observed) -> Topology {
    let several = if observed.is_partitioned() { &observed.partitions[..] } else { &[] };
    let some = |names: &[String]| names.iter().take(limits::NAMED_LENGTH).cloned().collect();
    let unreachable: Vec<_> = observed.unreachable.iter().map(|it| it.name.clone()).collect();
    let mean_known_nodes = observed.mean_known_nodes.round() as i32;
    Topology {
        answered: number(observed.answered),
        max_known_nodes: number(observed.nodes),
        min_known_nodes: number(observed.min_known_nodes),
        mean_known_nodes,
        partitions: number(observed.partitions.len()),
        partitions_named: several
            .iter()
            .take(limits::PARTITIONS_LENGTH)
            .map(|partition| Partition { size: number(partition.len()), grapes: some(partition) })
            .collect(),
        unreachable: some(&unreachable),
    }
}

pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
