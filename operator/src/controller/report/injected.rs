//! The conditions on pods of services: how many there are, whether they have their Grape, and
//! whether it is connected.

use super::{reasons, types};
use std::collections::BTreeMap;

use grape_cluster::limits;
use grape_cluster::status::InjectedStatus;

use super::conditions::Finding;
use super::status::number;
use super::{Facts, Services, few};
use crate::controller::sidecars::lack::Lack;
use crate::controller::sidecars::repair::RepairProgress;
use crate::desired::names;
use crate::inject::annotations::ADMIN_PORT;

impl Facts<'_> {
    /// Pods of services, where there are any.
    pub(super) fn injected(&self) -> Option<&Services> {
        let any = |of: &&Services| of.counts.pods > 0 || !of.counts.left_out.is_empty();
        self.services.filter(any)
    }
}

/// The counts, if there is anything to count.
pub(super) fn status(services: &Services) -> InjectedStatus {
    let Services { counts, connectivity, repair } = services;
    let some = |names: &[String]| names.iter().take(limits::NAMED_LENGTH).cloned().collect();
    InjectedStatus {
        pods: number(counts.pods),
        ready: number(counts.ready),
        outdated: number(counts.outdated),
        missing: number(counts.missing.len()),
        missing_named: some(&counts.missing),
        disconnected: number(connectivity.disconnected.len()),
        disconnected_named: some(&connectivity.disconnected),
        repair_failures: repair.as_ref().map(|it| some(&it.failed_attempts)).unwrap_or_default(),
    }
}

/// The condition `Injected`.
pub(super) fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let services = facts.injected()?;
    let Services { counts, connectivity, repair } = services;
    let mut sentences = vec![match missing(services) {
        Some(missing) => format!("{missing}: {}.", few(&counts.missing)),
        None => match counts.pods {
            0 => "No pod asks for a sidecar.".to_owned(),
            1 => "The one pod that asks for a sidecar has one.".to_owned(),
            pods => format!("All {pods} pods that ask for a sidecar have one."),
        },
    }];
    if !counts.missing.is_empty() {
        sentences.extend(lacks(&counts.lacks));
        if !counts.refused.is_empty() {
            sentences
                .push(format!("New pods like these would be refused: {}.", few(&counts.refused)));
        }
    }
    if !counts.failing.is_empty() {
        sentences
            .push(format!("In these pods the sidecar does not start: {}.", few(&counts.failing)));
    }
    if counts.stuck > 0 {
        let were = if counts.stuck == 1 { "was" } else { "were" };
        sentences.push(format!(
            "{} of these {were} created with another image than new pods get, which is {}.",
            counts.stuck, facts.rolled_out
        ));
    }
    let is_lasting = counts.lacks.keys().all(|lack| lack.is_lasting());
    match repair {
        _ if counts.missing.is_empty() && counts.stuck == 0 => {}
        None if is_lasting && counts.stuck == 0 => {}
        None => sentences.push(
            "A pod gets its sidecar when it is created: delete these pods, or set \
             spec.injection.repair to true."
                .to_owned(),
        ),
        Some(_) if facts.cluster.paused => {
            sentences.push("spec.paused is true: the operator evicts none of them.".to_owned());
        }
        Some(progress) => sentences.push(self::progress(progress)),
    }
    if counts.outdated > 0 {
        let [run, pods] = match counts.outdated {
            1 => ["uses", "its pod is"],
            _ => ["use", "their pods are"],
        };
        sentences.push(format!(
            "{} {run} another image than {} until {pods} created again.",
            counts.outdated, facts.rolled_out
        ));
    }
    if !counts.left_out.is_empty() {
        sentences.push(format!(
            "These pods have a sidecar, but spec.injection.namespaces no longer allows their \
             namespace: {}. When they are created again, they are refused.",
            few(&counts.left_out)
        ));
    }
    let seed = names::endpoint(&facts.cluster.name, facts.namespace, facts.cluster.dht.port);
    if !connectivity.unresolved.is_empty() {
        sentences.push(format!(
            "The name servers of these pods do not resolve {seed}, the name by which their sidecars \
             join: {}. Set spec.dnsPolicy of the pods to ClusterFirst, or give their spec.dnsConfig \
             the name servers and search domains of Kubernetes.",
            few(&connectivity.unresolved)
        ));
    }
    let is_resolved = |pod: &&String| !connectivity.unresolved.contains(pod);
    let disconnected: Vec<_> =
        connectivity.disconnected.iter().filter(is_resolved).cloned().collect();
    if !disconnected.is_empty() {
        sentences.push(format!(
            "The sidecars of these pods are not connected with the cluster's own Grapes: {}. Check \
             NetworkPolicies in their namespaces, and the network between the nodes, for UDP port {} \
             of the cluster's Grapes.",
            few(&disconnected),
            facts.cluster.dht.port
        ));
    }
    if !connectivity.silent.is_empty() {
        sentences.push(format!(
            "Neither the operator nor the cluster's own Grapes reach the sidecars of these pods: {}. \
             Check NetworkPolicies for TCP port {}, or the port in their annotation {}.",
            few(&connectivity.silent),
            facts.cluster.injection.admin_port,
            ADMIN_PORT
        ));
    }
    let reason = if !counts.missing.is_empty() {
        reasons::PODS_WITHOUT_GRAPE
    } else if !counts.failing.is_empty() {
        reasons::SIDECARS_FAILING
    } else if !connectivity.disconnected.is_empty() {
        reasons::SIDECARS_DISCONNECTED
    } else if !connectivity.unresolved.is_empty() {
        reasons::SEEDS_UNRESOLVED
    } else {
        reasons::ALL_INJECTED
    };
    Some(Finding::new(
        types::INJECTED,
        reason == reasons::ALL_INJECTED,
        reason,
        sentences.join(" "),
    ))
}

