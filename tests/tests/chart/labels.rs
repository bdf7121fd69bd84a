//! Names, labels, images, rights and monitors: what a value changes, and what it leaves as it is.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use rstest::rstest;
use serde_yaml::Value;

use crate::helm::{self, Rendered};

fn deployment(arguments: &[&str]) -> Deployment {
    Rendered::of(arguments).one()
}

#[test]
fn another_name_is_the_name_of_objects_and_nothing_else() {
    let named = Rendered::of(&["--set=nameOverride=grapes"]);
    assert!(named.names().contains(&"Deployment ops/grape-operator-grapes".to_owned()));
    let selector = |of: &Rendered| of.one::<Deployment>().spec.unwrap().selector;
    assert_eq!(selector(&named), selector(&Rendered::of(&[])));
    let labels = |of: &Rendered| of.one::<Deployment>().metadata.labels;
    assert_eq!(labels(&named), labels(&Rendered::of(&[])));
    let full = Rendered::of(&["--set=nameOverride=grapes,fullnameOverride=full"]);
    assert!(full.names().contains(&"Deployment ops/full".to_owned()), "{:?}", full.names());
}

/// The first part of a repository is a registry if it has a dot or a port, or is localhost.
#[rstest]
#[case("image.registry=a.example", "a.example/grenache/grape-operator")]
#[case("global.imageRegistry=b.example/x", "b.example/x/grenache/grape-operator")]
#[case(
    "image.registry=a.example,global.imageRegistry=b.example",
    "a.example/grenache/grape-operator"
)]
#[case("image.repository=c.example/op,image.registry=a.example", "c.example/op")]
#[case("image.repository=localhost/op,global.imageRegistry=b.example", "localhost/op")]
#[case("image.repository=c:5000/op,global.imageRegistry=b.example", "c:5000/op")]
#[case("image.repository=op.v2,global.imageRegistry=b.example", "b.example/op.v2")]
fn a_registry_is_put_before_a_repository_that_has_none(#[case] set: &str, #[case] name: &str) {
    let image = format!("{name}:{}", env!("CARGO_PKG_VERSION"));
    // The Grape's image is made of the same parts.
    let both = format!("{set},{}", set.replace("image.re", "grapeImage.re"));
    let container = deployment(&[&format!("--set={both}")]).spec.unwrap().template.spec.unwrap();
    let container = &container.containers[0];
    assert_eq!(container.image.as_deref(), Some(image.as_str()));
    let grape = image.replace("grape-operator", "grape");
    let all = serde_json::to_string(container).unwrap();
    assert!(all.matches(&grape).count() >= 1 && all.contains(&grape), "{grape} is not in {all}");
}

#[test]
fn common_labels_are_those_of_objects_and_select_nothing() {
    let monitored = helm::values("monitored.yaml");
    let set = "--set=commonLabels.team=platform,serviceMonitor.labels.team=monitoring";
    let with = Rendered::of(&["--values", &monitored, set]);
    let without =
        Rendered::of(&["--values", &monitored, "--set=serviceMonitor.labels.team=monitoring"]);
    let mut plain = Vec::new();
    for object in with.objects() {
        let labels = &object["metadata"]["labels"];
        let own = object["kind"] == "ServiceMonitor";
        assert_eq!(labels["team"], if own { "monitoring" } else { "platform" }, "{object:?}");
        let mut object = object.clone();
        if !own {
            object["metadata"]["labels"].as_mapping_mut().unwrap().remove("team");
        }
        plain.push(object);
    }
    assert_eq!(plain, without.objects(), "nothing but the metadata has them");
}

#[test]
fn an_account_has_its_annotations() {
    let account: ServiceAccount =
        Rendered::of(&["--set=serviceAccount.annotations.example\\.com/role=operator"]).one();
    let expected = BTreeMap::from([("example.com/role".to_owned(), "operator".to_owned())]);
    assert_eq!(account.metadata.annotations, Some(expected));
}

#[test]
fn without_rights_the_secret_of_the_webhook_is_still_there() {
    let without = Rendered::of(&["--set=rbac.create=false"]);
    let _: Secret = without.one();
    let is_right = |name: &str| name.starts_with("Role") || name.starts_with("ClusterRole");
    let mut expected = Rendered::of(&[]).names();
    expected.retain(|name| !is_right(name));
    assert_eq!(without.names(), expected);
    let tests = Rendered::tests_of(&["--set=rbac.create=false"]).names();
    assert_eq!(tests, ["Pod ops/grape-operator-check", "ServiceAccount ops/grape-operator-check"]);
}

#[test]
fn a_monitor_elsewhere_says_where_its_targets_are() {
    let monitored = helm::values("monitored.yaml");
    let set = "--set=serviceMonitor.namespace=monitoring,podMonitor.namespace=monitoring,\
               prometheusRule.namespace=monitoring";
    let elsewhere = Rendered::of(&["--values", &monitored, set]);
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        assert_eq!(elsewhere.one_of_kind(kind)["metadata"]["namespace"], "monitoring");
    }
    let spec = |of: &Rendered, kind: &str| of.one_of_kind(kind)["spec"].clone();
    let names = spec(&elsewhere, "ServiceMonitor")["namespaceSelector"]["matchNames"].clone();
    assert_eq!(names, serde_yaml::from_str::<Value>("[ops]").unwrap());
    assert_eq!(spec(&elsewhere, "PodMonitor")["namespaceSelector"]["any"], true);
    for set in ["serviceMonitor.namespace=ops", "serviceMonitor.namespace="] {
        let here = Rendered::of(&["--values", &monitored, &format!("--set={set}")]);
        assert!(spec(&here, "ServiceMonitor").get("namespaceSelector").is_none());
    }
}

#[test]
fn a_strategy_replaces_ours() {
    let strategy = |set: &str| deployment(&[set]).spec.unwrap().strategy.unwrap();
    let recreated = strategy("--set=updateStrategy.type=Recreate");
    assert_eq!((recreated.type_.as_deref(), recreated.rolling_update), (Some("Recreate"), None));
    let kept = deployment(&["--set=revisionHistoryLimit=0"]).spec.unwrap().revision_history_limit;
    assert_eq!(kept, Some(0));
}

/// What is given is put over what `restricted` asks for.
#[test]
fn security_contexts_are_merged() {
    let set = "--set=podSecurityContext.runAsUser=1000,\
               podSecurityContext.seccompProfile.type=Localhost,\
               securityContext.readOnlyRootFilesystem=false,securityContext.capabilities.add={SYS_TIME}";
    let pod = deployment(&[set]).spec.unwrap().template.spec.unwrap();
    let security = pod.security_context.unwrap();
    assert_eq!((security.run_as_user, security.run_as_non_root), (Some(1000), Some(true)));
    assert_eq!(security.seccomp_profile.unwrap().type_, "Localhost");
    let security = pod.containers[0].security_context.clone().unwrap();
    assert_eq!(security.read_only_root_filesystem, Some(false));
    assert_eq!(security.allow_privilege_escalation, Some(false));
    let capabilities = security.capabilities.unwrap();
    assert_eq!(capabilities.drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(capabilities.add, Some(vec!["SYS_TIME".to_owned()]));
}
