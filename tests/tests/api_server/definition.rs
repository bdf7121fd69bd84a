//! The definition in `crds/`, as a real API server takes it.

use grape_operator::cluster::GrapeCluster;
use grape_tests::kubernetes::{ApiServer, definition};
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

#[tokio::test]
async fn applies_defaults_and_refuses_what_is_wrong() {
    let server = ApiServer::start().await.unwrap();
    definition::install(&server.client()).await.unwrap();
    let good = create(&server, json!({"metadata": {"name": "good"}, "spec": {}})).await.unwrap();
    let spec = &good.data["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["dht"]["port"], 20001);
    assert_eq!(spec["dht"]["peerMaxAge"], "120s");
    assert_eq!(spec["api"]["port"], 30001);

    let bad = json!({"metadata": {"name": "bad"}, "spec": {
        "replicas": 0,
        "dht": {"peerMaxAge": "100ms", "bootstrap": ["grape:70000"]},
    }});
    let refused = create(&server, bad).await.unwrap_err().to_string();
    for part in ["spec.replicas", "a duration from 1s to 24h", "each port is a number from 1"] {
        assert!(refused.contains(part), "{part:?} is not in {refused}");
    }

    let all: Api<GrapeCluster> = Api::default_namespaced(server.client());
    assert!(all.get_opt("bad").await.unwrap().is_none(), "it was refused, and is there");
    all.get("good").await.unwrap();
    // The server may be somebody else's.
    all.delete("good", &DeleteParams::default()).await.unwrap();
}

/// Not as the type, which would fill in the defaults before the API server can.
async fn create(server: &ApiServer, object: Value) -> kube::Result<DynamicObject> {
    let kind = GroupVersionKind::gvk("grenache.dev", "v1alpha1", "GrapeCluster");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::default_namespaced_with(server.client(), &resource);
    let mut object = object;
    object["apiVersion"] = resource.api_version.clone().into();
    object["kind"] = resource.kind.clone().into();
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await
}
