//! The conditions of a cluster: whether it is healthy, why not, and what to do.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::types::{BOOTSTRAP_REACHABLE, INJECTED, READY};
use super::{
    Facts, HEALTHY_SHARE, bootstrap, few, injected, other_networks, reasons, seeds, types,
};
use crate::controller::blocked::Blocked;
use crate::controller::error::Error;
use crate::controller::rollout::{Phase, Wait};

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    kind: &'static str,
    /// `None`: unknown.
    is: Option<bool>,
    reason: &'static str,
    message: String,
}

impl Finding {
    pub(super) fn new(
        kind: &'static str,
        is: impl Into<Option<bool>>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, is: is.into(), reason, message: message.into() }
    }

    /// The condition with its times: the last change of its status keeps its time until the next.
    pub(super) fn dated(
        self,
        before: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> Condition {
        let status = match self.is {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        let before = before.iter().find(|it| it.type_ == self.kind && it.status == status);
        // The API server keeps whole seconds only.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Condition {
            type_: self.kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message,
            observed_generation: generation,
            last_transition_time: before
                .map_or(Time(now), |before| before.last_transition_time.clone()),
        }
    }
}

/// All conditions of a cluster, in the order of [`types::ALWAYS`], and then those of
/// [`types::SOMETIMES`] that have something to report.
pub fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let progressing = progressing(facts);
    let bootstrapped = bootstrapped(facts);
    let lookups = lookup_healthy(facts);
    let partitioned = partitioned(facts);
    let ready = ready(facts, [&progressing, &partitioned, &bootstrapped, &lookups]);
    let reconciling = reconciling(facts, &ready, &progressing);
    let always =
        [ready, progressing, reconciling, stalled(facts), bootstrapped, lookups, partitioned];
    let sometimes =
        [injected::finding(facts), bootstrap::finding(facts), other_networks::finding(facts)];
    always.into_iter().chain(sometimes.into_iter().flatten()).collect()
}

fn ready(
    facts: &Facts<'_>,
    [progressing, partitioned, bootstrapped, lookups]: [&Finding; 4],
) -> Finding {
    let not = |reason, message: &str| Finding::new(READY, false, reason, message);
    let because = |finding: &Finding| not(finding.reason, &finding.message);
    let wanted = facts.wanted();
    let stalled = stalled(facts);
    if stalled.is == Some(true) {
        return because(&stalled);
    }
    if facts.fails() {
        let message = format!(
            "{} of {wanted} Grapes are ready. {}.{}",
            facts.ready(),
            few(&facts.unready()),
            held_drains(facts)
        );
        return not(reasons::GRAPES_FAILING, &message);
    }
    if progressing.is == Some(true) && progressing.reason != reasons::REMOVING_POOL {
        return because(progressing);
    }
    if facts.ready() < wanted {
        let unready = facts.unready();
        // Pods that do not exist yet have no names.
        let named = if unready.is_empty() {
            String::new()
        } else {
            format!("; not ready: {}", few(&unready))
        };
        let message =
            format!("{} of {wanted} Grapes are ready{named}.{}", facts.ready(), held_drains(facts));
        return not(reasons::GRAPES_NOT_READY, &message);
    }
    if partitioned.is == Some(true) {
        return because(partitioned);
    }
    if let Some(finding) = [bootstrapped, lookups].into_iter().find(|it| it.is != Some(true)) {
        return because(finding);
    }
    let message = match wanted {
        1 => "The one Grape is ready, and lookups succeed.".to_owned(),
        2 => "Both Grapes are ready and connected, and lookups succeed.".to_owned(),
        _ => format!("All {wanted} Grapes are ready and connected, and lookups succeed."),
    };
    let trouble: Vec<_> = facts.injected().into_iter().flat_map(injected::trouble).collect();
    let message = match trouble.is_empty() {
        true => message,
        false => format!("{message} But {}: see {INJECTED}.", trouble.join(", and ")),
    };
    let message = match bootstrap::is_in_trouble(facts) {
        true => format!("{message} A bootstrap name leads to no Grape: see {BOOTSTRAP_REACHABLE}."),
        false => message,
    };
    let message = message + &seeds::unresolved(facts).unwrap_or_default();
    Finding::new(READY, true, reasons::HEALTHY, message)
}

