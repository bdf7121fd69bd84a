//! The checks of names, pools and their pods; and which pool has how many Grapes.

use std::collections::BTreeMap;

use super::Pool;
use super::check::Check;
use crate::pods::Resources;
use crate::quantity::{self, QuantityText};
use crate::{ImageSpec, MonitoringSpec, PodTemplate, PoolSpec, limits};

impl Check {
    pub(super) fn name(&mut self, name: Option<&str>) -> String {
        let name = name.unwrap_or_default();
        let most = limits::NAMES_LENGTH - 1 - limits::DEFAULT_POOL.len();
        self.text("metadata.name", name, (limits::NAME_PATTERN, most), limits::NAME_EXPECTED);
        name.to_owned()
    }

    /// The pools of a cluster: one, if it names none.
    pub(super) fn pools(
        &mut self,
        cluster: &str,
        replicas: usize,
        pools: &[PoolSpec],
        template: &PodTemplate,
    ) -> Vec<Pool> {
        self.count("spec.pools", pools.len(), limits::POOLS_LENGTH);
        for (index, pool) in pools.iter().enumerate() {
            let field = format!("spec.pools[{index}]");
            self.pool(cluster, &field, pool);
            if pools[..index].iter().any(|other| other.name == pool.name) {
                let problem = format!("{:?} is there twice", pool.name);
                self.note(&format!("{field}.name"), problem, "each pool once");
            }
        }
        let default = [PoolSpec { name: limits::DEFAULT_POOL.to_owned(), ..PoolSpec::default() }];
        let pools = if pools.is_empty() { &default } else { pools };
        self.total(replicas, pools);
        let shares = shares(replicas, pools);
        let joined = |pool: &PoolSpec| over(template, &pool.template);
        let named = pools.iter().zip(shares);
        named
            .map(|(pool, replicas)| Pool {
                name: pool.name.clone(),
                replicas,
                template: joined(pool),
            })
            .collect()
    }

    fn pool(&mut self, cluster: &str, field: &str, pool: &PoolSpec) {
        let PoolSpec { name, replicas, template } = pool;
        let shape = (limits::POOL_NAME_PATTERN, limits::POOL_NAME_LENGTH);
        let name_field = format!("{field}.name");
        self.text(&name_field, name, shape, limits::POOL_NAME_EXPECTED);
        if cluster.len() + 1 + name.len() > limits::NAMES_LENGTH {
            self.note(&name_field, format!("{name:?} is too long"), limits::NAMES_EXPECTED);
        }
        if let Some(replicas) = replicas {
            let _: usize =
                self.number(&format!("{field}.replicas"), *replicas, limits::POOL_REPLICAS);
        }
        self.template(&format!("{field}.template"), template);
    }

    fn total(&mut self, replicas: usize, pools: &[PoolSpec]) {
        let fixed: usize = pools.iter().filter_map(fixed).sum();
        let all_fixed = pools.iter().all(|pool| pool.replicas.is_some());
        if fixed > replicas {
            let problem = format!("is {replicas}, and its pools have {fixed} of their own");
            self.note("spec.replicas", problem, format!("{fixed} at least, or smaller pools"));
        } else if all_fixed && fixed < replicas {
            let problem = format!("is {replicas}, and its pools have {fixed}");
            let expected = format!("{fixed}, or a pool without replicas, which takes the rest");
            self.note("spec.replicas", problem, expected);
        }
    }

    pub(super) fn template(&mut self, field: &str, template: &PodTemplate) {
        let PodTemplate {
            labels,
            annotations,
            node_selector,
            tolerations,
            affinity: _,
            topology_spread_constraints,
            priority_class_name,
            resources,
            env,
            dns_policy,
            dns_config,
            host_aliases,
            security_context,
        } = template;
        for (name, map) in
            [("labels", labels), ("annotations", annotations), ("nodeSelector", node_selector)]
        {
            self.count(&format!("{field}.{name}"), map.len(), limits::ENTRIES);
        }
        self.own_labels(&format!("{field}.labels"), labels);
        let most = limits::PLACEMENTS_LENGTH;
        let tolerations = tolerations.as_ref().map_or(0, Vec::len);
        self.count(&format!("{field}.tolerations"), tolerations, most);
        let constraints = topology_spread_constraints.as_ref().map_or(0, Vec::len);
        self.count(&format!("{field}.topologySpreadConstraints"), constraints, most);
        if let Some(name) = priority_class_name {
            let shape = (limits::PRIORITY_CLASS_PATTERN, limits::PRIORITY_CLASS_LENGTH);
            let expected = limits::PRIORITY_CLASS_EXPECTED;
            self.text(&format!("{field}.priorityClassName"), name, shape, expected);
        }
        if let Some(resources) = resources {
            self.resources(&format!("{field}.resources"), resources);
        }
        self.env(&format!("{field}.env"), env.as_deref().unwrap_or_default());
        self.dns(field, *dns_policy, dns_config.as_ref());
        let aliases = host_aliases.as_deref().unwrap_or_default();
        self.host_aliases(&format!("{field}.hostAliases"), aliases);
        if let Some(context) = security_context {
            self.security(&format!("{field}.securityContext"), context);
        }
    }

