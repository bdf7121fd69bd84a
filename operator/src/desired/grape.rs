//! What every Grape has on Kubernetes, those of a cluster's pools and those beside services: its
//! flags, ports and probes, and what it may do.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use k8s_openapi::api::core::v1::{
    Capabilities, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SecurityContext, Sysctl,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::container::{ADMIN, API, DHT, DRAIN_TIMEOUT};
use super::names;
use crate::cluster::limits;
use crate::cluster::quantity::QuantityText;
use crate::validate::ValidatedCluster;

/// A port of a Grape.
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) protocol: &'static str,
}

impl From<Port> for ContainerPort {
    fn from(port: Port) -> Self {
        Self {
            name: Some(port.name.to_owned()),
            container_port: port.number.into(),
            protocol: Some(port.protocol.to_owned()),
            ..Self::default()
        }
    }
}

/// The ports of each Grape.
pub(crate) fn ports(cluster: &ValidatedCluster) -> [Port; 3] {
    [
        Port { name: DHT, number: cluster.dht.port, protocol: "UDP" },
        Port { name: API, number: cluster.api.port, protocol: "TCP" },
        Port { name: ADMIN, number: limits::ADMIN_PORT, protocol: "TCP" },
    ]
}

/// The flag of the API's port.
pub(crate) const API_PORT: &str = "--api_port=";

/// What a Grape of a cluster in `namespace` is told, as the flags of its command, every one but the
/// addresses of the API and the DHT: without these it listens on all, of IPv4 and IPv6, whichever
/// of them the node has. They want [`pod_ip`].
pub(crate) fn flags(cluster: &ValidatedCluster, namespace: &str) -> Vec<String> {
    let (dht, api) = (&cluster.dht, &cluster.api);
    // The Service tells of the other Grapes, and a Grape of the cluster of itself: one that finds
    // itself alone there knows that it is the first.
    let own = names::endpoint(&cluster.name, namespace, dht.port);
    let bootstrap = [&own].into_iter().chain(&dht.bootstrap).map(ToString::to_string);
    // IPv4 comes in there too.
    let admin = SocketAddr::from((Ipv6Addr::UNSPECIFIED, limits::ADMIN_PORT));
    vec![
        format!("--dht_port={}", dht.port),
        format!("{API_PORT}{}", api.port),
        format!("--bootstrap={}", bootstrap.collect::<Vec<_>>().join(",")),
        format!("--dht_concurrency={}", dht.concurrency),
        format!("--dht_maxTables={}", dht.max_tables),
        format!("--dht_maxValues={}", dht.max_values),
        format!("--dht_peer_maxAge={}", dht.peer_max_age.as_millis()),
        format!("--dht_nodeLiveness={}", dht.node_liveness.as_millis()),
        format!("--check_maxPayloadSize={}", api.max_payload_size),
        format!("--admin-bind={admin}"),
        "--advertise-ip=$(POD_IP)".to_owned(),
        format!("--drain-timeout={}", DRAIN_TIMEOUT.as_millis()),
        "--log-format=json".to_owned(),
    ]
}

/// The policy by which a node keeps the end of a Grape's log when it fails: why it did.
pub(crate) const LAST_WORDS: &str = "FallbackToLogsOnError";

/// The first port that any process may listen at, unless its network says otherwise.
const UNPRIVILEGED: u16 = 1024;
/// The setting of a pod's network that says otherwise. It is a safe one: the `restricted` Pod Security
/// Standard lets a pod have it.
pub(crate) const PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// The lowest port of each Grape of a cluster that no process without privileges may have by itself.
/// Some container runtimes allow it to every pod; a Grape does not depend on that.
pub(crate) fn privileged_port(cluster: &ValidatedCluster) -> Option<u16> {
    let ports = ports(cluster).into_iter().map(|port| port.number);
    ports.filter(|port| *port < UNPRIVILEGED).min()
}

/// The setting by which the processes of a pod may listen at every port.
pub(crate) fn any_port() -> Sysctl {
    Sysctl { name: PORT_START.to_owned(), value: "0".to_owned() }
}

/// The pod's address, as the node learns it.
pub(crate) fn pod_ip() -> EnvVar {
    EnvVar {
        name: "POD_IP".to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: "status.podIP".to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

/// The probe at start. A Grape listens within milliseconds, where there is a CPU for it: a minute
/// for nodes that have none left.
pub(crate) fn startup() -> Probe {
    probe("/healthz", 1, 2, 60)
}

/// The probe of readiness. Only it asks for `/readyz`, which waits for other Grapes: whoever is
/// killed for their absence does not bring them back, and a Grape that restarts while the others
/// cannot be reached would be killed over and over. `/healthz` tells of the process alone.
pub(crate) fn readiness() -> Probe {
    // Often, since a roll waits for it at every Grape.
    probe("/readyz", 2, 2, 3)
}

/// The probe of liveness.
pub(crate) fn liveness() -> Probe {
    probe("/healthz", 10, 5, 6)
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// What a Grape's process may do: nothing but what any may.
pub(crate) fn security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// What a Grape has of a node; nothing, if nothing is told.
///
/// What is limited and not requested is requested as limited. The API server would see to it once,
/// and its request would stay when the limit changes.
pub(crate) fn resources(
    requests: &BTreeMap<String, QuantityText>,
    limits: &BTreeMap<String, QuantityText>,
) -> Option<ResourceRequirements> {
    let quantities = |own: &BTreeMap<String, QuantityText>| -> BTreeMap<String, Quantity> {
        own.iter().map(|(name, quantity)| (name.clone(), quantity.into())).collect()
    };
    let limits = quantities(limits);
    let mut all = limits.clone();
    all.extend(quantities(requests));
    (!all.is_empty()).then(|| ResourceRequirements {
        requests: Some(all),
        limits: (!limits.is_empty()).then_some(limits),
        ..ResourceRequirements::default()
    })
}

/// Quantities of resources, each with its name.
pub(crate) fn quantities<const N: usize>(
    entries: [(&str, &str); N],
) -> BTreeMap<String, QuantityText> {
    entries.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect()
}
