//! The ports of a pod's Grape: the pod's, or else its cluster's.

use grape_cluster::validate::ValidatedCluster;

use super::Objection;
use super::annotations::{ADMIN_PORT, Annotations, DHT_PORT, invalid};
use crate::desired::grape::Ports;

/// The ports of the Grape of a pod with these annotations.
pub(super) fn of(cluster: &ValidatedCluster, own: &Annotations) -> Result<Ports, Objection> {
    let ports = Ports {
        dht: own.dht_port.unwrap_or(cluster.injection.dht_port),
        api: cluster.api.port,
        admin: own.admin_port.unwrap_or(cluster.injection.admin_port),
    };
    let Ports { dht, api, admin } = ports;
    let api = (api, "API");
    for (key, given, others) in [
        (ADMIN_PORT, own.admin_port, [api, (dht, "DHT")]),
        (DHT_PORT, own.dht_port, [api, (admin, "admin")]),
    ] {
        for (port, what) in others {
            if given == Some(port) {
                let problem = format!("port {port} is the sidecar's {what} port");
                return Err(invalid(key, problem, "another port"));
            }
        }
    }
    Ok(ports)
}