    /// Labels that are not the operator's.
    fn own_labels(&mut self, field: &str, labels: &BTreeMap<String, String>) {
        for label in labels.keys().filter(|label| is_the_operators(label)) {
            let problem = format!("{label:?} is the operator's");
            self.note(field, problem, limits::LABELS_EXPECTED);
        }
    }

    /// The labels of the ServiceMonitor, if there is to be one.
    pub(super) fn monitoring(&mut self, spec: &MonitoringSpec) -> Option<BTreeMap<String, String>> {
        let MonitoringSpec { service_monitor, labels } = spec;
        let field = "spec.monitoring.labels";
        self.count(field, labels.len(), limits::ENTRIES);
        self.own_labels(field, labels);
        service_monitor.then(|| labels.clone())
    }

    pub(super) fn resources(&mut self, field: &str, resources: &Resources) {
        let Resources { requests, limits } = resources;
        self.quantities(&format!("{field}.requests"), requests);
        self.quantities(&format!("{field}.limits"), limits);
    }

    fn quantities(&mut self, field: &str, quantities: &BTreeMap<String, QuantityText>) {
        self.count(field, quantities.len(), limits::ENTRIES);
        for (name, quantity) in quantities {
            let field = format!("{field}.{name}");
            let shape = (quantity::PATTERN, quantity::MAX_LENGTH);
            self.text(&field, &quantity.to_string(), shape, quantity::EXPECTED);
        }
    }

    pub(super) fn image(&mut self, image: &ImageSpec) -> ImageSpec {
        let ImageSpec { repository, tag, digest, pull_policy: _, pull_secrets } = image;
        let parts = [
            (
                "repository",
                repository,
                (limits::REPOSITORY_PATTERN, limits::REPOSITORY_LENGTH),
                limits::REPOSITORY_EXPECTED,
            ),
            ("tag", tag, (limits::TAG_PATTERN, limits::TAG_LENGTH), limits::TAG_EXPECTED),
            (
                "digest",
                digest,
                (limits::DIGEST_PATTERN, limits::DIGEST_LENGTH),
                limits::DIGEST_EXPECTED,
            ),
        ];
        for (name, text, shape, expected) in parts {
            if let Some(text) = text {
                self.text(&format!("spec.image.{name}"), text, shape, expected);
            }
        }
        self.count("spec.image.pullSecrets", pull_secrets.len(), limits::PULL_SECRETS_LENGTH);
        image.clone()
    }
}

fn is_the_operators(label: &str) -> bool {
    label.starts_with("grenache.dev/") || limits::OWN_LABELS.contains(&label)
}

fn fixed(pool: &PoolSpec) -> Option<usize> {
    usize::try_from(pool.replicas?).ok()
}

/// How many of `total` Grapes each pool has: its own number, or an even share of the rest, the
/// first ones one more where it does not come out even.
fn shares(total: usize, pools: &[PoolSpec]) -> Vec<usize> {
    let taken: usize = pools.iter().filter_map(fixed).sum();
    let sharing = pools.iter().filter(|pool| pool.replicas.is_none()).count().max(1);
    let rest = total.saturating_sub(taken);
    let mut more = rest % sharing;
    let mut share = || {
        let extra = usize::from(more > 0);
        more -= extra;
        rest / sharing + extra
    };
    pools.iter().map(|pool| fixed(pool).unwrap_or_else(&mut share)).collect()
}

