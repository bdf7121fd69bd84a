//! The pods of a pool: their metadata and placement.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, PodDNSConfig, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile,
    TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use grape_cluster::DnsPolicy;
use grape_cluster::image;
use grape_cluster::validate::{Pool, ValidatedCluster};

use super::{BuildContext, container, grape, labels};

/// How many seconds a pod may take to end beyond the drain of its Grape: for the process to begin
/// its drain and to exit.
const GRACE: u64 = 5;

/// The template of a pool's pods. They keep the `restricted` Pod Security Standard.
pub(super) fn template(
    cluster: &ValidatedCluster,
    pool: &Pool,
    context: &BuildContext,
) -> PodTemplateSpec {
    let own = &pool.template;
    let mut labels = own.labels.clone();
    labels.extend(labels::of_pool(&cluster.name, &pool.name));
    let image = image::resolve(&cluster.image, &context.grape_image);
    let grace = container::DRAIN_TIMEOUT.as_secs() + GRACE;
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: filled(&own.annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container::build(cluster, pool, context, image)],
            image_pull_secrets: some(cluster.image.pull_secrets.clone()),
            service_account_name: Some(cluster.name.clone()),
            automount_service_account_token: Some(false),
            // Otherwise a Service called `grape` would set GRAPE_PORT and similar variables.
            enable_service_links: Some(false),
            termination_grace_period_seconds: i64::try_from(grace).ok(),
            security_context: Some(security(cluster, own.security_context.clone())),
            dns_policy: own.dns_policy.map(|policy| dns_policy(policy).to_owned()),
            dns_config: own.dns_config.clone().filter(|it| *it != PodDNSConfig::default()),
            host_aliases: own.host_aliases.clone().and_then(some),
            node_selector: filled(&own.node_selector),
            tolerations: own.tolerations.clone().and_then(some),
            affinity: own.affinity.clone().filter(|affinity| *affinity != Affinity::default()),
            topology_spread_constraints: Some(spread(cluster, pool)),
            priority_class_name: own.priority_class_name.clone(),
            ..PodSpec::default()
        }),
    }
}

/// The security context of the pods: what the template says, over what every Grape needs.
fn security(cluster: &ValidatedCluster, own: Option<PodSecurityContext>) -> PodSecurityContext {
    let own = own.unwrap_or_default();
    // Only if it needs one: it would change the pods of all others.
    let needed = grape::Ports::own(cluster).privileged().map(|_| grape::any_port());
    let mut sysctls = own.sysctls.unwrap_or_default();
    sysctls.extend(needed.filter(|needed| sysctls.iter().all(|own| own.name != needed.name)));
    let seccomp =
        || SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() };
    // No runAsUser: the image names nobody as its user, and OpenShift sets one for each namespace.
    PodSecurityContext {
        run_as_non_root: Some(true),
        seccomp_profile: own.seccomp_profile.or_else(|| Some(seccomp())),
        sysctls: some(sysctls),
        ..own
    }
}

fn dns_policy(policy: DnsPolicy) -> &'static str {
    match policy {
        DnsPolicy::ClusterFirst => "ClusterFirst",
        DnsPolicy::None => "None",
    }
}

/// How the pods spread. By default over zones, nodes and all pools together, as evenly as possible:
/// a Grape in an uneven place is better than none.
fn spread(cluster: &ValidatedCluster, pool: &Pool) -> Vec<TopologySpreadConstraint> {
    // A selector with more labels would change the template, and replace every Grape.
    let selector = || Some(labels::having(labels::lasting_selector(&cluster.name)));
    let own = pool.template.topology_spread_constraints.clone().and_then(some);
    let Some(mut constraints) = own else {
        let over = |topology: &str| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: topology.to_owned(),
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            label_selector: selector(),
            ..TopologySpreadConstraint::default()
        };
        return vec![over("topology.kubernetes.io/zone"), over("kubernetes.io/hostname")];
    };
    for constraint in &mut constraints {
        constraint.label_selector = constraint.label_selector.take().or_else(selector);
    }
    constraints
}

fn filled(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
