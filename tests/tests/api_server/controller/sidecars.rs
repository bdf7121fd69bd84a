//! Pods of services: counted, found without their Grape, and evicted where that helps.
//!
//! Pods are made, and budgets kept, by Kubernetes' own controllers. No node runs the pods: the test
//! says how they are.

use std::collections::BTreeSet;

use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::wait;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::scene::{Scene, shown, told, until_quiet, writes};

/// How long after a pod that would not come back with its Grape nothing is tried.
const ASIDE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn pods_without_a_grape_are_reported_once_and_evicted_one_at_a_time() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let server = server.with_controllers(&["replicaset-controller", "disruption-controller"]);
    let server = server.await.unwrap();
    let scene = Scene::new(&server, "repair").await;
    let proxy = Proxy::start(&server).await.unwrap();

    // Nothing puts a Grape into them.
    replica_set(&scene, "a", 2).await;
    scene.make("Pod", pod("alone", json!({"grenache.dev/cluster": "market"}))).await;
    budget(&scene, 2).await;
    scene.cluster("market", json!({})).await;
    let mut operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    let injected = until_injected(&scene, |it| it["missing"] == 3).await;
    assert_eq!(injected["missingNamed"].as_array().unwrap().len(), 3);
    let condition = scene.until_told("market", "Injected", "PodsWithoutGrape").await;
    assert_eq!(condition["status"], "False");
    scene.until_event("market", "PodsWithoutGrape").await;
    let series = format!(
        "grape_cluster_pods_without_grape{{name=\"market\",namespace=\"{}\"}}",
        scene.space()
    );
    assert_eq!(operator.metric(&series).await.unwrap(), Some(3.0));
    let first = pods(&scene).await;
    for pod in &first {
        be_ready(&scene, pod).await;
    }

    // Without repair, and without a webhook that would inject a Grape, none is evicted.
    until_quiet(&proxy, Duration::from_secs(2)).await;
    scene.change("GrapeCluster", "market", repair(true)).await;
    until_message(&scene, "a new pod would get no sidecar either").await;
    assert_eq!(evictions(&proxy), 0);
    inject(&server.client()).await;
    sleep(ASIDE).await;

    // The budget holds.
    until_message(&scene, "waits for its PodDisruptionBudget").await;
    assert_ne!(evictions(&proxy), 0);
    assert_eq!(pods(&scene).await, first);
    scene.change("PodDisruptionBudget", "a", json!({"spec": {"minAvailable": 1}})).await;

    let mut seen = first;
    for missing in [2, 1] {
        let one = wait::until("one has gone, and another came", async || {
            let now = pods(&scene).await;
            let new: Vec<_> = now.difference(&seen).cloned().collect();
            if new.len() == 1 { Ok(new[0].clone()) } else { Err(format!("{now:?}")) }
        });
        let one = one.await.unwrap();
        until_injected(&scene, |it| it["missing"] == missing && it["pods"] == 3).await;
        // The next one stays until it is ready.
        until_quiet(&proxy, Duration::from_secs(3)).await;
        assert_eq!(pods(&scene).await.len(), 3);
        be_ready(&scene, &one).await;
        seen.insert(one);
    }
    let expected = json!({
        "pods": 3, "ready": 2, "outdated": 2, "missing": 1,
        "missingNamed": [format!("{}/alone", scene.space())],
    });
    until_injected(&scene, |it| *it == expected).await;
    let cluster = scene.get("GrapeCluster", "market").await;
    assert_eq!(cluster["status"]["summary"]["sidecars"], "2/3");
    let message = told(&cluster, "Injected")["message"].clone();
    assert!(message.as_str().unwrap().contains("alone has no controller"), "{message}");

    // No event is published twice, and nothing is done any more.
    until_quiet(&proxy, Duration::from_secs(2)).await;
    proxy.forget_calls();
    operator.kill().await.unwrap();
    let _operator = scene.operator_at(proxy.kubeconfig(), "two").await;
    scene.until_told("market", "Injected", "PodsWithoutGrape").await;
    sleep(Duration::from_secs(5)).await;
    let others =
        writes(&proxy).into_iter().filter(|it| !it.query.contains("fieldManager=grape-operator"));
    assert_eq!(shown(&others.collect::<Vec<_>>()), [""; 0]);
    let events = scene.all(&["Event"]).await;
    let count = |reason: &str| {
        events.values().filter(|it| it["reason"] == reason && it["series"].is_null()).count()
    };
    assert_eq!(["PodsWithoutGrape", "Repaired", "RepairFailed"].map(count), [1, 2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_counts_the_pods_that_it_lets_in() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let [home, web, shop] = [
        Scene::new(&server, "home").await,
        Scene::new(&server, "web").await,
        Scene::new(&server, "shop").await,
    ];
    let proxy = Proxy::start(&server).await.unwrap();
    let wish = format!("{}.market", home.space());
    let labels = json!({"grenache.dev/cluster": wish});
    home.cluster("market", json!({})).await;
    home.make("Pod", pod("own", json!({"grenache.dev/cluster": "market"}))).await;
    web.make("Pod", pod("labelled", labels.clone())).await;
    // Which the webhook would leave out as well.
    let mut host = pod("host", json!({}));
    host["spec"]["hostNetwork"] = true.into();
    for pod in
        [host, pod("bare", json!({})), pod("out", json!({"grenache.dev/inject": "disabled"}))]
    {
        shop.make("Pod", pod).await;
    }
    let _operator = home.start(proxy.kubeconfig(), "all", &[]).await;
    let missing = async |expected: &[&str]| {
        let expected = json!(expected);
        until_injected(&home, |it| it["missingNamed"] == expected).await;
    };
    let [own, labelled, bare] = [(&home, "own"), (&web, "labelled"), (&shop, "bare")]
        .map(|(scene, name)| format!("{}/{name}", scene.space()));
    missing(&[&own]).await;

    let all = json!({"spec": {"injection": {"namespaces": {"from": "All"}}}});
    home.change("GrapeCluster", "market", all).await;
    missing(&[&own, &labelled]).await;
    label(&server.client(), shop.space(), "grenache.dev/cluster", Some(&wish)).await;
    missing(&[&own, &bare, &labelled]).await;
    label(&server.client(), shop.space(), "grenache.dev/cluster", None).await;
    missing(&[&own, &labelled]).await;

    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"team": "web"}}});
    let selector = json!({"spec": {"injection": {"namespaces": selector}}});
    home.change("GrapeCluster", "market", selector).await;
    let none = async || {
        home.until("it has none", ("GrapeCluster", "market"), |cluster| {
            cluster["status"]["injected"].is_null() && told(cluster, "Injected").is_null()
        })
        .await;
    };
    none().await;
    label(&server.client(), web.space(), "team", Some("web")).await;
    missing(&[&labelled]).await;

    // Of one that ends nothing is wanted any more.
    let ended = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    web.api("Pod").patch_status("labelled", &PatchParams::default(), &ended).await.unwrap();
    none().await;
    until_quiet(&proxy, Duration::from_secs(1)).await;
    proxy.forget_calls();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(shown(&writes(&proxy)), [""; 0]);
}

