//! The conditions of a cluster: whether it is well, why not, and what to do.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::reasons::*;
use super::{Facts, HEALTHY as HEALTHY_SHARE, bootstrap, few, injected, other_networks};
use crate::controller::blocked::Blocked;
use crate::controller::error::Error;
use crate::controller::roll::{Phase, Wait};

/// A condition without its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    kind: &'static str,
    /// None: unknown.
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

    /// With its times: the one of the last change of its status is kept until the next.
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
        // Whole seconds: that is all that the API server keeps.
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

/// All conditions of a cluster, in the order of [`TYPES`], and then those of [`SOMETIMES`] where there
/// is something to tell.
pub fn findings(facts: &Facts<'_>) -> Vec<Finding> {
    let progressing = progressing(facts);
    let bootstrapped = bootstrapped(facts);
    let lookups = lookup_healthy(facts);
    let partitioned = partitioned(facts);
    let ready = ready(facts, [&progressing, &partitioned, &bootstrapped, &lookups]);
    let always = [ready, progressing, stalled(facts), bootstrapped, lookups, partitioned];
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
        return not(GRAPES_FAILING, &message);
    }
    if progressing.is == Some(true) && progressing.reason != REMOVING_POOL {
        return because(progressing);
    }
    if facts.ready() < wanted {
        let unready = facts.unready();
        // Of pods that are not there yet none has a name.
        let named =
            if unready.is_empty() { String::new() } else { format!("; not so: {}", few(&unready)) };
        let message =
            format!("{} of {wanted} Grapes are ready{named}.{}", facts.ready(), held_drains(facts));
        return not(GRAPES_NOT_READY, &message);
    }
    if partitioned.is == Some(true) {
        return because(partitioned);
    }
    if let Some(finding) = [bootstrapped, lookups].into_iter().find(|it| it.is != Some(true)) {
        return because(finding);
    }
    let message = match wanted {
        1 => "The one Grape is ready, and finds what is announced.".to_owned(),
        2 => "Both Grapes are ready, see each other, and find what is announced.".to_owned(),
        _ => format!("All {wanted} Grapes are ready, see each other, and find what is announced."),
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
    Finding::new(READY, true, HEALTHY, message)
}

/// That drains of nodes wait, for whoever wonders why one hangs.
fn held_drains(facts: &Facts<'_>) -> String {
    match facts.wanted() {
        // There is no budget.
        1 => String::new(),
        _ => format!(
            " Until then no other Grape is evicted, and a drain of its node waits: see the \
             PodDisruptionBudget {}.",
            facts.cluster.name
        ),
    }
}

fn progressing(facts: &Facts<'_>) -> Finding {
    if facts.cluster.paused {
        let message = "spec.paused is true: nothing is changed until it is false.";
        return Finding::new(PROGRESSING, false, PAUSED, message);
    }
    progressing_unless_paused(facts)
}

fn progressing_unless_paused(facts: &Facts<'_>) -> Finding {
    let wanted = facts.wanted();
    if let Some(error) = facts.trouble {
        let reason = match error {
            Error::NameTaken { .. } => NAME_TAKEN,
            _ => REFUSED,
        };
        return Finding::new(PROGRESSING, false, reason, sentence(&error.to_string()));
    }
    match facts.phase {
        Phase::Stalled { pod, why } => {
            let message = format!(
                "{} of {wanted} Grapes are updated, and no more will be, for {pod} does not start: \
                 {why}. Mend spec.image or spec.template, or take the change back.",
                facts.updated()
            );
            return Finding::new(PROGRESSING, false, ROLL_STALLED, message);
        }
        // It would wait for one that cannot come.
        Phase::Rolling(_) | Phase::Settled if let Some(blocked) = facts.blocked.first() => {
            return Finding::new(PROGRESSING, false, PODS_REFUSED, refused(facts, blocked));
        }
        Phase::Rolling(wait) => {
            let wait = match wait {
                Wait::Observed => "the StatefulSets to take note".to_owned(),
                Wait::Ready(pod) => format!("{pod} to be ready"),
                Wait::Lookups(pod) => format!("lookups to be healthy before {pod} is replaced"),
            };
            let message =
                format!("{} of {wanted} Grapes are updated; waiting for {wait}.", facts.updated());
            return Finding::new(PROGRESSING, true, ROLLING_OUT, message);
        }
        Phase::Settled => {}
    }
    if facts.scales() {
        let message = format!("{} of {wanted} Grapes are ready.", facts.ready());
        return Finding::new(PROGRESSING, true, SCALING, message);
    }
    if let Some(pool) = facts.leaving.first() {
        let message =
            format!("The pool {} goes when the Grapes of the others are well.", pool.name);
        return Finding::new(PROGRESSING, true, REMOVING_POOL, message);
    }
    let message = match facts.ready() {
        ready if ready < wanted => {
            format!("No change is under way. {ready} of {wanted} Grapes are ready: see {READY}.")
        }
        _ => "The Grapes are as the spec wants them.".to_owned(),
    };
    Finding::new(PROGRESSING, false, SETTLED, message)
}

