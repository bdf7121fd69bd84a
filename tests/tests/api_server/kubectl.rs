//! GrapeClusters as kubectl shows them.

use std::fs;

use grape_cluster::GrapeCluster;
use grape_tests::kubernetes::{ApiServer, Kubectl};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

async fn server() -> (ApiServer, Kubectl) {
    let server = ApiServer::start_with_definition().await.unwrap();
    let kubectl = server.kubectl().unwrap();
    (server, kubectl)
}

#[tokio::test]
async fn explain_describes_each_field() {
    let (_server, kubectl) = server().await;
    let explain = |field: &str| {
        let explained = kubectl.run(["explain", &format!("grapecluster{field}")]).unwrap();
        // All begin alike.
        let (_, about) = explained.split_once("v1alpha1\n\n").unwrap();
        without_blanks(about)
    };
    insta::assert_snapshot!(explain(""), @"
    DESCRIPTION:
        A cluster of Grapes: the DHT through which Grenache services find each
        other.

    FIELDS:
      apiVersion  <string>
        APIVersion defines the versioned schema of this representation of an object.
        Servers should convert recognized schemas to the latest internal value, and
        may reject unrecognized values. More info:
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources

      kind  <string>
        Kind is a string value representing the REST resource this object
        represents. Servers may infer this from the endpoint the client submits
        requests to. Cannot be updated. In CamelCase. More info:
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds

      metadata  <ObjectMeta>
        Standard object's metadata. More info:
        https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata

      spec  <Object> -required-
        Which Grapes a cluster has, and how they work. Every field has a default, so
        that `spec: {}` is a good cluster of three.

      status  <Object>
        What the operator did and observed. The operator writes the status only when
        it changes.
    ");
    insta::assert_snapshot!(explain(".spec"), @"
    FIELD: spec <Object>


    DESCRIPTION:
        Which Grapes a cluster has, and how they work. Every field has a default, so
        that `spec: {}` is a good cluster of three.

    FIELDS:
      api  <Object>
        The HTTP API that services call.

      dht  <Object>
        The DHT that the Grapes form among themselves, over UDP.

      image  <Object>
        The image of the Grapes. A field that is left out has the value that the
        operator was installed with.

      injection  <Object>
        Which services get a Grape of this cluster as a sidecar in their pods, and
        how.

      monitoring  <Object>
        How Prometheus finds the Grapes.

      networkPolicy  <Object>
        Who may reach the Grapes.

      paused  <boolean>
        While true, the operator changes no object of the cluster, but still
        observes the cluster. Defaults to false.

      pools  <[]Object>
        Groups of Grapes that are placed differently, such as one in each zone; 32
        at most. Pools without replicas split the remaining Grapes evenly; earlier
        pools get the extra ones. An empty list means one pool, called default. Each
        pool needs two or more nodes that its Grapes may run on: when a node is
        drained, its Grape starts on another node, and drains of other nodes wait
        until this Grape is ready. Defaults to none.

      replicas  <integer>
        How many Grapes run in all pools together, 1 to 1000. `kubectl scale` and a
        HorizontalPodAutoscaler set it. Defaults to 3, so that the DHT works on
        while one of them restarts.

      template  <Object>
        How the pods of all pools are made. A pool's own template overrides it.
    ");
    insta::assert_snapshot!(explain(".spec.pools"), @"
    FIELD: pools <[]Object>


    DESCRIPTION:
        Groups of Grapes that are placed differently, such as one in each zone; 32
        at most. Pools without replicas split the remaining Grapes evenly; earlier
        pools get the extra ones. An empty list means one pool, called default. Each
        pool needs two or more nodes that its Grapes may run on: when a node is
        drained, its Grape starts on another node, and drains of other nodes wait
        until this Grape is ready. Defaults to none.
        A pool: a group of Grapes that are placed alike.

    FIELDS:
      name  <string> -required-
        The name of the pool, unique in the cluster: lower-case letters, digits and
        '-', 30 characters at most. The StatefulSet of the pool is CLUSTER-POOL,
        such as market-zone-1.

      replicas  <integer>
        How many Grapes the pool has, 0 to 1000, whatever spec.replicas is. Without
        it the pool gets its share of the Grapes that remain.

      template  <Object>
        How the pods of the pool are made. A field that is set here overrides the
        one in spec.template; labels, annotations and nodeSelector are merged key by
        key. dnsPolicy and dnsConfig go together: a pool that sets one of them takes
        neither from spec.template.
    ");
    insta::assert_snapshot!(explain(".spec.dht.bootstrap"), @"
    FIELD: bootstrap <[]string>


    DESCRIPTION:
        Grapes outside this cluster to join, as `HOST:PORT` with the UDP port of
        their DHT, such as old-grape.prod:20001; Node.js Grapes too; 64 at most. The
        Grapes of this cluster find each other without it. If such a Grape has a
        network name, it must be the one of this cluster: see the field network.
        Defaults to none.
    ");
    insta::assert_snapshot!(explain(".status"), @"
    FIELD: status <Object>


    DESCRIPTION:
        What the operator did and observed. The operator writes the status only when
        it changes.

    FIELDS:
      conditions  <[]Object>
        Ready, Progressing, Reconciling, Stalled, Bootstrapped, LookupHealthy and
        Partitioned; Injected if pods ask for sidecars; BootstrapReachable if
        spec.dht.bootstrap has names; OtherNetworks while Grapes of other networks
        send messages. Reconciling is True until the cluster is as the spec says.
        Stalled is True while nothing goes on until somebody changes something.

      endpoint  <string>
        Where other Grapes join the cluster, as HOST:PORT; the port is UDP.

      image  <string>
        The image that the spec asks for.

      injected  <Object>
        The pods that ask for a sidecar of this cluster. Absent while there are
        none.

      lookupLatencyLimit  <string>
        The time that 95 of 100 test lookups stay within: 10ms, 50ms, 200ms, 1s or
        2s. Absent until a test lookup has succeeded.

      observedGeneration  <integer>
        The metadata.generation of the spec that this status describes; -1 until the
        operator has seen the cluster.

      pools  <[]Object>
        The pools in the order of the spec, then the pools that are being removed.

      readyReplicas  <integer>
        How many Grapes are ready: they have joined the others.

      replicas  <integer>
        How many Grapes there are, ready or not.

      rolledOutImage  <string>
        The image of the last rollout that reached all Grapes. New pods of services
        get this image, so an image that does not start reaches one Grape and no
        service.

      selector  <string>
        The label selector of the Grapes' pods. A HorizontalPodAutoscaler reads it.

      summary  <Object>
        The cluster in a few words, for people. Programs read the other fields.

      topology  <Object>
        Which Grapes know each other. Absent until a Grape has answered the
        operator.

      updatedReplicas  <integer>
        How many Grapes run as the spec says.
    ");
}

#[tokio::test]
async fn get_and_describe_show_the_status() {
    let (server, kubectl) = server().await;
    let api: Api<GrapeCluster> = Api::default_namespaced(server.client());
    let object = json!({
        "apiVersion": "grenache.dev/v1alpha1",
        "kind": "GrapeCluster",
        "metadata": {"name": "shown"},
        "spec": {"replicas": 6, "pools": [{"name": "zone-1", "replicas": 4}, {"name": "zone-2"}]},
    });
    let object: GrapeCluster = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
    let get = |options: &[&str]| {
        let arguments = [&["get", "gcl", "shown"], options].concat();
        without_age(&kubectl.run(arguments).unwrap())
    };
    insta::assert_snapshot!(get(&[]), @"
    NAME | READY | GRAPES | POOLS | LOOKUPS | STATUS | AGE
    shown | …s
    ");

    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        })
    };
    let status = json!({
        "observedGeneration": 1,
        "replicas": 6,
        "readyReplicas": 5,
        "updatedReplicas": 6,
        "selector": "app.kubernetes.io/name=grape,app.kubernetes.io/instance=shown",
        "endpoint": "shown.default.svc:20001",
        "image": "grenache/grape:0.1.0",
        "rolledOutImage": "grenache/grape:0.1.0",
        "summary": {"grapes": "5/6", "pools": "zone-1 4/4, zone-2 1/2", "lookups": "100% <10ms", "sidecars": "11/12"},
        "injected": {"pods": 12, "ready": 11, "outdated": 3, "missing": 0},
        "pools": [
            {"name": "zone-1", "desired": 4, "replicas": 4, "readyReplicas": 4, "updatedReplicas": 4},
            {"name": "zone-2", "desired": 2, "replicas": 2, "readyReplicas": 1, "updatedReplicas": 2},
        ],
        "topology": {
            "answered": 5, "maxKnownNodes": 5, "minKnownNodes": 4, "meanKnownNodes": 5, "partitions": 1,
            "unreachable": ["shown-zone-2-1"],
        },
        "conditions": [
            condition("Ready", "False", "GrapesNotReady", "1 of 6 Grapes is not ready."),
            condition("Partitioned", "False", "Whole", "All Grapes see each other."),
        ],
    });
    let merge = Patch::Merge(json!({"status": status}));
    api.patch_status("shown", &PatchParams::default(), &merge).await.unwrap();
    insta::assert_snapshot!(get(&[]), @"
    NAME | READY | GRAPES | POOLS | LOOKUPS | STATUS | AGE
    shown | False | 5/6 | zone-1 4/4, zone-2 1/2 | 100% <10ms | GrapesNotReady | …s
    ");
    insta::assert_snapshot!(get(&["--output=wide"]), @"
    NAME | READY | GRAPES | POOLS | LOOKUPS | STATUS | AGE | ENDPOINT | SIDECARS | MESSAGE
    shown | False | 5/6 | zone-1 4/4, zone-2 1/2 | 100% <10ms | GrapesNotReady | …s | shown.default.svc:20001 | 11/12 | 1 of 6 Grapes is not ready.
    ");
    let all = kubectl.run(["get", "grenache", "--output=name"]).unwrap();
    assert!(all.contains("grapecluster.grenache.dev/shown"), "{all}");

    let described = kubectl.run(["describe", "grapecluster", "shown"]).unwrap();
    let (_, described) = described.split_once("Spec:\n").unwrap();
    insta::assert_snapshot!(without_blanks(described), @"
      API:
        Max Payload Size:  8192
        Port:              30001
      Dht:
        Bootstrap:
        Concurrency:    24
        Max Tables:     5000
        Max Values:     5000
        Node Liveness:  300s
        Peer Max Age:   120s
        Port:           20001
      Image:
      Injection:
        Namespaces:
          From:  Same
        Repair:  false
      Monitoring:
        Service Monitor:  false
      Network Policy:
        Enabled:  true
      Paused:     false
      Pools:
        Name:      zone-1
        Replicas:  4
        Template:
        Name:  zone-2
        Template:
      Replicas:  6
      Template:
    Status:
      Conditions:
        Last Transition Time:  2026-01-01T00:00:00Z
        Message:               1 of 6 Grapes is not ready.
        Observed Generation:   1
        Reason:                GrapesNotReady
        Status:                False
        Type:                  Ready
        Last Transition Time:  2026-01-01T00:00:00Z
        Message:               All Grapes see each other.
        Observed Generation:   1
        Reason:                Whole
        Status:                False
        Type:                  Partitioned
      Endpoint:                shown.default.svc:20001
      Image:                   grenache/grape:0.1.0
      Injected:
        Missing:            0
        Outdated:           3
        Pods:               12
        Ready:              11
      Observed Generation:  1
      Pools:
        Desired:           4
        Name:              zone-1
        Ready Replicas:    4
        Replicas:          4
        Updated Replicas:  4
        Desired:           2
        Name:              zone-2
        Ready Replicas:    1
        Replicas:          2
        Updated Replicas:  2
      Ready Replicas:      5
      Replicas:            6
      Rolled Out Image:    grenache/grape:0.1.0
      Selector:            app.kubernetes.io/name=grape,app.kubernetes.io/instance=shown
      Summary:
        Grapes:    5/6
        Lookups:   100% <10ms
        Pools:     zone-1 4/4, zone-2 1/2
        Sidecars:  11/12
      Topology:
        Answered:          5
        Max Known Nodes:   5
        Mean Known Nodes:  5
        Min Known Nodes:   4
        Partitions:        1
        Unreachable:
          shown-zone-2-1
      Updated Replicas:  6
    Events:              <none>
    ");
    api.delete("shown", &DeleteParams::default()).await.unwrap();
}

/// Without what cannot be seen: blanks at the ends of lines, and tabs.
fn without_blanks(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_end().replace('\t', "  "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The column AGE depends on how fast we are.
fn without_age(table: &str) -> String {
    let line = |line: &str| {
        let words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
        let age =
            |word: &str| word.strip_suffix('s').is_some_and(|number| number.parse::<u32>().is_ok());
        words.map(|word| if age(word) { "…s" } else { word }).collect::<Vec<_>>().join(" | ")
    };
    table.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// What a newcomer forgets, and what is said then.
#[tokio::test]
async fn a_manifest_without_a_spec_is_refused() {
    let (_server, kubectl) = server().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    let create = |manifest: &str| {
        fs::write(&file, manifest).unwrap();
        kubectl.refused(["create", "--filename", file.to_str().unwrap()]).unwrap()
    };
    let head = "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\n";
    let mut said = create(&format!("{head}metadata: {{name: market}}\n"));
    said.push('\n');
    said += &create(&format!("{head}spec: {{}}\n"));
    insta::assert_snapshot!(without_blanks(&said), @r#"
    The GrapeCluster "market" is invalid:
    * spec: Required value
    * <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation
    The GrapeCluster "" is invalid:
    * metadata.name: Required value: name or generateName is required
    * <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation
    "#);
}
