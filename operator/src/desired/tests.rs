use std::collections::BTreeMap;

use grape_cluster::manifest;
use grape_cluster::pods::{PullPolicy, Resources};
use grape_cluster::validate::validate;
use grape_cluster::{
    DnsPolicy, GrapeCluster, GrapeClusterSpec, InjectionNamespaces, NamespacesFrom, PoolSpec,
};
use k8s_openapi::api::core::v1::{PodSecurityContext, PodTemplateSpec, Toleration};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const BARE: &str = include_str!("tests/bare.yaml");
const EVERYTHING: &str = include_str!("tests/everything.yaml");

fn context() -> BuildContext {
    BuildContext {
        namespace: "trading".to_owned(),
        owner: OwnerReference {
            api_version: "grenache.dev/v1alpha1".to_owned(),
            kind: "GrapeCluster".to_owned(),
            name: "market".to_owned(),
            uid: "0d5a1f0e-8f5c-4d0a-9d43-2f1f2c6b7a10".to_owned(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        },
        grape_image: "grenache/grape:0.1.0".to_owned(),
        operator_namespace: "grenache-system".to_owned(),
    }
}

fn of(cluster: &GrapeCluster) -> Desired {
    desired(&validate(cluster).unwrap(), &context())
}

fn read(yaml: &str) -> Desired {
    of(&manifest::parse(yaml).unwrap())
}

fn changed(change: impl FnOnce(&mut GrapeClusterSpec)) -> Desired {
    let mut spec = GrapeClusterSpec::default();
    change(&mut spec);
    of(&GrapeCluster::new("market", spec))
}

/// A snapshot of each object; INSTA_UPDATE=always writes them.
#[rstest]
#[case("bare", BARE)]
#[case("everything", EVERYTHING)]
#[case("pods", include_str!("tests/pods.yaml"))]
fn objects(#[case] cluster: &str, #[case] yaml: &str) {
    let Desired { service, account, pools, disruption, network, monitor } = read(yaml);
    insta::assert_yaml_snapshot!(format!("{cluster}-service"), service);
    insta::assert_yaml_snapshot!(format!("{cluster}-account"), account);
    for PoolSet { pool, replicas, set } in pools {
        assert_eq!(set.spec.as_ref().unwrap().replicas, Some(replicas));
        insta::assert_yaml_snapshot!(format!("{cluster}-pool-{pool}"), set);
    }
    insta::assert_yaml_snapshot!(format!("{cluster}-disruption"), disruption);
    insta::assert_yaml_snapshot!(format!("{cluster}-network"), network);
    insta::assert_yaml_snapshot!(format!("{cluster}-monitor"), monitor);
}

#[test]
fn a_single_grape_has_no_budget() {
    let mut expected = read(BARE);
    expected.disruption = None;
    expected.pools[0].replicas = 1;
    let spec = expected.pools[0].set.spec.as_mut().unwrap();
    spec.replicas = Some(1);
    let strategy = spec.update_strategy.as_mut().unwrap();
    strategy.rolling_update.as_mut().unwrap().partition = Some(1);
    assert_eq!(changed(|spec| spec.replicas = 1), expected);
}

/// The network in the flags of its Grapes.
#[rstest]
#[case::by_default(&[], None, Some("trading.market"))]
#[case::named(&[], Some("prod"), Some("prod"))]
#[case::that_joins_others(&["old-grape.prod:20001"], None, None)]
#[case::that_joins_others_by_name(&["a:1"], Some("prod"), Some("prod"))]
#[case::with_what_kubernetes_would_replace(&[], Some("$(POD_IP)$"), Some("$$(POD_IP)$$"))]
fn the_network_is_set_by_a_variable(
    #[case] bootstrap: &[&str],
    #[case] network: Option<&str>,
    #[case] told: Option<&str>,
) {
    let desired = changed(|spec| {
        spec.dht.bootstrap = bootstrap.iter().map(|it| (*it).to_owned()).collect();
        spec.dht.network = network.map(str::to_owned);
    });
    let spec = desired.pools[0].set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let container = &spec.containers[0];
    let variables = container.env.as_ref().unwrap();
    let variable = variables.iter().find(|it| it.name == "GRAPE_NETWORK");
    assert_eq!(variable.and_then(|it| it.value.as_deref()), told);
    // A Grape of an older release knows no such flag, and would not start.
    assert!(!container.args.as_ref().unwrap().iter().any(|flag| flag.contains("network")));
}

#[test]
fn trusted_networks_are_set_by_a_variable() {
    let nets = ["203.0.113.0/24", "2001:db8::/48"].map(str::to_owned);
    let desired = changed(|spec| spec.dht.trust_nets = nets.to_vec());
    assert_ne!(hash(&desired), hash(&read(BARE)));
    let spec = desired.pools[0].set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let variables = spec.containers[0].env.as_ref().unwrap();
    let variable = variables.iter().find(|it| it.name == "GRAPE_TRUST_NET").unwrap();
    assert_eq!(variable.value.as_deref(), Some("203.0.113.0/24,2001:db8::/48"));
    // A Grape of an older release knows no such flag, and would not start.
    assert!(!spec.containers[0].args.as_ref().unwrap().iter().any(|flag| flag.contains("trust")));
}

#[test]
fn a_network_policy_can_be_left_out() {
    let expected = Desired { network: None, ..read(BARE) };
    assert_eq!(changed(|spec| spec.network_policy.enabled = false), expected);
}

/// Who may reach the DHT, where services of other namespaces may be in it.
#[rstest]
#[case("all", NamespacesFrom::All, None)]
#[case("selector", NamespacesFrom::Selector, Some("team"))]
fn services_of_other_namespaces(
    #[case] name: &str,
    #[case] from: NamespacesFrom,
    #[case] label: Option<&str>,
) {
    let selector = label.map(|label| labels::having(one(label, "trade")));
    let network =
        changed(|spec| spec.injection.namespaces = InjectionNamespaces { from, selector });
    let spec = network.network.unwrap().spec.unwrap();
    let dht = &spec.ingress.as_ref().unwrap()[0];
    let egress = spec.egress.unwrap();
    let to = egress[..2].iter().flat_map(|rule| rule.to.clone().unwrap());
    assert_eq!(dht.from, Some(to.collect()), "they answer whom they hear");
    let ports: Vec<_> =
        egress[..2].iter().map(|rule| rule.ports.clone().unwrap()[0].port.clone()).collect();
    assert_eq!(ports, [Some(IntOrString::Int(20001)), None], "a pod may name a port of its own");
    insta::assert_yaml_snapshot!(format!("services-from-{name}"), dht);
}

#[test]
fn a_wish_that_is_too_long_for_a_label_is_in_no_policy() {
    let name = "m".repeat(44);
    let mut spec = GrapeClusterSpec::default();
    spec.injection.namespaces.from = NamespacesFrom::All;
    let cluster = validate(&GrapeCluster::new(&name, spec)).unwrap();
    for (namespace, peers, wishes) in [("n".repeat(18), 3, 2), ("n".repeat(19), 2, 1)] {
        let desired = desired(&cluster, &BuildContext { namespace, ..context() });
        let rules = desired.network.unwrap().spec.unwrap().ingress.unwrap();
        let from = rules[0].from.as_ref().unwrap();
        let pods = from[1].pod_selector.as_ref().unwrap().match_expressions.as_ref().unwrap();
        assert_eq!((from.len(), pods[0].values.as_ref().unwrap().len()), (peers, wishes));
    }
}

fn hash(desired: &Desired) -> &str {
    &desired.pools[0].set.metadata.annotations.as_ref().unwrap()[statefulset::TEMPLATE_HASH]
}

fn one(key: &str, value: &str) -> BTreeMap<String, String> {
    labels::map([(key, value)])
}

#[rstest]
#[case::image(changed(|spec| spec.image.tag = Some("0.2.0".to_owned())))]
#[case::pull_policy(changed(|spec| spec.image.pull_policy = Some(PullPolicy::Always)))]
#[case::pull_secrets(changed(|spec| spec.image.pull_secrets = vec![Default::default()]))]
#[case::dht(changed(|spec| spec.dht.peer_max_age = "90s".into()))]
#[case::bootstrap(changed(|spec| spec.dht.bootstrap = vec!["a:1".to_owned()]))]
#[case::api(changed(|spec| spec.api.port = 30002))]
#[case::labels(changed(|spec| spec.template.labels = one("a", "b")))]
#[case::annotations(changed(|spec| spec.template.annotations = one("a", "b")))]
#[case::node_selector(changed(|spec| spec.template.node_selector = one("a", "b")))]
#[case::tolerations(changed(|spec| {
    spec.template.tolerations = Some(vec![Toleration::default()]);
}))]
#[case::priority(changed(|spec| spec.template.priority_class_name = Some("a".to_owned())))]
#[case::resources(changed(|spec| spec.template.resources = Some(Resources::default())))]
#[case::env(changed(|spec| spec.template.env = Some(vec![grape::variable("A", "b".to_owned())])))]
#[case::dns(changed(|spec| spec.template.dns_policy = Some(DnsPolicy::ClusterFirst)))]
#[case::user(changed(|spec| {
    let context = PodSecurityContext { run_as_user: Some(1000), ..Default::default() };
    spec.template.security_context = Some(context);
}))]
fn the_hash_changes_with_the_template(#[case] other: Desired) {
    assert_ne!(hash(&other), hash(&read(BARE)));
}

