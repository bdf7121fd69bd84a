//! A fresh cluster with its registry, and what platform teams run there.

use std::time::Duration;

use anyhow::{Result, ensure};
use grape_tests::kubernetes::grape_cluster::condition;
use grape_tests::kubernetes::operator::is_somebody_elses;
use grape_tests::kubernetes::{Cluster, Kubectl, images, script, service_pod};
use grape_tests::release::{Dist, Login, Registry};
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// The name of the Secret with which nodes pull.
pub(super) const SECRET: &str = "registry";
/// The namespace of the operator, if nobody chooses another.
pub(super) const NAMESPACE: &str = "grape-system";
/// The operator's objects that are in no namespace.
pub(super) const OF_OPERATOR: &str = "--selector=app.kubernetes.io/name=grape-operator";

/// The cluster of these tests.
const CLUSTER: &str = "registry";
/// One cluster at a time: another would only make both slow.
static TURN: Mutex<()> = Mutex::const_new(());
/// How long nodes may take to pull and to start what was asked for.
const DEADLINE: Duration = Duration::from_secs(300);

/// A fresh cluster, its registry, and a release.
pub(super) struct Stage {
    pub(super) cluster: Cluster,
    pub(super) registry: Registry,
    pub(super) login: Login,
    pub(super) dist: Dist,
    kubectl: Kubectl,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// None where the nodes are somebody else's: they pull from no registry of ours.
    pub(super) async fn new() -> Option<Self> {
        if is_somebody_elses().unwrap() {
            return None;
        }
        let turn = TURN.lock().await;
        let cluster = Cluster::own(CLUSTER).await.unwrap();
        let registry = Registry::of_cluster(CLUSTER).unwrap();
        let login = Login::none(&registry).unwrap();
        login.by_helm(&registry).unwrap();
        let dist = Dist::built().unwrap();
        // The service beside a Grape: none of the release.
        images::load(&cluster, "peers").unwrap();
        let kubectl = cluster.its_kubectl().unwrap();
        Some(Self { cluster, registry, login, dist, kubectl, _turn: turn })
    }

    /// Pushes the release, and returns what is printed.
    pub(super) fn push(&self, more: &[&str]) -> String {
        let target = format!("{}/platform", self.registry.address());
        script::run(self.dist.push(&self.login, &target).unwrap().args(more)).unwrap()
    }

    /// What kubectl prints.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl.run(arguments).unwrap()
    }

    /// Makes a namespace whose pods keep the restricted Pod Security Standard.
    pub(super) fn namespace(&self, name: &str) {
        self.kubectl(&["create", "namespace", name]);
        self.kubectl(&[
            "label",
            "namespace",
            name,
            "pod-security.kubernetes.io/enforce=restricted",
        ]);
    }

    /// Makes the Secret with which nodes pull for pods of a namespace.
    pub(super) fn secret(&self, namespace: &str) {
        self.kubectl.run(self.registry.secret(SECRET, namespace)).unwrap();
    }

    /// Applies an object.
    pub(super) fn apply(&self, object: &Value) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), object.to_string()).unwrap();
        self.kubectl(&["apply", "--server-side", "--filename", file.path().to_str().unwrap()]);
    }

    /// Applies a GrapeCluster `market` of two Grapes, with more of a spec.
    pub(super) fn grapes(&self, namespace: &str, spec: Value) {
        let mut object = json!({
            "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
            "metadata": {"name": "market", "namespace": namespace}, "spec": {"replicas": 2},
        });
        for (field, value) in spec.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        self.apply(&object);
    }

    /// Applies a pod `web` that asks for a Grape of a cluster, with more of a spec.
    pub(super) fn web(&self, namespace: &str, cluster: &str, spec: Value) {
        let argument = json!({"grape": "http://127.0.0.1:30001", "port": 1337, "name": "rpc_test"});
        let mut pod = service_pod::node_js("web", "zone-1", "rpc_server.js", &argument);
        (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
        pod["metadata"]["namespace"] = namespace.into();
        pod["metadata"]["labels"]["grenache.dev/cluster"] = cluster.into();
        for (field, value) in spec.as_object().unwrap() {
            pod["spec"][field] = value.clone();
        }
        self.apply(&pod);
    }

    /// Waits until a condition of the GrapeCluster `market` has a status, and a message with all these
    /// parts.
    pub(super) async fn until(&self, namespace: &str, kind: &str, status: &str, parts: &[&str]) {
        let get = ["get", "grapecluster", "market", "--namespace", namespace, "--output=json"];
        wait::until_within(DEADLINE, &format!("{kind} of {namespace} is {status}"), async || {
            let object: Value = serde_json::from_str(&self.kubectl.run(get)?)?;
            let found = condition(&object["status"], kind);
            let message = found["message"].as_str().unwrap_or_default();
            ensure!(found["status"] == status, "{found}");
            ensure!(parts.iter().all(|part| message.contains(part)), "{found}");
            anyhow::Ok(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.shown(namespace)));
    }

    /// Waits until the service in the pod `web` is found at the Grape in it, and at the cluster's own.
    pub(super) async fn until_found(&self, namespace: &str, market: &str) {
        let of_pod = ["exec", "web", "--namespace", namespace, "--container", "grape", "--"];
        let own = ["exec", "market-default-0", "--namespace", market, "--"];
        for exec in [&of_pod[..], &own] {
            let lookup = [exec, &["grape", "lookup", "rpc_test"]].concat();
            wait::until_within(DEADLINE, "the service is found", async || -> Result<()> {
                let found = self.kubectl.run(&lookup)?;
                ensure!(found.lines().count() == 1 && found.ends_with(":1337"), "{found}");
                Ok(())
            })
            .await
            .unwrap_or_else(|error| panic!("{error:#}\n{}", self.shown(namespace)));
        }
    }

    /// The images of pods, as they were asked for.
    pub(super) fn images(&self, namespace: &str, pods: &str) -> Vec<String> {
        let path = "--output=jsonpath={.items[*].spec['containers','initContainers'][*].image}";
        let told =
            self.kubectl(&["get", "pods", "--namespace", namespace, "--selector", pods, path]);
        told.split_whitespace().map(str::to_owned).collect()
    }

    /// Grapes and an injected pod that pull from the registry: the pod looks a name up, and all run what
    /// was pushed.
    pub(super) async fn is_used(&self, operator: &str, namespace: &str) {
        self.namespace(namespace);
        self.secret(namespace);
        self.grapes(namespace, json!({"image": {"pullSecrets": [{"name": SECRET}]}}));
        self.until(namespace, "Ready", "True", &[]).await;
        self.web(namespace, "market", json!({}));
        self.until_found(namespace, namespace).await;
        let grape = self.dist.image("grapeImage").unwrap();
        assert_eq!(self.images(namespace, "app.kubernetes.io/name=grape"), [&*grape, &*grape]);
        assert!(self.images(namespace, "app=web").contains(&grape));
        let image = self.dist.image("image").unwrap();
        let of_operator = self.images(operator, "app.kubernetes.io/name=grape-operator");
        assert_eq!(of_operator, [&*image, &*image]);
    }

    fn shown(&self, namespace: &str) -> String {
        let asked: [&[&str]; 4] = [
            &["get", "pods", "--all-namespaces", "--output=wide"],
            &["get", "events", "--namespace", namespace],
            &["get", "events", "--namespace", NAMESPACE],
            &["get", "grapeclusters", "--all-namespaces", "--output=yaml"],
        ];
        let said =
            |asked: &[&str]| self.kubectl.run(asked).unwrap_or_else(|error| format!("{error:#}"));
        asked.map(said).join("\n")
    }
}
