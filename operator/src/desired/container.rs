//! The container of a pod: a Grape with its flags, ports, probes and resources.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};

use ::grape::cluster_entry;
use grape_cluster::image;
use grape_cluster::validate::{Pool, ValidatedCluster};

use super::{BuildContext, grape};

/// The name of the container.
pub const CONTAINER: &str = "grape";
/// The name of the DHT's port, on pods and the Service.
pub const DHT: &str = "dht";
/// The name of the API's port.
pub const API: &str = "api";
/// The name of the admin pages' port.
pub const ADMIN: &str = "admin";

/// How long a Grape may take to withdraw the announces made at it, and to finish its requests.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The container of a pool's pods, which runs `image`.
pub(super) fn build(
    cluster: &ValidatedCluster,
    pool: &Pool,
    context: &BuildContext,
    image: String,
) -> Container {
    let ports = grape::Ports::own(cluster);
    // A later variable overrides an earlier one of the same name: the operator's come last.
    let mut environment = pool.template.env.clone().unwrap_or_default();
    environment.extend(grape::environment(cluster, &context.namespace));
    environment.push(grape::variable(grape::GOSSIP, cluster_entry::GROUP.to_owned()));
    Container {
        name: CONTAINER.to_owned(),
        image_pull_policy: Some(image::pull_policy(&cluster.image, &image).to_owned()),
        image: Some(image),
        args: Some(grape::flags(cluster, &context.namespace, ports)),
        env: Some(environment),
        ports: Some(ports.each().map(Into::into).to_vec()),
        startup_probe: Some(grape::startup()),
        readiness_probe: Some(grape::readiness()),
        liveness_probe: Some(grape::liveness()),
        resources: resources(pool),
        security_context: Some(grape::security()),
        termination_message_policy: Some(grape::LAST_WORDS.to_owned()),
        ..Container::default()
    }
}

/// The resources of a Grape. By default enough CPU to be scheduled on a busy node, and no CPU
/// limit, which would only delay lookups while the CPU is idle. The memory limit is six times what
/// a Grape holds under the load of the bench.
fn resources(pool: &Pool) -> Option<ResourceRequirements> {
    match &pool.template.resources {
        Some(own) => grape::resources(&own.requests, &own.limits),
        None => grape::resources(
            &grape::quantities([("cpu", "20m"), ("memory", "32Mi")]),
            &grape::quantities([("memory", "128Mi")]),
        ),
    }
}