/// A change here is a change of every Grape: an upgrade of the operator replaces all of them.
#[test]
fn the_hash_without_later_fields_is_that_of_earlier_releases() {
    assert_eq!(hash(&read(BARE)), "ea49f5eeccfdd651");
    assert_eq!(hash(&read(EVERYTHING)), "c8238d11c93fc5f3");
    let empty = changed(|spec| {
        spec.template.env = Some(Vec::new());
        spec.template.dns_config = Some(Default::default());
        spec.template.host_aliases = Some(Vec::new());
        spec.template.security_context = Some(Default::default());
    });
    assert_eq!(hash(&empty), "ea49f5eeccfdd651", "nothing is set");
}

#[test]
fn the_hash_is_that_of_the_template_alone() {
    let ordered = |labels: &str| {
        let yaml = EVERYTHING.replace("team: exchange\n      tier: discovery", labels);
        hash(&read(&yaml)).to_owned()
    };
    let given = ordered("team: exchange\n      tier: discovery");
    assert_eq!(ordered("tier: discovery\n      team: exchange"), given);
    assert_ne!(ordered("tier: discovery\n      team: other"), given);
    assert_eq!(given.len(), 16);

    let other = changed(|spec| {
        spec.replicas = 7;
        spec.network_policy.enabled = false;
        spec.monitoring.service_monitor = true;
    });
    assert_eq!(hash(&other), hash(&read(BARE)));
}

