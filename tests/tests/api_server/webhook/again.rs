//! Another webhook that comes later and adds a container: ours is asked again.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use grape_operator::metrics::Metrics;
use grape_operator::server::json;
use grape_operator::webhook::certificates::cert_resolver::CertResolver;
use grape_operator::webhook::certificates::decide::{CertSpec, Next, renew};
use grape_operator::webhook::server::{self, Stop};
use grape_tests::ports::Port;
use hyper::body::Bytes;
use k8s_openapi::ByteString;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::scene::{CLUSTER, SHOP, Scene, is_injected, pod};

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_others_add_find_the_grape() {
    let scene = Scene::new().await;
    let replica = scene.replica("one", &[]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    let other = Injector::start();
    other.configure(&scene).await;
    scene.label(SHOP, "market").await;
    for (name, labels) in [("by-label", CLUSTER), ("by-namespace", &[][..])] {
        // The API server reads both a moment late.
        let made = grape_tests::wait::until("both webhooks are asked", async || {
            let made = scene.try_pod(&pod(name, labels)).await?;
            let count = made.spec.as_ref().unwrap().containers.len();
            anyhow::ensure!(count == 2 && is_injected(&made), "{made:?}");
            anyhow::Ok(made)
        });
        let spec = made.await.unwrap().spec.unwrap();
        assert_eq!(spec.containers[1].name, "added");
        let grapes = spec.init_containers.unwrap();
        assert_eq!(grapes.len(), 1, "one Grape, however often it is asked");
    }
}

/// An injector of somebody else, whose webhook is called after ours.
pub(super) struct Injector {
    url: String,
    authorities: String,
    _port: Port,
    _serving: AbortOnDropHandle<()>,
}

impl Injector {
    pub(super) fn start() -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let spec = CertSpec { names, life: Duration::from_secs(3600) };
        let bundle = renew(None, Next::All, &spec, Timestamp::now()).unwrap();
        let resolver = CertResolver::new(Arc::new(Metrics::new().unwrap()));
        resolver.serve(bundle.certificate.as_bytes(), bundle.key.as_bytes()).unwrap();
        let port = Port::take().unwrap();
        let listener = grape::http::bind(Some(Ipv4Addr::LOCALHOST.into()), port.number()).unwrap();
        let tls = TlsAcceptor::from(Arc::new(resolver.config().unwrap()));
        let answer = |body: Bytes| async move { json(add(&body)) };
        let serving = server::serve(listener, tls, answer, Stop::default());
        Self {
            url: format!("https://127.0.0.1:{}/inject", port.number()),
            authorities: bundle.authorities,
            _port: port,
            _serving: AbortOnDropHandle::new(tokio::spawn(serving)),
        }
    }

    pub(super) async fn configure(&self, scene: &Scene) {
        // Webhooks are called in the order of their configurations' names.
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "z-other"},
            "webhooks": [{
                "name": "other.example.com",
                "clientConfig": {
                    "url": self.url,
                    "caBundle": ByteString(self.authorities.clone().into_bytes()),
                },
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                    "resources": ["pods"],
                }],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        });
        let apply = PatchParams::apply("grape-tests").force();
        scene.configurations().patch("z-other", &apply, &Patch::Apply(object)).await.unwrap();
    }
}

/// Adds a container to a pod that has none of that name, and a variable, a label and an annotation as
/// a mesh does.
fn add(review: &[u8]) -> Vec<u8> {
    let review: Value = serde_json::from_slice(review).unwrap();
    let request = &review["request"];
    let containers = request["object"]["spec"]["containers"].as_array().unwrap();
    let mut response = json!({"uid": request["uid"], "allowed": true});
    if containers.iter().all(|it| it["name"] != "added") {
        let value = json!({"name": "added", "image": "added"});
        let variable = json!({"name": "MESH", "value": "on"});
        let mut patch = vec![json!({"op": "add", "path": "/spec/containers/-", "value": value})];
        patch.push(match containers[0]["env"].is_array() {
            true => json!({"op": "add", "path": "/spec/containers/0/env/-", "value": variable}),
            false => json!({"op": "add", "path": "/spec/containers/0/env", "value": [variable]}),
        });
        for field in ["labels", "annotations"] {
            let mut all = request["object"]["metadata"][field].clone();
            all = if all.is_object() { all } else { json!({}) };
            all["example.com/mesh"] = "on".into();
            let path = format!("/metadata/{field}");
            patch.push(json!({"op": "add", "path": path, "value": all}));
        }
        let patch = Value::Array(patch);
        response["patch"] = json!(ByteString(patch.to_string().into_bytes()));
        response["patchType"] = json!("JSONPatch");
    }
    let (version, kind) = (&review["apiVersion"], &review["kind"]);
    json!({"apiVersion": version, "kind": kind, "response": response}).to_string().into_bytes()
}
