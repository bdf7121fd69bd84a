//! Which pods API servers send to the webhook, by its MutatingWebhookConfiguration. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::ResourceExt;
use kube::core::{ParseExpressionError, Selector, SelectorExt};

/// The label that Kubernetes gives each namespace, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Which pods API servers send to the webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// None: this operator serves no webhook.
    Unserved,
    /// Unknown: the configuration was not read yet, or may not be read.
    #[default]
    Unknown,
    /// None: there is no such configuration.
    Absent,
    /// The pods that the configuration selects.
    Selected(Rules),
}

/// The selectors of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// When it was created.
    since: Option<Timestamp>,
    /// Of each webhook in it, the selectors of namespaces and of pods.
    webhooks: Vec<(Selector, Selector)>,
}

/// Whether API servers send a pod to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Yes, since this time.
    Since(Option<Timestamp>),
    /// No: no pod of its namespace.
    NoPodOfNamespace,
    /// No: pods of its namespace, but not with these labels.
    NoPodLikeThis,
    /// No: no pod at all.
    NoPod,
    /// Unknown.
    Unknown,
}

impl Reach {
    /// The reach of a configuration, or of none.
    pub fn of(configuration: Option<&MutatingWebhookConfiguration>) -> Self {
        let Some(configuration) = configuration else { return Self::Absent };
        let selector = |of: Option<&LabelSelector>| -> Result<Selector, ParseExpressionError> {
            of.cloned().unwrap_or_default().try_into()
        };
        let webhooks = configuration.webhooks.iter().flatten().map(|webhook| {
            let namespaces = selector(webhook.namespace_selector.as_ref())?;
            Ok((namespaces, selector(webhook.object_selector.as_ref())?))
        });
        let since = configuration.creation_timestamp().map(|time| time.0);
        let webhooks: Result<_, ParseExpressionError> = webhooks.collect();
        webhooks.map_or(Self::Unknown, |webhooks| Self::Selected(Rules { since, webhooks }))
    }

    /// Whether a pod with these labels is sent, in a namespace with those labels.
    pub fn about(
        &self,
        namespace: &str,
        of_namespace: &BTreeMap<String, String>,
        of_pod: &BTreeMap<String, String>,
    ) -> Coverage {
        let Rules { since, webhooks } = match self {
            Self::Selected(rules) => rules,
            Self::Unknown => return Coverage::Unknown,
            Self::Unserved | Self::Absent => return Coverage::NoPod,
        };
        let mut of_namespace = of_namespace.clone();
        of_namespace.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
        let mut of_pods = webhooks
            .iter()
            .filter(|(namespaces, _)| namespaces.matches(&of_namespace))
            .map(|(_, pods)| pods)
            .peekable();
        if of_pods.peek().is_none() {
            Coverage::NoPodOfNamespace
        } else if of_pods.any(|pods| pods.matches(of_pod)) {
            Coverage::Since(*since)
        } else {
            Coverage::NoPodLikeThis
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The configuration as the chart creates it.
    fn reach() -> Reach {
        let not =
            |key: &str, value: &str| json!({"key": key, "operator": "NotIn", "values": [value]});
        let asks = json!({"key": "grenache.dev/cluster", "operator": "Exists"});
        let name = not(NAMESPACE_NAME, "kube-system");
        let own = not("app.kubernetes.io/name", "grape-operator");
        let configuration = json!({
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "webhooks": [
                {
                    "name": "pods", "admissionReviewVersions": [], "clientConfig": {},
                    "sideEffects": "None",
                    "namespaceSelector": {"matchExpressions": [name]},
                    "objectSelector": {"matchExpressions": [own, asks]},
                },
                {
                    "name": "namespaces", "admissionReviewVersions": [], "clientConfig": {},
                    "sideEffects": "None",
                    "namespaceSelector": {"matchExpressions": [name, asks]},
                    "objectSelector": {"matchExpressions": [own]},
                },
            ],
        });
        Reach::of(Some(&serde_json::from_value(configuration).unwrap()))
    }

    const ASKS: (&str, &str) = ("grenache.dev/cluster", "market");

    #[rstest]
    #[case::it_asks("shop", &[], &[ASKS])]
    #[case::its_namespace_asks("shop", &[ASKS], &[])]
    #[case::the_operators_namespace("ops", &[ASKS], &[])]
    fn it_is_asked(
        #[case] namespace: &str,
        #[case] of_namespace: &[(&str, &str)],
        #[case] pod: &[(&str, &str)],
    ) {
        let coverage = reach().about(namespace, &labels(of_namespace), &labels(pod));
        assert!(matches!(coverage, Coverage::Since(Some(_))), "{coverage:?}");
    }

    #[rstest]
    #[case("kube-system", &[], &[ASKS], Coverage::NoPodOfNamespace)]
    #[case("kube-system", &[ASKS], &[], Coverage::NoPodOfNamespace)]
    #[case("ops", &[], &[ASKS, ("app.kubernetes.io/name", "grape-operator")], Coverage::NoPodLikeThis)]
    fn it_is_not_asked(
        #[case] namespace: &str,
        #[case] of_namespace: &[(&str, &str)],
        #[case] pod: &[(&str, &str)],
        #[case] expected: Coverage,
    ) {
        let coverage = reach().about(namespace, &labels(of_namespace), &labels(pod));
        assert_eq!(coverage, expected);
    }

    #[test]
    fn without_a_configuration_it_is_asked_about_none() {
        let coverage = |reach: Reach| reach.about("shop", &labels(&[]), &labels(&[ASKS]));
        assert_eq!(coverage(Reach::of(None)), Coverage::NoPod);
        assert_eq!(coverage(Reach::Unserved), Coverage::NoPod);
        assert_eq!(coverage(Reach::Unknown), Coverage::Unknown);
    }
}
