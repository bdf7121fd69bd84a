//! What is refused, and with which words.

use super::{manifest, server, stored, try_all, validated};

/// Specs of a cluster `market`, and what is said of each.
const SPECS: &[(&str, &str)] = &[
    // Types.
    ("", "spec: Required value"),
    (
        "[]",
        ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: [] is of the type []interface {}, expected map[string]interface{}, spec: Invalid value: \"array\": spec in body must be of type object: \"array\"",
    ),
    (
        "{colour: red}",
        "GrapeCluster in version \"v1alpha1\" cannot be handled as a GrapeCluster: strict decoding error: unknown field \"spec.colour\"",
    ),
    (
        "{dht: {ports: 1}}",
        "GrapeCluster in version \"v1alpha1\" cannot be handled as a GrapeCluster: strict decoding error: unknown field \"spec.dht.ports\"",
    ),
    (
        "{replicas: three}",
        ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: three is of the type string, expected int64, spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
    ),
    (
        "{replicas: 3.5}",
        ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: 3.5 is of the type float64, expected int64, spec.replicas: Invalid value: \"number\": spec.replicas in body must be of type integer: \"number\"",
    ),
    (
        "{replicas: 99999999999999999999}",
        ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: 1e+20 is of the type float64, expected int64, spec.replicas: Invalid value: \"number\": spec.replicas in body must be of type integer: \"number\", spec.replicas: Invalid value: 1e+20: spec.replicas in body should be less than or equal to 1000",
    ),
    (
        "{pools: {name: a}}",
        "GrapeCluster in version \"v1alpha1\" cannot be handled as a GrapeCluster: strict decoding error: unknown field \"spec.pools.name\"",
    ),
    (
        "{pools: [null]}",
        "spec.pools[0]: Invalid value: \"null\": spec.pools[0] in body must be of type object: \"null\"",
    ),
    ("{pools: [{}]}", "spec.pools[0].name: Required value"),
    (
        "{dht: {peerMaxAge: 120}}",
        "spec.dht.peerMaxAge: Invalid value: \"integer\": spec.dht.peerMaxAge in body must be of type string: \"integer\"",
    ),
    (
        "{dht: {bootstrap: [20001]}}",
        "spec.dht.bootstrap[0]: Invalid value: \"integer\": spec.dht.bootstrap[0] in body must be of type string: \"integer\"",
    ),
    (
        "{paused: 'yes'}",
        "spec.paused: Invalid value: \"string\": spec.paused in body must be of type boolean: \"string\"",
    ),
    (
        "{template: {labels: {team: 7}}}",
        "spec.template.labels.team: Invalid value: \"integer\": spec.template.labels.team in body must be of type string: \"integer\"",
    ),
    (
        "{template: {tolerations: [{tolerationSeconds: 1.0e+30}]}}",
        "spec.template.tolerations[0].tolerationSeconds: Invalid value: \"number\": spec.template.tolerations[0].tolerationSeconds in body must be of type integer: \"number\"",
    ),
    (
        "{template: {tolerations: [{tolerationSeconds: 9223372036854775808}]}}",
        "spec.template.tolerations[0].tolerationSeconds: Invalid value: \"number\": spec.template.tolerations[0].tolerationSeconds in body must be of type integer: \"number\"",
    ),
    (
        "{template: {topologySpreadConstraints: \
         [{maxSkew: 2147483648, topologyKey: a, whenUnsatisfiable: DoNotSchedule}]}}",
        "spec.template.topologySpreadConstraints[0].maxSkew: Invalid value: 2147483648: spec.template.topologySpreadConstraints[0].maxSkew in body should be less than or equal to 2147483647",
    ),
    // Pools.
    (
        "{pools: [{name: Zone}]}",
        "spec.pools[0].name: Invalid value: \"Zone\": must be a name of lower-case letters, digits and '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1",
    ),
    (
        "{pools: [{name: -a}]}",
        "spec.pools[0].name: Invalid value: \"-a\": must be a name of lower-case letters, digits and '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1",
    ),
    (
        "{pools: [{name: a.b}]}",
        "spec.pools[0].name: Invalid value: \"a.b\": must be a name of lower-case letters, digits and '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1",
    ),
    (
        "{pools: [{name: ''}]}",
        "spec.pools[0].name: Invalid value: \"\": must be a name of lower-case letters, digits and '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1",
    ),
    (
        "{pools: [{name: aaaaaaaaaabbbbbbbbbbccccccccccd}]}",
        "spec.pools[0].name: Too long: may not be more than 30 bytes",
    ),
    (
        "{pools: [{name: a}, {name: b}, {name: a}]}",
        "spec.pools[2]: Duplicate value: {\"name\":\"a\"}",
    ),
    (
        "{pools: [{name: a, replicas: 3}, {name: b, replicas: 1}, {name: c}]}",
        "spec.replicas: Invalid value: must be at least the replicas of all spec.pools together",
    ),
    (
        "{pools: [{name: a, replicas: 1}, {name: b, replicas: 1}]}",
        "spec.replicas: Invalid value: must be the replicas of all spec.pools together, unless one of these leaves replicas out and so takes the rest",
    ),
    (
        "{pools: [{name: a, replicas: 2}, {name: b, replicas: 2}]}",
        "spec.replicas: Invalid value: must be at least the replicas of all spec.pools together",
    ),
    (
        "{pools: [{name: a, replicas: -1}, {name: b}]}",
        "spec.pools[0].replicas: Invalid value: -1: spec.pools[0].replicas in body should be greater than or equal to 0",
    ),
    (
        "{replicas: 1000, pools: [{name: a, replicas: 1001}, {name: b}]}",
        "spec.pools[0].replicas: Invalid value: 1001: spec.pools[0].replicas in body should be less than or equal to 1000, spec.replicas: Invalid value: must be at least the replicas of all spec.pools together",
    ),
    // The image.
    (
        "{image: {repository: 'grenache/grape:0.1.0'}}",
        "spec.image.repository: Invalid value: \"grenache/grape:0.1.0\": must be an image's name without tag and digest, as in grenache/grape",
    ),
    (
        "{image: {repository: ''}}",
        "spec.image.repository: Invalid value: \"\": must be an image's name without tag and digest, as in grenache/grape",
    ),
    (
        "{image: {tag: 'a b'}}",
        "spec.image.tag: Invalid value: \"a b\": must be letters, digits, '_', '.' and '-', 128 characters at most, as in 0.1.0",
    ),
    (
        "{image: {digest: 'sha256:12'}}",
        "spec.image.digest: Invalid value: \"sha256:12\": must be sha256: and 64 hex digits",
    ),
    (
        "{image: {pullPolicy: Often}}",
        "spec.image.pullPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
    ),
    // The DHT and the API.
    (
        "{dht: {peerMaxAge: '120'}}",
        "spec.dht.peerMaxAge: Invalid value: \"120\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {peerMaxAge: 2 minutes}}",
        "spec.dht.peerMaxAge: Invalid value: \"2 minutes\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {peerMaxAge: 999ms}}",
        "spec.dht.peerMaxAge: Invalid value: \"999ms\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {peerMaxAge: 24h1ms}}",
        "spec.dht.peerMaxAge: Invalid value: \"24h1ms\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {nodeLiveness: -5s}}",
        "spec.dht.nodeLiveness: Invalid value: \"-5s\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {nodeLiveness: 0s}}",
        "spec.dht.nodeLiveness: Invalid value: \"0s\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {nodeLiveness: 25h}}",
        "spec.dht.nodeLiveness: Invalid value: \"25h\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {nodeLiveness: ''}}",
        "spec.dht.nodeLiveness: Invalid value: \"\": must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {nodeLiveness: 9999999999999h}}",
        "spec.dht.nodeLiveness: Invalid value: \"string\": type conversion error from 'string' to 'google.protobuf.Duration' evaluating rule: must be a duration from 1s to 24h, as in 120s, 5m or 1h30m",
    ),
    (
        "{dht: {nodeLiveness: 1000000000000ms}}",
        "spec.dht.nodeLiveness: Too long: may not be more than 14 bytes",
    ),
    (
        "{dht: {network: 'a b'}}",
        "spec.dht.network: Invalid value: \"a b\": must be 1 to 253 printable ASCII characters without spaces, as in prod.market",
    ),
    (
        "{dht: {network: ''}}",
        "spec.dht.network: Invalid value: \"\": must be 1 to 253 printable ASCII characters without spaces, as in prod.market",
    ),
    (
        "{dht: {trustNets: [10.0.0.1, 10.0.0.256/32]}}",
        "spec.dht.trustNets[0]: Invalid value: \"10.0.0.1\": must be IP/PREFIX, as in 203.0.113.0/24 or 2001:db8::/48, spec.dht.trustNets[1]: Invalid value: \"10.0.0.256/32\": must be IP/PREFIX, as in 203.0.113.0/24 or 2001:db8::/48",
    ),
    ("{dht: {bootstrap: ['a:1', 'a:1']}}", "spec.dht.bootstrap[1]: Duplicate value: \"a:1\""),
    (
        "{dht: {bootstrap: [old-grape.prod]}}",
        "spec.dht.bootstrap[0]: Invalid value: \"old-grape.prod\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{dht: {bootstrap: ['a:1', 'a:0', 'a:65536']}}",
        "spec.dht.bootstrap[1]: Invalid value: \"a:0\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001, spec.dht.bootstrap[2]: Invalid value: \"a:65536\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{dht: {bootstrap: ['a:99999999999999999999']}}",
        "spec.dht.bootstrap[0]: Invalid value: \"a:99999999999999999999\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{dht: {bootstrap: ['2001:db8::1:20001']}}",
        "spec.dht.bootstrap[0]: Invalid value: \"2001:db8::1:20001\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{dht: {bootstrap: ['http://a:1']}}",
        "spec.dht.bootstrap[0]: Invalid value: \"http://a:1\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{dht: {bootstrap: [':1']}}",
        "spec.dht.bootstrap[0]: Invalid value: \":1\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{dht: {bootstrap: ['[]:1']}}",
        "spec.dht.bootstrap[0]: Invalid value: \"[]:1\": must be HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001",
    ),
    (
        "{api: {port: 9091}}",
        "spec.api.port: Invalid value: 9091: must be any port but 9091, where a Grape's admin pages are",
    ),
    // Templates, of all pods and of a pool's.
    (
        "{template: {labels: {grenache.dev/pool: a}}}",
        "spec.template.labels: Invalid value: must be labels other than grenache.dev/…, app.kubernetes.io/name, app.kubernetes.io/instance and app.kubernetes.io/managed-by, which the operator sets",
    ),
    (
        "{template: {labels: {app.kubernetes.io/name: a}}}",
        "spec.template.labels: Invalid value: must be labels other than grenache.dev/…, app.kubernetes.io/name, app.kubernetes.io/instance and app.kubernetes.io/managed-by, which the operator sets",
    ),
    (
        "{template: {labels: {app.kubernetes.io/instance: a}}}",
        "spec.template.labels: Invalid value: must be labels other than grenache.dev/…, app.kubernetes.io/name, app.kubernetes.io/instance and app.kubernetes.io/managed-by, which the operator sets",
    ),
    (
        "{pools: [{name: a, template: {labels: {app.kubernetes.io/managed-by: a}}}]}",
        "spec.pools[0].template.labels: Invalid value: must be labels other than grenache.dev/…, app.kubernetes.io/name, app.kubernetes.io/instance and app.kubernetes.io/managed-by, which the operator sets",
    ),
    (
        "{template: {priorityClassName: High}}",
        "spec.template.priorityClassName: Invalid value: \"High\": must be the name of a PriorityClass: lower-case letters, digits, '-' and '.', 253 characters at most",
    ),
    (
        "{template: {resources: {requests: {cpu: much}}}}",
        "spec.template.resources.requests.cpu: Invalid value: \"much\": spec.template.resources.requests.cpu in body should match '^\\+?([0-9]+|[0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$'",
    ),
    (
        "{template: {resources: {requests: {cpu: 0.5}}}}",
        "spec.template.resources.requests.cpu: Invalid value: \"number\": spec.template.resources.requests.cpu in body must be of type integer,string: \"number\"",
    ),
    (
        "{template: {resources: {requests: {cpu: -1}}}}",
        "spec.template.resources.requests.cpu: Invalid value: -1: spec.template.resources.requests.cpu in body should be greater than or equal to 0",
    ),
    (
        "{template: {resources: {limits: {memory: -1Mi}}}}",
        "spec.template.resources.limits.memory: Invalid value: \"-1Mi\": spec.template.resources.limits.memory in body should match '^\\+?([0-9]+|[0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$'",
    ),
    (
        "{template: {resources: {limits: {memory: 64 Mi}}}}",
        "spec.template.resources.limits.memory: Invalid value: \"64 Mi\": spec.template.resources.limits.memory in body should match '^\\+?([0-9]+|[0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$'",
    ),
    (
        "{template: {resources: {limits: {memory: '000000000000000000000000000000064'}}}}",
        "spec.template.resources.limits.memory: Too long: may not be more than 32 bytes",
    ),
    // Services that get a Grape.
    (
        "{injection: {adminPort: 80}}",
        "spec.injection.adminPort: Invalid value: 80: spec.injection.adminPort in body should be greater than or equal to 1024",
    ),
    (
        "{injection: {dhtPort: 65536}}",
        "spec.injection.dhtPort: Invalid value: 65536: spec.injection.dhtPort in body should be less than or equal to 65535",
    ),
    (
        "{injection: {adminPort: 30001}}",
        "spec.injection.adminPort: Invalid value: must be another port than spec.api.port, and than spec.injection.dhtPort or else spec.dht.port",
    ),
    (
        "{injection: {adminPort: 20001}}",
        "spec.injection.adminPort: Invalid value: must be another port than spec.api.port, and than spec.injection.dhtPort or else spec.dht.port",
    ),
    (
        "{injection: {dhtPort: 9091}}",
        "spec.injection.dhtPort: Invalid value: must be another port than spec.api.port, and than spec.injection.adminPort or else 9091",
    ),
    (
        "{injection: {namespaces: {from: Some}}}",
        "spec.injection.namespaces.from: Unsupported value: \"Some\": supported values: \"Same\", \"All\", \"Selector\"",
    ),
    (
        "{injection: {namespaces: {from: Selector}}}",
        "spec.injection.namespaces: Invalid value: must be from: Selector with a selector, or another from without one",
    ),
    (
        "{injection: {namespaces: {selector: {}}}}",
        "spec.injection.namespaces: Invalid value: must be from: Selector with a selector, or another from without one",
    ),
    (
        "{injection: {namespaces: {from: All, selector: {matchLabels: {a: b}}}}}",
        "spec.injection.namespaces: Invalid value: must be from: Selector with a selector, or another from without one",
    ),
    (
        "{injection: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: Is}]}}}}",
        "spec.injection.namespaces.selector.matchExpressions[0].operator: Unsupported value: \"Is\": supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"",
    ),
    (
        "{injection: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: In}]}}}}",
        "spec.injection.namespaces.selector.matchExpressions[0]: Invalid value: must be an expression with values for In and NotIn, and without for Exists and DoesNotExist",
    ),
    (
        "{injection: {namespaces: {from: Selector, selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}}}",
        "spec.injection.namespaces.selector.matchExpressions[0]: Invalid value: must be an expression with values for In and NotIn, and without for Exists and DoesNotExist",
    ),
    (
        "{injection: {namespaces: {from: Selector, selector: {matchExpressions: [{key: '', operator: Exists}]}}}}",
        "spec.injection.namespaces.selector.matchExpressions[0].key: Invalid value: \"\": spec.injection.namespaces.selector.matchExpressions[0].key in body should be at least 1 chars long",
    ),
    (
        "{injection: {resources: {limits: {memory: much}}}}",
        "spec.injection.resources.limits.memory: Invalid value: \"much\": spec.injection.resources.limits.memory in body should match '^\\+?([0-9]+|[0-9]+\\.[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?$'",
    ),
    (
        "{injection: {repair: 'yes'}}",
        "spec.injection.repair: Invalid value: \"string\": spec.injection.repair in body must be of type boolean: \"string\"",
    ),
    // Several at once.
    (
        "{replicas: 0, api: {port: 0}}",
        "spec.api.port: Invalid value: 0: spec.api.port in body should be greater than or equal to 1, spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
    ),
];