/// A pool's template over that of the cluster.
fn over(below: &PodTemplate, above: &PodTemplate) -> PodTemplate {
    let PodTemplate {
        labels,
        annotations,
        node_selector,
        tolerations,
        affinity,
        topology_spread_constraints,
        priority_class_name,
        resources,
        env,
        dns_policy,
        dns_config,
        host_aliases,
        security_context,
    } = above.clone();
    let (dns_policy, dns_config) = match (dns_policy, dns_config) {
        (None, None) => (below.dns_policy, below.dns_config.clone()),
        own => own,
    };
    let joined = |below: &BTreeMap<String, String>, above| {
        let mut joined = below.clone();
        joined.extend(above);
        joined
    };
    PodTemplate {
        labels: joined(&below.labels, labels),
        annotations: joined(&below.annotations, annotations),
        node_selector: joined(&below.node_selector, node_selector),
        tolerations: tolerations.or_else(|| below.tolerations.clone()),
        affinity: affinity.or_else(|| below.affinity.clone()),
        topology_spread_constraints: topology_spread_constraints
            .or_else(|| below.topology_spread_constraints.clone()),
        priority_class_name: priority_class_name.or_else(|| below.priority_class_name.clone()),
        resources: resources.or_else(|| below.resources.clone()),
        env: env.or_else(|| below.env.clone()),
        dns_policy,
        dns_config,
        host_aliases: host_aliases.or_else(|| below.host_aliases.clone()),
        security_context: security_context.or_else(|| below.security_context.clone()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodDNSConfig;
    use rstest::rstest;

    use crate::pods::DnsPolicy;

    use super::*;

    #[rstest]
    #[case::even(6, &[None, None], &[3, 3])]
    #[case::first_has_more(7, &[None, None, None], &[3, 2, 2])]
    #[case::one_is_fixed(6, &[Some(4), None], &[4, 2])]
    #[case::fixed_in_between(9, &[None, Some(2), None], &[4, 2, 3])]
    #[case::fewer_than_pools(2, &[None, None, None], &[1, 1, 0])]
    #[case::all_fixed(5, &[Some(0), Some(5)], &[0, 5])]
    fn the_total_is_shared(
        #[case] total: usize,
        #[case] replicas: &[Option<i32>],
        #[case] expected: &[usize],
    ) {
        let pool = |replicas: &Option<i32>| PoolSpec { replicas: *replicas, ..Default::default() };
        let pools: Vec<_> = replicas.iter().map(pool).collect();
        assert_eq!(shares(total, &pools), expected);
    }

    #[test]
    fn a_pools_template_goes_before_the_clusters() {
        let map = |entries: &[(&str, &str)]| -> BTreeMap<String, String> {
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let below = PodTemplate {
            labels: map(&[("a", "below"), ("b", "below")]),
            priority_class_name: Some("below".to_owned()),
            tolerations: Some(Vec::new()),
            ..Default::default()
        };
        let above = PodTemplate {
            labels: map(&[("b", "above")]),
            priority_class_name: Some("above".to_owned()),
            ..Default::default()
        };
        let joined = over(&below, &above);
        assert_eq!(joined.labels, map(&[("a", "below"), ("b", "above")]));
        assert_eq!(joined.priority_class_name.as_deref(), Some("above"));
        assert_eq!(joined.tolerations, Some(Vec::new()));
    }

    #[test]
    fn a_pool_that_sets_one_setting_of_dns_takes_none_from_the_cluster() {
        let config = |address: &str| PodDNSConfig {
            nameservers: Some(vec![address.to_owned()]),
            ..Default::default()
        };
        let below = PodTemplate {
            dns_policy: Some(DnsPolicy::None),
            dns_config: Some(config("10.0.0.1")),
            ..Default::default()
        };
        let joined = |dns_policy, dns_config| {
            let above = PodTemplate { dns_policy, dns_config, ..Default::default() };
            let joined = over(&below, &above);
            (joined.dns_policy, joined.dns_config)
        };
        assert_eq!(joined(None, None), (below.dns_policy, below.dns_config.clone()));
        let cluster_first = Some(DnsPolicy::ClusterFirst);
        assert_eq!(joined(cluster_first, None), (cluster_first, None));
        let own = Some(config("10.0.0.2"));
        assert_eq!(joined(None, own.clone()), (None, own));
    }
}
