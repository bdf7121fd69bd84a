//! A GrapeCluster, and services beside it that ask for a Grape by a label.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use grape_tests::kubernetes::{GrapeCluster, Kubectl, Operator, PodProgram, service_pod};
use grape_tests::programs::Talks;
use grape_tests::wait;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::super::pods;

/// Where each service finds its Grape.
pub(super) const GRAPE: &str = "http://127.0.0.1:30001";
/// Where each listens: a pod's addresses are its own.
pub(super) const PORT: u16 = 1337;
/// The label that asks for a Grape.
pub(super) const LABEL: &str = "grenache.dev/cluster";
/// One zone for each node.
pub(super) const ZONES: [&str; 2] = ["zone-1", "zone-2"];

/// A GrapeCluster `market` that is ready, in a namespace of its own.
pub(super) struct Stage<'a> {
    pub(super) cluster: GrapeCluster<'a>,
    kubectl: Kubectl,
}

impl<'a> Stage<'a> {
    pub(super) async fn new(operator: &'a Operator, prefix: &str) -> Self {
        let cluster = GrapeCluster::make(operator, prefix, json!({})).await.unwrap();
        cluster.until_ready().await.unwrap();
        Self { cluster, kubectl: operator.cluster().its_kubectl().unwrap() }
    }

    /// Starts a program in a pod, in one of the zones, with more of an argument.
    pub(super) async fn start(&self, name: &str, zone: usize, program: &str, more: Value) {
        let mut pod = labelled(name, zone, program, more);
        pod["spec"]["restartPolicy"] = "Always".into();
        self.make(pod).await;
    }

    /// The same, but its node does not start again what ends in it.
    pub(super) async fn start_once(&self, name: &str, zone: usize, program: &str, more: Value) {
        self.make(labelled(name, zone, program, more)).await;
    }

    /// Runs one that ends by itself, and returns what it said.
    pub(super) async fn run(&self, name: &str, zone: usize, program: &str, more: Value) -> String {
        self.start_once(name, zone, program, more).await;
        pods::outcome(self.cluster.pods(), &format!("app={name}")).await
    }

    /// Makes a pod.
    pub(super) async fn make(&self, pod: Value) {
        let pod = serde_json::from_value(pod).unwrap();
        self.cluster.pods().create(&PostParams::default(), &pod).await.unwrap();
    }

    /// Waits until a pod that is made now would get a Grape of this image. The webhook learns of a
    /// change of the cluster's status later than we may.
    pub(super) async fn until_injected(&self, image: &str) {
        let pod = labelled("tried", 0, "rpc_server.js", json!({}));
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        wait::until(&format!("the webhook injects {image}"), async || {
            let made = self.cluster.pods().create(&dry_run, &pod).await;
            let made = made.map_err(|error| error.to_string())?;
            let beside = made.spec.and_then(|spec| spec.init_containers).unwrap_or_default();
            let seen = beside.first().and_then(|grape| grape.image.clone()).unwrap_or_default();
            if seen == image { Ok(()) } else { Err(seen) }
        })
        .await
        .unwrap();
    }

    /// Why a pod is not made.
    pub(super) async fn refused(&self, pod: Value) -> String {
        let pod = serde_json::from_value(pod).unwrap();
        let made = self.cluster.pods().create(&PostParams::default(), &pod).await;
        made.unwrap_err().to_string()
    }