/// What is wrong with pods of services, as clauses.
pub(super) fn trouble(services: &Services) -> impl Iterator<Item = String> {
    missing(services).into_iter().chain(failing(services)).chain(disconnected(services))
}

/// That Grapes of services do not start, if some do not.
fn failing(services: &Services) -> Option<String> {
    let pods = services.counts.pods;
    match services.counts.failing.len() {
        0 => None,
        1 => Some(format!("the sidecar of 1 of {pods} pods does not start")),
        failing => Some(format!("the sidecars of {failing} of {pods} pods do not start")),
    }
}

/// That Grapes of services are not connected, if some are not.
fn disconnected(services: &Services) -> Option<String> {
    let pods = services.counts.pods;
    match services.connectivity.disconnected.len() {
        0 => None,
        1 => Some(format!("the sidecar of 1 of {pods} pods is disconnected")),
        disconnected => {
            Some(format!("the sidecars of {disconnected} of {pods} pods are disconnected"))
        }
    }
}

/// That pods run without their Grape, if some do.
fn missing(services: &Services) -> Option<String> {
    let counts = &services.counts;
    match counts.missing.len() {
        0 => None,
        1 => Some(format!("1 of {} pods runs without a sidecar", counts.pods)),
        missing => Some(format!("{missing} of {} pods run without a sidecar", counts.pods)),
    }
}

/// Why pods run without their Grape: a sentence for each cause.
fn lacks(lacks: &BTreeMap<Lack, Vec<String>>) -> impl Iterator<Item = String> {
    let only = lacks.len() == 1;
    lacks.iter().map(move |(lack, pods)| match only {
        // They are named before it.
        true => format!("Cause: {}.", lack.explanation()),
        false => format!("{}: {}.", few(pods), lack.explanation()),
    })
}

fn progress(progress: &RepairProgress) -> String {
    let mut sentences = vec!["The operator evicts these pods, one at a time.".to_owned()];
    if let Some(pod) = &progress.under_way {
        sentences.push(format!("It evicted {pod}, and waits for the pod that replaces it."));
    }
    if !progress.aside.is_empty() {
        sentences.push(format!("Not evicted: {}.", few(&progress.aside)));
    }
    if !progress.failed_attempts.is_empty() {
        sentences.push(format!(
            "Evicting a pod did not help, so the operator evicts no other pod of: {}. Find the \
             cause, and delete their pods yourself.",
            few(&progress.failed_attempts)
        ));
    }
    sentences.join(" ")
}
