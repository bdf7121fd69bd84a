//! What is told of the pods of services: how many there are, whether they have their Grape, and where
//! that is.

use std::collections::BTreeMap;

use super::conditions::Finding;
use super::reasons::{
    ALL_INJECTED, INJECTED, PODS_WITHOUT_GRAPE, SEEDS_UNRESOLVED, SIDECARS_DISCONNECTED,
    SIDECARS_FAILING,
};
use super::status::number;
use super::{Facts, Services, few};
use crate::cluster::limits;
use crate::cluster::status::InjectedStatus;
use crate::controller::sidecars::lack::Lack;
use crate::controller::sidecars::repair::Course;
use crate::desired::names;
use crate::inject::annotations::ADMIN_PORT;

impl Facts<'_> {
    /// Pods of services, where there are any.
    pub(super) fn injected(&self) -> Option<&Services> {
        let any = |of: &&Services| of.tally.pods > 0 || !of.tally.left_out.is_empty();
        self.services.filter(any)
    }
}

/// The counts, if there is anything to count.
pub(super) fn counts(services: &Services) -> InjectedStatus {
    let Services { tally, strays, repair } = services;
    let some = |names: &[String]| names.iter().take(limits::NAMED_LENGTH).cloned().collect();
    InjectedStatus {
        pods: number(tally.pods),
        ready: number(tally.ready),
        outdated: number(tally.outdated),
        missing: number(tally.missing.len()),
        missing_named: some(&tally.missing),
        disconnected: number(strays.apart.len()),
        disconnected_named: some(&strays.apart),
        repaired_in_vain: repair.as_ref().map(|it| some(&it.in_vain)).unwrap_or_default(),
    }
}

/// The condition `Injected`.
pub(super) fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let services = facts.injected()?;
    let Services { tally, strays, repair } = services;
    let mut told = vec![match missing(services) {
        Some(missing) => format!("{missing}: {}.", few(&tally.missing)),
        None => match tally.pods {
            0 => "No pod is to have a Grape.".to_owned(),
            1 => "The one pod that is to have a Grape has it.".to_owned(),
            pods => format!("All {pods} pods that are to have a Grape have it."),
        },
    }];
    if !tally.missing.is_empty() {
        told.extend(lacks(&tally.lacks));
        if !tally.refused.is_empty() {
            told.push(format!("Others like these would be refused: {}.", few(&tally.refused)));
        }
    }
    if !tally.failing.is_empty() {
        told.push(format!("Of these the Grape does not start: {}.", few(&tally.failing)));
    }
    if tally.stuck > 0 {
        let were = if tally.stuck == 1 { "was" } else { "were" };
        told.push(format!(
            "{} of these {were} made with another image than pods get now, which is {}.",
            tally.stuck, facts.rolled_out
        ));
    }
    let is_lasting = tally.lacks.keys().all(|lack| lack.is_lasting());
    match repair {
        _ if tally.missing.is_empty() && tally.stuck == 0 => {}
        None if is_lasting && tally.stuck == 0 => {}
        None => told.push(
            "A pod gets its Grape when it is made: delete those, so that they are made anew, or set \
             spec.injection.repair to true."
                .to_owned(),
        ),
        Some(_) if facts.cluster.paused => {
            told.push("spec.paused is true: they are left alone.".to_owned());
        }
        Some(course) => told.push(self::course(course)),
    }
    if tally.outdated > 0 {
        let [run, pods] = match tally.outdated {
            1 => ["runs", "its pod is"],
            _ => ["run", "their pods are"],
        };
        told.push(format!(
            "{} {run} another Grape than {} until {pods} made anew.",
            tally.outdated, facts.rolled_out
        ));
    }
    if !tally.left_out.is_empty() {
        told.push(format!(
            "These have a Grape from before, and spec.injection.namespaces does not let their \
             namespace in any more: {}. When they are made anew, they are refused.",
            few(&tally.left_out)
        ));
    }
    let seed = names::endpoint(&facts.cluster.name, facts.namespace, facts.cluster.dht.port);
    if !strays.unresolved.is_empty() {
        told.push(format!(
            "The name servers of these pods do not resolve {seed}, by which their Grapes join: {}. \
             See spec.dnsPolicy and spec.dnsConfig of the pods; expected dnsPolicy ClusterFirst, with \
             the cluster's name servers and search domains.",
            few(&strays.unresolved)
        ));
    }
    let is_resolved = |pod: &&String| !strays.unresolved.contains(pod);
    let apart: Vec<_> = strays.apart.iter().filter(is_resolved).cloned().collect();
    if !apart.is_empty() {
        told.push(format!(
            "The Grapes of these pods are connected with none of the cluster's own: {}. Look at \
             NetworkPolicies in their namespaces and the network between their nodes for UDP, to port \
             {} of the cluster's Grapes.",
            few(&apart),
            facts.cluster.dht.port
        ));
    }
    if !strays.silent.is_empty() {
        told.push(format!(
            "The Grapes of these are seen neither by the operator nor by the cluster's own: {}. Look \
             at NetworkPolicies for TCP port {}, or that of their annotation {}.",
            few(&strays.silent),
            facts.cluster.injection.admin_port,
            ADMIN_PORT
        ));
    }
    let reason = if !tally.missing.is_empty() {
        PODS_WITHOUT_GRAPE
    } else if !tally.failing.is_empty() {
        SIDECARS_FAILING
    } else if !strays.apart.is_empty() {
        SIDECARS_DISCONNECTED
    } else if !strays.unresolved.is_empty() {
        SEEDS_UNRESOLVED
    } else {
        ALL_INJECTED
    };
    Some(Finding::new(INJECTED, reason == ALL_INJECTED, reason, told.join(" ")))
}

