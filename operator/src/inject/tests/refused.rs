//! Which pods are refused, or left without a Grape, and what is said of them.

use rstest::rstest;
use serde_json::json;

use super::*;

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
    "the GrapeCluster trading/gone was not found, or its spec is invalid; create it, or fix the \
     label grenache.dev/cluster of the pod"
)]
#[case::no_cluster_there(
    "market",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "the GrapeCluster shop/market was not found, or its spec is invalid; create it, or fix the \
     label grenache.dev/cluster of the pod"
)]
#[case::misspelt(
    "markt",
    "trading",
    "{}",
    Reason::ClusterNotFound,
    "the GrapeCluster trading/markt was not found, or its spec is invalid; did you mean market? \
     (label grenache.dev/cluster of the pod)"
)]
#[case::the_other_way_round(
    "pro.trading",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "the GrapeCluster pro/trading was not found, or its spec is invalid; the label is \
     NAMESPACE.CLUSTER: did you mean trading.pro? (label grenache.dev/cluster of the pod)"
)]
#[case::of_another_namespace(
    "trading.prro",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "the GrapeCluster trading/prro was not found, or its spec is invalid; did you mean \
     trading.pro? (label grenache.dev/cluster of the pod)"
)]
#[case::not_its_to_know(
    "trading.markett",
    "shop",
    "{}",
    Reason::ClusterNotFound,
    "the GrapeCluster trading/markett was not found, or its spec is invalid; create it, or fix \
     the label grenache.dev/cluster of the pod"
)]
#[case::not_its_namespace(
    "trading.market",
    "shop",
    "{}",
    Reason::NamespaceNotAllowed,
    "the GrapeCluster trading/market does not allow pods of the namespace \"shop\"; allow it in \
     spec.injection.namespaces of the GrapeCluster"
)]
#[case::not_selected(
    "trading.pro",
    "bare",
    "{}",
    Reason::NamespaceNotAllowed,
    "the GrapeCluster trading/pro does not allow pods of the namespace \"bare\"; allow it in \
     spec.injection.namespaces of the GrapeCluster"
)]
#[case::host_network(
    "market",
    "trading",
    "{hostNetwork: true}",
    Reason::HostNetwork,
    "spec.hostNetwork: a pod on its node's network cannot have a sidecar, whose ports may be \
     taken there; remove hostNetwork, or run a Grape yourself and give its address to the \
     service"
)]
#[case::port_start(
    "low",
    "trading",
    "{securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '1024'}]}}",
    Reason::PortForbidden,
    "spec.securityContext.sysctls: net.ipv4.ip_unprivileged_port_start is \"1024\", but the \
     sidecar listens at port 80; remove it, or set it to 80 or less, or set spec.api.port of the \
     GrapeCluster trading/low to 1024 or more"
)]
#[case::windows(
    "market",
    "trading",
    "{os: {name: windows}}",
    Reason::Windows,
    "spec.os.name: the pod is for Windows, and a Grape runs on Linux; run a Grape yourself and \
     give its address to the service"
)]
#[case::windows_nodes(
    "market",
    "trading",
    "{nodeSelector: {kubernetes.io/os: windows}}",
    Reason::Windows,
    "spec.nodeSelector: the pod is for Windows, and a Grape runs on Linux; run a Grape yourself \
     and give its address to the service"
)]
#[case::port_of_the_api(
    "market",
    "trading",
    "{container: {ports: [{containerPort: 30001}]}}",
    Reason::PortTaken,
    "the container \"service\" uses port 30001/TCP, which is the sidecar's api port; use another \
     port there, or set spec.api.port of the GrapeCluster trading/market"
)]
#[case::port_of_the_admin_pages(
    "market",
    "trading",
    "{initContainers: [{name: a, ports: [{containerPort: 9091, protocol: TCP}]}]}",
    Reason::PortTaken,
    "the container \"a\" uses port 9091/TCP, which is the sidecar's admin port; use another port \
     there, or set the annotation grenache.dev/admin-port of the pod, or \
     spec.injection.adminPort of the GrapeCluster trading/market"
)]
#[case::port_of_the_dht(
    "market",
    "trading",
    "{container: {ports: [{containerPort: 1}, {containerPort: 20001, protocol: UDP}]}}",
    Reason::PortTaken,
    "the container \"service\" uses port 20001/UDP, which is the sidecar's dht port; use another \
     port there, or set the annotation grenache.dev/dht-port of the pod, or \
     spec.injection.dhtPort of the GrapeCluster trading/market"
)]
#[case::port_that_the_pod_named(
    "market",
    "trading",
    "{annotations: {grenache.dev/admin-port: '8080'}, container: {ports: [{containerPort: 8080}]}}",
    Reason::PortTaken,
    "the container \"service\" uses port 8080/TCP, which is the sidecar's admin port; use \
     another port there, or set the annotation grenache.dev/admin-port of the pod, or \
     spec.injection.adminPort of the GrapeCluster trading/market"
)]
#[case::two_at_one_port(
    "market",
    "trading",
    "{annotations: {grenache.dev/admin-port: '30001'}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/admin-port: port 30001 is the sidecar's API port; expected another \
     port"
)]
#[case::the_dht_where_the_admin_pages_are(
    "market",
    "trading",
    "{annotations: {grenache.dev/dht-port: '9091'}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/dht-port: port 9091 is the sidecar's admin port; expected another port"
)]
#[case::no_port(
    "market",
    "trading",
    "{annotations: {grenache.dev/dht-port: '80'}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/dht-port: \"80\" is no port for it; expected a whole number from \
     1024 to 65535, as in 9092"
)]
#[case::announced_port(
    "market",
    "trading",
    "{annotations: {grenache.dev/announce: 'a:1,b:30001'}}",
    Reason::PortTaken,
    "annotation grenache.dev/announce: \"b\" uses port 30001/TCP, which is the sidecar's api \
     port; use another port there, or set spec.api.port of the GrapeCluster trading/market"
)]
#[case::name(
    "market",
    "trading",
    "{container: {name: grape}}",
    Reason::NameTaken,
    "a container has the name of the sidecar, \"grape\"; rename it; if it is a Grape, remove it, \
     because grenache.dev/cluster injects one"
)]
#[case::name_of_a_sidecar_that_is_not_ours(
    "market",
    "trading",
    "{initContainers: [{name: grape, restartPolicy: Always}]}",
    Reason::NameTaken,
    "a container has the name of the sidecar, \"grape\"; rename it; if it is a Grape, remove it, \
     because grenache.dev/cluster injects one"
)]
#[case::label(
    "trading/market",
    "trading",
    "{}",
    Reason::InvalidLabel,
    "grenache.dev/cluster of the pod is \"trading/market\"; expected CLUSTER, or \
     NAMESPACE.CLUSTER for one of another namespace, as in market or trading.market"
)]
#[case::annotation(
    "market",
    "trading",
    "{annotations: {grenache.dev/announce: rpc_test}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/announce: \"rpc_test\" is no service; expected NAME:PORT with a \
     port from 1 to 65535, separated by commas, as in rpc_test:1337,rpc_other:1338"
)]
fn a_pod_that_asks_for_a_grape_that_it_cannot_have_is_refused(
    #[case] cluster: &str,
    #[case] namespace: &str,
    #[case] more: &str,
    #[case] reason: Reason,
    #[case] message: &str,
) {
    assert_eq!(refusal(cluster, namespace, more), (reason, message.to_owned()));
}

