//! The verdicts on pods.

mod properties;
mod refused;

use std::path::PathBuf;
use std::sync::LazyLock;

use grape_cluster::manifest;
use grape_cluster::validate::validate;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::desired::labels;

const MARKET: &str = include_str!("tests/market.yaml");
const PRO: &str = include_str!("tests/pro.yaml");
const LOW: &str = include_str!("tests/low.yaml");

/// The clusters that there are.
static CLUSTERS: LazyLock<[Arc<ValidatedCluster>; 3]> = LazyLock::new(|| {
    [MARKET, PRO, LOW].map(|yaml| Arc::new(validate(&manifest::parse(yaml).unwrap()).unwrap()))
});

fn clusters(namespace: &str, name: &str) -> Option<Arc<ValidatedCluster>> {
    let mut there = CLUSTERS.iter().filter(|_| namespace == "trading");
    there.find(|cluster| cluster.name == name).cloned()
}

fn all() -> Vec<Named> {
    let named = |it: &Arc<ValidatedCluster>| ("trading".to_owned(), it.name.clone());
    CLUSTERS.iter().map(|cluster| (named(cluster), Arc::clone(cluster))).collect()
}

/// The labels of a namespace. Pods of `shop` have a Grape by default.
fn labels_of(namespace: &str) -> BTreeMap<String, String> {
    let labels: &[(&str, &str)] = match namespace {
        "shop" => &[("team", "exchange"), ("grenache.dev/cluster", "trading.pro")],
        "trading" => &[("team", "exchange")],
        "closed" => &[("grenache.dev/cluster", "trading.market")],
        "lost" => &[("grenache.dev/cluster", "market")],
        "misspelt" => &[("grenache.dev/cluster", "Market!")],
        _ => &[],
    };
    labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The verdict on a pod, as the API server shows it to a webhook.
fn verdict(pod: &Value) -> Verdict {
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let namespace = pod.metadata.namespace.clone().unwrap();
    inject(
        &pod,
        &Context {
            namespace: &namespace,
            namespace_labels: &labels_of(&namespace),
            clusters: &clusters,
            all: &all,
            grape_image: "grenache/grape:test",
        },
    )
}

/// A snapshot of the patch for each pod; INSTA_UPDATE=always writes them.
#[rstest]
fn patches(#[files("src/inject/tests/pods/*.yaml")] file: PathBuf) {
    let pod: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let Verdict::Inject { patch, warnings, reason } = verdict(&pod) else {
        panic!("{:?}", verdict(&pod));
    };
    assert_eq!(reason, Reason::Injected);
    let told = serde_yaml::to_string(&json!({"warnings": warnings, "patch": patch})).unwrap();
    let told = told.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(file.file_stem().unwrap().to_str().unwrap(), told);
}

/// A pod of the namespace with a container `service`, and these fields of its own.
fn pod(namespace: &str, labels: Value, more: &str) -> Value {
    let mut spec: Value = serde_yaml::from_str(more).unwrap();
    let container = spec.as_object_mut().unwrap().remove("container").unwrap_or(json!({}));
    let annotations = spec.as_object_mut().unwrap().remove("annotations");
    let mut service = json!({"name": "service", "image": "service:1"});
    service.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
    spec["containers"] = json!([service]);
    json!({
        "metadata": {
            "name": "a", "namespace": namespace, "labels": labels, "annotations": annotations,
        },
        "spec": spec,
    })
}

#[rstest]
#[case::the_default("{dnsPolicy: ClusterFirst}", None)]
#[case::of_the_node(
    "{dnsPolicy: Default}",
    Some(
        "spec.dnsPolicy is Default: the pod's Grape finds the others by the name of a Service, \
         market.trading.svc; expected ClusterFirst"
    )
)]
#[case::of_its_own(
    "{dnsPolicy: None, dnsConfig: {nameservers: [192.0.2.53]}}",
    Some(
        "spec.dnsPolicy is None: the pod's Grape finds the others by the name of a Service, \
         market.trading.svc, which the name servers and search domains of spec.dnsConfig have to \
         resolve; expected ClusterFirst"
    )
)]
#[case::without_search_domains(
    "{dnsConfig: {options: [{name: ndots, value: '2'}]}}",
    Some(
        "spec.dnsConfig has ndots 2: the pod's Grape finds the others by the name of a Service, \
         market.trading.svc, to which its resolver would not add the cluster's domain; expected \
         3 or more"
    )
)]
#[case::with_search_domains("{dnsConfig: {options: [{name: ndots, value: '3'}]}}", None)]
#[case::another_option("{dnsConfig: {options: [{name: edns0}]}}", None)]
fn names_that_may_not_resolve_are_warned_of(#[case] more: &str, #[case] warning: Option<&str>) {
    match verdict(&pod("trading", json!({"grenache.dev/cluster": "market"}), more)) {
        Verdict::Inject { warnings, .. } => {
            assert_eq!(warnings, warning.map(str::to_owned).into_iter().collect::<Vec<_>>());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_mirror_of_a_pod_that_runs_is_left_as_it_is() {
    let more = "{annotations: {kubernetes.io/config.mirror: 4f3a}}";
    let pod = pod("trading", json!({"grenache.dev/cluster": "market"}), more);
    let message = "the pod runs without a sidecar: it is a static pod, which its node created \
        from a file; add a Grape to that file";
    let expected = Verdict::Skip { reason: Reason::MirrorPod, message: message.to_owned() };
    assert_eq!(verdict(&pod), expected);
}

#[rstest]
#[case::nobody_asks("trading", json!({}), Reason::NotAsked)]
#[case::it_wants_none("shop", json!({"grenache.dev/inject": "disabled"}), Reason::OptedOut)]
#[case::a_grape_itself(
    "shop",
    json!(labels::of_pool("market", "default")),
    Reason::NotAsked
)]
fn a_pod_that_wants_no_grape_is_unchanged(
    #[case] namespace: &str,
    #[case] labels: Value,
    #[case] reason: Reason,
) {
    assert_eq!(verdict(&pod(namespace, labels, "{}")), Verdict::Unchanged { reason });
}

#[test]
fn a_pod_without_a_spec_is_unchanged() {
    let metadata = json!({
        "name": "a", "namespace": "trading", "labels": {"grenache.dev/cluster": "market"},
    });
    let expected = Verdict::Unchanged { reason: Reason::NotAsked };
    assert_eq!(verdict(&json!({"metadata": metadata})), expected);
}

/// Such as on a template made of a pod that runs, less its init containers.
#[test]
fn the_label_alone_is_no_grape() {
    let labels = json!({"grenache.dev/cluster": "market", "grenache.dev/grape": "injected"});
    let verdict = verdict(&pod("trading", labels, "{}"));
    assert_eq!((verdict.result(), verdict.reason()), ("injected", Reason::Injected));
}

#[test]
fn verdicts_have_words_for_metrics() {
    let refused = verdict(&pod("trading", json!({"grenache.dev/cluster": "gone"}), "{}"));
    let left_out = verdict(&pod("lost", json!({}), "{}"));
    let made = verdict(&pod("shop", json!({}), "{}"));
    let none = verdict(&pod("trading", json!({}), "{}"));
    let told = [refused, left_out, made, none]
        .map(|verdict| format!("{} {}", verdict.result(), verdict.reason()));
    let expected = [
        "refused ClusterNotFound",
        "skipped ClusterNotFound",
        "injected Injected",
        "unchanged NotAsked",
    ];
    assert_eq!(told, expected);
}

/// A pod that lets its processes have the port of the Grape keeps its own settings.
#[rstest]
#[case::none("{}", Some("/spec/securityContext"))]
#[case::others("{securityContext: {runAsUser: 1000}}", Some("/spec/securityContext/sysctls"))]
#[case::other_settings(
    "{securityContext: {sysctls: [{name: kernel.shm_rmid_forced, value: '0'}]}}",
    Some("/spec/securityContext/sysctls/-")
)]
#[case::low_enough(
    "{securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '80'}]}}",
    None
)]
fn a_grape_may_listen_at_a_low_port(#[case] more: &str, #[case] expected: Option<&str>) {
    let patched = |cluster: &str| {
        let pod = pod("trading", json!({"grenache.dev/cluster": cluster}), more);
        let Verdict::Inject { patch, .. } = verdict(&pod) else { panic!("{:?}", verdict(&pod)) };
        let paths = patch.0.iter().map(|operation| operation.path().to_string());
        paths.filter(|path| path.starts_with("/spec/securityContext")).collect::<Vec<_>>()
    };
    assert_eq!(patched("low"), expected.into_iter().collect::<Vec<_>>());
    assert_eq!(patched("market"), [""; 0], "no other is changed");
}
