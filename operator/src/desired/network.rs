//! The NetworkPolicy: who may reach the Grapes, and whom they may reach.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Surroundings, labels, metadata};
use crate::cluster::limits;
use crate::validate::{From, ValidatedCluster};

/// The label that Kubernetes gives each namespace, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// [`labels::NAME`] of Prometheus, as the Prometheus operator sets it.
const PROMETHEUS: &str = "prometheus";
/// The port of name servers.
const DNS: u16 = 53;

/// The policy of a cluster, if it wants one. Probes need no rule: a node always reaches its pods.
pub(super) fn build(cluster: &ValidatedCluster, around: &Surroundings) -> Option<NetworkPolicy> {
    cluster.network_policy.then(|| NetworkPolicy {
        metadata: metadata(&cluster.name, labels::of_cluster(&cluster.name), around),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::having(labels::selector(&cluster.name))),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(cluster, around)),
            egress: Some(egress(cluster, around)),
        }),
    })
}

fn ingress(cluster: &ValidatedCluster, around: &Surroundings) -> Vec<NetworkPolicyIngressRule> {
    let rule =
        |from: Option<Vec<_>>, port| NetworkPolicyIngressRule { from, ports: Some(vec![port]) };
    let operator = || NetworkPolicyPeer {
        namespace_selector: Some(labels::having(labels::map([(
            NAMESPACE_NAME,
            &around.operator_namespace,
        )]))),
        pod_selector: Some(labels::having(labels::map([(labels::NAME, labels::OPERATOR)]))),
        ..NetworkPolicyPeer::default()
    };
    let prometheus = NetworkPolicyPeer {
        // Of any namespace.
        namespace_selector: Some(LabelSelector::default()),
        pod_selector: Some(labels::having(labels::map([(labels::NAME, PROMETHEUS)]))),
        ..NetworkPolicyPeer::default()
    };
    vec![
        // The Grapes outside find this cluster's, and ask any of them.
        rule(is_closed(cluster).then(|| members(cluster, around)), port("UDP", cluster.dht.port)),
        rule(Some(vec![operator(), prometheus]), port("TCP", limits::ADMIN_PORT)),
        rule(Some(vec![operator()]), port("TCP", cluster.api.port)),
    ]
}

fn egress(cluster: &ValidatedCluster, around: &Surroundings) -> Vec<NetworkPolicyEgressRule> {
    let dht = if is_closed(cluster) {
        NetworkPolicyEgressRule {
            to: Some(members(cluster, around)),
            ports: Some(vec![port("UDP", cluster.dht.port)]),
        }
    } else {
        // The Grapes outside have ports of their own, and not only those of the bootstrap.
        let any = NetworkPolicyPort { protocol: Some("UDP".to_owned()), ..Default::default() };
        NetworkPolicyEgressRule { to: None, ports: Some(vec![any]) }
    };
    // Name servers may be anywhere, on the node or outside the cluster too. A long answer, of many
    // Grapes, comes by TCP.
    let names =
        NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", DNS), port("TCP", DNS)]) };
    vec![dht, names]
}

/// Whether all nodes of the DHT are pods that the operator knows of.
fn is_closed(cluster: &ValidatedCluster) -> bool {
    cluster.dht.bootstrap.is_empty()
}

/// The pods that are in the DHT: Grapes, and services with one of their own, of this namespace and
/// of those that the cluster lets in.
fn members(cluster: &ValidatedCluster, around: &Surroundings) -> Vec<NetworkPolicyPeer> {
    let peer = |namespace_selector, pods| NetworkPolicyPeer {
        namespace_selector,
        pod_selector: Some(pods),
        ..NetworkPolicyPeer::default()
    };
    let asking = |names: &[&String]| LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: labels::CLUSTER.to_owned(),
            operator: "In".to_owned(),
            values: Some(names.iter().map(|name| (*name).clone()).collect()),
        }]),
        ..LabelSelector::default()
    };
    let qualified = format!("{}.{}", around.namespace, cluster.name);
    let mut members = vec![
        peer(None, labels::having(labels::selector(&cluster.name))),
        peer(None, asking(&[&cluster.name, &qualified])),
    ];
    let others = match &cluster.injection.namespaces {
        From::Same => None,
        From::All => Some(LabelSelector::default()),
        From::Selector(selector) => Some(selector.clone().into()),
    };
    members.extend(others.map(|namespaces| peer(Some(namespaces), asking(&[&qualified]))));
    members
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number.into())),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
