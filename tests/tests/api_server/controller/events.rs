//! The events of a cluster: one for each change.

use std::net::SocketAddr;

use grape_tests::http::{self, Request};
use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::our_operator::Operator;
use grape_tests::process::Process;
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Duration;

use super::rest::grapes;
use super::scene::{Scene, until_quiet};

#[tokio::test(flavor = "multi_thread")]
async fn each_change_has_one_event() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "events").await;
    let proxy = Proxy::start(&server).await.unwrap();
    scene.cluster("market", json!({})).await;
    let mut operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    scene.until_applied("market").await;
    let quiet = Duration::from_secs(1);
    until_quiet(&proxy, quiet).await;
    let mut told = vec![("Created", "Normal"), ("Scaling", "Normal")];
    assert_eq!(events(&scene).await, told);

    // A state that lasts makes no further events, whatever else changes.
    for replicas in [4, 5] {
        scene.change("GrapeCluster", "market", json!({"spec": {"replicas": replicas}})).await;
        scene.until_applied("market").await;
    }
    scene.change("Service", "market", json!({"spec": {"publishNotReadyAddresses": false}})).await;
    operator.kill().await.unwrap();
    let _operator = scene.operator_at(proxy.kubeconfig(), "two").await;
    scene
        .until("it is put right", ("Service", "market"), |service| {
            service["spec"]["publishNotReadyAddresses"] == true
        })
        .await;
    until_quiet(&proxy, quiet).await;
    assert_eq!(events(&scene).await, told);

    let twice = json!([
        {"topologyKey": "a", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
        {"topologyKey": "a", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule"},
    ]);
    for (constraints, reason, kind) in
        [(twice, "Refused", "Warning"), (Value::Null, "Scaling", "Normal")]
    {
        let template = json!({"spec": {"template": {"topologySpreadConstraints": constraints}}});
        scene.change("GrapeCluster", "market", template).await;
        scene.until_told("market", "Ready", reason).await;
        until_quiet(&proxy, quiet).await;
        told.push((reason, kind));
        assert_eq!(events(&scene).await, told);
    }
}

/// To the API server, events that differ in their texts alone are one.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_different_texts_stay_apart() {
    let server = ApiServer::start_with_definition().await.unwrap();
    let scene = Scene::new(&server, "texts").await;
    let proxy = Proxy::start(&server).await.unwrap();
    let _operator = scene.operator_at(proxy.kubeconfig(), "one").await;
    scene.cluster("market", json!({"pools": [{"name": "a"}]})).await;
    scene.until_applied("market").await;
    let pools = json!({"spec": {"pools": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}});
    scene.change("GrapeCluster", "market", pools).await;
    scene.until_applied("market").await;
    until_quiet(&proxy, Duration::from_secs(1)).await;
    let events = scene.all(&["Event"]).await.into_values();
    let created = events.filter(|event| event["reason"] == "Created");
    let notes: Vec<_> = created.map(|event| event["note"].to_string()).collect();
    for set in ["market-a", "market-b", "market-c"] {
        let named = notes.iter().filter(|note| note.contains(set)).count();
        assert_eq!(named, 1, "{set} in {notes:#?}");
    }
}

/// A pod with a Grape that runs.
struct Live {
    scene: Scene,
    pod: Value,
    grape: SocketAddr,
    /// The Grapes end before the operator, and the operator before the API server.
    _kept: (Vec<Process>, Operator, ApiServer),
}

impl Live {
    async fn start(prefix: &str) -> Self {
        let server = ApiServer::start_with_definition().await.unwrap();
        let server = server.with_controllers(&["statefulset-controller"]).await.unwrap();
        let scene = Scene::new(&server, prefix).await;
        let operator = scene.operator("one").await;
        let (grapes, [_, api]) = grapes(&scene).await;
        let pod = scene.get("Pod", "live-default-1").await;
        let ip = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
        let grape = SocketAddr::new(ip, api.number());
        // Its process has started, and may not listen yet.
        let listens = async || http::send(grape, &Request::get("/openapi.json")).await;
        wait::until("the Grape listens", listens).await.unwrap();
        Self { scene, pod, grape, _kept: (grapes, operator, server) }
    }
}

