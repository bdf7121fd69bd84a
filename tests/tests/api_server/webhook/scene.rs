//! An API server, the chart's configuration of the webhook, and operators with the chart's rights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use grape_tests::kubernetes::{ApiServer, script, tools};
use grape_tests::our_operator::Operator;
use grape_tests::ports::Port;
use grape_tests::wait;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The namespace of the operator.
pub const OPS: &str = "ops";
/// A namespace with a cluster `market`.
pub const SHOP: &str = "shop";
/// The MutatingWebhookConfiguration.
pub const CONFIGURATION: &str = "grape-operator-webhook.ops";
/// The Secret with the certificate.
pub const SECRET: &str = "grape-operator-webhook-tls";

/// The chart's ServiceAccount.
const ACCOUNT: &str = "grape-operator";

/// The webhooks of the configuration: of pods that ask, and of those whose namespace does.
pub const WEBHOOKS: [&str; 2] = ["pods.inject.grenache.dev", "namespaces.inject.grenache.dev"];

/// A server with the the rights of the operator, and a cluster.
pub struct Scene {
    pub server: ApiServer,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
}

/// An operator whose webhook answers.
pub struct Replica {
    pub operator: Operator,
    pub port: Port,
}

impl Replica {
    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/inject", self.port.number())
    }
}

impl Scene {
    pub async fn new() -> Self {
        Self::of(&[]).await
    }

    /// As [`Scene::new`], with these values of the chart.
    pub async fn of(values: &[&str]) -> Self {
        let server = ApiServer::start_with_definition().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let namespaces: Api<Namespace> = Api::all(server.client());
        for name in [OPS, SHOP] {
            let object = json!({"metadata": {"name": name}});
            let object = serde_json::from_value(object).unwrap();
            namespaces.create(&PostParams::default(), &object).await.unwrap();
        }
        let kubeconfig = account(&server, folder.path(), (OPS, ACCOUNT), values);
        let scene = Self { server, kubeconfig, folder };
        scene.cluster(SHOP, "market", json!({})).await;
        scene
    }

    /// The same, with some of Kubernetes' own controllers.
    pub async fn with_controllers(self, names: &[&str]) -> Self {
        let server = self.server.with_controllers(names).await.unwrap();
        Self { server, ..self }
    }

    /// Upgrades the chart's rights to these values.
    pub fn upgrade(&self, values: &[&str]) {
        account(&self.server, self.folder.path(), (OPS, ACCOUNT), values);
    }

    /// A kubeconfig of the account of another release, in a namespace that there has to be.
    pub fn another(&self, namespace: &str, name: &str) -> PathBuf {
        let value = format!("--set=fullnameOverride={name}");
        account(&self.server, self.folder.path(), (namespace, name), &[&value])
    }

    /// The kubeconfig of the chart's account.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Starts an operator, and waits until it says that it is ready.
    pub async fn replica(&self, identity: &str, flags: &[&str]) -> Replica {
        let port = Port::take().unwrap();
        let bind = format!("--webhook-bind=127.0.0.1:{}", port.number());
        let own = ["--namespace=ops", &bind, "--grape-image=grape"];
        let flags = [&own, flags].concat();
        let operator = Operator::start(&self.kubeconfig, identity, &flags).await.unwrap();
        operator.until_ready().await.unwrap();
        Replica { operator, port }
    }

    /// Makes the chart's configuration, with an address for each of its webhooks instead of the
    /// Service, and waits until it has a CA bundle.
    pub async fn configure(&self, urls: [&str; 2]) {
        self.make_configuration(urls.map(|url| json!({"url": url}))).await;
        wait::until("API servers are told whom to believe", async || {
            let bundles = self.bundles().await;
            let authorities = self.secret("ca.crt").await;
            anyhow::ensure!(bundles == [authorities.clone(), authorities], "{bundles:?}");
            anyhow::Ok(())
        })
        .await
        .unwrap();
        self.until_asked().await;
    }

    /// Makes the chart's configuration, with another `clientConfig` for each of its webhooks.
    pub async fn make_configuration(&self, clients: [Value; 2]) {
        let chart = rendered(OPS, &["--show-only=templates/webhook.yaml"]);
        let documents = serde_yaml::Deserializer::from_str(&chart);
        let mut objects = documents.map(|each| Value::deserialize(each).unwrap());
        let mut object =
            objects.find(|each| each["kind"] == "MutatingWebhookConfiguration").unwrap();
        let webhooks = object["webhooks"].as_array_mut().unwrap();
        for (webhook, client) in webhooks.iter_mut().zip(clients) {
            webhook["clientConfig"] = client;
        }
        let apply = PatchParams::apply("grape-tests").force();
        let object = Patch::Apply(&object);
        self.configurations().patch(CONFIGURATION, &apply, &object).await.unwrap();
    }

    /// Waits until the API server goes by the configuration as it is: it reads it a moment late.
    pub async fn until_asked(&self) {
        wait::until("the webhook is asked", async || {
            let made = self.try_pod(&pod("asked", CLUSTER)).await?;
            anyhow::ensure!(is_injected(&made), "{made:?}");
            anyhow::Ok(())
        })
        .await
        .unwrap();
    }

