//! Which objects there are.

use rstest::rstest;

use crate::helm::Rendered;

const DEFAULT: [&str; 24] = [
    "ClusterRole grape-operator",
    "ClusterRole grape-operator-edit",
    "ClusterRole grape-operator-others.ops",
    "ClusterRole grape-operator-view",
    "ClusterRole grape-operator-webhook.ops",
    "ClusterRoleBinding grape-operator",
    "ClusterRoleBinding grape-operator-others.ops",
    "ClusterRoleBinding grape-operator-webhook.ops",
    "CustomResourceDefinition grapeclusters.grenache.dev",
    "Deployment ops/grape-operator",
    "MutatingWebhookConfiguration grape-operator-webhook.ops",
    "PodDisruptionBudget ops/grape-operator",
    "Role ops/grape-operator-leases",
    "Role ops/grape-operator-webhook",
    "RoleBinding ops/grape-operator-leases",
    "RoleBinding ops/grape-operator-webhook",
    "Secret ops/grape-operator-webhook-tls",
    "Service ops/grape-operator",
    "Service ops/grape-operator-webhook",
    "ServiceAccount ops/grape-operator",
    "ValidatingAdmissionPolicy grape-operator-clusters.ops",
    "ValidatingAdmissionPolicy grape-operator-labels.ops",
    "ValidatingAdmissionPolicyBinding grape-operator-clusters.ops",
    "ValidatingAdmissionPolicyBinding grape-operator-labels.ops",
];

/// What lets the operator notice others.
const OTHERS: [&str; 2] =
    ["ClusterRole grape-operator-others.ops", "ClusterRoleBinding grape-operator-others.ops"];

/// What API servers warn by.
const WARNINGS: [&str; 4] = [
    "ValidatingAdmissionPolicy grape-operator-clusters.ops",
    "ValidatingAdmissionPolicy grape-operator-labels.ops",
    "ValidatingAdmissionPolicyBinding grape-operator-clusters.ops",
    "ValidatingAdmissionPolicyBinding grape-operator-labels.ops",
];

/// All that there is for the webhook.
const WEBHOOK: [&str; 7] = [
    "ClusterRole grape-operator-webhook.ops",
    "ClusterRoleBinding grape-operator-webhook.ops",
    "MutatingWebhookConfiguration grape-operator-webhook.ops",
    "Role ops/grape-operator-webhook",
    "RoleBinding ops/grape-operator-webhook",
    "Secret ops/grape-operator-webhook-tls",
    "Service ops/grape-operator-webhook",
];

#[test]
fn the_defaults_need_no_optional_kinds() {
    assert_eq!(Rendered::of(&[]).names(), DEFAULT);
    let tests = [
        "Pod ops/grape-operator-check",
        "Role ops/grape-operator-check",
        "RoleBinding ops/grape-operator-check",
        "ServiceAccount ops/grape-operator-check",
    ];
    assert_eq!(Rendered::tests_of(&[]).names(), tests);
}

#[rstest]
#[case("crds.install=false", &[], &["CustomResourceDefinition grapeclusters.grenache.dev"])]
#[case(
    "userRoles.enabled=false",
    &[],
    &["ClusterRole grape-operator-edit", "ClusterRole grape-operator-view"]
)]
#[case("serviceAccount.create=false", &[], &["ServiceAccount ops/grape-operator"])]
#[case("podDisruptionBudget.enabled=false", &[], &["PodDisruptionBudget ops/grape-operator"])]
#[case("replicas=1", &[], &["PodDisruptionBudget ops/grape-operator"])]
#[case(
    "replicas=0",
    &[],
    &[
        "MutatingWebhookConfiguration grape-operator-webhook.ops",
        "PodDisruptionBudget ops/grape-operator"
    ]
)]
#[case("serviceMonitor.enabled=true", &["ServiceMonitor ops/grape-operator"], &[])]
#[case("podMonitor.enabled=true", &["PodMonitor ops/grape-operator-sidecars"], &[])]
#[case("prometheusRule.enabled=true", &["PrometheusRule ops/grape-operator"], &[])]
#[case("networkPolicy.enabled=true", &["NetworkPolicy ops/grape-operator"], &[])]
#[case("webhook.enabled=false", &[], &WEBHOOK)]
#[case("otherOperators.notice=false", &[], &OTHERS)]
#[case("warnings.enabled=false", &[], &WARNINGS)]
#[case(
    "webhook.certificates.secret=certificate",
    &[],
    &[
        "Role ops/grape-operator-webhook",
        "RoleBinding ops/grape-operator-webhook",
        "Secret ops/grape-operator-webhook-tls",
    ]
)]
#[case(
    "webhook.enabled=true,watchNamespaces={market}",
    &["Role market/grape-operator", "RoleBinding market/grape-operator"],
    &["ClusterRole grape-operator", "ClusterRoleBinding grape-operator"]
)]
fn a_switch_adds_or_takes_away_its_objects_alone(
    #[case] set: &str,
    #[case] added: &[&str],
    #[case] taken: &[&str],
) {
    let mut expected: Vec<_> =
        DEFAULT.iter().filter(|each| !taken.contains(each)).chain(added).copied().collect();
    expected.sort_unstable();
    assert_eq!(expected.len() + taken.len(), DEFAULT.len() + added.len());
    assert_eq!(Rendered::of(&[&format!("--set={set}")]).names(), expected);
}

/// It would take rights that somebody who names namespaces does not give unasked.
#[test]
fn with_namespaces_there_is_no_webhook_unless_asked_for() {
    let names = Rendered::of(&["--set=watchNamespaces={market}"]).names();
    let mut left_out = WEBHOOK.iter().chain(&OTHERS).chain(&WARNINGS);
    assert!(left_out.all(|each| !names.contains(&(*each).to_owned())), "{names:?}");
    assert_eq!(names.len(), DEFAULT.len() - WEBHOOK.len() - OTHERS.len() - WARNINGS.len());
}

#[rstest]
#[case("grape-operator", "", "grape-operator")]
#[case("my-grape-operator-2", "", "my-grape-operator-2")]
#[case("market", "", "market-grape-operator")]
#[case("market", "grapes", "grapes")]
// 52 characters, so that suffixes such as -leases fit.
#[case(
    "a-release-with-a-name-as-long-as-helm-lets-it-be-53ch",
    "",
    "a-release-with-a-name-as-long-as-helm-lets-it-be-53c"
)]
fn objects_are_named_after_the_release(
    #[case] release: &str,
    #[case] given: &str,
    #[case] name: &str,
) {
    let chart = crate::helm::chart();
    let set = format!("--set=fullnameOverride={given}");
    let show = "--show-only=templates/service.yaml";
    let printed =
        crate::helm::printed(["template", release, chart.to_str().unwrap(), set.as_str(), show]);
    assert!(printed.contains(&format!("\n  name: \"{name}\"\n")), "{printed}");
}