/// That a pod is refused, by whom and why.
fn refused(facts: &Facts<'_>, blocked: &Blocked) -> String {
    let Blocked { set, pod, why } = blocked;
    let again = if facts.cluster.paused { "" } else { " It tries again every 10 s." };
    format!(
        "{} of {} Grapes are ready. The StatefulSet {set} cannot make the pod {pod}: the API server \
         refuses it: {why}.{again}",
        facts.ready(),
        facts.wanted()
    )
}

/// Whoever waits for a cluster may give up: what it waits for comes only when somebody changes
/// something. A paused cluster says so, too: what is refused is none of its pause.
fn stalled(facts: &Facts<'_>) -> Finding {
    let progressing = progressing_unless_paused(facts);
    match progressing.reason {
        NAME_TAKEN | REFUSED | ROLL_STALLED | PODS_REFUSED => {
            Finding { kind: STALLED, is: Some(true), ..progressing }
        }
        _ => {
            let message = "Nothing is refused to the operator and its StatefulSets.";
            Finding::new(STALLED, false, NOT_STALLED, message)
        }
    }
}

fn bootstrapped(facts: &Facts<'_>) -> Finding {
    let not = |reason, message| Finding::new(BOOTSTRAPPED, false, reason, message);
    let Some(topology) = facts.sight.topology else {
        return unknown(BOOTSTRAPPED);
    };
    let ready = facts.ready_pods();
    let silent = topology.unreachable.iter().filter(|silent| ready.contains(&*silent.name));
    let silent: Vec<_> = silent.map(|it| format!("{} ({})", it.name, it.why)).collect();
    if !silent.is_empty() {
        let message = format!(
            "Ready and yet out of the operator's reach: {}. Look at their nodes, and at \
             NetworkPolicies for TCP port 9091.",
            few(&silent)
        );
        return not(GRAPES_UNREACHABLE, message);
    }
    if topology.answered == 0 {
        return unknown(BOOTSTRAPPED);
    }
    if topology.is_partitioned() {
        return not(SEVERAL_ISLANDS, islands(facts, &topology.islands));
    }
    let few_known = topology.sees_too_few.iter().filter(|name| ready.contains(&***name));
    let few_known: Vec<_> = few_known.cloned().collect();
    if !few_known.is_empty() {
        let message = format!("These know fewer Grapes than they should: {}.", few(&few_known));
        return not(TOO_FEW_KNOWN, message);
    }
    let message = "Each Grape sees the others.";
    Finding::new(BOOTSTRAPPED, true, ALL_SEE_EACH_OTHER, message)
}

fn lookup_healthy(facts: &Facts<'_>) -> Finding {
    let Some(success) = facts.sight.success else {
        return unknown(LOOKUP_HEALTHY);
    };
    let found = format!("{} of canary lookups found their peer", percent(success));
    if success < HEALTHY_SHARE {
        let message = format!(
            "Only {found}. The others were lost at {}: look at the logs there, and at the network \
             between the nodes for UDP port {}.",
            few(facts.sight.lost_at),
            facts.cluster.dht.port
        );
        return Finding::new(LOOKUP_HEALTHY, false, CANARIES_LOST, message);
    }
    let message = match facts.sight.band {
        Some(band) => format!("{found}, 95 % within {} ms.", band.limit().as_millis()),
        None => format!("{found}."),
    };
    Finding::new(LOOKUP_HEALTHY, true, CANARIES_FOUND, message)
}

fn partitioned(facts: &Facts<'_>) -> Finding {
    match facts.sight.topology.filter(|topology| topology.answered > 0) {
        None => unknown(PARTITIONED),
        Some(topology) if topology.is_partitioned() => {
            let message = islands(facts, &topology.islands);
            Finding::new(PARTITIONED, true, SEVERAL_ISLANDS, message)
        }
        Some(_) => {
            let message = "All Grapes that answer are connected.";
            Finding::new(PARTITIONED, false, ONE_ISLAND, message)
        }
    }
}

fn islands(facts: &Facts<'_>, islands: &[Vec<String>]) -> String {
    let named: Vec<_> = islands.iter().map(|island| format!("[{}]", few(island))).collect();
    format!(
        "{} groups of Grapes do not see each other: {}. The operator introduces them to each other. \
         If this lasts for minutes, look at NetworkPolicies and the network between their nodes for \
         UDP port {}.",
        islands.len(),
        few(&named),
        facts.cluster.dht.port
    )
}

pub(super) fn unknown(kind: &'static str) -> Finding {
    Finding::new(kind, None, NOT_OBSERVED, "No Grape has answered the operator yet.")
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
