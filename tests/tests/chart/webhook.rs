//! What the webhook is asked about, and what an upgrade leaves to the operator.

use grape_tests::kubernetes::{ApiServer, access};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::api::{Api, Patch, PatchParams};
use rstest::rstest;
use serde_json::json;

use crate::helm::{self, Rendered};
use crate::server::kubectl;

const NAME: &str = "grape-operator-webhook.ops";

fn webhooks(arguments: &[&str]) -> Vec<MutatingWebhook> {
    Rendered::of(arguments).one::<MutatingWebhookConfiguration>().webhooks.unwrap()
}

/// Whether an object with these labels is selected.
fn selects(selector: &LabelSelector, labels: &[(&str, &str)]) -> bool {
    let value = |key: &str| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let holds = |it: &LabelSelectorRequirement| {
        let value = value(&it.key);
        let among = value.is_some_and(|value| it.values.iter().flatten().any(|each| each == value));
        match it.operator.as_str() {
            "In" => among,
            "NotIn" => !among,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => panic!("{other}"),
        }
    };
    let mut equal = selector.match_labels.iter().flatten();
    equal.all(|(key, wanted)| value(key) == Some(wanted))
        && selector.match_expressions.iter().flatten().all(holds)
}

/// The failure policies of those webhooks that are asked about a pod.
fn asked(arguments: &[&str], namespace: &[(&str, &str)], pod: &[(&str, &str)]) -> Vec<String> {
    let webhooks = webhooks(arguments);
    let asked = webhooks.iter().filter(|each| {
        selects(each.namespace_selector.as_ref().unwrap(), namespace)
            && selects(each.object_selector.as_ref().unwrap(), pod)
    });
    asked.map(|each| each.failure_policy.clone().unwrap()).collect()
}

const CLUSTER: (&str, &str) = ("grenache.dev/cluster", "market");
const INJECTED: (&str, &str) = ("grenache.dev/grape", "injected");
const OPERATOR: (&str, &str) = ("app.kubernetes.io/name", "grape-operator");
const OUT: (&str, &str) = ("grenache.dev/inject", "disabled");
const NAMESPACE: &str = "kubernetes.io/metadata.name";

#[rstest]
#[case::nobody_asks(&[(NAMESPACE, "shop")], &[("app", "web")], &[])]
#[case::the_pod_asks(&[(NAMESPACE, "shop")], &[CLUSTER], &["Fail"])]
#[case::its_namespace_asks(&[(NAMESPACE, "shop"), CLUSTER], &[], &["Ignore"])]
#[case::both_ask(&[(NAMESPACE, "shop"), CLUSTER], &[CLUSTER], &["Fail", "Ignore"])]
// So that it is asked again when somebody else has changed what it changed.
#[case::again(&[(NAMESPACE, "shop"), CLUSTER], &[CLUSTER, INJECTED], &["Fail", "Ignore"])]
#[case::it_wants_none(&[(NAMESPACE, "shop"), CLUSTER], &[OUT], &[])]
#[case::it_wants_none_after_all(&[(NAMESPACE, "shop")], &[CLUSTER, OUT], &[])]
#[case::a_mistake_is_told(
    &[(NAMESPACE, "shop")],
    &[CLUSTER, ("grenache.dev/inject", "no")],
    &["Fail"]
)]
#[case::a_grape_itself(
    &[(NAMESPACE, "shop"), CLUSTER],
    &[("app.kubernetes.io/managed-by", "grape-operator")],
    &[]
)]
#[case::kubernetes_own(&[(NAMESPACE, "kube-system"), CLUSTER], &[CLUSTER], &[])]
#[case::the_operators_own(&[(NAMESPACE, "ops"), CLUSTER], &[OPERATOR, CLUSTER], &[])]
#[case::a_service_beside_the_operator(&[(NAMESPACE, "ops")], &[CLUSTER], &["Fail"])]
#[case::one_that_does_not_ask(&[(NAMESPACE, "ops"), CLUSTER], &[], &["Ignore"])]
fn it_is_asked_about_pods_that_ask(
    #[case] namespace: &[(&str, &str)],
    #[case] pod: &[(&str, &str)],
    #[case] policies: &[&str],
) {
    assert_eq!(asked(&[], namespace, pod), policies);
}

/// The operator's own pods start without a call of its webhook.
#[test]
fn it_is_never_asked_about_the_operators_own_pods() {
    let values = "--set=podLabels.grenache\\.dev/cluster=market";
    let rendered = Rendered::of(&[values]);
    let pod = rendered.one::<Deployment>().spec.unwrap().template.metadata.unwrap();
    let labels = pod.labels.unwrap();
    let labels: Vec<_> = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert!(labels.contains(&CLUSTER), "{labels:?}");
    assert_eq!(asked(&[values], &[(NAMESPACE, "ops"), CLUSTER], &labels), [""; 0]);
}