/// That drains of nodes wait, for people who wonder why a drain hangs.
fn held_drains(facts: &Facts<'_>) -> String {
    match facts.wanted() {
        // There is no budget.
        1 => String::new(),
        _ => format!(
            " Until all are ready, Kubernetes evicts no other Grape, and drains of their nodes \
             wait: see the PodDisruptionBudget {}.",
            facts.cluster.name
        ),
    }
}

fn progressing(facts: &Facts<'_>) -> Finding {
    if facts.cluster.paused {
        let message = "spec.paused is true: the operator changes nothing until it is false.";
        return Finding::new(types::PROGRESSING, false, reasons::PAUSED, message);
    }
    progressing_unless_paused(facts)
}

fn progressing_unless_paused(facts: &Facts<'_>) -> Finding {
    let wanted = facts.wanted();
    if let Some(error) = facts.trouble {
        let reason = match error {
            Error::NameTaken { .. } => reasons::NAME_TAKEN,
            _ => reasons::REFUSED,
        };
        return Finding::new(types::PROGRESSING, false, reason, sentence(&error.to_string()));
    }
    match facts.phase {
        Phase::Stalled { pod, why } => {
            let message = format!(
                "Rollout stopped at {} of {wanted}: {pod} does not start: {why}. Fix or revert \
                 spec.image or spec.template.",
                facts.updated()
            );
            return Finding::new(types::PROGRESSING, false, reasons::ROLL_STALLED, message);
        }
        // It would wait for a pod that cannot come.
        Phase::Rolling(_) | Phase::Settled if let Some(blocked) = facts.blocked.first() => {
            return Finding::new(
                types::PROGRESSING,
                false,
                reasons::PODS_REFUSED,
                refused(facts, blocked),
            );
        }
        Phase::Rolling(wait) => {
            let wait = match wait {
                Wait::Observed => "the StatefulSet controller".to_owned(),
                Wait::Ready(pod) => format!("{pod} to be ready"),
                Wait::Lookups(pod) => format!("lookups to succeed before {pod} is replaced"),
            };
            let message = format!(
                "Rollout: {} of {wanted} Grapes updated; waiting for {wait}.",
                facts.updated()
            );
            return Finding::new(types::PROGRESSING, true, reasons::ROLLING_OUT, message);
        }
        Phase::Settled => {}
    }
    if facts.scales() {
        let message = format!("{} of {wanted} Grapes are ready.", facts.ready());
        return Finding::new(types::PROGRESSING, true, reasons::SCALING, message);
    }
    if let Some(pool) = facts.leaving.first() {
        let message = format!(
            "The pool {} is removed once the Grapes of the other pools are ready.",
            pool.name
        );
        return Finding::new(types::PROGRESSING, true, reasons::REMOVING_POOL, message);
    }
    let message = match facts.ready() {
        ready if ready < wanted => {
            format!("No change is under way. {ready} of {wanted} Grapes are ready: see {READY}.")
        }
        _ => "All Grapes run as the spec says.".to_owned(),
    };
    Finding::new(types::PROGRESSING, false, reasons::SETTLED, message)
}

/// Says that a pod is refused, and why.
fn refused(facts: &Facts<'_>, blocked: &Blocked) -> String {
    let Blocked { set, pod, why } = blocked;
    let again = if facts.cluster.paused { "" } else { " The next attempt follows within 10 s." };
    format!(
        "{} of {} Grapes are ready. The StatefulSet {set} cannot create the pod {pod}: the API \
         server refuses it: {why}.{again}",
        facts.ready(),
        facts.wanted()
    )
}

/// True while clients should keep waiting: the cluster is not yet as its spec says, and nobody has
/// to act.
fn reconciling(facts: &Facts<'_>, ready: &Finding, progressing: &Finding) -> Finding {
    let stalled = stalled(facts);
    let (is, cause) = if stalled.is == Some(true) {
        (false, &stalled)
    } else if progressing.is == Some(true) || facts.cluster.paused {
        (!facts.cluster.paused, progressing)
    } else {
        (ready.is != Some(true), ready)
    };
    let finding = |reason, message: &str| Finding::new(types::RECONCILING, is, reason, message);
    match is || facts.cluster.paused || stalled.is == Some(true) {
        true => finding(cause.reason, &cause.message),
        false => finding(reasons::SETTLED, "The cluster is as its spec says."),
    }
}

