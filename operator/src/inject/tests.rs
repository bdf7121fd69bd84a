//! The verdicts on pods.

mod properties;

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

/// What is said of a pod that asks itself for a Grape.
fn refusal(cluster: &str, namespace: &str, more: &str) -> (Reason, String) {
    match verdict(&pod(namespace, json!({"grenache.dev/cluster": cluster}), more)) {
        Verdict::Refuse { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::no_cluster(
    "gone",
    "trading",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"gone\" that works in the namespace \"trading\"; make it, or correct \
     the label grenache.dev/cluster of the pod"
)]
#[case::no_cluster_there(
    "market",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"market\" that works in the namespace \"shop\"; make it, or correct \
     the label grenache.dev/cluster of the pod"
)]
#[case::misspelt(
    "markt",
    "trading",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"markt\" that works in the namespace \"trading\"; did you mean market? \
     (label grenache.dev/cluster of the pod)"
)]
#[case::the_other_way_round(
    "pro.trading",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"trading\" that works in the namespace \"pro\"; the label is \
     NAMESPACE.CLUSTER: did you mean trading.pro? (label grenache.dev/cluster of the pod)"
)]
#[case::of_another_namespace(
    "trading.prro",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"prro\" that works in the namespace \"trading\"; did you mean \
     trading.pro? (label grenache.dev/cluster of the pod)"
)]
#[case::not_its_to_know(
    "trading.markett",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"markett\" that works in the namespace \"trading\"; make it, or \
     correct the label grenache.dev/cluster of the pod"
)]
#[case::not_its_namespace(
    "trading.market",
    "shop",
    "{}",
    Reason::NamespaceNotAllowed,
    "the GrapeCluster trading/market is not for pods of the namespace \"shop\"; let it in by \
     spec.injection.namespaces of the GrapeCluster"
)]
#[case::not_selected(
    "trading.pro",
    "bare",
    "{}",
    Reason::NamespaceNotAllowed,
    "the GrapeCluster trading/pro is not for pods of the namespace \"bare\"; let it in by \
     spec.injection.namespaces of the GrapeCluster"
)]
#[case::host_network(
    "market",
    "trading",
    "{hostNetwork: true}",
    Reason::HostNetwork,
    "spec.hostNetwork: a Grape would have its ports on the node, where another pod's Grape may be; \
     leave it out, or give the service the address of a Grape of its own"
)]
#[case::port_start(
    "low",
    "trading",
    "{securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '1024'}]}}",
    Reason::PortForbidden,
    "spec.securityContext.sysctls: net.ipv4.ip_unprivileged_port_start is \"1024\", and its Grape \
     listens at port 80; leave it out, or let it be 80 or less, or set spec.api.port of the \
     GrapeCluster trading/low to 1024 or more"
)]
#[case::windows(
    "market",
    "trading",
    "{os: {name: windows}}",
    Reason::Windows,
    "spec.os.name: the pod is for Windows, and a Grape runs on Linux; give the service the address \
     of a Grape of its own"
)]
#[case::windows_nodes(
    "market",
    "trading",
    "{nodeSelector: {kubernetes.io/os: windows}}",
    Reason::Windows,
    "spec.nodeSelector: the pod is for Windows, and a Grape runs on Linux; give the service the \
     address of a Grape of its own"
)]
#[case::port_of_the_api(
    "market",
    "trading",
    "{container: {ports: [{containerPort: 30001}]}}",
    Reason::PortTaken,
    "the container \"service\" is at port 30001/TCP, where its Grape has its api; let it have \
     another port, or set spec.api.port of the GrapeCluster trading/market"
)]
#[case::port_of_the_admin_pages(
    "market",
    "trading",
    "{initContainers: [{name: a, ports: [{containerPort: 9091, protocol: TCP}]}]}",
    Reason::PortTaken,
    "the container \"a\" is at port 9091/TCP, where its Grape has its admin; let it have another \
     port, or set the annotation grenache.dev/admin-port of the pod, or spec.injection.adminPort of \
     the GrapeCluster trading/market"
)]
#[case::port_of_the_dht(
    "market",
    "trading",
    "{container: {ports: [{containerPort: 1}, {containerPort: 20001, protocol: UDP}]}}",
    Reason::PortTaken,
    "the container \"service\" is at port 20001/UDP, where its Grape has its dht; let it have \
     another port, or set the annotation grenache.dev/dht-port of the pod, or spec.injection.dhtPort \
     of the GrapeCluster trading/market"
)]
#[case::port_that_the_pod_named(
    "market",
    "trading",
    "{annotations: {grenache.dev/admin-port: '8080'}, container: {ports: [{containerPort: 8080}]}}",
    Reason::PortTaken,
    "the container \"service\" is at port 8080/TCP, where its Grape has its admin; let it have \
     another port, or set the annotation grenache.dev/admin-port of the pod, or \
     spec.injection.adminPort of the GrapeCluster trading/market"
)]
#[case::two_at_one_port(
    "market",
    "trading",
    "{annotations: {grenache.dev/admin-port: '30001'}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/admin-port: at port 30001 the Grape has its API; expected another port"
)]
#[case::the_dht_where_the_admin_pages_are(
    "market",
    "trading",
    "{annotations: {grenache.dev/dht-port: '9091'}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/dht-port: at port 9091 the Grape has its admin pages; expected another \
     port"
)]
#[case::no_port(
    "market",
    "trading",
    "{annotations: {grenache.dev/dht-port: '80'}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/dht-port: \"80\" is no port for it; expected a whole number from 1024 \
     to 65535, as in 9092"
)]
#[case::announced_port(
    "market",
    "trading",
    "{annotations: {grenache.dev/announce: 'a:1,b:30001'}}",
    Reason::PortTaken,
    "annotation grenache.dev/announce: \"b\" is at port 30001/TCP, where its Grape has its api; let \
     it have another port, or set spec.api.port of the GrapeCluster trading/market"
)]
#[case::name(
    "market",
    "trading",
    "{container: {name: grape}}",
    Reason::NameTaken,
    "a container is called \"grape\", as its Grape is to be; rename it, or drop it if it is a Grape: \
     grenache.dev/cluster makes one"
)]
#[case::name_of_a_sidecar_that_is_not_ours(
    "market",
    "trading",
    "{initContainers: [{name: grape, restartPolicy: Always}]}",
    Reason::NameTaken,
    "a container is called \"grape\", as its Grape is to be; rename it, or drop it if it is a Grape: \
     grenache.dev/cluster makes one"
)]
#[case::label(
    "trading/market",
    "trading",
    "{}",
    Reason::InvalidLabel,
    "grenache.dev/cluster of the pod is \"trading/market\"; expected CLUSTER, or NAMESPACE.CLUSTER \
     for one of another namespace, as in market or trading.market"
)]
#[case::annotation(
    "market",
    "trading",
    "{annotations: {grenache.dev/announce: rpc_test}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/announce: \"rpc_test\" is no service; expected NAME:PORT with a port \
     from 1 to 65535, separated by commas, as in rpc_test:1337,rpc_other:1338"
)]
fn what_a_pod_asks_for_and_cannot_have_is_refused(
    #[case] cluster: &str,
    #[case] namespace: &str,
    #[case] more: &str,
    #[case] reason: Reason,
    #[case] message: &str,
) {
    assert_eq!(refusal(cluster, namespace, more), (reason, message.to_owned()));
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
          market.trading.svc, to which its resolver would not add the cluster's domain; expected 3 \
          or more"
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
fn a_label_against_injection_that_cannot_be_read_is_refused() {
    let pod = pod("trading", json!({"grenache.dev/inject": "false"}), "{}");
    let message = "grenache.dev/inject of the pod is \"false\"; expected disabled, or \
         grenache.dev/cluster alone for a Grape";
    let expected = Verdict::Refuse { reason: Reason::InvalidLabel, message: message.to_owned() };
    assert_eq!(verdict(&pod), expected);
}

#[rstest]
#[case::not_its_namespace(
    "closed",
    "{}",
    Reason::NamespaceNotAllowed,
    "the GrapeCluster trading/market is not for pods of the namespace \"closed\"; let it in by \
     spec.injection.namespaces of the GrapeCluster"
)]
#[case::no_cluster(
    "lost",
    "{}",
    Reason::ClusterNotFound,
    "there is no GrapeCluster \"market\" that works in the namespace \"lost\"; make it, or correct \
     the label grenache.dev/cluster of the namespace"
)]
#[case::label(
    "misspelt",
    "{}",
    Reason::InvalidLabel,
    "grenache.dev/cluster of the namespace is \"Market!\"; expected CLUSTER, or NAMESPACE.CLUSTER \
     for one of another namespace, as in market or trading.market"
)]
#[case::host_network(
    "shop",
    "{hostNetwork: true}",
    Reason::HostNetwork,
    "spec.hostNetwork: a Grape would have its ports on the node, where another pod's Grape may be; \
     leave it out, or give the service the address of a Grape of its own"
)]
#[case::annotation(
    "shop",
    "{annotations: {grenache.dev/drain: soon}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/drain: \"soon\" is not a duration; expected whole seconds from 0s to \
     300s, as in 3s"
)]
fn what_its_namespace_asks_for_and_a_pod_cannot_have_is_left_out(
    #[case] namespace: &str,
    #[case] more: &str,
    #[case] reason: Reason,
    #[case] message: &str,
) {
    let message = format!(
        "the pod runs without a Grape: {message}, or label the pod grenache.dev/inject=disabled"
    );
    assert_eq!(verdict(&pod(namespace, json!({}), more)), Verdict::Skip { reason, message });
}

#[test]
fn a_mirror_of_a_pod_that_runs_is_left_as_it_is() {
    let more = "{annotations: {kubernetes.io/config.mirror: 4f3a}}";
    let pod = pod("trading", json!({"grenache.dev/cluster": "market"}), more);
    let message = "the pod runs without a Grape: its node has made it from a file already; write \
         the Grape into that file";
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