/// Whether a selector is one of labels alone, and finds what has `labels`.
fn finds(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector.match_labels.as_ref().unwrap();
    assert_eq!(selector.match_expressions, None);
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

fn pod_labels(template: &PodTemplateSpec) -> &BTreeMap<String, String> {
    template.metadata.as_ref().unwrap().labels.as_ref().unwrap()
}

#[rstest]
#[case(BARE)]
#[case(EVERYTHING)]
fn selectors_find_the_pods(#[case] yaml: &str) {
    let Desired { service, pools, disruption, network, monitor, .. } = read(yaml);
    for (index, pool) in pools.iter().enumerate() {
        let spec = pool.set.spec.as_ref().unwrap();
        let labels = pod_labels(&spec.template);
        assert!(finds(&spec.selector, labels));
        for other in pools.iter().skip(index + 1) {
            assert!(!finds(&other.set.spec.as_ref().unwrap().selector, labels));
        }
        let own = service.spec.as_ref().unwrap().selector.clone();
        assert!(finds(&LabelSelector { match_labels: own, ..Default::default() }, labels));
        let budget = disruption.as_ref().unwrap().spec.as_ref().unwrap();
        assert!(finds(budget.selector.as_ref().unwrap(), labels));
        let policy = network.as_ref().unwrap().spec.as_ref().unwrap();
        assert!(finds(policy.pod_selector.as_ref().unwrap(), labels));
        let pod = spec.template.spec.as_ref().unwrap();
        for constraint in pod.topology_spread_constraints.as_ref().unwrap() {
            assert!(finds(constraint.label_selector.as_ref().unwrap(), labels));
        }
        let pairs = labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        for pair in labels::selector_text("market").split(',') {
            assert!(pairs.iter().any(|own| own == pair), "{pair} is not in {pairs:?}");
        }
    }
    if let Some(monitor) = monitor {
        let selector = serde_json::from_value(monitor.data["spec"]["selector"].clone()).unwrap();
        assert!(finds(&selector, service.metadata.labels.as_ref().unwrap()));
    }
}

/// A Helm release `market` of a chart that is called `grape`, too.
#[test]
fn pods_of_another_chart_are_not_selected() {
    let Desired { service, disruption, network, pools, .. } = read(BARE);
    let theirs: BTreeMap<String, String> =
        [("name", "grape"), ("instance", "market"), ("managed-by", "Helm")]
            .map(|(key, value)| (format!("app.kubernetes.io/{key}"), value.to_owned()))
            .into();
    let own = LabelSelector { match_labels: service.spec.unwrap().selector, ..<_>::default() };
    let policy = network.unwrap().spec.unwrap();
    let peers =
        |rule: Option<Vec<NetworkPolicyPeer>>| rule.unwrap()[0].pod_selector.clone().unwrap();
    let selectors = [
        own,
        disruption.unwrap().spec.unwrap().selector.unwrap(),
        policy.pod_selector.unwrap(),
        peers(policy.ingress.unwrap()[0].from.clone()),
        peers(policy.egress.unwrap()[0].to.clone()),
    ];
    for selector in selectors {
        assert!(!finds(&selector, &theirs), "{selector:?}");
    }
    let scale = labels::selector_text("market");
    assert!(scale.contains("app.kubernetes.io/managed-by=grape-operator"), "{scale}");
    // These stay as they were: another template would replace every Grape.
    let pod = pools[0].set.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    for constraint in pod.topology_spread_constraints.as_ref().unwrap() {
        let labels = constraint.label_selector.as_ref().unwrap().match_labels.as_ref().unwrap();
        assert_eq!(labels.len(), 2, "{labels:?}");
    }
}

#[test]
fn the_operators_labels_go_before_all_others() {
    let mut cluster = validate(&GrapeCluster::new("market", GrapeClusterSpec::default())).unwrap();
    let own = labels::of_pool("market", "default");
    let others = own.keys().map(|key| (key.clone(), "other".to_owned()));
    cluster.pools[0].template.labels = others.chain([("a".to_owned(), "b".to_owned())]).collect();
    let desired = desired(&cluster, &context());
    let mut expected = own;
    expected.insert("a".to_owned(), "b".to_owned());
    assert_eq!(*pod_labels(&desired.pools[0].set.spec.as_ref().unwrap().template), expected);
}

/// A name of one of these lengths.
fn name(first: &'static str, lengths: std::ops::RangeInclusive<usize>) -> BoxedStrategy<String> {
    lengths
        .prop_flat_map(move |length| {
            let rest = match length {
                1 => String::new(),
                _ => format!("[-a-z0-9]{{{}}}[a-z0-9]", length - 2),
            };
            proptest::string::string_regex(&format!("{first}{rest}")).unwrap()
        })
        .boxed()
}

prop_compose! {
    /// A valid cluster with pools, their names up to the longest.
    fn clusters()(cluster in name("[a-z]", 1..=44))
        (
            pools in prop::collection::btree_set(
                name("[a-z0-9]", 1..=30.min(51 - cluster.len())), 0..4,
            ),
            cluster in Just(cluster),
            replicas in 1..=1000,
        ) -> GrapeCluster
    {
        let pools = pools.into_iter().map(|name| PoolSpec { name, ..PoolSpec::default() });
        let monitoring = grape_cluster::MonitoringSpec { service_monitor: true, ..Default::default() };
        let spec = GrapeClusterSpec {
            replicas, pools: pools.collect(), monitoring, ..GrapeClusterSpec::default()
        };
        GrapeCluster::new(&cluster, spec)
    }
}

/// What a label's value and a pod's host name are held to.
const MOST: usize = 63;

fn is_a_dns_label(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= MOST
        && name.starts_with(plain)
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || c == '-')
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn names_and_labels_keep_their_limits(cluster in clusters()) {
        let Desired { service, account, pools, disruption, network, monitor } = of(&cluster);
        let mut all = vec![service.metadata, account.metadata, monitor.unwrap().metadata];
        all.extend(disruption.map(|budget| budget.metadata));
        all.extend(network.map(|policy| policy.metadata));
        for PoolSet { replicas, set, .. } in pools {
            let name = set.metadata.name.as_deref().unwrap();
            let last = format!("{name}-{}", (replicas - 1).max(0));
            prop_assert!(is_a_dns_label(&last), "the pod {last}");
            let revision = format!("{name}-{}", "0".repeat(10));
            prop_assert!(revision.len() <= MOST, "its revision {revision}");
            all.push(set.spec.unwrap().template.metadata.unwrap());
            all.push(set.metadata);
        }
        for ObjectMeta { name, labels, .. } in all {
            prop_assert!(name.as_deref().is_none_or(is_a_dns_label), "the object {name:?}");
            for (key, value) in labels.unwrap() {
                prop_assert!(is_a_dns_label(&value), "{key}: {value}");
            }
        }
    }
}
