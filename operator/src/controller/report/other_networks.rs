//! The condition on Grapes of other networks, which the cluster's Grapes refuse.

use super::conditions::Finding;
use super::{Facts, few};
use super::{reasons, types};

/// The condition `OtherNetworks`, while there are such Grapes.
pub(super) fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let others = facts.snapshot.other_networks.filter(|others| !others.is_empty())?;
    let named: Vec<_> = others.iter().map(ToString::to_string).collect();
    let message = format!(
        "Grapes of another network send messages from these addresses, and are refused: {}. If a \
         Grape of this cluster had the address before, this ends by itself within minutes. Otherwise \
         remove the address from spec.dht.bootstrap or --bootstrap, of this cluster or of the other. \
         To join both networks, create one of the clusters again with the spec.dht.network of the \
         other (default: NAMESPACE.NAME).",
        few(&named)
    );
    Some(Finding::new(types::OTHER_NETWORKS, true, reasons::NETWORKS_DIFFER, message))
}
