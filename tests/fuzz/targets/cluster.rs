//! Files of a GrapeCluster: each is refused with its fields and lines, or becomes Kubernetes objects
//! and a local cluster.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Unstructured;
use grape_cluster::manifest::{self, Finding};
use grape_cluster::validate::ValidatedCluster;
use grape_fuzz::edited;
use grape_local::plan::{self, Choices};
use grape_operator::desired::{BuildContext, Desired, desired};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// A cluster with most of the fields. JSON is YAML, too.
static BASE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../seeds/cluster/everything.json")).expect("it is JSON")
});

/// Keys and values of a cluster.
const WORDS: &[&str] = &[
    "",
    "-1",
    "0",
    "0.5",
    "1",
    "1.5Gi",
    "100m",
    "120s",
    "1h30m",
    "64Mi",
    "All",
    "Always",
    "ClusterFirst",
    "Exists",
    "In",
    "Same",
    "Selector",
    "ZONE",
    "a.b:1",
    "adminPort",
    "affinity",
    "annotations",
    "api",
    "apiVersion",
    "bootstrap",
    "concurrency",
    "containerSecurityContext",
    "cpu",
    "dht",
    "digest",
    "dnsConfig",
    "dnsPolicy",
    "effect",
    "enabled",
    "example.com/a",
    "from",
    "grenache.dev/cluster",
    "grenache.dev/v1alpha1",
    "hostNetwork",
    "image",
    "injection",
    "key",
    "kubernetes.io/hostname",
    "labels",
    "limits",
    "market",
    "matchExpressions",
    "matchLabels",
    "maxPayloadSize",
    "maxSkew",
    "maxTables",
    "maxValues",
    "memory",
    "metadata",
    "monitoring",
    "name",
    "namespace",
    "namespaces",
    "network",
    "networkPolicy",
    "nodeLiveness",
    "nodeSelector",
    "operator",
    "paused",
    "peerMaxAge",
    "podSecurityContext",
    "pools",
    "port",
    "priorityClassName",
    "pullPolicy",
    "pullSecrets",
    "repair",
    "replicas",
    "repository",
    "requests",
    "resources",
    "rolledOutImage",
    "selector",
    "serviceAccountName",
    "serviceMonitor",
    "sidecarAdminPort",
    "spec",
    "status",
    "tag",
    "template",
    "tolerations",
    "topologyKey",
    "topologySpreadConstraints",
    "values",
    "whenUnsatisfiable",
    "zone-1",
    "[::1]:20001",
];

fuzz_target!(|bytes: &[u8]| match bytes {
    [..0x20, choices @ ..] => {
        let mut u = Unstructured::new(choices);
        let Ok(cluster) = edited(&mut u, &BASE, WORDS) else { return };
        check(&format!("{cluster:#}"));
    }
    // What begins as a text is one.
    text => {
        let Ok(yaml) = std::str::from_utf8(text) else { return };
        check(yaml);
    }
});

fn check(yaml: &str) {
    let (cluster, validated) = match manifest::read(yaml) {
        Ok(both) => both,
        Err(findings) => return refused(yaml, &findings),
    };
    let written = manifest::write(&cluster).expect("what was read can be written");
    let (again, validated_again) = manifest::read(&written).expect("what was written can be read");
    assert_eq!((&again.spec, &validated_again), (&cluster.spec, &validated));
    assert_eq!(validated.pools.iter().map(|pool| pool.replicas).sum::<usize>(), validated.replicas);
    objects(&validated);
    match plan::plan(&validated, &Choices::default(), &[]) {
        Ok(plan) => assert_eq!(plan.grapes.len(), validated.replicas),
        Err(error) => assert!(error.to_string().contains("expected spec."), "{error}"),
    }
}

/// Each mistake has its field or says what is wrong with the whole, and a line of the file.
fn refused(yaml: &str, findings: &[Finding]) {
    assert!(!findings.is_empty(), "refused for no reason");
    for Finding { line, text } in findings {
        assert!(!text.trim().is_empty());
        let lines = yaml.split('\n').count() + 1;
        assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{line:?} of {lines}: {text}");
    }
}

/// The objects of a cluster can be written, and all have names.
fn objects(cluster: &ValidatedCluster) {
    let context = BuildContext {
        namespace: "trading".to_owned(),
        owner: OwnerReference { name: cluster.name.clone(), ..OwnerReference::default() },
        grape_image: "grenache/grape:0.1.0".to_owned(),
        operator_namespace: "grenache-system".to_owned(),
    };
    let Desired { service, account, pools, disruption, network, monitor } =
        desired(cluster, &context);
    let objects = [
        serde_json::to_value(service),
        serde_json::to_value(account),
        serde_json::to_value(disruption),
        serde_json::to_value(network),
        serde_json::to_value(monitor),
    ];
    let sets = pools.into_iter().map(|pool| serde_json::to_value(pool.set));
    for object in objects.into_iter().chain(sets) {
        let object = object.expect("an object can be written");
        let name = object["metadata"]["name"].as_str();
        let is_label = |name: &str| !name.is_empty() && name.len() <= 63;
        assert!(object.is_null() || name.is_some_and(is_label), "{object}");
    }
}
