use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use rstest::rstest;

use std::collections::BTreeMap;

use super::*;
use crate::pods::Resources;
use crate::{GrapeClusterStatus, InjectionNamespaces, NamespacesFrom, PoolSpec};

fn cluster(change: impl FnOnce(&mut GrapeClusterSpec)) -> GrapeCluster {
    let mut spec = GrapeClusterSpec::default();
    change(&mut spec);
    GrapeCluster::new("market", spec)
}

fn refusal(cluster: &GrapeCluster) -> String {
    let invalid = validate(cluster).unwrap_err();
    invalid.iter().map(Invalid::to_string).collect::<Vec<_>>().join("\n")
}

fn pool(name: &str, replicas: Option<i32>) -> PoolSpec {
    PoolSpec { name: name.to_owned(), replicas, ..PoolSpec::default() }
}

#[test]
fn an_image_may_lie_at_a_host_with_a_port() {
    let repositories = ["grape", "localhost/grape", "images.example:5000/team/grape"];
    for repository in repositories {
        let cluster = cluster(|spec| spec.image.repository = Some(repository.to_owned()));
        assert_eq!(validate(&cluster).unwrap().image.repository.as_deref(), Some(repository));
    }
}

#[test]
fn the_default_spec_is_a_good_cluster_of_three() {
    let validated = validate(&cluster(|_| {})).unwrap();
    assert_eq!(validated.replicas, 3);
    assert_eq!(validated.dht.peer_max_age, Duration::from_secs(120));
    assert_eq!(validated.api, Api { port: 30001, max_payload_size: 8192 });
}