#[test]
fn with_namespaces_it_is_asked_about_those_alone() {
    let set = ["--set=webhook.enabled=true,watchNamespaces={market,trade}"];
    for (namespace, policies) in [("market", &["Fail"][..]), ("trade", &["Fail"]), ("shop", &[])] {
        assert_eq!(asked(&set, &[(NAMESPACE, namespace)], &[CLUSTER]), policies, "{namespace}");
    }
}

#[test]
fn values_limit_which_pods_the_webhook_sees() {
    let everything = ["--values", &helm::values("everything.yaml")];
    let namespace = [(NAMESPACE, "market"), ("stage", "production"), ("team", "a")];
    let pod = [CLUSTER, ("tier", "service")];
    assert_eq!(asked(&everything, &namespace, &pod), ["Ignore"]);
    assert_eq!(asked(&everything, &namespace[..2], &pod), [""; 0]);
    assert_eq!(asked(&everything, &namespace, &pod[..1]), [""; 0]);
    let legacy = [pod[0], pod[1], ("legacy", "yes")];
    assert_eq!(asked(&everything, &namespace, &legacy), [""; 0]);
}

#[test]
fn each_webhook_is_called_by_the_service() {
    for webhook in webhooks(&[]) {
        let service = webhook.client_config.service.unwrap();
        assert_eq!((&*service.name, &*service.namespace), ("grape-operator-webhook", "ops"));
        assert_eq!((service.path.as_deref(), service.port), (Some("/inject"), Some(443)));
        assert_eq!(webhook.client_config.ca_bundle, None, "that is the operator's");
        assert_eq!(webhook.timeout_seconds, Some(5));
        assert_eq!(webhook.reinvocation_policy.as_deref(), Some("IfNeeded"));
        assert_eq!(webhook.side_effects, "NoneOnDryRun");
        assert_eq!(webhook.admission_review_versions, ["v1"]);
        let rules = serde_json::to_value(webhook.rules).unwrap();
        let pods = json!([{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
            "resources": ["pods"], "scope": "Namespaced",
        }]);
        assert_eq!(rules, pods);
    }
    let theirs = ["--values", &helm::values("everything.yaml")];
    for webhook in webhooks(&theirs) {
        assert_eq!(webhook.client_config.ca_bundle, Some(ByteString(b"CA".to_vec())));
    }
}

/// What the operator wrote stays, through an upgrade that changes the same object.
#[tokio::test]
async fn an_upgrade_keeps_the_certificate_and_the_ca_bundle() {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: a cluster that is not ours may have an operator.");
        return;
    }
    let server = ApiServer::start().await.unwrap();
    let chart = helm::chart();
    let run = |arguments: &[&str]| {
        let kubeconfig = ["--kubeconfig", server.kubeconfig().to_str().unwrap()];
        helm::printed([arguments, &kubeconfig].concat())
    };
    let chart = chart.to_str().unwrap();
    run(&["install", "grape-operator", chart, "--namespace=ops", "--create-namespace"]);
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(server.client());
    let secrets: Api<Secret> = Api::namespaced(server.client(), "ops");
    let operator =
        PatchParams { field_manager: Some("grape-operator".to_owned()), ..<_>::default() };
    let trust = |name: &str| json!({"name": name, "clientConfig": {"caBundle": "Q0E="}});
    let names = ["pods.inject.grenache.dev", "namespaces.inject.grenache.dev"];
    let trusted = Patch::Strategic(json!({"webhooks": names.map(trust)}));
    configurations.patch(NAME, &operator, &trusted).await.unwrap();
    let secret = "grape-operator-webhook-tls";
    let filled = Patch::Merge(json!({"data": {"tls.crt": "Q0E="}}));
    secrets.patch(secret, &operator, &filled).await.unwrap();

    for (change, seconds) in [("webhook.timeoutSeconds=7", 7), ("webhook.timeoutSeconds=8", 8)] {
        let set = format!("--set={change}");
        run(&["upgrade", "grape-operator", chart, "--namespace=ops", &set]);
        let webhooks = configurations.get(NAME).await.unwrap().webhooks.unwrap();
        assert_eq!(webhooks.len(), 2);
        for webhook in webhooks {
            assert_eq!(webhook.timeout_seconds, Some(seconds));
            assert_eq!(webhook.client_config.ca_bundle, Some(ByteString(b"CA".to_vec())));
        }
        let data = secrets.get(secret).await.unwrap().data.unwrap();
        assert_eq!(data["tls.crt"], ByteString(b"CA".to_vec()));
    }
    // It goes with the release: else pods that ask could not be made any more.
    run(&["uninstall", "grape-operator", "--namespace=ops"]);
    assert!(kubectl(&server, &["get", "mutatingwebhookconfigurations", NAME]).is_err());
}
