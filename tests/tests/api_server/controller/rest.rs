//! Where nothing changes, nothing is written: neither in a minute, nor by an operator that starts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};

use grape_tests::kubernetes::grape_cluster::{condition, without_lookups};
use grape_tests::kubernetes::proxy::Call;
use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::our_grape;
use grape_tests::our_operator::Operator;
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::wait;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Duration, sleep};

use super::scene::{CHILDREN, Scene, shown, until_quiet, writes};

/// How many clusters of different specs there are.
const CLUSTERS: u16 = 50;
/// How long nothing is to change.
const REST: Duration = Duration::from_secs(60);

/// Clusters without pods are at rest as `Scaling`, which they stay; the one of Grapes that run is
/// `Healthy`, and looked at every second.
#[tokio::test(flavor = "multi_thread")]
async fn at_rest_nothing_is_written() {
    let server = ApiServer::start_with_definition().await.unwrap();
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
    let before = settle(&scene, &proxy).await;
    let names = before.versions.keys().filter(|name| name.starts_with("GrapeCluster "));
    assert_eq!(names.count(), usize::from(CLUSTERS) + 1);

    let first = looks(&operator).await;
    sleep(REST).await;
    // It is at work all the while.
    let looked = wait::until("it looks", async || {
        let looked = looks(&operator).await - first;
        if looked >= 20.0 { Ok(looked) } else { Err(looked) }
    });
    let looked = looked.await.unwrap();
    let written = writes(&proxy);
    assert!(written.len() as f64 <= looked / 4.0, "{looked} looks: {:?}", shown(&written));
    before.is_so(&scene, written).await;

    operator.signal("TERM").await.unwrap();
    operator.ended().await.unwrap();
    proxy.forget_calls();
    let before = Known::of(&scene).await;
    let operator = scene.operator_at(proxy.kubeconfig(), "two").await;
    operator.until_leads().await.unwrap();
    let series = format!(
        "grape_cluster_lookup_success_ratio{{name=\"live\",namespace=\"{}\"}}",
        scene.space()
    );
    wait::until("it has looked, too", async || match operator.metric(&series).await? {
        Some(1.0) => anyhow::Ok(()),
        other => anyhow::bail!("{other:?}"),
    })
    .await
    .unwrap();
    sleep(Duration::from_secs(5)).await;
    // It applies each object once, for it does not know whether it had: that changes nothing.
    let others = writes(&proxy).into_iter().filter(|call| !is_applied(call));
    before.is_so(&scene, others.collect()).await;
    drop(server);
}

/// What there is at rest.
struct Known {
    versions: BTreeMap<String, Value>,
    live: Value,
}

impl Known {
    async fn of(scene: &Scene) -> Self {
        Self { versions: versions(scene).await, live: live(scene).await["status"].clone() }
    }

    /// Checks that nothing has changed, and that nothing was written. Only the latency band of the
    /// running Grapes may have been written: it changes on a busy machine.
    async fn is_so(&self, scene: &Scene, written: Vec<Call>) {
        let mut told = self.live.clone();
        for call in &written {
            assert!(call.path.ends_with("/grapeclusters/live/status"), "{:?}", shown(&written));
            let status = call.body.as_ref().unwrap()["status"].clone();
            assert_ne!(status, told, "it was written as it was");
            assert_eq!(without_lookups(&status), without_lookups(&self.live));
            told = status;
        }
        let mut changed = changed(&self.versions, &versions(scene).await);
        // The calls show what was written to it.
        changed.remove("GrapeCluster live");
        assert_eq!(changed, BTreeMap::new());
    }
}

/// As different as specs are.
fn spec(number: u16) -> Value {
    let mut spec = json!({"replicas": 1 + number % 4, "dht": {"maxTables": 1000 + number}});
    if number.is_multiple_of(3) {
        spec["pools"] = json!([{"name": "a"}, {"name": "b", "replicas": 1}]);
        spec["replicas"] = json!(3);
    }
    if number.is_multiple_of(5) {
        spec["networkPolicy"] = json!({"enabled": false});
    }
    if number.is_multiple_of(7) {
        spec["template"] = json!({
            "labels": {"team": "exchange"},
            "annotations": {"example.org/number": number.to_string()},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "resources": {"requests": {"cpu": "0.1"}, "limits": {"memory": "0.5Gi"}},
        });
    }
    if number.is_multiple_of(11) {
        spec["dht"]["bootstrap"] = json!(["old-grape.prod:20001"]);
        spec["image"] = json!({"tag": "latest", "pullSecrets": [{"name": "registry"}]});
    }
    spec
}