    /// Makes a pod, and returns what kubectl says of it, warnings included.
    pub(super) fn warned(&self, pod: &Value) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&serde_json::to_vec(&with_kind(pod)).unwrap()).unwrap();
        let path = file.path().to_str().unwrap();
        // With this flag it says on its standard error what else it would only warn of, and makes it.
        let create = ["create", "--warnings-as-errors", "--namespace", self.cluster.namespace()];
        self.kubectl.refused(create.iter().chain(&["--filename", path])).unwrap()
    }

    /// One that was started, when it is ready, with a Grape in it that its author did not write.
    pub(super) async fn ready(&self, name: &str) -> Service {
        let pod = pods::ready(self.cluster.pods(), &format!("app={name}"), 1).await.remove(0);
        let beside = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
        let beside: Vec<_> = beside.into_iter().flatten().map(|it| it.name.as_str()).collect();
        assert_eq!(beside, ["grape"]);
        let program = PodProgram::of(&self.kubectl, self.cluster.namespace(), name).unwrap();
        Service { pod, program }
    }

    /// One that announces, when that is taken.
    pub(super) async fn announced(&self, name: &str) -> Service {
        let mut service = self.ready(name).await;
        service.event("announced").await.unwrap();
        service
    }

    /// Starts `watcher.js` in a pod.
    pub(super) async fn watch(&self, name: &str, zone: usize, names: &[&str]) -> Watcher {
        self.start(name, zone, "watcher.js", json!({"names": names})).await;
        let mut service = self.ready(name).await;
        service.event("watching").await.unwrap();
        Watcher { name: name.to_owned(), service, found: BTreeMap::new() }
    }

    /// Waits until the Grape of a pod finds just these peers: it may learn of them, or of their end,
    /// later than another, and clients keep what they looked up for ten seconds.
    pub(super) async fn until_found(&self, pod: &str, name: &str, peers: &[String]) {
        let lookup = ["exec", pod, "--container", "grape", "--", "grape", "lookup", name];
        let wanted: BTreeSet<_> = peers.iter().map(String::as_str).collect();
        wait::until(&format!("the Grape of {pod} finds {wanted:?}"), async || {
            // It fails while it finds no instance.
            let found = self.cluster.kubectl(&lookup).map_err(|error| format!("{error:#}"))?;
            let found: BTreeSet<_> = found.lines().collect();
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await
        .unwrap();
    }

    /// What kubectl prints, in its namespace.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(arguments).unwrap()
    }
}

/// A pod as its author would write it, and one label.
fn labelled(name: &str, zone: usize, program: &str, more: Value) -> Value {
    let mut argument = json!({"grape": GRAPE, "port": PORT, "name": name});
    for (field, value) in more.as_object().unwrap() {
        argument[field] = value.clone();
    }
    let mut pod = service_pod::node_js(name, ZONES[zone], program, &argument);
    pod["metadata"]["labels"][LABEL] = "market".into();
    pod
}

fn with_kind(pod: &Value) -> Value {
    let mut pod = pod.clone();
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    pod
}

/// A Deployment of so many pods like this one, on either node.
pub(super) fn deployment(mut pod: Value, replicas: usize) -> Deployment {
    let name = pod["metadata"].as_object_mut().unwrap().remove("name").unwrap();
    let spec = pod["spec"].as_object_mut().unwrap();
    spec.remove("nodeSelector");
    spec.insert("restartPolicy".to_owned(), "Always".into());
    let made = json!({
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod,
        },
    });
    serde_json::from_value(made).unwrap()
}

/// A service whose pod has a Grape.
pub(super) struct Service {
    pub(super) pod: Pod,
    program: PodProgram,
}

impl Service {
    /// Where it is found.
    pub(super) fn peer(&self) -> String {
        peer(&self.pod)
    }
}

/// Where the service of a pod is found.
pub(super) fn peer(pod: &Pod) -> String {
    let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    format!("{}:{PORT}", ip.unwrap_or_else(|| panic!("{} has no address", pod.name_any())))
}

impl Talks for Service {
    async fn tell(&mut self, command: Value) -> Result<()> {
        self.program.tell(command).await
    }

    async fn event(&mut self, kind: &str) -> Result<Value> {
        self.program.event(kind).await
    }
}

/// The time as pods on this machine's nodes have it.
#[expect(clippy::disallowed_methods, reason = "programs in pods tell of nothing else")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}

/// A pod that looks names up every 100 ms.
pub(super) struct Watcher {
    pub(super) name: String,
    service: Service,
    // What it found last of each name, and when it had asked.
    found: BTreeMap<String, (SystemTime, Vec<String>)>,
}

impl Watcher {
    /// Waits until it finds just these peers under a name; when it first asked and found them.
    pub(super) async fn until(&mut self, name: &str, peers: &[String]) -> SystemTime {
        let mut wanted = peers.to_vec();
        wanted.sort();
        loop {
            if let Some((at, found)) = self.found.get(name)
                && *found == wanted
            {
                return *at;
            }
            let found = self.service.event("found").await;
            let found = found.unwrap_or_else(|error| {
                panic!("{} finds {:?}, and not {wanted:?}: {error:#}", self.name, self.found)
            });
            let peers = serde_json::from_value(found["peers"].clone());
            let peers = peers.unwrap_or_else(|_| panic!("{}: {found}", self.name));
            let at = UNIX_EPOCH + Duration::from_millis(found["at"].as_u64().unwrap());
            self.found.insert(found["name"].as_str().unwrap().to_owned(), (at, peers));
        }
    }
}
