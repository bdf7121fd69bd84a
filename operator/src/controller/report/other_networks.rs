//! What is told of Grapes of other networks, which the cluster's refuse.

use super::conditions::Finding;
use super::reasons::{NETWORKS_DIFFER, OTHER_NETWORKS};
use super::{Facts, few};

/// The condition `OtherNetworks`, while there is anything to tell.
pub(super) fn finding(facts: &Facts<'_>) -> Option<Finding> {
    let others = facts.sight.other_networks.filter(|others| !others.is_empty())?;
    let named: Vec<_> = others.iter().map(ToString::to_string).collect();
    let message = format!(
        "Grapes of another network are at these addresses, and refused: {}. Where an address was \
         a Grape's of this cluster before, nothing has to be done: it ends by itself within minutes. \
         Else take the address out of spec.dht.bootstrap or --bootstrap, of this cluster or of the \
         other; or, if the two are to be one, make one of them anew with the spec.dht.network of the \
         other (NAMESPACE.NAME, unless it names another).",
        few(&named)
    );
    Some(Finding::new(OTHER_NETWORKS, true, NETWORKS_DIFFER, message))
}