/// A cluster of three Grapes that run here, each where its pod says it is.
pub async fn grapes(scene: &Scene) -> (Vec<Process>, [Port; 2]) {
    let ports = [Port::take().unwrap(), Port::take().unwrap()];
    let [dht, api] = ports.each_ref().map(Port::number);
    scene.cluster("live", json!({"dht": {"port": dht}, "api": {"port": api}})).await;
    let ips = [(); 3].map(|()| address());
    let names = [0, 1, 2].map(|ordinal| format!("live-default-{ordinal}"));
    let mut grapes = Vec::new();
    for (name, ip) in names.iter().zip(&ips) {
        let pod = scene.until("its pod is there", ("Pod", name), |_| true).await;
        let others: Vec<_> = ips.iter().map(|ip| format!("{ip}:{dht}")).collect();
        // What the cluster's name server does.
        grapes.push(start(name, &pod, ip, Some(&others.join(","))));
    }
    for (name, ip) in names.iter().zip(&ips) {
        be_ready(scene, name, ip).await;
    }
    (grapes, ports)
}

/// Starts the Grape of a pod at an address of this machine, as its node would; with other names to
/// join by, if any are given.
pub fn start(name: &str, pod: &Value, ip: &str, bootstrap: Option<&str>) -> Process {
    let container = &pod["spec"]["containers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    let arguments = arguments.map(|argument| match bootstrap {
        Some(names) if argument.starts_with("--bootstrap=") => format!("--bootstrap={names}"),
        _ => argument.replace("$(POD_IP)", ip).replace("[::]", ip),
    });
    let mut command = Command::new(our_grape::binary().unwrap());
    command.args(arguments).args([format!("--bind={ip}"), format!("--dht-bind={ip}")]);
    let variables = container["env"].as_array().unwrap().iter();
    // The pod's address is none: it is in the arguments.
    let variables = variables.filter_map(|it| Some((it["name"].as_str()?, it["value"].as_str()?)));
    command.envs(variables);
    Process::start(name, &mut command).unwrap()
}

/// An address of this machine. Grapes of other tests, and of other processes, have others.
pub fn address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let host = NEXT.fetch_add(1, Ordering::Relaxed);
    let [high, low] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
    format!("127.{}.{}.{}", 64 + high % 128, low, host)
}

/// The addresses of the Grapes of that cluster, in the order of their pods.
pub async fn ips(scene: &Scene) -> Vec<IpAddr> {
    let pods = scene.all(&["Pod"]).await.into_iter();
    let own = pods.filter(|(name, _)| name.starts_with("Pod live-default-"));
    own.map(|(_, pod)| pod["status"]["podIP"].as_str().unwrap().parse().unwrap()).collect()
}

/// What a node says of a pod that runs.
pub async fn be_ready(scene: &Scene, name: &str, ip: &str) {
    say_ready(scene, name, ip, "True").await;
}

/// The same, with whether its Grape is ready: `True` or `False`.
pub async fn say_ready(scene: &Scene, name: &str, ip: &str, ready: &str) {
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(|kind| (kind, if kind.ends_with("Ready") { ready } else { "True" }))
        .map(|(kind, status)| json!({"type": kind, "status": status}));
    let status = json!({"status": {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "conditions": conditions,
    }});
    let merge = Patch::Merge(status);
    scene.api("Pod").patch_status(name, &PatchParams::default(), &merge).await.unwrap();
}

/// Waits until neither the operator nor Kubernetes' controllers change anything, and returns what
/// there is then. The proxy knows just the calls since.
async fn settle(scene: &Scene, proxy: &Proxy) -> Known {
    wait::until("all is quiet", async || {
        let before = versions(scene).await;
        until_quiet(proxy, Duration::from_secs(4)).await;
        proxy.forget_calls();
        let known = Known::of(scene).await;
        let changed = changed(&before, &known.versions);
        if !changed.is_empty() || !writes(proxy).is_empty() {
            anyhow::bail!("{changed:?}");
        }
        let ready = condition(&known.live, "Ready");
        anyhow::ensure!(ready["reason"] == "Healthy", "{ready}");
        Ok(known)
    })
    .await
    .unwrap()
}

async fn live(scene: &Scene) -> Value {
    scene.get("GrapeCluster", "live").await
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
async fn looks(operator: &Operator) -> f64 {
    let series = "grape_operator_reconcile_duration_seconds_count{result=\"ok\"}";
    operator.metric(series).await.unwrap().unwrap()
}