/// Names of a cluster, and what is said of each.
const NAMES: &[(&str, &str)] = &[
    ("''", "metadata.name: Required value: name or generateName is required"),
    (
        "Market",
        "metadata.name: Invalid value: \"Market\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), metadata.name: Invalid value: must be a name of lower-case letters, digits and '-', 44 characters at most, that starts with a letter and ends with a letter or digit, as in market",
    ),
    (
        "1a",
        "metadata.name: Invalid value: must be a name of lower-case letters, digits and '-', 44 characters at most, that starts with a letter and ends with a letter or digit, as in market",
    ),
    (
        "-a",
        "metadata.name: Invalid value: \"-a\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), metadata.name: Invalid value: must be a name of lower-case letters, digits and '-', 44 characters at most, that starts with a letter and ends with a letter or digit, as in market",
    ),
    (
        "a-",
        "metadata.name: Invalid value: \"a-\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), metadata.name: Invalid value: must be a name of lower-case letters, digits and '-', 44 characters at most, that starts with a letter and ends with a letter or digit, as in market",
    ),
    (
        "a.b",
        "metadata.name: Invalid value: must be a name of lower-case letters, digits and '-', 44 characters at most, that starts with a letter and ends with a letter or digit, as in market",
    ),
    (
        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeee",
        "metadata.name: Invalid value: must be 44 characters at most for metadata.name, and 52 for it with '-' and a pool's name: pods carry them as a label",
    ),
    (
        "7",
        "GrapeCluster in version \"v1alpha1\" cannot be handled as a GrapeCluster: json: cannot unmarshal number into Go struct field ObjectMeta.name of type string",
    ),
];

/// Rules that are the API server's alone. In Kubernetes' own types, which are about pods, what is
/// missing is read as empty here, where there are no pods.
const OF_PODS: &[(&str, &str)] = &[(
    "{template: {topologySpreadConstraints: [{maxSkew: 1}]}}",
    "spec.template.topologySpreadConstraints[0].topologyKey: Required value, spec.template.topologySpreadConstraints[0].whenUnsatisfiable: Required value",
)];

#[tokio::test]
async fn specs_that_break_a_rule_are_refused_with_what_is_right() {
    let specs = SPECS.iter().map(|(spec, told)| (manifest("market", spec), told));
    let names = NAMES.iter().map(|(name, told)| (manifest(name, "{}"), told));
    try_all(specs.chain(names).map(|(manifest, told)| (manifest, Err((*told).to_owned())))).await;
}

#[tokio::test]
async fn mistakes_about_pods_are_refused_if_there_are_pods() {
    let server = server().await;
    for (spec, wanted) in OF_PODS {
        let manifest = manifest("market", spec);
        assert_eq!(stored(&server.client(), &manifest).await.unwrap_err(), *wanted);
        validated(&manifest).unwrap();
    }
}
