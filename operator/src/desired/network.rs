//! The NetworkPolicy: which pods may reach the Grapes, and what the Grapes may reach.

use grape_cluster::limits;
use grape_cluster::validate::{self, ValidatedCluster};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{BuildContext, labels, metadata};

/// The label that Kubernetes gives each namespace, with its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
/// [`labels::NAME`] of Prometheus, as the Prometheus operator sets it.
const PROMETHEUS: &str = "prometheus";
/// Most characters of a label's value.
const LABEL_LENGTH: usize = 63;
/// The port of name servers.
const DNS: u16 = 53;

/// The policy of a cluster, if it wants one. Probes need no rule: a node always reaches its pods.
pub(super) fn build(cluster: &ValidatedCluster, context: &BuildContext) -> Option<NetworkPolicy> {
    cluster.network_policy.then(|| NetworkPolicy {
        metadata: metadata(&cluster.name, labels::of_cluster(&cluster.name), context),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(labels::having(labels::selector(&cluster.name))),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress(cluster, context)),
            egress: Some(egress(cluster, context)),
        }),
    })
}

fn ingress(cluster: &ValidatedCluster, context: &BuildContext) -> Vec<NetworkPolicyIngressRule> {
    let rule =
        |from: Option<Vec<_>>, port| NetworkPolicyIngressRule { from, ports: Some(vec![port]) };
    let operator = || NetworkPolicyPeer {
        namespace_selector: Some(labels::having(labels::map([(
            NAMESPACE_NAME,
            &context.operator_namespace,
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
        // Grapes outside look up at this cluster's, and call any of them.
        rule(
            is_closed(cluster)
                .then(|| [own(cluster)].into_iter().chain(services(cluster, context)).collect()),
            port("UDP", cluster.dht.port),
        ),
        rule(Some(vec![operator(), prometheus]), port("TCP", limits::ADMIN_PORT)),
        rule(Some(vec![operator()]), port("TCP", cluster.api.port)),
    ]
}

fn egress(cluster: &ValidatedCluster, context: &BuildContext) -> Vec<NetworkPolicyEgressRule> {
    let any = NetworkPolicyPort { protocol: Some("UDP".to_owned()), ..Default::default() };
    let to = |to: Option<Vec<_>>, port| NetworkPolicyEgressRule { to, ports: Some(vec![port]) };
    let dht = if is_closed(cluster) {
        vec![
            to(Some(vec![own(cluster)]), port("UDP", cluster.dht.port)),
            // Each pod may set a port of its own for its Grape.
            to(Some(services(cluster, context)), any),
        ]
    } else {
        // Grapes outside have ports of their own, not only those of the bootstrap.
        vec![to(None, any)]
    };
    // Name servers may be anywhere, on the node or outside the cluster too. A long answer, with
    // many Grapes, comes by TCP.
    let names =
        NetworkPolicyEgressRule { to: None, ports: Some(vec![port("UDP", DNS), port("TCP", DNS)]) };
    dht.into_iter().chain([names]).collect()
}

/// Whether all nodes of the DHT are Grapes of the cluster, and of services.
fn is_closed(cluster: &ValidatedCluster) -> bool {
    cluster.dht.bootstrap.is_empty()
}

/// The cluster's own Grapes.
fn own(cluster: &ValidatedCluster) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        pod_selector: Some(labels::having(labels::selector(&cluster.name))),
        ..NetworkPolicyPeer::default()
    }
}

/// Services with a sidecar, in the namespaces that may have one.
fn services(cluster: &ValidatedCluster, context: &BuildContext) -> Vec<NetworkPolicyPeer> {
    let short = cluster.name.clone();
    let long = format!("{}.{short}", context.namespace);
    // No pod can have a label that long, and no policy accepts it.
    let long = Some(long).filter(|text| text.len() <= LABEL_LENGTH);
    // The name alone is a cluster in the pod's own namespace.
    let here = |namespaces| asking(namespaces, [short].into_iter().chain(long.clone()).collect());
    let there = |namespaces| Some(asking(Some(namespaces), vec![long.clone()?]));
    let (here, there) = match &cluster.injection.namespaces {
        validate::From::Same => (here(None), None),
        validate::From::All => (here(None), there(LabelSelector::default())),
        validate::From::Selector(selector) => {
            let selected = LabelSelector::from(selector.clone());
            let mut own = selected.clone();
            let is_own = among(NAMESPACE_NAME, vec![context.namespace.clone()]);
            own.match_expressions.get_or_insert_default().push(is_own);
            (here(Some(own)), there(selected))
        }
    };
    [here].into_iter().chain(there).collect()
}

/// Pods of these namespaces, or of the cluster's own, whose label is one of `wishes`.
fn asking(namespaces: Option<LabelSelector>, wishes: Vec<String>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: namespaces,
        pod_selector: Some(LabelSelector {
            match_expressions: Some(vec![among(labels::CLUSTER, wishes)]),
            ..LabelSelector::default()
        }),
        ..NetworkPolicyPeer::default()
    }
}

fn among(label: &str, values: Vec<String>) -> LabelSelectorRequirement {
    LabelSelectorRequirement {
        key: label.to_owned(),
        operator: "In".to_owned(),
        values: Some(values),
    }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(number.into())),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