#[test]
fn a_label_against_injection_that_cannot_be_read_is_refused() {
    let pod = pod("trading", json!({"grenache.dev/inject": "false"}), "{}");
    let message = "grenache.dev/inject of the pod is \"false\"; expected disabled; for a \
        sidecar, set only grenache.dev/cluster";
    let expected = Verdict::Refuse { reason: Reason::InvalidLabel, message: message.to_owned() };
    assert_eq!(verdict(&pod), expected);
}

#[rstest]
#[case::not_its_namespace(
    "closed",
    "{}",
    Reason::NamespaceNotAllowed,
    "the GrapeCluster trading/market does not allow pods of the namespace \"closed\"; allow it \
     in spec.injection.namespaces of the GrapeCluster"
)]
#[case::no_cluster(
    "lost",
    "{}",
    Reason::ClusterNotFound,
    "the GrapeCluster lost/market was not found, or its spec is invalid; create it, or fix the \
     label grenache.dev/cluster of the namespace"
)]
#[case::label(
    "misspelt",
    "{}",
    Reason::InvalidLabel,
    "grenache.dev/cluster of the namespace is \"Market!\"; expected CLUSTER, or \
     NAMESPACE.CLUSTER for one of another namespace, as in market or trading.market"
)]
#[case::host_network(
    "shop",
    "{hostNetwork: true}",
    Reason::HostNetwork,
    "spec.hostNetwork: a pod on its node's network cannot have a sidecar, whose ports may be \
     taken there; remove hostNetwork, or run a Grape yourself and give its address to the \
     service"
)]
#[case::annotation(
    "shop",
    "{annotations: {grenache.dev/drain: soon}}",
    Reason::InvalidAnnotation,
    "annotation grenache.dev/drain: \"soon\" is not a duration; expected whole seconds from 0s \
     to 300s, as in 3s"
)]
fn a_pod_whose_namespace_asks_for_a_grape_that_it_cannot_have_runs_without(
    #[case] namespace: &str,
    #[case] more: &str,
    #[case] reason: Reason,
    #[case] message: &str,
) {
    let message = format!(
        "the pod runs without a sidecar: {message}, or label the pod grenache.dev/inject=disabled"
    );
    assert_eq!(verdict(&pod(namespace, json!({}), more)), Verdict::Skip { reason, message });
}