#[rstest]
#[case::replicas_none(
    cluster(|spec| spec.replicas = 0),
    "spec.replicas: 0 is too small; expected a whole number from 1 to 1000"
)]
#[case::replicas_many(
    cluster(|spec| spec.replicas = 1001),
    "spec.replicas: 1001 is too large; expected a whole number from 1 to 1000"
)]
#[case::port(
    cluster(|spec| spec.dht.port = 65536),
    "spec.dht.port: 65536 is too large; expected a whole number from 1 to 65535"
)]
#[case::payload(
    cluster(|spec| spec.api.max_payload_size = 100),
    "spec.api.maxPayloadSize: 100 is too small; expected a whole number from 1024 to 1048576"
)]
#[case::age_without_unit(
    cluster(|spec| spec.dht.peer_max_age = "120".into()),
    "spec.dht.peerMaxAge: \"120\" has no unit; expected a duration from 1s to 24h, as in \
     120s, 5m or 1h30m"
)]
#[case::age_in_words(
    cluster(|spec| spec.dht.peer_max_age = "2 minutes".into()),
    "spec.dht.peerMaxAge: \"2 minutes\" is not a duration; expected a duration from 1s to \
     24h, as in 120s, 5m or 1h30m"
)]
#[case::age_short(
    cluster(|spec| spec.dht.node_liveness = "999ms".into()),
    "spec.dht.nodeLiveness: \"999ms\" is out of bounds; expected a duration from 1s to 24h, \
     as in 120s, 5m or 1h30m"
)]
#[case::address_without_port(
    cluster(|spec| spec.dht.bootstrap = vec!["a:1".to_owned(), "old-grape.prod".to_owned()]),
    "spec.dht.bootstrap[1]: \"old-grape.prod\" is not the address of a Grape; expected \
     HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001"
)]
#[case::address_twice(
    cluster(|spec| spec.dht.bootstrap = vec!["a:1".to_owned(), "a:1".to_owned()]),
    "spec.dht.bootstrap[1]: \"a:1\" is there twice; expected each Grape once"
)]
#[case::addresses_many(
    cluster(|spec| spec.dht.bootstrap = (1..=65).map(|port| format!("a:{port}")).collect()),
    "spec.dht.bootstrap: has 65 entries; expected 64 at most"
)]
#[case::no_network(
    cluster(|spec| spec.dht.trust_nets = ["10.0.0.0/8", "10.0.0.1"].map(str::to_owned).to_vec()),
    "spec.dht.trustNets[1]: \"10.0.0.1\" is no network; expected IP/PREFIX, as in 203.0.113.0/24 or \
     2001:db8::/48"
)]
#[case::networks_many(
    cluster(|spec| spec.dht.trust_nets = (1..=65).map(|n| format!("10.{n}.0.0/16")).collect()),
    "spec.dht.trustNets: has 65 entries; expected 64 at most"
)]
#[case::network_with_a_space(
    cluster(|spec| spec.dht.network = Some("prod market".to_owned())),
    "spec.dht.network: \"prod market\" cannot be used; expected 1 to 253 printable ASCII \
     characters without spaces, as in prod.market"
)]
#[case::network_without_a_name(
    cluster(|spec| spec.dht.network = Some(String::new())),
    "spec.dht.network: is missing; expected 1 to 253 printable ASCII characters without spaces, \
     as in prod.market"
)]
#[case::api_on_the_admin_port(
    cluster(|spec| spec.api.port = 9091),
    "spec.api.port: 9091 is taken; expected any port but 9091, where a Grape's admin pages are"
)]
#[case::sidecars_on_the_port_of_the_api(
    cluster(|spec| spec.injection.admin_port = Some(30001)),
    "spec.injection.adminPort: 30001 is taken; expected another port than spec.api.port, and than \
     spec.injection.dhtPort or else spec.dht.port"
)]
#[case::sidecars_on_a_low_port(
    cluster(|spec| spec.injection.dht_port = Some(80)),
    "spec.injection.dhtPort: 80 is too small; expected a whole number from 1024 to 65535"
)]
#[case::sidecars_on_the_default_of_another(
    cluster(|spec| spec.injection.dht_port = Some(9091)),
    "spec.injection.dhtPort: 9091 is taken; expected another port than spec.api.port, and than \
     spec.injection.adminPort or else 9091"
)]
#[case::pools_have_more(
    cluster(|spec| spec.pools = vec![pool("a", Some(3)), pool("b", Some(1)), pool("c", None)]),
    "spec.replicas: is 3, and its pools have 4 of their own; expected 4 at least, or smaller pools"
)]
#[case::pools_have_fewer(
    cluster(|spec| spec.pools = vec![pool("a", Some(1)), pool("b", Some(1))]),
    "spec.replicas: is 3, and its pools have 2; expected 2, or a pool without replicas, which takes \
     the rest"
)]
#[case::pool_twice(
    cluster(|spec| spec.pools = vec![pool("a", None), pool("b", None), pool("a", None)]),
    "spec.pools[2].name: \"a\" is there twice; expected each pool once"
)]
#[case::pool_name(
    cluster(|spec| spec.pools = vec![pool("Zone", None)]),
    "spec.pools[0].name: \"Zone\" cannot be used; expected a name of lower-case letters, digits and \
     '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1"
)]
#[case::names_long_together(
    GrapeCluster::new(
        "a-cluster-with-quite-a-long-name",
        GrapeClusterSpec {
            pools: vec![pool("a-pool-with-one-as-well", None)],
            ..Default::default()
        },
    ),
    "spec.pools[0].name: \"a-pool-with-one-as-well\" is too long; expected 44 characters at \
     most for metadata.name, and 52 for it with '-' and a pool's name: pods carry them as a label"
)]
#[case::image_with_tag(
    cluster(|spec| spec.image.repository = Some("grenache/grape:0.1.0".to_owned())),
    "spec.image.repository: \"grenache/grape:0.1.0\" cannot be used; expected an image's name without \
     tag and digest, as in grenache/grape"
)]
#[case::digest(
    cluster(|spec| spec.image.digest = Some("sha256:12".to_owned())),
    "spec.image.digest: \"sha256:12\" cannot be used; expected sha256: and 64 hex digits"
)]
#[case::own_label_of_the_monitor(
    cluster(|spec| drop(spec.monitoring.labels.insert("grenache.dev/pool".into(), "a".into()))),
    "spec.monitoring.labels: \"grenache.dev/pool\" is the operator's; expected labels other than \
     grenache.dev/…, app.kubernetes.io/name, app.kubernetes.io/instance and \
     app.kubernetes.io/managed-by, which the operator sets"
)]
#[case::own_label(
    cluster(|spec| drop(spec.template.labels.insert("grenache.dev/pool".into(), "a".into()))),
    "spec.template.labels: \"grenache.dev/pool\" is the operator's; expected labels other than \
     grenache.dev/…, app.kubernetes.io/name, app.kubernetes.io/instance and \
     app.kubernetes.io/managed-by, which the operator sets"
)]
#[case::quantity(
    cluster(|spec| {
        let requests = BTreeMap::from([("cpu".to_owned(), "much".into())]);
        spec.template.resources = Some(Resources { requests, ..Default::default() });
    }),
    "spec.template.resources.requests.cpu: \"much\" cannot be used; expected a quantity, as in 100m, \
     0.5, 64Mi or 1Gi"
)]
#[case::selector_missing(
    cluster(|spec| spec.injection.namespaces.from = NamespacesFrom::Selector),
    "spec.injection.namespaces: has no selector; expected from: Selector with a selector, or \
     another from without one"
)]
#[case::selector_in_vain(
    cluster(|spec| spec.injection.namespaces.selector = Some(LabelSelector::default())),
    "spec.injection.namespaces: has a selector; expected from: Selector with a selector, or \
     another from without one"
)]
#[case::selector_expressions(
    cluster(|spec| {
        let expression = |key: &str, operator: &str, values: &[&str]| LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        let match_expressions = Some(vec![
            expression("a", "Is", &[]),
            expression("a", "NotIn", &[]),
            expression("", "Exists", &["b"]),
        ]);
        let selector = LabelSelector { match_expressions, ..LabelSelector::default() };
        spec.injection.namespaces =
            InjectionNamespaces { from: NamespacesFrom::Selector, selector: Some(selector) };
    }),
    "spec.injection.namespaces.selector.matchExpressions[0].operator: \"Is\" is none; expected one \
     of In, NotIn, Exists, DoesNotExist\n\
     spec.injection.namespaces.selector.matchExpressions[1]: NotIn with 0 values; expected an \
     expression with values for In and NotIn, and without for Exists and DoesNotExist\n\
     spec.injection.namespaces.selector.matchExpressions[2].key: is missing; expected the key of a \
     label\n\
     spec.injection.namespaces.selector.matchExpressions[2]: Exists with 1 values; expected an \
     expression with values for In and NotIn, and without for Exists and DoesNotExist"
)]
#[case::injection_quantity(
    cluster(|spec| {
        let limits = BTreeMap::from([("memory".to_owned(), "much".into())]);
        spec.injection.resources = Some(Resources { limits, ..Default::default() });
    }),
    "spec.injection.resources.limits.memory: \"much\" cannot be used; expected a quantity, as in \
     100m, 0.5, 64Mi or 1Gi"
)]
#[case::all_at_once(
    cluster(|spec| {
        spec.replicas = -1;
        spec.dht.concurrency = 0;
        spec.api.port = 0;
    }),
    "spec.replicas: -1 is too small; expected a whole number from 1 to 1000\n\
     spec.dht.concurrency: 0 is too small; expected a whole number from 1 to 1024\n\
     spec.api.port: 0 is too small; expected a whole number from 1 to 65535"
)]
fn errors_of_bad_values_say_what_would_be_right(
    #[case] cluster: GrapeCluster,
    #[case] message: &str,
) {
    assert_eq!(refusal(&cluster), message);
}

