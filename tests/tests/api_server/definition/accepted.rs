//! What is accepted, and what becomes of it.

use std::ffi::OsStr;
use std::fs;

use grape_cluster::GrapeCluster;
use grape_cluster::manifest::parse;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{manifest, server, stored, try_all, validated};

/// Specs that are good, here and there.
const SPECS: &[&str] = &[
    "{}",
    // What is empty is as good as left out.
    "{replicas: null, pools: null, dht: null, api: {port: null}, paused: null}",
    "{image: {tag: null}, template: {tolerations: null, labels: {team: null}, affinity: null}}",
    // Pools.
    "{pools: [{name: a, replicas: 3}]}",
    "{pools: [{name: a, replicas: 0}, {name: b, replicas: 3}]}",
    "{pools: [{name: a, replicas: 3}, {name: b}]}",
    "{replicas: 1, pools: [{name: a}, {name: b}, {name: c}]}",
    "{replicas: 1000, pools: [{name: a, replicas: 1000}]}",
    "{pools: [{name: '0'}, {name: zone-1}, {name: aaaaaaaaaabbbbbbbbbbcccccccccc}]}",
    // Images.
    "{image: {repository: grape}}",
    "{image: {repository: localhost/grape}}",
    "{image: {repository: 'images.example:5000/team/grape'}}",
    "{image: {tag: latest, pullPolicy: Always, pullSecrets: [{name: a}]}}",
    "{image: {digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'}}",
    // Durations, both ends.
    "{dht: {peerMaxAge: 1s, nodeLiveness: 24h}}",
    "{dht: {peerMaxAge: 1000ms, nodeLiveness: 1h30m}}",
    "{dht: {peerMaxAge: 1.5s, nodeLiveness: 0.5h}}",
    // Other Grapes.
    "{dht: {bootstrap: ['old-grape.prod:20001', '[2001:db8::1]:1', '10.0.0.1:65535', 'a_b:00080']}}",
    "{dht: {bootstrap: ['[fe80::1%eth0]:20001']}}",
    "{dht: {trustNets: ['0.0.0.0/0', '10.0.0.0/32', '::/0', '2001:db8::/128', '::ffff:10.0.0.0/104']}}",
    "{dht: {network: prod.market}}",
    "{dht: {network: '$(x)~!'}}",
    // Quantities, as numbers and as text.
    "{template: {resources: {requests: {cpu: 1, memory: 64Mi}, limits: {cpu: '0.5'}}}}",
    "{template: {resources: {requests: {cpu: 0, memory: '1e3'}, limits: {memory: '+1.5E-2'}}}}",
    "{template: {resources: {requests: {cpu: 9223372036854775807, memory: .5Gi}}}}",
    // All that pods may have.
    "{template: {tolerations: [{}, {key: a, operator: null, tolerationSeconds: 9223372036854775807}]}}",
    "{template: {tolerations: [{tolerationSeconds: -9223372036854775808, effect: Nothing}]}}",
    "{template: {topologySpreadConstraints: [{maxSkew: 2147483647, minDomains: -2147483648, \
      topologyKey: '', whenUnsatisfiable: Never, labelSelector: {}}]}}",
    "{template: {affinity: {nodeAffinity: {}, podAffinity: {}, podAntiAffinity: {}}}}",
    "{template: {annotations: {a: ''}, nodeSelector: {a: ''}, priorityClassName: a.b-c}}",
    // Services that get a Grape.
    "{injection: {namespaces: {from: All}, repair: true}}",
    "{injection: {namespaces: {from: Selector, selector: {}}}}",
    "{injection: {namespaces: {from: Selector, selector: {matchLabels: {team: ''}}}}}",
    "{injection: {namespaces: {from: Selector, selector: {matchExpressions: [\
      {key: team, operator: In, values: [a, b]}, {key: a.b/c, operator: Exists, values: []}, \
      {key: team, operator: NotIn, values: ['']}, {key: d, operator: DoesNotExist}]}}}}",
    "{injection: {namespaces: {from: Selector, selector: {matchLabels: null, matchExpressions: null}}}}",
    "{injection: {namespaces: {from: Selector, selector: {matchExpressions: [\
      {key: a, operator: Exists, values: null}]}}}}",
    "{injection: {namespaces: {selector: null}, resources: {limits: {cpu: 1}}}}",
    "{injection: {namespaces: null, resources: null, repair: null}}",
    "{injection: {adminPort: 9092, dhtPort: 20002}}",
    // Each where the other one would be by default.
    "{injection: {adminPort: 20001, dhtPort: 9091}}",
    "{injection: {adminPort: null, dhtPort: null}}",
    "{injection: {resources: {requests: {}}}}",
];

