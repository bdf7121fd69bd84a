//! Pods of services with a Grape put into them, as a real API server takes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grape_cluster::manifest;
use grape_cluster::validate::{From, ValidatedCluster, validate};
use grape_operator::inject::{Context, Verdict, inject};
use grape_tests::kubernetes::ApiServer;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// The files whose pod is accepted without a Grape, each with its Pod Security level. The other
/// pods cannot be created, or violate the level.
const TAKEN: &[(&str, &[&str])] = &[
    (
        "privileged",
        &[
            "announcing",
            "daemon",
            "draining-job",
            "empty",
            "guaranteed",
            "inherited",
            "job",
            "low-port",
            "meshed",
            "odd",
            "plain",
            "ports",
            "root",
            "secrets",
            "shared-processes",
            "shared-resources",
        ],
    ),
    (
        "restricted",
        &[
            "announcing",
            "draining-job",
            "guaranteed",
            "inherited",
            "job",
            "low-port",
            "plain",
            "secrets",
            "shared-processes",
            "shared-resources",
        ],
    ),
];

#[tokio::test]
async fn a_pod_that_was_taken_is_taken_with_its_grape() {
    let server = ApiServer::start().await.unwrap();
    for (level, wanted) in TAKEN {
        let space = Space::make(server.client(), level).await;
        let mut taken = Vec::new();
        for (name, pod) in pods() {
            if space.create_dry(&pod).await.is_err() {
                continue;
            }
            let with_grape = injected(pod, &space.name);
            let made = match space.create_dry(&with_grape).await {
                Ok(made) => made,
                Err(error) => panic!("{name}, {level}: {error}"),
            };
            // The API server adds defaults, and drops nothing.
            assert_within(&with_grape["spec"], &made["spec"], &name);
            taken.push(name);
        }
        space.delete().await;
        assert_eq!(taken, *wanted, "{level}");
    }
}

/// Whether all of `part` is in `whole`, which may have more.
fn assert_within(part: &Value, whole: &Value, path: &str) {
    match (part, whole) {
        (Value::Object(part), Value::Object(_)) => {
            for (key, value) in part.iter().filter(|(_, value)| !value.is_null()) {
                assert_within(value, &whole[key], &format!("{path}.{key}"));
            }
        }
        (Value::Array(part), Value::Array(more)) if part.len() <= more.len() => {
            for (index, (value, whole)) in part.iter().zip(more).enumerate() {
                assert_within(value, whole, &format!("{path}[{index}]"));
            }
        }
        (Value::Array(part), Value::Null) if part.is_empty() => {}
        // A quantity is a text from there on.
        (Value::Number(number), Value::String(text)) => assert_eq!(number.to_string(), *text),
        (part, whole) => assert_eq!(part, whole, "{path}"),
    }
}

/// The pods of the operator's own tests, with their names there.
fn pods() -> Vec<(String, Value)> {
    let folder = tests().join("pods");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: PathBuf| {
        let pod = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        (file.file_stem().unwrap().to_str().unwrap().to_owned(), pod)
    };
    files.into_iter().map(read).collect()
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/src/inject/tests")
}

/// The clusters of those tests, here for pods of all namespaces.
fn cluster(name: &str) -> Option<Arc<ValidatedCluster>> {
    let file = tests().join(format!("{name}.yaml"));
    let cluster = manifest::parse(&std::fs::read_to_string(file).ok()?).unwrap();
    let mut cluster = validate(&cluster).unwrap();
    cluster.injection.namespaces = From::All;
    Some(Arc::new(cluster))
}

/// A pod with its Grape, as a pod of `namespace`, which asks for one of `trading/pro` by default.
fn injected(mut pod: Value, namespace: &str) -> Value {
    let typed: Pod = serde_json::from_value(pod.clone()).unwrap();
    let labels = [("grenache.dev/cluster".to_owned(), "trading.pro".to_owned())];
    let context = Context {
        namespace,
        namespace_labels: &BTreeMap::from(labels),
        clusters: &|_, name| cluster(name),
        all: &Vec::new,
        grape_image: "grenache/grape:0.1.0",
    };
    match inject(&typed, &context) {
        Verdict::Inject { patch, .. } => json_patch::patch(&mut pod, &patch).unwrap(),
        other => panic!("{other:?}"),
    }
    pod
}

/// A namespace whose pods are held to a level of Pod Security.
struct Space {
    client: Client,
    name: String,
}

impl Space {
    async fn make(client: Client, level: &str) -> Self {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let object = json!({"metadata": {
            "generateName": "injected-",
            "labels": {"pod-security.kubernetes.io/enforce": level},
        }});
        let object = serde_json::from_value(object).unwrap();
        let name = namespaces.create(&PostParams::default(), &object).await.unwrap().name_any();
        // Pods want their account to be there, and no controller makes it.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
        let account = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
        let made = accounts.create(&PostParams::default(), &account).await;
        assert!(
            made.is_ok() || matches!(&made, Err(kube::Error::Api(status)) if status.code == 409)
        );
        Self { client, name }
    }

    /// The server may be somebody else's.
    async fn delete(self) {
        let namespaces: Api<Namespace> = Api::all(self.client);
        namespaces.delete(&self.name, &DeleteParams::background()).await.unwrap();
    }

    /// What the API server would make of a pod of this namespace; it takes no unknown fields.
    async fn create_dry(&self, pod: &Value) -> kube::Result<Value> {
        let mut pod = pod.clone();
        pod["metadata"]["namespace"] = json!(self.name);
        let folder = format!("/api/v1/namespaces/{}/pods", self.name);
        let request = http::Request::post(format!("{folder}?dryRun=All&fieldValidation=Strict"))
            .header("content-type", "application/json")
            .body(pod.to_string().into_bytes())
            .unwrap();
        self.client.request(request).await
    }
}
