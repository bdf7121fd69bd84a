//! What `helm test` runs, at a real API server. No operator is there: the test keeps its Lease, and
//! a Grape, which has the same page /readyz, answers in its place.

use std::time::Duration;

use grape_operator::check::{self, Options};
use grape_tests::grape::{self, Grape, Kind, Seat};
use grape_tests::kubernetes::{ApiServer, access};
use grape_tests::ports::Port;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use crate::helm;
use crate::server::kubectl;

#[tokio::test]
async fn each_check_prints_its_result() {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: a cluster that is not ours may have an operator.");
        return;
    }
    let server = ApiServer::start().await.unwrap();
    let leases: Api<Lease> = Api::default_namespaced(server.client());
    let nobody = Port::take().unwrap();
    let dead = format!("http://127.0.0.1:{}", nobody.number());
    let expected = [
        "FAILED  the API server serves GrapeClusters: grenache.dev/v1alpha1: the \
         CustomResourceDefinition is missing",
        "FAILED  the Lease grape-operator in default: is not there",
        &format!("FAILED  the operator's Service: GET {dead}/readyz"),
    ];
    assert_told(&server, &dead, SOON, false, expected).await;

    let definition = helm::chart().join("files/crds");
    let apply = ["apply", "--server-side", "--filename", definition.to_str().unwrap()];
    kubectl(&server, &apply).unwrap();
    // What it is to join is not there.
    let options = grape::Options { bootstrap: vec![nobody.number()], ..grape::Options::default() };
    let lost = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    renew(&leases, "").await;
    let served =
        "ok      the API server serves GrapeClusters: grapeclusters of grenache.dev/v1alpha1";
    let expected = [
        served,
        "FAILED  the Lease grape-operator in default: it has no holder",
        &format!("FAILED  the operator's Service: GET {}/readyz: 503", lost.url()),
    ];
    assert_told(&server, &lost.url(), SOON, false, expected).await;

    let seat = Seat::take().unwrap();
    let grape = Grape::start(Kind::Ours, seat, &grape::Options::default()).await.unwrap();
    renew(&leases, "pod-a").await;
    let ready = format!("ok      the operator's Service: GET {}/readyz: 200", grape.url());
    let held =
        "FAILED  the Lease grape-operator in default: pod-a holds it, and has not renewed it";
    assert_told(&server, &grape.url(), SOON, false, [served, held, &ready]).await;

    let kept = tokio::spawn(async move {
        loop {
            renew(&leases, "pod-a").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let held = "ok      the Lease grape-operator in default: pod-a holds it, and renews it";
    assert_told(&server, &grape.url(), LONG, true, [served, held, &ready]).await;
    kept.abort();
}

/// Long enough for a look or two.
const SOON: Duration = Duration::from_secs(3);
/// Far beyond what anything takes.
const LONG: Duration = Duration::from_secs(60);

/// That these are the lines that it writes, or how they begin.
async fn assert_told(
    server: &ApiServer,
    operator: &str,
    timeout: Duration,
    well: bool,
    lines: [&str; 3],
) {
    let options = Options {
        namespace: None,
        lease_name: "grape-operator".to_owned(),
        operator: operator.parse().unwrap(),
        timeout,
    };
    let mut told = Vec::new();
    let found = check::report(server.client(), &options, &mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(told.lines().count(), lines.len(), "{told}");
    for (line, begins) in told.lines().zip(lines) {
        assert!(line.starts_with(begins), "{begins:?} does not begin {line:?}");
    }
    assert_eq!(found, well, "{told}");
}

/// As an operator's pod does.
async fn renew(leases: &Api<Lease>, holder: &str) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "grape-operator"},
        "spec": {"holderIdentity": holder, "renewTime": now(), "leaseDurationSeconds": 15},
    });
    let apply = PatchParams::apply("grape-tests").force();
    leases.patch("grape-operator", &apply, &Patch::Apply(&lease)).await.unwrap();
}

/// As a Lease has it, in microseconds.
fn now() -> String {
    format!("{:.6}", Timestamp::now())
}
