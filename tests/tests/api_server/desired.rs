//! The operator's objects, as a real API server takes them, and their flags, as a real Grape does.

use std::fmt::Debug;
use std::path::Path;

use grape_cluster::{GrapeCluster, GrapeClusterSpec};
use grape_cluster::{manifest, validate};
use grape_operator::desired::{BuildContext, Desired, container, desired};
use grape_tests::http::{self, Request};
use grape_tests::kubernetes::ApiServer;
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::{our_grape, wait};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Container, Namespace, Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use rstest::rstest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

#[rstest]
#[case("bare.yaml")]
#[case("everything.yaml")]
#[case("pods.yaml")]
#[tokio::test]
async fn all_objects_are_taken_and_their_pods_are_restricted(#[case] file: &str) {
    let server = ApiServer::start().await.unwrap();
    let space = Space::make(&server).await;
    let objects = space.desired(&read(file));
    // For good, since pods want their account to be there.
    space.apply::<ServiceAccount>(&objects.account, false).await;
    space.apply(&objects.service, true).await;
    space.apply(objects.disruption.as_ref().unwrap(), true).await;
    space.apply(objects.network.as_ref().unwrap(), true).await;
    for pool in &objects.pools {
        space.apply(&pool.set, true).await;
        let template = pool.set.spec.as_ref().unwrap().template.clone();
        let mut pod =
            Pod { metadata: template.metadata.unwrap(), spec: template.spec, status: None };
        pod.metadata.generate_name = Some("pod-".to_owned());
        space.create_dry(&pod).await.unwrap();

        // As a check of the check: a pod that may do more is refused.
        let context = &mut pod.spec.as_mut().unwrap().containers[0].security_context;
        context.as_mut().unwrap().capabilities = None;
        let refused = space.create_dry(&pod).await.unwrap_err().to_string();
        assert!(refused.contains("PodSecurity"), "{refused}");
    }
    space.delete().await;
}

#[tokio::test]
async fn the_same_objects_again_change_nothing() {
    let server = ApiServer::start().await.unwrap();
    let space = Space::make(&server).await;
    let Desired { service, account, pools, disruption, network, .. } =
        space.desired(&read("everything.yaml"));
    space.settles(&service).await;
    space.settles(&account).await;
    space.settles(&disruption.unwrap()).await;
    space.settles(&network.unwrap()).await;
    for pool in &pools {
        space.settles(&pool.set).await;
    }
    space.delete().await;
}

