//! The definition in `crds/`, as a real API server takes it: what it refuses and with which words,
//! what it accepts, and what becomes of that.
//!
//! [`grape_cluster::validate`] is held to the same tables: a cluster runs on a laptop if and only
//! if it runs on Kubernetes.

mod accepted;
mod bounds;
mod changed;
mod pods;
mod refused;

use grape_cluster::GrapeCluster;
use grape_cluster::{manifest, validate};
use grape_tests::kubernetes::ApiServer;
use kube::Client;
use kube::core::Status;
use serde_json::Value;

/// An API server that knows GrapeClusters. It may be somebody else's.
async fn server() -> ApiServer {
    ApiServer::start_with_definition().await.unwrap()
}

/// A manifest with this name and this spec, which is YAML in one line.
fn manifest(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata: {{name: {name}}}\n\
         spec: {spec}\n"
    )
}

/// What the API server would store of a manifest, or what it says against it. As kubectl does, it
/// takes no unknown fields.
async fn stored(client: &Client, manifest: &str) -> Result<Value, String> {
    let folder = "/apis/grenache.dev/v1alpha1/namespaces/default/grapeclusters";
    let request = http::Request::post(format!("{folder}?dryRun=All&fieldValidation=Strict"))
        .header("content-type", "application/yaml")
        .body(manifest.as_bytes().to_vec())
        .unwrap();
    match client.request(request).await {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) => Err(told(&status)),
        Err(error) => panic!("the API server does not answer: {error}"),
    }
}

/// What is said of each field, in the order of the fields; without that some rules cannot be tried
/// on a value of another type.
fn told(status: &Status) -> String {
    const UNTRIED: &str = "Invalid value: null: some validation rules were not checked because the \
        object was invalid; correct the existing errors to complete validation";
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let tried = causes.filter(|cause| cause.message != UNTRIED);
    let mut told: Vec<_> =
        tried.map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    if told.is_empty() {
        return status.message.clone();
    }
    told.sort();
    told.join(", ")
}

/// What is said against a manifest here.
fn validated(manifest: &str) -> Result<(), String> {
    let cluster = manifest::parse(manifest).map_err(|findings| format!("{findings:?}"))?;
    validate::validate(&cluster).map_err(|invalid| format!("{invalid:?}"))?;
    Ok(())
}

/// Tries each manifest, and fails with those that are not refused with these words, or not
/// accepted, by the API server as well as here. What is stored must be readable, because a single
/// object that is not would keep clients from reading the list.
async fn try_all(rows: impl IntoIterator<Item = (String, Result<(), String>)>) {
    let server = server().await;
    let mut different = Vec::new();
    for (manifest, wanted) in rows {
        let stored = stored(&server.client(), &manifest).await;
        let here = validated(&manifest);
        let read = stored.clone().map(|object| match serde_json::from_value(object) {
            Ok(GrapeCluster { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        });
        if read != wanted.clone().map(Ok) || here.is_ok() != wanted.is_ok() {
            let outcome = format!("wanted: {wanted:?}\nstored and read: {read:?}\nhere: {here:?}");
            different.push(format!("{manifest}{outcome}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}
