//! Where nothing changes, nothing is written: neither in a minute, nor by an operator that starts.

use std::collections::BTreeMap;

use grape_tests::kubernetes::proxy::Call;
use grape_tests::kubernetes::{ApiServer, Proxy, definition};
use grape_tests::our_grape;
use grape_tests::ports::Port;
use grape_tests::process::Process;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Duration, sleep};

use super::scene::{CHILDREN, Scene, shown, told, until_quiet, writes};

/// How many clusters of different specs there are.
const CLUSTERS: u16 = 50;
/// How long nothing is to change.
const REST: Duration = Duration::from_secs(60);

/// Clusters without pods are at rest as `Scaling`, which they stay; the one of Grapes that run is
/// `Healthy`, and looked at every second.
#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_is_written() {
    let server = ApiServer::start().await.unwrap();
    definition::install(&server.client()).await.unwrap();
    let scene = Scene::new(&server, "rest").await;
    let proxy = Proxy::start(&server).await.unwrap();
    for number in 0..CLUSTERS {
        scene.cluster(&format!("c-{number}"), spec(number)).await;
    }
    let mut operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    for number in 0..CLUSTERS {
        scene.until_applied(&format!("c-{number}")).await;
    }
    let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
    let _grapes = grapes(&scene).await;
    scene.until_told("live", "Ready", "Healthy").await;
    settle(&scene, &proxy).await;
    let before = versions(&scene).await;
    let names = before.keys().filter(|name| name.starts_with("GrapeCluster "));
    assert_eq!(names.count(), usize::from(CLUSTERS) + 1);

    proxy.forget_calls();
    let looks = looks(&operator).await;
    sleep(REST).await;
    assert_eq!(shown(&writes(&proxy)), [""; 0]);
    assert_eq!(changed(&before, &versions(&scene).await), BTreeMap::new());
    // It was at work all the while.
    assert!(self::looks(&operator).await > looks + 20.0);

    operator.signal("TERM").await.unwrap();
    operator.ended().await.unwrap();
    proxy.forget_calls();
    let operator = scene.operator_at(proxy.kubeconfig(), "two").await;
    operator.until_leads().await.unwrap();
    let series = format!(
        "grape_cluster_lookup_success_ratio{{name=\"live\",namespace=\"{}\"}}",
        scene.space()
    );
    grape_tests::wait::until("it has looked, too", async || {
        operator.metric(&series).await?.filter(|it| *it == 1.0).ok_or_else(|| anyhow::anyhow!("no"))
    })
    .await
    .unwrap();
    sleep(Duration::from_secs(5)).await;
    // It applies each object once, for it does not know whether it had: that changes nothing.
    let other = writes(&proxy).into_iter().filter(|call| !is_applied(call));
    assert_eq!(shown(&other.collect::<Vec<_>>()), [""; 0]);
    assert_eq!(changed(&before, &versions(&scene).await), BTreeMap::new());
    drop(server);
}

/// As different as specs are.
fn spec(number: u16) -> Value {
    let mut spec = json!({"replicas": 1 + number % 4, "dht": {"maxTables": 1000 + number}});
    if number % 3 == 0 {
        spec["pools"] = json!([{"name": "a"}, {"name": "b", "replicas": 1}]);
        spec["replicas"] = json!(3);
    }
    if number % 5 == 0 {
        spec["networkPolicy"] = json!({"enabled": false});
    }
    if number % 7 == 0 {
        spec["template"] = json!({
            "labels": {"team": "exchange"},
            "annotations": {"example.org/number": number.to_string()},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "resources": {"requests": {"cpu": "0.1"}, "limits": {"memory": "0.5Gi"}},
        });
    }
    if number % 11 == 0 {
        spec["dht"]["bootstrap"] = json!(["old-grape.prod:20001"]);
        spec["image"] = json!({"tag": "latest", "pullSecrets": [{"name": "registry"}]});
    }
    spec
}