/// True when clients may stop waiting: nothing will happen until somebody changes something. A
/// paused cluster reports it too: a refusal does not come from the pause.
fn stalled(facts: &Facts<'_>) -> Finding {
    let progressing = progressing_unless_paused(facts);
    match progressing.reason {
        reasons::NAME_TAKEN | reasons::REFUSED | reasons::ROLL_STALLED | reasons::PODS_REFUSED => {
            Finding { kind: types::STALLED, is: Some(true), ..progressing }
        }
        _ => {
            let message = "The API server accepts all objects of this cluster.";
            Finding::new(types::STALLED, false, reasons::NOT_STALLED, message)
        }
    }
}

fn bootstrapped(facts: &Facts<'_>) -> Finding {
    let not = |reason, message| Finding::new(types::BOOTSTRAPPED, false, reason, message);
    let Some(topology) = facts.snapshot.topology else {
        return unknown(types::BOOTSTRAPPED);
    };
    let ready = facts.ready_pods();
    let silent = topology.unreachable.iter().filter(|silent| ready.contains(&*silent.name));
    let silent: Vec<_> = silent.map(|it| format!("{} ({})", it.name, it.why)).collect();
    if !silent.is_empty() {
        let message = format!(
            "Ready, but the operator cannot reach: {}. Check their nodes, and NetworkPolicies \
             for TCP port 9091.",
            few(&silent)
        );
        return not(reasons::GRAPES_UNREACHABLE, message);
    }
    if topology.answered == 0 {
        return unknown(types::BOOTSTRAPPED);
    }
    if topology.is_partitioned() {
        return not(reasons::PARTITIONED, partitions(facts, &topology.partitions));
    }
    let few_known = topology.sees_too_few.iter().filter(|name| ready.contains(&***name));
    let few_known: Vec<_> = few_known.cloned().collect();
    if !few_known.is_empty() {
        let message =
            format!("Still joining: these Grapes do not know all others yet: {}.", few(&few_known));
        return not(reasons::TOO_FEW_KNOWN, message);
    }
    let message = "Each Grape knows the others.";
    Finding::new(types::BOOTSTRAPPED, true, reasons::ALL_CONNECTED, message)
}

fn lookup_healthy(facts: &Facts<'_>) -> Finding {
    let Some(success) = facts.snapshot.success else {
        return unknown(types::LOOKUP_HEALTHY);
    };
    let found = format!("{} of the test lookups succeeded", percent(success));
    if success < HEALTHY_SHARE {
        let message = format!(
            "Only {found}. They failed at {}: check the logs of these Grapes, and the network \
             between their nodes for UDP port {}.",
            few(facts.snapshot.lost_at),
            facts.cluster.dht.port
        );
        return Finding::new(types::LOOKUP_HEALTHY, false, reasons::PROBES_FAILING, message);
    }
    let message = match facts.snapshot.band {
        Some(band) => format!("{found}, 95 % of them within {} ms.", band.limit().as_millis()),
        None => format!("{found}."),
    };
    Finding::new(types::LOOKUP_HEALTHY, true, reasons::PROBES_SUCCEEDING, message)
}

fn partitioned(facts: &Facts<'_>) -> Finding {
    match facts.snapshot.topology.filter(|topology| topology.answered > 0) {
        None => unknown(types::PARTITIONED),
        Some(topology) if topology.is_partitioned() => {
            let message = partitions(facts, &topology.partitions);
            Finding::new(types::PARTITIONED, true, reasons::PARTITIONED, message)
        }
        Some(_) => {
            let message = "All Grapes that answer are connected.";
            Finding::new(types::PARTITIONED, false, reasons::CONNECTED, message)
        }
    }
}

fn partitions(facts: &Facts<'_>, partitions: &[Vec<String>]) -> String {
    let named: Vec<_> =
        partitions.iter().map(|partition| format!("[{}]", few(partition))).collect();
    format!(
        "{} groups of Grapes do not know each other: {}. The operator introduces them to each other. \
         If this lasts for minutes, check NetworkPolicies and the network between their nodes for \
         UDP port {}.",
        partitions.len(),
        few(&named),
        facts.cluster.dht.port
    )
}

pub(super) fn unknown(kind: &'static str) -> Finding {
    Finding::new(kind, None, reasons::NOT_OBSERVED, "No Grape has answered the operator yet.")
}

/// A share of 1, never rounded up to all.
pub(super) fn percent(share: f64) -> String {
    format!("{}%", (share * 100.0).floor())
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
