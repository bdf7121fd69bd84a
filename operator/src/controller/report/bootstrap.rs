//! The condition on the names in `spec.dht.bootstrap`.

use super::conditions::{Finding, unknown};
use super::{Facts, few};
use super::{reasons, types};
use crate::controller::bootstrap::DeadEnd;
use crate::observe::outside::Trouble;

/// The condition `BootstrapReachable`, where there are such names.
pub(super) fn finding(facts: &Facts<'_>) -> Option<Finding> {
    if facts.cluster.dht.bootstrap.is_empty() {
        return None;
    }
    if facts.snapshot.dead_ends.is_none() {
        return Some(unknown(types::BOOTSTRAP_REACHABLE));
    }
    let dead_ends: Vec<_> = dead_ends(facts).collect();
    if dead_ends.is_empty() {
        let message = "Each name in spec.dht.bootstrap resolves, and a Grape answers there.";
        return Some(Finding::new(
            types::BOOTSTRAP_REACHABLE,
            true,
            reasons::GRAPES_ANSWER,
            message,
        ));
    }
    let is_unresolved = |(_, it): &(String, &DeadEnd)| matches!(it.trouble, Trouble::Unresolved(_));
    let reason = match dead_ends.iter().all(is_unresolved) {
        true => reasons::NAME_UNRESOLVED,
        false => reasons::NO_GRAPE_ANSWERS,
    };
    let named: Vec<_> = dead_ends.iter().map(|(name, dead_end)| describe(name, dead_end)).collect();
    let message = format!(
        "In spec.dht.bootstrap, {}. The Grapes ask again every 20 s. Correct spec.dht.bootstrap, or \
         check name servers, firewalls and NetworkPolicies.",
        few(&named)
    );
    Some(Finding::new(types::BOOTSTRAP_REACHABLE, false, reason, message))
}

/// Whether one of these names leads to no Grape.
pub(super) fn is_in_trouble(facts: &Facts<'_>) -> bool {
    dead_ends(facts).next().is_some()
}

/// The names in the spec that lead to no Grape, in its order.
fn dead_ends<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (String, &'a DeadEnd)> {
    let names = facts.cluster.dht.bootstrap.iter().map(ToString::to_string);
    let known = facts.snapshot.dead_ends;
    names.filter_map(move |name| known?.get(&name).map(|dead_end| (name, dead_end)))
}

fn describe(name: &str, dead_end: &DeadEnd) -> String {
    let what = match &dead_end.trouble {
        Trouble::Unresolved(reason) => format!("{name} does not resolve: {reason}"),
        Trouble::Unanswered(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            format!(
                "{name}: no Grape answers at {} (is that the UDP port of its DHT?)",
                few(&addresses)
            )
        }
    };
    if dead_end.alone.is_empty() {
        return what;
    }
    let pods: Vec<_> = dead_end.alone.iter().cloned().collect();
    format!("{what} (only {} reports this)", few(&pods))
}