/// Names that are good; the longest has room for the pool `default`.
const NAMES: &[&str] = &["a", "market", "m-1", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeee"];

#[tokio::test]
async fn specs_that_keep_the_rules_are_accepted() {
    let specs = SPECS.iter().map(|spec| manifest("market", spec));
    let names = NAMES.iter().map(|name| manifest(name, "{}"));
    // 30 and 21 characters.
    let together =
        manifest("aaaaaaaaaabbbbbbbbbbccccccccccd", "{pools: [{name: aaaaaaaaaabbbbbbbbbb}]}");
    try_all(specs.chain(names).chain([together]).map(|manifest| (manifest, Ok(())))).await;
}

/// As kubectl does with `--validate=ignore`.
#[tokio::test]
async fn unknown_fields_are_dropped() {
    let server = server().await;
    let manifest = manifest(
        "unknown-fields",
        "{colour: red, dht: {colour: {of: [a, null]}}, pools: [{name: a, colour: 7}], \
         template: {affinity: {colour: true}}}",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    fs::write(&file, manifest + "status: {colour: red}\n").unwrap();
    let arguments = ["create", "--validate=ignore", "--output=json", "--filename"].map(OsStr::new);
    let kubectl = server.kubectl().unwrap();
    let made = kubectl.run(arguments.into_iter().chain([file.as_os_str()])).unwrap();
    assert!(!made.contains("colour"), "{made}");
    let api: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let only = ListParams::default().fields("metadata.name=unknown-fields");
    assert_eq!(api.list(&only).await.unwrap().items[0].spec.pools[0].name, "a");
    api.delete("unknown-fields", &DeleteParams::default()).await.unwrap();
}

/// To the API server 3.0 is a whole number, and here it is none.
#[tokio::test]
async fn whole_numbers_may_have_a_point() {
    let server = server().await;
    let spec = "{replicas: 3.0, template: {tolerations: [{tolerationSeconds: 1.0e+3}]}}";
    let manifest = manifest("market", spec);
    let object = stored(&server.client(), &manifest).await.unwrap();
    let read: GrapeCluster = serde_json::from_value(object).unwrap();
    assert_eq!(read.spec.replicas, 3);
    validated(&manifest).unwrap_err();
}

/// Times that somebody may write into a status.
const TIMES: &[&str] = &[
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.123456789123Z",
    "2026-01-01T00:00:00+23:59",
    "2026-01-01t00:00:00z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00Z",
    "2026-01-01",
    "2016-12-31T23:59:60Z",
    "2026-02-30T00:00:00Z",
    "2026-01-01T24:00:00Z",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "+10000-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z",
    "",
    "now",
];

#[tokio::test]
async fn a_status_is_refused_or_can_be_read() {
    let server = server().await;
    let api: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let object = serde_yaml::from_str(&manifest("status", "{}")).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let condition = |time: &str| {
        json!({"conditions": [{
            "type": "Ready", "status": "True", "reason": "A", "message": "",
            "lastTransitionTime": time,
        }]})
    };
    let numbers = ["observedGeneration", "replicas"].into_iter().flat_map(|field| {
        [json!(1e30), json!(i64::MAX), json!(u64::MAX), json!(1.0), json!(null)]
            .map(|number| json!({ field: number }))
    });
    let partitions = [json!([]), json!([{}]), json!([null]), json!([{"size": 1, "grapes": null}])]
        .map(|named| json!({"topology": {"partitionsNamed": named}}));
    let times = TIMES.iter().map(|time| condition(time));
    let (mut stored, mut unreadable) = (0, Vec::new());
    for status in times.chain(numbers).chain(partitions) {
        let patch = Patch::Merge(json!({"status": status}));
        match api.patch_status("status", &PatchParams::default(), &patch).await {
            Ok(_) => stored += 1,
            Err(kube::Error::Api(_)) => {}
            Err(error) => unreadable.push(format!("{status}: {error}")),
        }
    }
    assert!(unreadable.is_empty(), "stored, and not to be read: {}", unreadable.join("\n"));
    assert!(stored >= 4, "some are good");
    api.delete("status", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn fields_have_their_defaults_or_what_was_written() {
    let server = server().await;
    let object = stored(&server.client(), &manifest("market", "{}")).await.unwrap();
    insta::assert_yaml_snapshot!(object["spec"], @"
    api:
      maxPayloadSize: 8192
      port: 30001
    dht:
      bootstrap: []
      concurrency: 24
      maxTables: 5000
      maxValues: 5000
      nodeLiveness: 300s
      peerMaxAge: 120s
      port: 20001
    image: {}
    injection:
      namespaces:
        from: Same
      repair: false
    monitoring:
      serviceMonitor: false
    networkPolicy:
      enabled: true
    paused: false
    pools: []
    replicas: 3
    template: {}
    ");
    assert_eq!(object["status"]["observedGeneration"], -1, "no operator has seen it");
    // The defaults here are those of the API server.
    let here = parse(&manifest("market", "{}")).unwrap();
    let there: GrapeCluster = serde_json::from_value(object).unwrap();
    assert_eq!(here.spec, there.spec);

    // An object with every field set keeps them all.
    let object = stored(&server.client(), &manifest("market", EVERYTHING)).await.unwrap();
    let written: Value = serde_yaml::from_str(EVERYTHING).unwrap();
    assert_eq!(object["spec"], written);
    let read: GrapeCluster = serde_json::from_value(object).unwrap();
    assert_eq!(serde_json::to_value(&read.spec).unwrap(), written, "read and written again");
}

/// Every field of the API, with another value than its default.
const EVERYTHING: &str = "{
  replicas: 6,
  pools: [
    {name: zone-1, replicas: 4, template: {nodeSelector: {topology.kubernetes.io/zone: zone-1}}},
    {name: zone-2, template: {priorityClassName: low}},
  ],
  image: {
    repository: 'images.example:5000/grape',
    tag: 0.1.0,
    digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
    pullPolicy: Always,
    pullSecrets: [{name: registry}],
  },
  dht: {
    port: 20002, concurrency: 32, peerMaxAge: 60s, nodeLiveness: 1m30s,
    maxTables: 10, maxValues: 20, bootstrap: ['old-grape.prod:20001'], network: prod,
    trustNets: [203.0.113.0/24, '2001:db8::/48'],
  },
  api: {port: 30002, maxPayloadSize: 65536},
  template: {
    labels: {team: market},
    annotations: {note: 'a b'},
    nodeSelector: {kubernetes.io/os: linux},
    tolerations: [{key: spot, operator: Exists, effect: NoSchedule, tolerationSeconds: 60}],
    affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
      {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {team: market}}},
    ]}},
    topologySpreadConstraints: [{
      maxSkew: 1, minDomains: 2, topologyKey: topology.kubernetes.io/zone,
      whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {team: market}},
    }],
    priorityClassName: high,
    resources: {requests: {cpu: 1, memory: 64Mi}, limits: {memory: 100000000}},
    env: [{name: TZ, value: UTC}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}],
    dnsPolicy: None,
    dnsConfig: {
      nameservers: [10.96.0.10], searches: [cluster.local], options: [{name: ndots, value: '5'}],
    },
    hostAliases: [{ip: 10.0.0.1, hostnames: [old-grape.example.org]}],
    securityContext: {
      runAsUser: 1000, supplementalGroups: [1], seccompProfile: {type: RuntimeDefault},
      sysctls: [{name: net.ipv4.tcp_keepalive_time, value: '60'}],
    },
  },
  networkPolicy: {enabled: false},
  monitoring: {serviceMonitor: true},
  injection: {
    namespaces: {from: Selector, selector: {
      matchLabels: {team: market},
      matchExpressions: [{key: stage, operator: In, values: [live]}],
    }},
    resources: {requests: {cpu: 5m}, limits: {memory: 32Mi}},
    adminPort: 9092, dhtPort: 20003,
    repair: true,
  },
  paused: true,
}";
