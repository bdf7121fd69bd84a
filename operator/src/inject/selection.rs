//! Which cluster a pod asks for a Grape of: by a label of its own, or by one of its namespace.

use std::collections::BTreeMap;

use grape_cluster::{limits, pattern};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::desired::labels;

/// The label by which a pod opts out, with the value [`DISABLED`].
pub const INJECT: &str = "grenache.dev/inject";
/// The only value of [`INJECT`].
pub const DISABLED: &str = "disabled";

/// Most characters of a namespace's name.
const NAMESPACE_LENGTH: usize = 63;
/// The valid form of the label.
const EXPECTED: &str = "expected CLUSTER, or NAMESPACE.CLUSTER for one of another namespace, as \
    in market or trading.market";

/// The Grape that a pod asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None: neither the pod nor its namespace asks.
    Nothing,
    /// None: the pod opts out, whatever its namespace says.
    OptedOut,
    /// A Grape of this cluster.
    Cluster(SelectedCluster),
}

/// The cluster whose Grape a pod asks for. It may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedCluster {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether the pod's namespace asked, and not the pod.
    pub inherited: bool,
    value: String,
}

impl SelectedCluster {
    /// The value of the label [`labels::CLUSTER`], as written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The label, for messages.
    pub(super) fn label(&self) -> String {
        place(self.inherited)
    }
}

fn place(inherited: bool) -> String {
    let whose = if inherited { "the namespace" } else { "the pod" };
    format!("{} of {whose}", labels::CLUSTER)
}

/// An invalid label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct InvalidLabel {
    /// The problem.
    pub problem: String,
    /// The valid form.
    pub remedy: String,
    /// Whether it is the namespace's label.
    pub inherited: bool,
}

/// The Grape that a pod of this namespace asks for.
///
/// # Errors
///
/// The label of the pod or, if it has none, of its namespace is invalid.
pub fn of(
    pod: &ObjectMeta,
    namespace: &str,
    namespace_labels: &BTreeMap<String, String>,
) -> Result<Selection, InvalidLabel> {
    let label = |key: &str| pod.labels.as_ref()?.get(key).map(String::as_str);
    match label(INJECT) {
        Some(DISABLED) => return Ok(Selection::OptedOut),
        Some(other) => {
            return Err(InvalidLabel {
                problem: format!("{INJECT} of the pod is {other:?}"),
                remedy: format!("expected {DISABLED}; for a sidecar, set only {}", labels::CLUSTER),
                inherited: false,
            });
        }
        None => {}
    }
    if let Some(value) = label(labels::CLUSTER) {
        return read(value, namespace, false).map(Selection::Cluster);
    }
    let inherited = namespace_labels.get(labels::CLUSTER);
    match inherited {
        // Grapes of clusters, and the operator itself, are not services.
        Some(value)
            if label(labels::MANAGED_BY) != Some(labels::OPERATOR)
                && label(labels::NAME) != Some(labels::OPERATOR) =>
        {
            read(value, namespace, true).map(Selection::Cluster)
        }
        _ => Ok(Selection::Nothing),
    }
}

/// A label's value, as `CLUSTER` or `NAMESPACE.CLUSTER`: neither of the two can have a dot in it.
fn read(value: &str, own: &str, inherited: bool) -> Result<SelectedCluster, InvalidLabel> {
    let (namespace, name) = value.split_once('.').unwrap_or((own, value));
    let alike =
        |text: &str, shape, most: usize| text.len() <= most && pattern::is_like(text, shape);
    let most = limits::NAMES_LENGTH - 1 - limits::DEFAULT_POOL.len();
    // Namespaces are called as pools are.
    let shape = limits::POOL_NAME_PATTERN;
    if !alike(name, limits::NAME_PATTERN, most) || !alike(namespace, shape, NAMESPACE_LENGTH) {
        return Err(InvalidLabel {
            problem: format!("{} is {value:?}", place(inherited)),
            remedy: EXPECTED.to_owned(),
            inherited,
        });
    }
    Ok(SelectedCluster {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        inherited,
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn selection(pod: &[(&str, &str)], namespace: &[(&str, &str)]) -> String {
        let map = |labels: &[(&str, &str)]| -> BTreeMap<String, String> {
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let metadata = ObjectMeta { labels: Some(map(pod)), ..ObjectMeta::default() };
        match of(&metadata, "shop", &map(namespace)) {
            Ok(Selection::Cluster(SelectedCluster { namespace, name, inherited, .. })) => {
                format!("{namespace}/{name}{}", if inherited { ", inherited" } else { "" })
            }
            Ok(other) => format!("{other:?}"),
            Err(invalid) => format!(
                "{}: {invalid}",
                if invalid.inherited { "of the namespace" } else { "of the pod" }
            ),
        }
    }

    const MARKET: (&str, &str) = (labels::CLUSTER, "market");
    const OTHER: (&str, &str) = (labels::CLUSTER, "trading.other");

    #[rstest]
    #[case::nobody_asks(&[], &[], "Nothing")]
    #[case::its_own(&[MARKET], &[], "shop/market")]
    #[case::another_namespace(&[OTHER], &[], "trading/other")]
    #[case::of_the_namespace(&[], &[MARKET], "shop/market, inherited")]
    #[case::its_own_goes_first(&[OTHER], &[MARKET], "trading/other")]
    #[case::opted_out(&[(INJECT, "disabled")], &[MARKET], "OptedOut")]
    #[case::opted_out_of_its_own(&[(INJECT, "disabled"), MARKET], &[], "OptedOut")]
    #[case::a_grape(&[(labels::MANAGED_BY, labels::OPERATOR)], &[MARKET], "Nothing")]
    #[case::the_operator(&[(labels::NAME, labels::OPERATOR)], &[MARKET], "Nothing")]
    #[case::a_service_managed_by_helm(
        &[(labels::MANAGED_BY, "Helm")], &[MARKET], "shop/market, inherited"
    )]
    #[case::enabled(
        &[(INJECT, "enabled"), MARKET],
        &[],
        "of the pod: grenache.dev/inject of the pod is \"enabled\"; expected disabled; for a \
         sidecar, set only grenache.dev/cluster"
    )]
    #[case::bad_of_the_namespace(
        &[],
        &[(labels::CLUSTER, "a_b")],
        "of the namespace: grenache.dev/cluster of the namespace is \"a_b\"; expected CLUSTER, \
         or NAMESPACE.CLUSTER for one of another namespace, as in market or trading.market"
    )]
    fn a_pod_or_its_namespace_asks(
        #[case] pod: &[(&str, &str)],
        #[case] namespace: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        assert_eq!(selection(pod, namespace), expected);
    }

    #[rstest]
    #[case("")]
    #[case("Market")]
    #[case("1market")]
    #[case("market.")]
    #[case(".market")]
    #[case("a.b.c")]
    #[case("market-")]
    #[case("trading_market")]
    #[case("aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeee")]
    fn an_invalid_cluster_name_is_reported(#[case] value: &str) {
        let expected =
            format!("of the pod: grenache.dev/cluster of the pod is {value:?}; {EXPECTED}");
        assert_eq!(selection(&[(labels::CLUSTER, value)], &[MARKET]), expected);
    }
}
