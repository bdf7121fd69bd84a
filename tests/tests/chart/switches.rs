//! Which objects there are.

use rstest::rstest;

use crate::helm::Rendered;

const DEFAULT: [&str; 11] = [
    "ClusterRole grape-operator",
    "ClusterRole grape-operator-edit",
    "ClusterRole grape-operator-view",
    "ClusterRoleBinding grape-operator",
    "CustomResourceDefinition grapeclusters.grenache.dev",
    "Deployment ops/grape-operator",
    "PodDisruptionBudget ops/grape-operator",
    "Role ops/grape-operator-leases",
    "RoleBinding ops/grape-operator-leases",
    "Service ops/grape-operator",
    "ServiceAccount ops/grape-operator",
];

#[test]
fn by_default_there_is_what_every_cluster_takes() {
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
#[case("replicas=0", &[], &["PodDisruptionBudget ops/grape-operator"])]
#[case("serviceMonitor.enabled=true", &["ServiceMonitor ops/grape-operator"], &[])]
#[case("prometheusRule.enabled=true", &["PrometheusRule ops/grape-operator"], &[])]
#[case("networkPolicy.enabled=true", &["NetworkPolicy ops/grape-operator"], &[])]
#[case(
    "watchNamespaces={market}",
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

#[rstest]
#[case("grape-operator", "", "grape-operator")]
#[case("my-grape-operator-2", "", "my-grape-operator-2")]
#[case("market", "", "market-grape-operator")]
#[case("market", "grapes", "grapes")]
// 52 characters, so that -leases and the like fit.
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
    assert!(printed.contains(&format!("\n  name: {name}\n")), "{printed}");
}
