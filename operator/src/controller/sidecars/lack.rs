//! Why a pod runs without its Grape, as far as that can be seen afterwards. Pure.

use jiff::Timestamp;

use super::pod::ServicePod;
use super::reach::Coverage;
use crate::desired::labels;

/// Why a pod runs without its Grape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// No API server asks a webhook of this operator.
    NoWebhook,
    /// The webhook gets no pod of this namespace.
    NamespaceLeftOut,
    /// The webhook gets no pod with these labels.
    PodLeftOut,
    /// The pod is older than the cluster.
    OlderThanCluster,
    /// The pod is older than the webhook.
    OlderThanWebhook,
    /// The pod got its label after its creation.
    LabelledLater,
    /// The webhook did not answer when the pod was created, or was not called.
    Missed,
    /// The same, or the namespace did not yet have the label that asks for a Grape.
    MissedOrUnlabelled,
}

impl Lack {
    /// The cause for a pod without its Grape, where `coverage` says whether the webhook gets pods
    /// like it now, and `cluster` is when the cluster was created.
    pub fn of(pod: &ServicePod, coverage: Coverage, cluster: Option<Timestamp>) -> Self {
        let is_older =
            |than: Option<Timestamp>| pod.made.zip(than).is_some_and(|(made, than)| made < than);
        match coverage {
            Coverage::NoPod => Self::NoWebhook,
            Coverage::NoPodOfNamespace => Self::NamespaceLeftOut,
            Coverage::NoPodLikeThis => Self::PodLeftOut,
            _ if pod.labelled_later => Self::LabelledLater,
            Coverage::Since(webhook) if is_older(webhook) => Self::OlderThanWebhook,
            _ if is_older(cluster) => Self::OlderThanCluster,
            _ if pod.selected.inherited => Self::MissedOrUnlabelled,
            _ => Self::Missed,
        }
    }

    /// Whether the pod's successor would have no Grape either.
    pub fn is_lasting(self) -> bool {
        matches!(self, Self::NoWebhook | Self::NamespaceLeftOut | Self::PodLeftOut)
    }

    /// The cause as a clause that follows the names of pods and a colon; with what to do if the
    /// cause does not end by itself.
    pub fn explanation(self) -> String {
        let text = match self {
            Self::NoWebhook => {
                "this operator has no webhook, so no pod gets a sidecar: the chart installs none with \
                 webhook.enabled=false, or with auto beside watchNamespaces; install the chart with \
                 webhook.enabled=true"
            }
            Self::NamespaceLeftOut => {
                "the API server asks the webhook about no pod of this namespace: it is kube-system, or \
                 excluded by the chart's webhook.namespaceSelector or watchNamespaces; run the \
                 service in another namespace"
            }
            Self::PodLeftOut => {
                "the API server does not ask the webhook about pods with these labels: they are the \
                 operator's own, or excluded by the chart's webhook.objectSelector; give the pods \
                 other labels"
            }
            Self::OlderThanCluster => "created before the GrapeCluster",
            Self::OlderThanWebhook => "created before the operator's webhook was installed",
            Self::LabelledLater => {
                return format!("labelled {} after they were created", labels::CLUSTER);
            }
            Self::Missed => {
                "created while the webhook did not answer, or while the API server did not ask it \
                 about pods like these"
            }
            Self::MissedOrUnlabelled => {
                return format!(
                    "created while the webhook did not answer, or before their namespace had the label \
                     {}",
                    labels::CLUSTER
                );
            }
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(second).unwrap())
    }

    /// A pod created at second 100 whose namespace asks for a Grape, unless the pod has a label.
    fn pod(labels: Value, managed: Value) -> ServicePod {
        let pod = json!({
            "metadata": {
                "namespace": "web", "name": "a", "labels": labels, "managedFields": managed,
                "creationTimestamp": at(100).unwrap().to_string(),
            },
            "spec": {"containers": []},
        });
        let asks = BTreeMap::from([(labels::CLUSTER.to_owned(), "market".to_owned())]);
        ServicePod::of(serde_json::from_value(pod).unwrap(), &asks).unwrap()
    }

    fn own() -> ServicePod {
        pod(json!({"grenache.dev/cluster": "market"}), json!(null))
    }

    fn fields(manager: &str, of: Value) -> Value {
        json!({"manager": manager, "fieldsType": "FieldsV1", "fieldsV1": of})
    }

    #[rstest]
    #[case(Coverage::NoPod, Lack::NoWebhook)]
    #[case(Coverage::NoPodOfNamespace, Lack::NamespaceLeftOut)]
    #[case(Coverage::NoPodLikeThis, Lack::PodLeftOut)]
    #[case(Coverage::Since(at(101)), Lack::OlderThanWebhook)]
    #[case(Coverage::Since(at(100)), Lack::Missed)]
    #[case(Coverage::Unknown, Lack::Missed)]
    fn it_follows_from_whom_the_webhook_is_asked_about(
        #[case] coverage: Coverage,
        #[case] lack: Lack,
    ) {
        assert_eq!(Lack::of(&own(), coverage, at(50)), lack);
    }

    #[test]
    fn it_follows_from_what_is_older() {
        let coverage = Coverage::Since(at(50));
        assert_eq!(Lack::of(&own(), coverage, at(101)), Lack::OlderThanCluster);
        assert_eq!(
            Lack::of(&pod(json!({}), json!(null)), coverage, at(50)),
            Lack::MissedOrUnlabelled
        );
    }

    #[test]
    fn a_label_that_came_later_is_told_by_who_set_it() {
        let label = json!({"f:labels": {"f:grenache.dev/cluster": {}}});
        let made = json!({"f:spec": {"f:containers": {}}});
        let with = json!({"f:metadata": label, "f:spec": {"f:containers": {}}});
        let coverage = Coverage::Since(at(50));
        let lack = |managed: Value| {
            Lack::of(&pod(json!({"grenache.dev/cluster": "market"}), managed), coverage, at(50))
        };
        let later = json!([fields("a", made), fields("b", json!({"f:metadata": label}))]);
        assert_eq!(lack(later), Lack::LabelledLater);
        let both = json!([fields("a", with), fields("b", json!({"f:metadata": label}))]);
        assert_eq!(lack(both), Lack::Missed);
    }

    #[test]
    fn each_is_told_by_its_own_words() {
        let all = [
            Lack::NoWebhook,
            Lack::NamespaceLeftOut,
            Lack::PodLeftOut,
            Lack::OlderThanCluster,
            Lack::OlderThanWebhook,
            Lack::LabelledLater,
            Lack::Missed,
            Lack::MissedOrUnlabelled,
        ];
        let mut explanations = all.map(Lack::explanation).to_vec();
        explanations.sort_unstable();
        explanations.dedup();
        assert_eq!(explanations.len(), all.len());
        assert_eq!(all.map(Lack::is_lasting).iter().filter(|it| **it).count(), 3);
    }
}