#[tokio::test]
async fn fields_that_a_cluster_no_longer_has_are_removed() {
    let server = ApiServer::start().await.unwrap();
    let space = Space::make(&server).await;
    let before = space.desired(&cluster(&json!({
        "image": {"tag": "latest"},
        "template": {
            "labels": {"team": "exchange"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "resources": {"limits": {"memory": "64Mi"}},
        },
    })));
    space.apply(&before.pools[0].set, false).await;
    let after = space.desired(&cluster(&json!({
        "image": {"tag": "0.2.0"},
        "template": {"resources": {"limits": {"memory": "32Mi"}}},
    })));
    let live = space.apply(&after.pools[0].set, false).await.spec.unwrap().template;
    let pod = live.spec.unwrap();
    assert_eq!(pod.tolerations, None);
    assert_eq!(live.metadata.unwrap().labels.unwrap().get("team"), None);
    let grape = &pod.containers[0];
    assert_eq!(grape.image_pull_policy.as_deref(), Some("IfNotPresent"));
    let resources = grape.resources.as_ref().unwrap();
    assert_eq!(resources.requests, resources.limits);
    assert_eq!(resources.limits.as_ref().unwrap()["memory"].0, "32Mi");
    space.delete().await;
}

#[tokio::test]
async fn a_grape_takes_the_flags_of_its_pod() {
    let [dht, api, admin] = [Port::take(), Port::take(), Port::take()].map(Result::unwrap);
    let spec = json!({"dht": {"port": dht.number()}, "api": {"port": api.number()}});
    let set = objects("trading", &cluster(&spec)).pools.remove(0).set;
    let container = set.spec.unwrap().template.spec.unwrap().containers.remove(0);
    let fixed = format!("[::]:{}", port(&container, container::ADMIN));
    let arguments = container.args.as_ref().unwrap().iter().map(|argument| {
        // What the node does, and a port that is free here.
        let argument = argument.replace("$(POD_IP)", "10.1.2.3");
        argument.replace(&fixed, &format!("[::]:{}", admin.number()))
    });
    let mut command = tokio::process::Command::new(our_grape::binary().unwrap());
    let mut grape = Process::start("a Grape of a pod", command.args(arguments)).unwrap();
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    let probes = [&container.startup_probe, &container.liveness_probe];
    for probe in probes {
        let path = probe.as_ref().unwrap().http_get.as_ref().unwrap().path.clone().unwrap();
        wait::until(&format!("{path} is well: {}", grape.shown()), async || {
            assert_eq!(grape.has_ended().unwrap(), None, "{}", grape.shown());
            let reply = http::send(address(admin.number()), &Request::get(&path)).await?;
            anyhow::ensure!(reply.status == 200, "{reply:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let status = our_grape::status(address(api.number())).await.unwrap();
    let told = status["dhtAddress"].as_str().unwrap();
    assert!(told.ends_with(&format!(":{}", dht.number())), "{told}");
}

fn port(container: &Container, name: &str) -> i32 {
    let mut ports = container.ports.iter().flatten();
    ports.find(|port| port.name.as_deref() == Some(name)).unwrap().container_port
}

/// A cluster of the operator's own tests.
fn read(file: &str) -> GrapeCluster {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/src/desired/tests");
    manifest::parse(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

fn cluster(spec: &serde_json::Value) -> GrapeCluster {
    let spec: GrapeClusterSpec = serde_json::from_value(spec.clone()).unwrap();
    GrapeCluster::new("market", spec)
}

fn objects(namespace: &str, cluster: &GrapeCluster) -> Desired {
    // As if the API server had stored it.
    let mut stored = cluster.clone();
    stored.metadata.uid = Some("0d5a1f0e-8f5c-4d0a-9d43-2f1f2c6b7a10".to_owned());
    let context = BuildContext {
        namespace: namespace.to_owned(),
        owner: stored.controller_owner_ref(&()).unwrap(),
        grape_image: "grenache/grape:0.1.0".to_owned(),
        operator_namespace: "grenache-system".to_owned(),
    };
    desired(&validate::validate(cluster).unwrap(), &context)
}

/// A namespace whose pods are held to the `restricted` Pod Security Standard.
struct Space {
    client: Client,
    name: String,
}

impl Space {
    async fn make(server: &ApiServer) -> Self {
        let namespaces: Api<Namespace> = Api::all(server.client());
        let object = json!({"metadata": {
            "generateName": "desired-",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }});
        let object = serde_json::from_value(object).unwrap();
        let made = namespaces.create(&PostParams::default(), &object).await.unwrap();
        Self { client: server.client(), name: made.name_any() }
    }

    /// The server may be somebody else's.
    async fn delete(self) {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces.delete(&self.name, &DeleteParams::background()).await.unwrap();
    }

    fn desired(&self, cluster: &GrapeCluster) -> Desired {
        objects(&self.name, cluster)
    }

    /// Applies an object as the operator does, and returns what the server made of it.
    async fn apply<K>(&self, object: &K, dry_run: bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.name);
        let force = PatchParams { dry_run, ..PatchParams::apply("grape-operator").force() };
        let name = object.name_any();
        let applied = api.patch(&name, &force, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())))
    }

    /// Applies an object until that changes nothing; at once, where no controller writes to it.
    async fn settles<K>(&self, object: &K)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        let mut last = self.apply(object, false).await;
        wait::until("the same object again changes nothing", async || {
            let before = std::mem::replace(&mut last, self.apply(object, false).await);
            let same = before.meta() == last.meta();
            same.then_some(()).ok_or_else(|| format!("{:?}", last.meta()))
        })
        .await
        .unwrap();
    }

    async fn create_dry(&self, pod: &Pod) -> kube::Result<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.name);
        pods.create(&PostParams { dry_run: true, ..PostParams::default() }, pod).await
    }
}
