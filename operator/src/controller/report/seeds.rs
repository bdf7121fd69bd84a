//! Names by which a cluster's own Grapes join, and which do not resolve in their pods.

use super::{Facts, few};
use crate::desired::names;
use crate::observe::outside::Trouble;

/// That the name of the cluster's Service does not resolve, as a sentence that follows others. The
/// Grapes may be ready all the same, because the operator introduces them to each other.
pub(super) fn unresolved(facts: &Facts<'_>) -> Option<String> {
    let (name, port) = (&facts.cluster.name, facts.cluster.dht.port);
    let seed = names::endpoint(name, facts.namespace, port).to_string();
    let dead_end = facts.snapshot.dead_ends?.get(&seed)?;
    let Trouble::Unresolved(reason) = &dead_end.trouble else { return None };
    let pods: Vec<_> = dead_end.alone.iter().cloned().collect();
    let whose = if pods.is_empty() { "their pods".to_owned() } else { few(&pods) };
    Some(format!(
        " But the name by which the Grapes find each other does not resolve in {whose}: {seed}: \
         {reason}. The operator introduces the Grapes to each other, so they work until it is away. \
         Check dnsPolicy and dnsConfig in spec.template, and the name servers."
    ))
}
