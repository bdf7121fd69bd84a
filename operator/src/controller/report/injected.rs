//! What is told of the pods of services: how many there are, whether they have their Grape, and where
//! that is.

use super::conditions::Finding;
use super::reasons::{ALL_INJECTED, INJECTED, PODS_WITHOUT_GRAPE};
use super::status::number;
use super::{Facts, Services, few};
use crate::cluster::limits;
use crate::cluster::status::InjectedStatus;
use crate::controller::sidecars::repair::Course;

impl Facts<'_> {
    /// Pods of services, where there are any.
    pub(super) fn injected(&self) -> Option<&Services> {
        self.services.filter(|services| services.tally.pods > 0)
    }
}

/// The counts, if there is anything to count.
pub(super) fn counts(services: &Services) -> InjectedStatus {
    let Services { tally, repair, .. } = services;
    let some = |names: &[String]| names.iter().take(limits::NAMED_LENGTH).cloned().collect();
    InjectedStatus {
        pods: number(tally.pods),
        ready: number(tally.ready),
        outdated: number(tally.outdated),
        missing: number(tally.missing.len()),
        missing_named: some(&tally.missing),
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
            1 => "The one pod that is to have a Grape has it.".to_owned(),
            pods => format!("All {pods} pods that are to have a Grape have it."),
        },
    }];
    if !tally.missing.is_empty() {
        told.push(match repair {
            None => {
                "They were made while the webhook did not answer: delete them when it does, or \
                     set spec.injection.repair to true."
                    .to_owned()
            }
            Some(_) if facts.cluster.paused => {
                "spec.paused is true: they are left alone.".to_owned()
            }
            Some(course) => self::course(course),
        });
        if !tally.refused.is_empty() {
            told.push(format!("Others like these would be refused: {}.", few(&tally.refused)));
        }
    }
    if !tally.failing.is_empty() {
        told.push(format!("Of these the Grape does not start: {}.", few(&tally.failing)));
    }
    if tally.outdated > 0 {
        told.push(format!(
            "{} run another Grape than {} until their pods are made anew.",
            tally.outdated, facts.image
        ));
    }
    if !strays.silent.is_empty() {
        told.push(format!(
            "The Grapes of these are seen neither by the operator nor by the cluster's own: {}. Look \
             at NetworkPolicies for TCP port {}.",
            few(&strays.silent),
            limits::ADMIN_PORT
        ));
    }
    let (is, reason) = match tally.missing.is_empty() {
        true => (true, ALL_INJECTED),
        false => (false, PODS_WITHOUT_GRAPE),
    };
    Some(Finding::new(INJECTED, is, reason, told.join(" ")))
}

/// That pods run without their Grape, if some do.
pub(super) fn missing(services: &Services) -> Option<String> {
    let tally = &services.tally;
    match tally.missing.len() {
        0 => None,
        1 => Some(format!("1 of {} pods runs without its Grape", tally.pods)),
        missing => Some(format!("{missing} of {} pods run without their Grape", tally.pods)),
    }
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
