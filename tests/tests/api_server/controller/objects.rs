//! Which objects a cluster has, whatever its spec said before.

use std::process::Command;

use grape_tests::kubernetes::proxy::Which;
use grape_tests::kubernetes::{ApiServer, Proxy, script};
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::scene::{CHILDREN, Scene, shown, told, writes};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_has_the_objects_of_its_spec() {
    let server = ApiServer::start_with_definition().await.unwrap();
    tokio::join!(
        an_empty_spec_is_a_cluster_of_three(&server),
        pools_come_and_the_last_one_to_go_stays(&server),
        what_a_spec_no_longer_wants_goes(&server),
        all_go_on_after_a_slow_start(&server),
        // The kind is there for all, once it is.
        async {
            without_the_kind_it_is_told_once(&server).await;
            a_monitor_comes_and_goes(&server).await;
        },
    );
}

async fn an_empty_spec_is_a_cluster_of_three(server: &ApiServer) {
    let scene = Scene::new(server, "bare").await;
    let owner = scene.cluster("market", json!({})).await;
    let operator = scene.operator("one").await;
    scene.until_applied("market").await;
    let children = scene.children().await;
    assert_eq!(
        children.keys().collect::<Vec<_>>(),
        [
            "NetworkPolicy market",
            "PodDisruptionBudget market",
            "Service market",
            "ServiceAccount market",
            "StatefulSet market-default",
        ]
    );
    for (name, child) in &children {
        let metadata = &child["metadata"];
        let by = json!([{
            "apiVersion": "grenache.dev/v1alpha1",
            "kind": "GrapeCluster",
            "name": "market",
            "uid": owner["metadata"]["uid"],
            "controller": true,
            "blockOwnerDeletion": true,
        }]);
        assert_eq!(metadata["ownerReferences"], by, "{name}");
        let managers = metadata["managedFields"].as_array().unwrap();
        assert_eq!(managers.len(), 1, "{name}: {managers:?}");
        assert_eq!(managers[0]["manager"], "grape-operator", "{name}");
        assert_eq!(managers[0]["operation"], "Apply", "{name}");
        let labels = &metadata["labels"];
        assert_eq!(labels["app.kubernetes.io/name"], "grape", "{name}");
        assert_eq!(labels["app.kubernetes.io/instance"], "market", "{name}");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "grape-operator", "{name}");
    }
    let set = &children["StatefulSet market-default"];
    assert_eq!(set["spec"]["replicas"], 3);
    assert_eq!(set["metadata"]["labels"]["grenache.dev/pool"], "default");
    let version = env!("CARGO_PKG_VERSION");
    let image = format!("grenache/grape:{version}");
    assert_eq!(set["spec"]["template"]["spec"]["containers"][0]["image"], image);
    assert_eq!(children["Service market"]["spec"]["clusterIP"], "None");

    let cluster = scene.get("GrapeCluster", "market").await;
    assert_eq!(cluster["spec"], owner["spec"], "the spec is its user's");
    let status = &cluster["status"];
    assert_eq!(status["observedGeneration"], cluster["metadata"]["generation"]);
    let selector = "app.kubernetes.io/instance=market,app.kubernetes.io/managed-by=grape-operator,\
         app.kubernetes.io/name=grape";
    assert_eq!(status["selector"], selector);
    assert_eq!(status["endpoint"], format!("market.{}.svc:20001", scene.space()));
    assert_eq!(status["image"], image);
    assert_eq!(status["summary"]["grapes"], "0/3");
    for (kind, status, reason) in [
        ("Ready", "False", "Scaling"),
        ("Progressing", "True", "Scaling"),
        ("Stalled", "False", "NotStalled"),
        ("Bootstrapped", "Unknown", "NotObserved"),
        ("LookupHealthy", "Unknown", "NotObserved"),
        ("Partitioned", "Unknown", "NotObserved"),
    ] {
        let condition = told(&cluster, kind);
        assert_eq!((&condition["status"], &condition["reason"]), (&json!(status), &json!(reason)));
        assert_eq!(condition["observedGeneration"], 1, "{condition}");
    }
    let series =
        format!("grape_cluster_grapes_desired{{name=\"market\",namespace=\"{}\"}}", scene.space());
    assert_eq!(operator.metric(&series).await.unwrap(), Some(3.0));
}