fn pod(name: &str, labels: Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "service", "image": "service"}]},
    })
}

fn repair(is: bool) -> Value {
    json!({"spec": {"injection": {"repair": is}}})
}

async fn replica_set(scene: &Scene, name: &str, replicas: i32) {
    let mut template = pod(name, json!({"app": name, "grenache.dev/cluster": "market"}));
    template["metadata"]["name"].take();
    let spec = json!({
        "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template,
    });
    scene.make("ReplicaSet", json!({"metadata": {"name": name}, "spec": spec})).await;
    wait::until("its pods are there", async || match pods(scene).await.len() {
        2 => Ok(()),
        other => Err(other),
    })
    .await
    .unwrap();
}

async fn budget(scene: &Scene, least: i32) {
    let spec = json!({"minAvailable": least, "selector": {"matchLabels": {"app": "a"}}});
    scene.make("PodDisruptionBudget", json!({"metadata": {"name": "a"}, "spec": spec})).await;
}

/// The names of the pods that are there.
async fn pods(scene: &Scene) -> BTreeSet<String> {
    let pods = scene.all(&["Pod"]).await.into_values();
    pods.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// What a node says of a pod that runs, with or without a Grape.
async fn be_ready(scene: &Scene, name: &str) {
    let status = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "initContainerStatuses": [{
            "name": "grape", "image": "grape:test", "imageID": "", "ready": true, "restartCount": 0,
        }],
    }});
    let merge = Patch::Merge(status);
    scene.api("Pod").patch_status(name, &PatchParams::default(), &merge).await.unwrap();
}

/// Has the API server put into pods what the webhook puts there, as far as it matters here.
async fn inject(client: &Client) {
    let label = "[JSONPatch{op: 'add', path: '/metadata/labels/grenache.dev~1grape', \
        value: 'injected'}]";
    let grape = "Object{spec: Object.spec{initContainers: [Object.spec.initContainers{\
        name: 'grape', image: 'grape:test', restartPolicy: 'Always'}]}}";
    let policy = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        }]},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [
            {"patchType": "JSONPatch", "jsonPatch": {"expression": label}},
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": grape}},
        ],
    });
    let binding = json!({"policyName": "inject"});
    for (kind, plural, spec) in [
        ("MutatingAdmissionPolicy", "mutatingadmissionpolicies", policy),
        ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", binding),
    ] {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1beta1", kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let mut object = DynamicObject::new("inject", &resource);
        object.data = json!({"spec": spec});
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        api.create(&PostParams::default(), &object).await.unwrap();
    }
}

async fn label(client: &Client, namespace: &str, key: &str, value: Option<&str>) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
    let api: Api<Namespace> = Api::all(client.clone());
    api.patch(namespace, &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until the condition on pods of services is so, and returns it.
async fn until_injected(scene: &Scene, is: impl Fn(&Value) -> bool) -> Value {
    let cluster = scene.until("its pods are counted so", ("GrapeCluster", "market"), |cluster| {
        is(&cluster["status"]["injected"])
    });
    cluster.await["status"]["injected"].clone()
}

async fn until_message(scene: &Scene, part: &str) {
    let what = format!("{part:?} is told");
    let told = scene.until(&what, ("GrapeCluster", "market"), |cluster| {
        told(cluster, "Injected")["message"].as_str().is_some_and(|message| message.contains(part))
    });
    told.await;
}

/// How often an eviction was asked for.
fn evictions(proxy: &Proxy) -> usize {
    proxy.writes().iter().filter(|call| call.path.ends_with("/eviction")).count()
}
