//! The headless Service, by whose name a cluster's Grapes find each other.

use grape_cluster::validate::ValidatedCluster;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{BuildContext, grape, labels, metadata};

/// The Service of a cluster.
///
/// It has the addresses of Grapes that are not ready, too: they have to find each other in order to
/// become ready, and a lone one has to see that it is alone.
///
/// It has the cluster's first address family alone. A Grape with two addresses would be two nodes
/// to others, and a service announced at it would be found twice, once at an address where services
/// for IPv4 do not listen.
pub(super) fn build(cluster: &ValidatedCluster, context: &BuildContext) -> Service {
    let ports = grape::Ports::own(cluster).each().map(|port| ServicePort {
        name: Some(port.name.to_owned()),
        port: port.number.into(),
        protocol: Some(port.protocol.to_owned()),
        target_port: Some(IntOrString::String(port.name.to_owned())),
        ..ServicePort::default()
    });
    Service {
        metadata: metadata(&cluster.name, labels::of_cluster(&cluster.name), context),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            ip_family_policy: Some("SingleStack".to_owned()),
            publish_not_ready_addresses: Some(true),
            ports: Some(ports.to_vec()),
            selector: Some(labels::selector(&cluster.name)),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