/// A service ends and does not come back. An event at its pod says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_held_back_has_an_event_at_its_pod() {
    let Live { scene, pod, grape, _kept } = Live::start("held-back").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let body = json!({"rid": 1, "data": ["away", port]}).to_string();
    http::send(grape, &Request::post("/announce", body)).await.unwrap();
    // Until the Grape has tried the port, and seen it answer.
    listener.accept().await.unwrap();
    drop(listener);
    let told = wait::until_within(Duration::from_secs(180), "it is told", async || {
        let events = scene.all(&["Event"]).await.into_values();
        let mut told = events.filter(|event| event["reason"] == "AnnounceHeldBack");
        told.next().ok_or("not yet")
    });
    let event = told.await.unwrap();
    assert_eq!(event["regarding"]["uid"], pod["metadata"]["uid"], "{event}");
    assert_eq!(event["type"], "Warning");
    let note = event["note"].as_str().unwrap();
    let begins = format!("The Grape has not announced \"away\" at port {port} for 30 s or more");
    assert!(note.starts_with(&begins) && note.contains("refuses connections"), "{note}");
}

/// A service sends its port as text, and takes the answer for success. An event at its pod says what
/// is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn each_cause_of_a_refusal_has_one_event_at_the_pod() {
    let Live { scene, pod, grape, _kept } = Live::start("refused").await;
    let announce = async |data: Value| {
        let body = json!({"rid": 1, "data": data}).to_string();
        let reply = http::send(grape, &Request::post("/announce", body)).await.unwrap();
        assert_eq!((reply.status, reply.json().unwrap()), (200, json!("ERR_GRAPE_SERVICE_PORT")));
    };
    let refused = async || {
        let events = scene.all(&["Event"]).await.into_values();
        let mut notes: Vec<_> = events
            .filter(|event| event["reason"] == "RequestRefused")
            .map(|event| {
                assert_eq!(event["regarding"]["name"], "live-default-1");
                assert_eq!(event["regarding"]["uid"], pod["metadata"]["uid"]);
                assert_eq!(event["type"], "Warning");
                event["note"].as_str().unwrap().to_owned()
            })
            .collect();
        notes.sort_unstable();
        notes
    };
    for _ in 0..3 {
        announce(json!(["svc", "1337"])).await;
    }
    scene.until_event("live-default-1", "RequestRefused").await;
    let text = "The Grape refused to announce \"svc\": the port is a text. Fix: send the \
                port as a number: [\"svc\", 1337]";
    assert_eq!(refused().await, [text]);
    announce(json!(["svc"])).await;
    let both = wait::until("another cause is another event", async || match refused().await {
        notes if notes.len() == 2 => Ok(notes),
        notes => Err(format!("{notes:?}")),
    });
    assert!(both.await.unwrap()[1].contains("the port is missing"));
}

/// Reasons and types in the order of time; an event that was published again is there as often.
async fn events(scene: &Scene) -> Vec<(&'static str, &'static str)> {
    let mut events: Vec<_> = scene.all(&["Event"]).await.into_values().collect();
    events.sort_by_key(|event| event["eventTime"].as_str().unwrap().to_owned());
    let known = |text: &Value| {
        let known = ["Created", "Scaling", "Refused", "Normal", "Warning"];
        known.into_iter().find(|known| *text == **known).unwrap_or("another")
    };
    let told = events.iter().flat_map(|event| {
        assert_eq!(event["regarding"]["name"], "market");
        assert_eq!(event["reportingController"], "grape-operator");
        let again = event["series"]["count"].as_u64().unwrap_or(1);
        (0..again).map(|_| (known(&event["reason"]), known(&event["type"])))
    });
    told.collect()
}
