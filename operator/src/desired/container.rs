//! The container of a pod: a Grape with its flags, ports, probes and resources.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction,
    ObjectFieldSelector, Probe, ResourceRequirements, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Surroundings, image, names};
use crate::cluster::limits;
use crate::cluster::quantity::QuantityText;
use crate::validate::{Pool, ValidatedCluster};

/// The name of the container.
pub const CONTAINER: &str = "grape";
/// The name of the DHT's port, on pods and the Service.
pub const DHT: &str = "dht";
/// The name of the API's port.
pub const API: &str = "api";
/// The name of the admin pages' port.
pub const ADMIN: &str = "admin";

/// How long a Grape may take to withdraw what was announced at it, and to finish its requests.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// A port of a Grape.
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) number: u16,
    pub(super) protocol: &'static str,
}

/// The ports of each Grape.
pub(super) fn ports(cluster: &ValidatedCluster) -> [Port; 3] {
    [
        Port { name: DHT, number: cluster.dht.port, protocol: "UDP" },
        Port { name: API, number: cluster.api.port, protocol: "TCP" },
        Port { name: ADMIN, number: limits::ADMIN_PORT, protocol: "TCP" },
    ]
}

/// The container of a pool's pods, which runs `image`.
pub(super) fn build(
    cluster: &ValidatedCluster,
    pool: &Pool,
    around: &Surroundings,
    image: String,
) -> Container {
    let ports = ports(cluster).map(|port| ContainerPort {
        name: Some(port.name.to_owned()),
        container_port: port.number.into(),
        protocol: Some(port.protocol.to_owned()),
        ..ContainerPort::default()
    });
    let pod_ip = EnvVarSource {
        field_ref: Some(ObjectFieldSelector {
            field_path: "status.podIP".to_owned(),
            ..ObjectFieldSelector::default()
        }),
        ..EnvVarSource::default()
    };
    let [startup, readiness, liveness] = probes();
    Container {
        name: CONTAINER.to_owned(),
        image_pull_policy: Some(image::pull_policy(&cluster.image, &image).to_owned()),
        image: Some(image),
        args: Some(flags(cluster, &around.namespace)),
        env: Some(vec![EnvVar {
            name: "POD_IP".to_owned(),
            value_from: Some(pod_ip),
            ..EnvVar::default()
        }]),
        ports: Some(ports.to_vec()),
        startup_probe: Some(startup),
        readiness_probe: Some(readiness),
        liveness_probe: Some(liveness),
        resources: resources(pool),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

/// What a Grape is told, as the flags of its command, every one but the addresses of the API and
/// the DHT: without these it listens on all, of IPv4 and IPv6, whichever of them the node has.
fn flags(cluster: &ValidatedCluster, namespace: &str) -> Vec<String> {
    let (dht, api) = (&cluster.dht, &cluster.api);
    // The Service tells of the other Grapes, and of this one: a Grape that finds itself alone there
    // knows that it is the first.
    let own = names::endpoint(&cluster.name, namespace, dht.port);
    let bootstrap = [&own].into_iter().chain(&dht.bootstrap).map(ToString::to_string);
    // IPv4 comes in there too.
    let admin = SocketAddr::from((Ipv6Addr::UNSPECIFIED, limits::ADMIN_PORT));
    vec![
        format!("--dht_port={}", dht.port),
        format!("--api_port={}", api.port),
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

/// The probes at start, of readiness and of liveness, on the admin port.
///
/// Only readiness asks for `/readyz`, which waits for other Grapes: whoever is killed for their
/// absence does not bring them back, and a Grape that restarts while the others cannot be reached
/// would be killed over and over. `/healthz` tells of the process alone.
fn probes() -> [Probe; 3] {
    let probe = |path: &str, period, timeout, failures| Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    };
    [
        // A Grape listens within milliseconds, where there is a CPU for it: a minute for nodes that
        // have none left.
        probe("/healthz", 1, 2, 60),
        // Often, since a roll waits for it at every Grape.
        probe("/readyz", 2, 2, 3),
        probe("/healthz", 10, 5, 6),
    ]
}

/// What a Grape has of a node. Without a word in the spec, enough of CPU to be heard in a crowd, and
/// no limit of it: that would only make lookups wait while the CPU is idle. The limit of memory is
/// six times what a Grape holds under the load of the bench.
fn resources(pool: &Pool) -> Option<ResourceRequirements> {
    let Some(own) = &pool.template.resources else {
        return Some(ResourceRequirements {
            requests: Some(quantities([("cpu", "20m"), ("memory", "32Mi")])),
            limits: Some(quantities([("memory", "128Mi")])),
            ..ResourceRequirements::default()
        });
    };
    let quantities = |own: &BTreeMap<String, QuantityText>| -> BTreeMap<String, Quantity> {
        own.iter().map(|(name, quantity)| (name.clone(), quantity.into())).collect()
    };
    let limits = quantities(&own.limits);
    // What is limited and not requested is requested as limited. The API server would see to it
    // once, and its request would stay when the limit changes.
    let mut requests = limits.clone();
    requests.extend(quantities(&own.requests));
    (!requests.is_empty()).then(|| ResourceRequirements {
        requests: Some(requests),
        limits: (!limits.is_empty()).then_some(limits),
        ..ResourceRequirements::default()
    })
}

fn quantities<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, Quantity> {
    entries.into_iter().map(|(name, text)| (name.to_owned(), Quantity(text.to_owned()))).collect()
}
