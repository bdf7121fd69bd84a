//! Specs that the API server or the operator does not take.

use grape_tests::kubernetes::ApiServer;
use grape_tests::our_operator::Operator;
use grape_tests::wait;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation,
};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::scene::{Scene, told};

const REFUSED: &str = "grape_operator_reconcile_duration_seconds_count{result=\"invalid\"}";

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_reported_in_the_api_servers_words() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "refused").await;
    let operator = scene.operator("one").await;
    for (name, template, words) in [
        (
            "spread",
            json!({"topologySpreadConstraints": [
                {"topologyKey": "a", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
                {"topologyKey": "a", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
            ]}),
            "topologySpreadConstraints",
        ),
        (
            "affinity",
            json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Near"}]}],
            }}}}),
            "\"Near\"",
        ),
    ] {
        a_change_is_refused(&scene, name, &template, words).await;
        a_new_one_is_refused(&scene, &format!("{name}-new"), &template, words).await;
    }
    assert_ne!(operator.metric(REFUSED).await.unwrap(), Some(0.0));
}

async fn a_change_is_refused(scene: &Scene, name: &str, template: &Value, words: &str) {
    let set = format!("{name}-default");
    scene.cluster(name, json!({})).await;
    scene.until_applied(name).await;
    let before = scene.children().await;
    let bad = json!({"spec": {"template": template, "replicas": 5}});
    scene.change("GrapeCluster", name, bad).await;
    refused(scene, name, words).await;
    assert_eq!(scene.children().await, before);

    let nothing: serde_json::Map<_, _> =
        template.as_object().unwrap().keys().map(|field| (field.clone(), Value::Null)).collect();
    scene.change("GrapeCluster", name, json!({"spec": {"template": nothing}})).await;
    scene.until_applied(name).await;
    let after = scene.get("StatefulSet", &set).await;
    assert_eq!(after["spec"]["replicas"], 5);
    let before = &before[&format!("StatefulSet {set}")];
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
}

async fn a_new_one_is_refused(scene: &Scene, name: &str, template: &Value, words: &str) {
    scene.cluster(name, json!({"template": template})).await;
    refused(scene, name, words).await;
    assert_eq!(scene.find("StatefulSet", &format!("{name}-default")).await, None);
    // What does not depend on it is there.
    scene.get("Service", name).await;
}

async fn refused(scene: &Scene, name: &str, words: &str) {
    let ready = scene.until_told(name, "Ready", "Refused").await;
    assert_eq!(ready["status"], "False");
    let message = ready["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("The StatefulSet {name}-default is refused: ")),
        "{message}"
    );
    assert!(message.contains(words), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_another_schema_are_reported() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "stored").await;
    scene.cluster("good", json!({})).await;
    let operator = scene.operator("one").await;
    scene.until_applied("good").await;
    let before = scene.children().await;

    let schema = without_schema(&server, &scene).await;
    scene.change("GrapeCluster", "good", json!({"spec": {"replicas": 0}})).await;
    scene.cluster("unreadable", json!({"api": {"maxPayloadSize": "many"}})).await;
    set_schema(&server, schema).await;
    wait::until("the schema is back", async || match try_bad(&scene).await {
        Err(kube::Error::Api(refusal)) if refusal.code == 422 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();

    let ready = scene.until_told("good", "Ready", "Invalid").await;
    assert_eq!(ready["status"], "False");
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("spec.replicas"), "{message}");
    // What is there stays, and what was known of it.
    assert_eq!(scene.children().await, before);
    let cluster = scene.get("GrapeCluster", "good").await;
    assert_eq!(cluster["status"]["summary"]["grapes"], "0/3");
    assert_eq!(told(&cluster, "Progressing")["reason"], "Invalid");
    let unreadable = scene.until_event("unreadable", "Invalid").await;
    assert!(unreadable["note"].as_str().unwrap().contains("many"), "{unreadable}");

    // It is left until it changes.
    sleep(Duration::from_secs(3)).await;
    let tries = reconciled(&operator).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(reconciled(&operator).await, tries);

    // The others are run as ever, by an operator that meets these at its start, too.
    drop(operator);
    let _operator = scene.operator("two").await;
    scene.cluster("other", json!({})).await;
    scene.until_applied("other").await;
    scene.change("GrapeCluster", "good", json!({"spec": {"replicas": 2}})).await;
    scene.until_applied("good").await;
    scene
        .change("GrapeCluster", "unreadable", json!({"spec": {"api": {"maxPayloadSize": 8192}}}))
        .await;
    scene.until_applied("unreadable").await;
}

async fn reconciled(operator: &Operator) -> f64 {
    let mut sum = 0.0;
    for result in ["ok", "invalid", "error"] {
        let series =
            format!("grape_operator_reconcile_duration_seconds_count{{result=\"{result}\"}}");
        sum += operator.metric(&series).await.unwrap().unwrap();
    }
    sum
}

/// Lets every object pass; what the schema was.
async fn without_schema(server: &ApiServer, scene: &Scene) -> CustomResourceValidation {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let schema = json!({"openAPIV3Schema": {
        "type": "object",
        "properties": {"spec": anything, "status": anything},
    }});
    let before = set_schema(server, serde_json::from_value(schema).unwrap()).await;
    wait::until("everything passes", async || try_bad(scene).await).await.unwrap();
    before
}

async fn set_schema(
    server: &ApiServer,
    schema: CustomResourceValidation,
) -> CustomResourceValidation {
    let api: Api<CustomResourceDefinition> = Api::all(server.client());
    let name = "grapeclusters.grenache.dev";
    let mut definition = api.get(name).await.unwrap();
    let before = definition.spec.versions[0].schema.replace(schema);
    definition.metadata.managed_fields = None;
    api.replace(name, &PostParams::default(), &definition).await.unwrap();
    before.unwrap()
}

/// Without storing it.
async fn try_bad(scene: &Scene) -> kube::Result<()> {
    let bad = json!({
        "apiVersion": "grenache.dev/v1alpha1",
        "kind": "GrapeCluster",
        "metadata": {"name": "bad"},
        "spec": {"replicas": 0},
    });
    let dry = PatchParams { dry_run: true, ..PatchParams::apply("somebody") };
    scene.api("GrapeCluster").patch("bad", &dry, &Patch::Apply(&bad)).await.map(|_| ())
}
