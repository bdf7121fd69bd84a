//! Operators that are not there, or are to end.

use std::time::Duration;

use grape_tests::wait;
use serde_json::json;
use tokio::time::sleep;

use super::scene::{CLUSTER, SHOP, Scene, WEBHOOKS, is_injected, pod};

#[tokio::test(flavor = "multi_thread")]
async fn without_an_operator_the_policy_counts() {
    let scene = Scene::new().await;
    let mut replica = scene.replica("one", &[]).await;
    scene.configure([&replica.url(), &replica.url()]).await;
    scene.label(SHOP, "market").await;
    replica.operator.kill().await.unwrap();

    // A pod that asks itself is not made; one whose namespace asks is made without.
    let refused = scene.try_pod(&pod("asks", CLUSTER)).await.unwrap_err().to_string();
    let called =
        "failed calling webhook \"pods.inject.grenache.dev\": failed to call webhook: Post ";
    assert!(refused.contains(called), "{refused}");
    let made = scene.try_pod(&pod("does-not-ask", &[])).await.unwrap();
    assert!(!is_injected(&made));

    let policies = |policy: [&str; 2]| {
        let each = WEBHOOKS.iter().zip(policy);
        each.map(|(name, policy)| json!({"name": name, "failurePolicy": policy})).collect()
    };
    scene.reconfigure(policies(["Ignore", "Fail"])).await;
    wait::until("the policies are the other way round", async || {
        let refused = scene.try_pod(&pod("does-not-ask", &[])).await;
        anyhow::ensure!(refused.is_err(), "it is made");
        anyhow::Ok(())
    })
    .await
    .unwrap();

    // It is asked as soon as it is there again, with the certificate that it had.
    let before = scene.secret("tls.crt").await;
    let again = scene.replica("two", &["--lease-name=two"]).await;
    let urls = WEBHOOKS.map(|name| json!({"name": name, "clientConfig": {"url": again.url()}}));
    scene.reconfigure(json!(urls)).await;
    scene.until_asked().await;
    assert_eq!(scene.secret("tls.crt").await, before);
}

/// As an upgrade does it: another replica is ready, this one is asked to end, and API servers are
/// sent to the other a while later.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_ends_answers_every_call() {
    let scene = Scene::new().await;
    let mut old = scene.replica("old", &[]).await;
    scene.configure([&old.url(), &old.url()]).await;
    let new = scene.replica("new", &[]).await;
    let urls = WEBHOOKS.map(|name| json!({"name": name, "clientConfig": {"url": new.url()}}));
    let asked = async {
        // Longer than it takes connections, and the pods of a roll are made meanwhile.
        for number in 0..80 {
            let made = scene.try_pod(&pod("asks", CLUSTER)).await;
            assert!(is_injected(&made.unwrap_or_else(|error| panic!("{number}: {error:#}"))));
            sleep(Duration::from_millis(100)).await;
        }
    };
    let replaced = async {
        sleep(Duration::from_millis(500)).await;
        old.operator.signal("TERM").await.unwrap();
        sleep(Duration::from_millis(1500)).await;
        let unready = old.operator.page("/readyz").await.unwrap();
        assert_eq!((unready.status, unready.body.as_str()), (503, "stopping\n"));
        scene.reconfigure(json!(urls)).await;
        assert_eq!(old.operator.ended().await.unwrap().code(), Some(0));
    };
    tokio::join!(asked, replaced);
}