/// A cluster of three Grapes that run here, each where its pod says it is.
async fn grapes(scene: &Scene) -> (Vec<Process>, [Port; 2]) {
    let ports = [Port::take().unwrap(), Port::take().unwrap()];
    let [dht, api] = ports.each_ref().map(Port::number);
    scene.cluster("live", json!({"dht": {"port": dht}, "api": {"port": api}})).await;
    let [high, low] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
    let ips = [1, 2, 3].map(|host| format!("127.{}.{}.{host}", 64 + high % 128, low));
    let names = [0, 1, 2].map(|ordinal| format!("live-default-{ordinal}"));
    let mut grapes = Vec::new();
    for (name, ip) in names.iter().zip(&ips) {
        let pod = scene.until("its pod is there", ("Pod", name), |_| true).await;
        let others: Vec<_> = ips.iter().map(|ip| format!("{ip}:{dht}")).collect();
        let arguments = pod["spec"]["containers"][0]["args"].as_array().unwrap().iter();
        // What the node and the cluster's name server do.
        let arguments = arguments.map(|argument| match argument.as_str().unwrap() {
            it if it.starts_with("--bootstrap=") => format!("--bootstrap={}", others.join(",")),
            it => it.replace("$(POD_IP)", ip).replace("[::]", ip),
        });
        let mut command = Command::new(our_grape::binary().unwrap());
        command.args(arguments).args([format!("--bind={ip}"), format!("--dht-bind={ip}")]);
        grapes.push(Process::start(name, &mut command).unwrap());
    }
    for (name, ip) in names.iter().zip(&ips) {
        be_ready(scene, name, ip).await;
    }
    (grapes, ports)
}

/// What a node says of a pod that runs.
async fn be_ready(scene: &Scene, name: &str, ip: &str) {
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(|kind| json!({"type": kind, "status": "True"}));
    let status = json!({"status": {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": conditions,
    }});
    let merge = Patch::Merge(status);
    scene.api("Pod").patch_status(name, &PatchParams::default(), &merge).await.unwrap();
}

/// Waits until neither the operator nor Kubernetes' controllers change anything.
async fn settle(scene: &Scene, proxy: &Proxy) {
    grape_tests::wait::until("all is quiet", async || {
        let before = versions(scene).await;
        until_quiet(proxy, Duration::from_secs(4)).await;
        let changed = changed(&before, &versions(scene).await);
        if changed.is_empty() { Ok(()) } else { Err(format!("{changed:?}")) }
    })
    .await
    .unwrap();
    let live = scene.get("GrapeCluster", "live").await;
    assert_eq!(told(&live, "Ready")["reason"], "Healthy", "{live}");
}

/// The resourceVersion of each object, events too.
async fn versions(scene: &Scene) -> BTreeMap<String, Value> {
    let kinds = [&CHILDREN[..], &["GrapeCluster", "Pod", "Event"]].concat();
    let all = scene.all(&kinds).await.into_iter();
    all.map(|(name, object)| (name, object["metadata"]["resourceVersion"].clone())).collect()
}

/// What has another version, or is only on one side.
fn changed(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> BTreeMap<String, [Option<Value>; 2]> {
    let names = before.keys().chain(after.keys());
    let both = names
        .map(|name| (name.clone(), [before, after].map(|versions| versions.get(name).cloned())));
    both.filter(|(_, [before, after])| before != after).collect()
}

/// Whether a call is a server-side apply of an object.
fn is_applied(call: &Call) -> bool {
    call.query.contains("fieldManager=grape-operator") && !call.path.ends_with("/status")
}

/// How often anything was looked at.
async fn looks(operator: &grape_tests::our_operator::Operator) -> f64 {
    let series = "grape_operator_reconcile_duration_seconds_count{result=\"ok\"}";
    operator.metric(series).await.unwrap().unwrap()
}
