//! A cluster whose images come from a mirror: something changes the image of every container.

use grape_tests::kubernetes::{Operator, images};
use grape_tests::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::json;

use super::stage::Stage;

/// Where the mirror has the Grape's image.
const MIRROR: &str = "localhost/mirror/grape:test";

/// Another image that works.
const OTHER: &str = "localhost/grape:other";

#[tokio::test]
async fn a_grape_from_a_mirror_is_not_outdated() {
    let operator = Operator::shared().await.unwrap();
    images::name_again(operator.cluster(), "localhost/grape:test", MIRROR).unwrap();
    let stage = Stage::new(&operator, "mirrored").await;
    mirror(&stage).await;
    let mut number = 0;
    // The API server reads of the mirror a moment late.
    let name = wait::until("a Grape comes from the mirror", async || {
        number += 1;
        let name = format!("server-{number}");
        stage.start(&name, 0, "rpc_server.js", json!({"name": "rpc_test"})).await;
        let pod = stage.cluster.pods().get(&name).await.map_err(|error| error.to_string())?;
        match image(&pod) {
            Some(MIRROR) => Ok(name),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    stage.ready(&name).await;
    let status = stage.cluster.until("all run", |status| {
        let injected = &status["injected"];
        injected["pods"] == number && injected["ready"] == number && injected["outdated"] == 0
    });
    status.await.unwrap();

    // A change to another image is still reported.
    images::name_again(operator.cluster(), "localhost/grape:test", OTHER).unwrap();
    stage.cluster.change(json!({"image": {"tag": "other"}})).await.unwrap();
    let outdated =
        stage.cluster.until("all are outdated", |status| status["injected"]["outdated"] == number);
    outdated.await.unwrap();
}

fn image(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.init_containers.as_ref()?.first()?.image.as_deref()
}

/// Has the API server change the image of Grapes beside services, in the stage's namespace alone.
async fn mirror(stage: &Stage<'_>) {
    let namespace = stage.cluster.namespace();
    let is_grape = "has(object.spec.initContainers) && object.spec.initContainers[0].image == \
                    'localhost/grape:test'";
    // Not by matchConditions: who was not called at first is not called again.
    let change = format!(
        "{is_grape} ? [JSONPatch{{op: 'replace', path: '/spec/initContainers/0/image', \
         value: '{MIRROR}'}}] : []"
    );
    let policy = json!({
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["pods"],
            }],
        },
        "failurePolicy": "Fail",
        // The Grape comes after it was asked first.
        "reinvocationPolicy": "IfNeeded",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": change}}],
    });
    let binding = json!({"policyName": namespace});
    for (kind, plural, spec) in [
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", policy),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", binding),
    ] {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1beta1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let mut object = DynamicObject::new(namespace, &resource);
        object.data = json!({"spec": spec});
        let client = stage.cluster.operator().cluster().client();
        let api: Api<DynamicObject> = Api::all_with(client, &resource);
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}
