//! What every Grape has on Kubernetes, those of a cluster's pools and those beside services: its
//! flags, ports and probes, and what it may do.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};

use grape_cluster::limits;
use grape_cluster::quantity::QuantityText;
use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::{
    Capabilities, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SecurityContext, Sysctl,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::container::{ADMIN, API, DHT, DRAIN_TIMEOUT};
use super::names;

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

/// Where a Grape listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    /// UDP, of its DHT node.
    pub(crate) dht: u16,
    /// TCP, of its API.
    pub(crate) api: u16,
    /// TCP, of its admin pages.
    pub(crate) admin: u16,
}

impl Ports {
    /// Those of a cluster's own Grapes.
    pub(crate) fn own(cluster: &ValidatedCluster) -> Self {
        Self { dht: cluster.dht.port, api: cluster.api.port, admin: limits::ADMIN_PORT }
    }

    /// One by one.
    pub(crate) fn each(self) -> [Port; 3] {
        [
            Port { name: DHT, number: self.dht, protocol: "UDP" },
            Port { name: API, number: self.api, protocol: "TCP" },
            Port { name: ADMIN, number: self.admin, protocol: "TCP" },
        ]
    }

    /// The lowest of them that no process without privileges may have by itself. Some container
    /// runtimes allow it to every pod; a Grape does not depend on that.
    pub(crate) fn privileged(self) -> Option<u16> {
        self.each().into_iter().map(|port| port.number).filter(|port| *port < UNPRIVILEGED).min()
    }
}

/// The flag of the API's port.
pub(crate) const API_PORT: &str = "--api_port=";

/// The flags of a Grape of a cluster in `namespace` that listens at these ports, without the
/// addresses of the API and the DHT: by default the Grape listens at all addresses, of IPv4 and
/// IPv6, whichever the node has. The flags use variables of the [`environment`].
pub(crate) fn flags(cluster: &ValidatedCluster, namespace: &str, ports: Ports) -> Vec<String> {
    let (dht, api) = (&cluster.dht, &cluster.api);
    // The Service's name resolves to all Grapes, this one included: a Grape that finds only itself
    // there knows that it is the first.
    let own = names::endpoint(&cluster.name, namespace, dht.port);
    let bootstrap = [&own].into_iter().chain(&dht.bootstrap).map(ToString::to_string);
    // IPv4 comes in there too.
    let admin = SocketAddr::from((Ipv6Addr::UNSPECIFIED, ports.admin));
    vec![
        format!("--dht_port={}", ports.dht),
        format!("{API_PORT}{}", ports.api),
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

/// The variables of such a Grape: those that its flags want, and what only newer Grapes know. One that
/// does not know a variable goes without it, where it would not start with a flag.
pub(crate) fn environment(cluster: &ValidatedCluster, namespace: &str) -> Vec<EnvVar> {
    let network = network(cluster, namespace).map(|name| variable(NETWORK, literal(&name)));
    std::iter::once(pod_ip()).chain(network).collect()
}

/// The variable of the network's name.
const NETWORK: &str = "GRAPE_NETWORK";

/// The network of a cluster in `namespace`. It never has to do with the cluster's uid: one that is
/// deleted and made again is the same network. One that joins others by `spec.dht.bootstrap` is of
/// any, unless it names its own.
fn network(cluster: &ValidatedCluster, namespace: &str) -> Option<String> {
    let default = || format!("{namespace}.{}", cluster.name);
    let joins_others = !cluster.dht.bootstrap.is_empty();
    cluster.dht.network.clone().or_else(|| (!joins_others).then(default))
}

/// A variable with a value.
pub(crate) fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), ..EnvVar::default() }
}

/// A text that Kubernetes leaves as it is: it reads `$(NAME)` as a variable, and `$$` as `$`.
pub(crate) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The policy by which a node keeps the end of a Grape's log when it fails: why it did.
pub(crate) const LAST_WORDS: &str = "FallbackToLogsOnError";

/// The first port that any process may listen at, unless its network says otherwise.
const UNPRIVILEGED: u16 = 1024;
/// The setting of a pod's network that says otherwise. It is a safe one: the `restricted` Pod Security
/// Standard lets a pod have it.
pub(crate) const PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

/// The setting by which the processes of a pod may listen at every port.
pub(crate) fn any_port() -> Sysctl {
    Sysctl { name: PORT_START.to_owned(), value: "0".to_owned() }
}

/// The pod's address, as the node learns it.
fn pod_ip() -> EnvVar {
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

/// The readiness probe. Only this probe uses `/readyz`, which waits for other Grapes: killing a
/// Grape does not bring the others back, and a Grape that restarts while the others cannot be
/// reached would be killed over and over. `/healthz` is about the process alone.
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

/// The resources of a Grape; `None` if neither requests nor limits are given.
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