/// No Grape is ever ready here.
async fn pools_come_and_the_last_one_to_go_stays(server: &ApiServer) {
    let scene = Scene::new(server, "pools").await;
    let pools = |names: &[&str]| {
        let pools: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"pools": pools}})
    };
    scene.cluster("market", pools(&["zone-1", "zone-2"])["spec"].clone()).await;
    let _operator = scene.operator("one").await;
    scene.until_applied("market").await;
    let replicas =
        async |name: &str| scene.get("StatefulSet", name).await["spec"]["replicas"].clone();
    assert_eq!(replicas("market-zone-1").await, 2);
    assert_eq!(replicas("market-zone-2").await, 1);

    scene.change("GrapeCluster", "market", pools(&["zone-2", "zone-3"])).await;
    let progressing = scene.until_told("market", "Progressing", "Scaling").await;
    assert_eq!(progressing["status"], "True");
    // Its Grapes would be all that there are.
    assert_eq!(replicas("market-zone-1").await, 2);
    assert_eq!(replicas("market-zone-2").await, 2);
    assert_eq!(replicas("market-zone-3").await, 1);
    let cluster = scene.get("GrapeCluster", "market").await;
    let told: Vec<_> = cluster["status"]["pools"].as_array().unwrap().iter().collect();
    let names: Vec<_> = told.iter().map(|pool| &pool["name"]).collect();
    assert_eq!(names, ["zone-2", "zone-3", "zone-1"]);
    assert_eq!(told[2]["desired"], 0);
}

async fn what_a_spec_no_longer_wants_goes(server: &ApiServer) {
    let scene = Scene::new(server, "less").await;
    scene.cluster("market", json!({})).await;
    let _operator = scene.operator("one").await;
    scene.until_applied("market").await;
    let whole = scene.names().await;
    assert_eq!(whole.len(), CHILDREN.len());

    let less = json!({"spec": {"replicas": 1, "networkPolicy": {"enabled": false}}});
    scene.change("GrapeCluster", "market", less).await;
    scene.until_applied("market").await;
    assert_eq!(
        scene.names().await,
        ["Service market", "ServiceAccount market", "StatefulSet market-default"]
    );
    let more = json!({"spec": {"replicas": 2, "networkPolicy": {"enabled": true}}});
    scene.change("GrapeCluster", "market", more).await;
    scene.until_applied("market").await;
    assert_eq!(scene.names().await, whole);
}

/// Nothing is made before it is known what there is.
async fn all_go_on_after_a_slow_start(server: &ApiServer) {
    let scene = Scene::new(server, "slow").await;
    let names = [0, 1, 2, 3].map(|number| format!("market-{number}"));
    for name in &names {
        scene.cluster(name, json!({})).await;
    }
    let proxy = Proxy::start(server).await.unwrap();
    let list = proxy.hold(Which::calls().to("/statefulsets").nth(1));
    let _operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    let list = list.reached().await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(shown(&writes(&proxy)), [""; 0]);
    drop(list);
    for name in &names {
        scene.until_applied(name).await;
    }
}

async fn without_the_kind_it_is_told_once(server: &ApiServer) {
    let scene = Scene::new(server, "unknown").await;
    scene.cluster("market", json!({"monitoring": {"serviceMonitor": true}})).await;
    let operator = scene.operator("one").await;
    // It is no reason to leave the rest.
    scene.until_applied("market").await;
    for replicas in [4, 5] {
        scene.change("GrapeCluster", "market", json!({"spec": {"replicas": replicas}})).await;
        scene.until_applied("market").await;
    }
    let told: Vec<Value> =
        operator.log().into_iter().filter(|line| line["reason"] == "NoServiceMonitors").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let events = scene.all(&["Event"]).await;
    let told: Vec<_> = events.values().filter(|it| it["reason"] == "NoServiceMonitors").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["series"], Value::Null);
}

async fn a_monitor_comes_and_goes(server: &ApiServer) {
    let crds = script::run(&mut Command::new(script::path("tools/monitoring-crds"))).unwrap();
    let file = format!("{crds}/monitoring.coreos.com_servicemonitors.yaml");
    server.kubectl().unwrap().run(["apply", "--server-side", "--filename", &file]).unwrap();
    let scene = Scene::new(server, "monitor").await;
    wait::until("ServiceMonitors are served", async || {
        scene.api("ServiceMonitor").list(&<_>::default()).await
    })
    .await
    .unwrap();
    let monitored = |wanted: bool| json!({"monitoring": {"serviceMonitor": wanted}});
    scene.cluster("market", monitored(true)).await;
    // An object of the same name that is somebody else's is not in the way.
    let other = scene.cluster("other", monitored(false)).await;
    scene
        .make(
            "ServiceMonitor",
            json!({
                "metadata": {"name": "other"},
                "spec": {"selector": {}, "endpoints": []},
            }),
        )
        .await;
    let operator = scene.operator("one").await;
    scene.until_applied("market").await;
    scene.until_applied("other").await;
    let monitor = scene.get("ServiceMonitor", "market").await;
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], "admin");
    assert_eq!(monitor["metadata"]["ownerReferences"][0]["name"], "market");

    for wanted in [false, true] {
        scene.change("GrapeCluster", "market", json!({"spec": monitored(wanted)})).await;
        scene.until_applied("market").await;
        assert_eq!(scene.find("ServiceMonitor", "market").await.is_some(), wanted);
    }
    // Also one that went while no operator was there to see it.
    drop(operator);
    scene.change("GrapeCluster", "market", json!({"spec": monitored(false)})).await;
    let _operator = scene.operator("two").await;
    scene.until_gone("ServiceMonitor", "market").await;
    assert_eq!(other["metadata"]["name"], "other");
    scene.get("ServiceMonitor", "other").await;
}