/// What is wrong with pods of services, as clauses.
pub(super) fn trouble(services: &Services) -> impl Iterator<Item = String> {
    missing(services).into_iter().chain(failing(services)).chain(disconnected(services))
}

/// That Grapes of services do not start, if some do not.
fn failing(services: &Services) -> Option<String> {
    let pods = services.tally.pods;
    match services.tally.failing.len() {
        0 => None,
        1 => Some(format!("the Grape of 1 of {pods} pods does not start")),
        failing => Some(format!("the Grapes of {failing} of {pods} pods do not start")),
    }
}

/// That Grapes of services are not connected, if some are not.
fn disconnected(services: &Services) -> Option<String> {
    let pods = services.tally.pods;
    match services.strays.apart.len() {
        0 => None,
        1 => Some(format!("the Grape of 1 of {pods} pods is disconnected")),
        apart => Some(format!("the Grapes of {apart} of {pods} pods are disconnected")),
    }
}

/// That pods run without their Grape, if some do.
fn missing(services: &Services) -> Option<String> {
    let tally = &services.tally;
    match tally.missing.len() {
        0 => None,
        1 => Some(format!("1 of {} pods runs without its Grape", tally.pods)),
        missing => Some(format!("{missing} of {} pods run without their Grape", tally.pods)),
    }
}

/// Why pods run without their Grape: a sentence for each cause.
fn lacks(lacks: &BTreeMap<Lack, Vec<String>>) -> impl Iterator<Item = String> {
    let only = lacks.len() == 1;
    lacks.iter().map(move |(lack, pods)| match only {
        // They are named before it.
        true => format!("Why: {}.", lack.told()),
        false => format!("{}: {}.", few(pods), lack.told()),
    })
}

fn course(course: &Course) -> String {
    let mut told = vec!["They are evicted, one at a time.".to_owned()];
    if let Some(pod) = &course.under_way {
        told.push(format!("{pod} was; the one that comes for it is waited for."));
    }
    if !course.aside.is_empty() {
        told.push(format!("Not so now: {}.", few(&course.aside)));
    }
    if !course.in_vain.is_empty() {
        told.push(format!(
            "No more of these, for a pod of theirs came back no better: {}. See why, and delete \
             their pods yourself.",
            few(&course.in_vain)
        ));
    }
    told.join(" ")
}
