//! The cluster that a label probably means, where it names one that there is not.

use grape_cluster::nearest::nearest;

use super::selection::SelectedCluster;
use super::{Context, Named};

/// The suggestion, if a cluster has a similar name. Only clusters that the pod may use are
/// suggested: the pod's author must not learn the names of others.
pub(super) fn cluster(selected: &SelectedCluster, context: &Context<'_>) -> Option<String> {
    let open = |((namespace, _), cluster): &Named| {
        cluster.injection.namespaces.allows(context.namespace, context.namespace_labels, namespace)
    };
    let names: Vec<_> = (context.all)().into_iter().filter(open).map(|(name, _)| name).collect();
    let wanted = (&selected.name, &selected.namespace);
    if names.iter().any(|(namespace, name)| (namespace, name) == wanted) {
        let (namespace, name) = wanted;
        return Some(format!("the label is NAMESPACE.CLUSTER: did you mean {namespace}.{name}?"));
    }
    let label = |namespace: &str, name: &str| match namespace == context.namespace {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    };
    let labels: Vec<_> = names.iter().map(|(namespace, name)| label(namespace, name)).collect();
    let suggestion =
        nearest(&label(&selected.namespace, &selected.name), labels.iter().map(String::as_str))?;
    Some(format!("did you mean {suggestion}?"))
}
