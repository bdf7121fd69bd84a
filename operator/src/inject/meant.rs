//! The cluster that a label probably means, where it names one that there is not.

use super::wish::Wished;
use super::{Asked, Named};
use crate::nearest::nearest;

/// The question that helps, if a cluster is called almost so. Only those that the pod could have a Grape
/// of are told of: the names of others are not for its author to know.
pub(super) fn cluster(wished: &Wished, asked: &Asked<'_>) -> Option<String> {
    let open = |((namespace, _), cluster): &Named| {
        cluster.injection.namespaces.allows(asked.namespace, asked.namespace_labels, namespace)
    };
    let names: Vec<_> = (asked.all)().into_iter().filter(open).map(|(name, _)| name).collect();
    let wanted = (&wished.name, &wished.namespace);
    if names.iter().any(|(namespace, name)| (namespace, name) == wanted) {
        let (namespace, name) = wanted;
        return Some(format!("the label is NAMESPACE.CLUSTER: did you mean {namespace}.{name}?"));
    }
    let label = |namespace: &str, name: &str| match namespace == asked.namespace {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    };
    let labels: Vec<_> = names.iter().map(|(namespace, name)| label(namespace, name)).collect();
    let meant =
        nearest(&label(&wished.namespace, &wished.name), labels.iter().map(String::as_str))?;
    Some(format!("did you mean {meant}?"))
}
