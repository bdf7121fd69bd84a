//! The controller and the webhook as two processes, as with `webhook.hostNetwork`.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::our_operator::Operator;
use grape_tests::ports::Port;
use grape_tests::wait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::scene::{CLUSTER, OPS, Scene, is_injected, pod};

/// Soon over, so that one that campaigned would lead.
const ELECTION: [&str; 3] = ["--lease-duration=3s", "--renew-deadline=2s", "--retry-period=500ms"];

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_alone_serves_and_never_leads() {
    let scene = Scene::new().await;
    let alone = [&ELECTION[..], &["--component=webhook"]].concat();
    let webhooks =
        [scene.replica("webhook-a", &alone).await, scene.replica("webhook-b", &alone).await];
    // It has issued its certificate, and told API servers of its authority: no controller is there.
    scene.configure([&webhooks[0].url(), &webhooks[1].url()]).await;
    let leases: Api<Lease> = Api::namespaced(scene.server.client(), OPS);
    assert!(leases.get_opt("grape-operator").await.unwrap().is_none(), "none campaigns");

    let port = Port::take().unwrap();
    let bind = format!("--webhook-bind=127.0.0.1:{}", port.number());
    let own = ["--namespace=ops", "--grape-image=grape", "--component=controller", &bind];
    let flags = [&own[..], &ELECTION].concat();
    let mut controller = Operator::start(scene.kubeconfig(), "controller", &flags).await.unwrap();
    controller.until_leads().await.unwrap();
    controller.until_ready().await.unwrap();
    let connected = TcpStream::connect(("127.0.0.1", port.number())).await;
    assert!(connected.is_err(), "it serves no webhook");
    // It works: the status tells of the cluster.
    let kubectl = scene.server.kubectl().unwrap();
    wait::until("the controller writes a status", async || {
        let of = "--output=jsonpath={.status.observedGeneration}";
        let seen = kubectl.run(["get", "grapecluster", "market", of, "--namespace=shop"])?;
        ensure!(seen == "1", "{seen:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();

    controller.kill().await.unwrap();
    // Three times as long as others wait for a leader that is silent.
    sleep(Duration::from_secs(9)).await;
    for webhook in &webhooks {
        assert!(!webhook.operator.leads().await.unwrap());
        webhook.operator.until_ready().await.unwrap();
    }
    let holder = leases.get("grape-operator").await.unwrap().spec.unwrap().holder_identity;
    assert_eq!(holder.as_deref(), Some("controller"));
    let made = scene.try_pod(&pod("asks", CLUSTER)).await.unwrap();
    assert!(is_injected(&made), "{made:?}");
    for webhook in webhooks {
        let mut operator = webhook.operator;
        operator.signal("TERM").await.unwrap();
        assert_eq!(operator.ended().await.unwrap().code(), Some(0));
    }
}