    /// Changes the configuration as somebody else, by a strategic merge patch.
    pub async fn reconfigure(&self, webhooks: Value) {
        let patch = Patch::Strategic(json!({"webhooks": webhooks}));
        self.configurations().patch(CONFIGURATION, &PatchParams::default(), &patch).await.unwrap();
    }

    pub fn configurations(&self) -> Api<MutatingWebhookConfiguration> {
        Api::all(self.server.client())
    }

    /// The `caBundle` of each webhook.
    pub async fn bundles(&self) -> Vec<String> {
        let webhooks = self.configurations().get(CONFIGURATION).await.unwrap().webhooks.unwrap();
        let bundle = |bytes: Option<k8s_openapi::ByteString>| bytes.unwrap_or_default().0;
        let bundles = webhooks.into_iter().map(|each| bundle(each.client_config.ca_bundle));
        bundles.map(|each| String::from_utf8(each).unwrap()).collect()
    }

    /// A part of the Secret.
    pub async fn secret(&self, part: &str) -> String {
        let secrets: Api<Secret> = Api::namespaced(self.server.client(), OPS);
        let data = secrets.get(SECRET).await.unwrap().data.unwrap_or_default();
        data.get(part).map(|part| String::from_utf8(part.0.clone()).unwrap()).unwrap_or_default()
    }

    /// Makes a GrapeCluster.
    pub async fn cluster(&self, namespace: &str, name: &str, spec: Value) {
        let kind = GroupVersionKind::gvk("grenache.dev", "v1alpha1", "GrapeCluster");
        let kind = ApiResource::from_gvk(&kind);
        let clusters: Api<DynamicObject> =
            Api::namespaced_with(self.server.client(), namespace, &kind);
        let object = json!({
            "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
            "metadata": {"name": name}, "spec": spec,
        });
        let object = serde_json::from_value(object).unwrap();
        clusters.create(&PostParams::default(), &object).await.unwrap();
    }

    /// Gives a namespace a label, and makes it if it is not there.
    pub async fn label(&self, namespace: &str, value: &str) {
        let namespaces: Api<Namespace> = Api::all(self.server.client());
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": {"grenache.dev/cluster": value}},
        });
        let apply = PatchParams::apply("grape-tests").force();
        namespaces.patch(namespace, &apply, &Patch::Apply(object)).await.unwrap();
    }

    /// What a pod in the namespace with the cluster would be, which is not made.
    pub async fn try_pod(&self, pod: &Value) -> Result<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.server.client(), SHOP);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        Ok(pods.create(&dry, &serde_json::from_value(pod.clone())?).await?)
    }

    /// Makes a pod.
    pub async fn make_pod(&self, namespace: &str, pod: &Value) -> Result<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.server.client(), namespace);
        Ok(pods.create(&PostParams::default(), &serde_json::from_value(pod.clone())?).await?)
    }
}

/// The label of a pod that asks for the cluster `market` of its namespace.
pub const CLUSTER: &[(&str, &str)] = &[("grenache.dev/cluster", "market")];

/// A pod with these labels.
pub fn pod(name: &str, labels: &[(&str, &str)]) -> Value {
    let labels: serde_json::Map<_, _> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    })
}

/// Whether a pod has its Grape, and its container knows of it.
pub fn is_injected(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref().unwrap();
    let first = spec.init_containers.iter().flatten().next();
    let has = first
        .is_some_and(|it| it.name == "grape" && it.restart_policy.as_deref() == Some("Always"));
    has && spec
        .containers
        .iter()
        .all(|it| it.env.iter().flatten().any(|variable| variable.name == "GRAPE_URL"))
}

/// What helm renders of the chart in a namespace.
fn rendered(namespace: &str, flags: &[&str]) -> String {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut helm = Command::new(tools::binary("helm").unwrap());
    helm.args(["template", "grape-operator"]).arg(chart.join("charts/grape-operator"));
    script::run(helm.arg(format!("--namespace={namespace}")).args(flags)).unwrap()
}

/// A kubeconfig of the chart's account in a namespace, which has what the chart gives it.
fn account(
    server: &ApiServer,
    folder: &Path,
    (namespace, name): (&str, &str),
    values: &[&str],
) -> PathBuf {
    let kubectl = server.kubectl().unwrap();
    let files = ["rbac", "leases", "serviceaccount", "webhook-rights", "other-operators"];
    let files = files.map(|file| format!("--show-only=templates/{file}.yaml"));
    let file = folder.join("rendered.yaml");
    let flags = [&files.each_ref().map(String::as_str), values].concat();
    fs::write(&file, rendered(namespace, &flags)).unwrap();
    kubectl.run(["apply", "--filename", file.to_str().unwrap()]).unwrap();
    let asked = ["create", "token", name, "--namespace", namespace];
    let token = kubectl.run(asked).unwrap();
    let text = fs::read_to_string(server.kubeconfig()).unwrap();
    let mut config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    config["users"][0]["user"] = serde_yaml::to_value(json!({"token": token})).unwrap();
    let path = folder.join(format!("{namespace}.kubeconfig"));
    fs::write(&path, serde_yaml::to_string(&config).unwrap()).unwrap();
    path
}