#[rstest]
#[case("", "is missing")]
#[case("Market", "\"Market\" cannot be used")]
#[case("-a", "\"-a\" cannot be used")]
#[case("1a", "\"1a\" cannot be used")]
#[case("a.b", "\"a.b\" cannot be used")]
fn a_name_that_is_no_dns_label_is_refused(#[case] name: &str, #[case] problem: &str) {
    let cluster = GrapeCluster::new(name, GrapeClusterSpec::default());
    let invalid = validate(&cluster).unwrap_err();
    assert_eq!(invalid[0].field, "metadata.name");
    assert_eq!(invalid[0].problem, problem);
}

#[rstest]
#[case::same("{}", "trading", true)]
#[case::same_is_no_other("{}", "shop", false)]
#[case::all("{from: All}", "shop", true)]
#[case::selected("{from: Selector, selector: {matchLabels: {team: shop}}}", "shop", true)]
#[case::its_own_is_no_exception(
    "{from: Selector, selector: {matchLabels: {team: shop}}}",
    "trading",
    false
)]
#[case::expressions(
    "{from: Selector, selector: {matchExpressions: [{key: team, operator: In, values: [a, shop]}, \
     {key: secret, operator: DoesNotExist}]}}",
    "shop",
    true
)]
#[case::lacking(
    "{from: Selector, selector: {matchExpressions: [{key: secret, operator: Exists}]}}",
    "shop",
    false
)]
#[case::empty("{from: Selector, selector: {}}", "shop", true)]
fn a_cluster_lets_namespaces_in(
    #[case] namespaces: &str,
    #[case] namespace: &str,
    #[case] expected: bool,
) {
    let cluster =
        cluster(|spec| spec.injection.namespaces = serde_yaml::from_str(namespaces).unwrap());
    let from = validate(&cluster).unwrap().injection.namespaces;
    let labels = BTreeMap::from([("team".to_owned(), namespace.to_owned())]);
    assert_eq!(from.allows(namespace, &labels, "trading"), expected);
}

#[rstest]
#[case::before_the_first("", "grenache/grape:2")]
#[case::of_the_last_change("grenache/grape:1", "grenache/grape:1")]
#[case::somebody_else_wrote_it("no image at all", "grenache/grape:2")]
fn pods_of_services_get_the_image_that_has_reached_all(#[case] told: &str, #[case] image: &str) {
    let mut cluster = cluster(|spec| spec.image.tag = Some("2".to_owned()));
    cluster.status =
        Some(GrapeClusterStatus { rolled_out_image: told.to_owned(), ..<_>::default() });
    assert_eq!(validate(&cluster).unwrap().sidecar_image("grenache/grape:0"), image);
}
