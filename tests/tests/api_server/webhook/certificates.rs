//! The certificate, kept by several operators.

use std::collections::BTreeSet;
use std::time::Duration;

use grape::clock;
use grape_operator::webhook::certificates::decide::{CertSpec, Next, renew};
use grape_tests::{figure, wait};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;

use super::owner::until_owned;
use super::scene::{CLUSTER, OPS, SECRET, SHOP, Scene, WEBHOOKS, is_injected, pod};

/// How long certificates live here: an authority five times as long.
const LIFE: Duration = Duration::from_secs(12);

/// Each of two operators is asked about each pod, while what they serve changes again and again, and
/// who signs it.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_answered_during_a_rotation() {
    let scene = Scene::new().await;
    let flag = format!("--webhook-certificate-lifetime={}s", LIFE.as_secs());
    let flags = [flag.as_str()];
    // Both at once: one of them makes the authority, and the other takes it.
    let (one, two) = tokio::join!(scene.replica("one", &flags), scene.replica("two", &flags));
    scene.configure([&one.url(), &two.url()]).await;
    let fail = WEBHOOKS.map(|name| json!({"name": name, "failurePolicy": "Fail"}));
    scene.reconfigure(json!(fail)).await;
    scene.label(SHOP, "market").await;
    scene.until_asked().await;

    let (mut resolver, mut authorities) = (BTreeSet::new(), BTreeSet::new());
    let began = clock::now();
    let mut made = 0;
    // Two thirds of an authority's life, and until the next one has signed.
    while began.elapsed() < 5 * LIFE {
        let pod = scene.try_pod(&pod("asks", CLUSTER)).await;
        let after = began.elapsed();
        assert!(is_injected(&pod.unwrap_or_else(|error| panic!("after {after:?}: {error:#}"))));
        made += 1;
        resolver.insert(scene.secret("tls.crt").await);
        authorities.insert(scene.secret("ca.key").await);
        sleep(Duration::from_millis(100)).await;
    }
    let (certificates, signed_by) = (resolver.len(), authorities.len());
    figure::tell(&format!("{made} pods, {certificates} certificates, {signed_by} authorities"));
    assert!(certificates >= 6 && (2..=3).contains(&signed_by), "{certificates}, {signed_by}");
    for replica in [&one, &two] {
        let count = |reason: &str| {
            let result = if reason == "Injected" { "injected" } else { "unchanged" };
            format!("grape_operator_injections_total{{reason=\"{reason}\",result=\"{result}\"}}")
        };
        // They were dry runs, which are not counted.
        for reason in ["Injected", "AlreadyInjected"] {
            assert_eq!(replica.operator.metric(&count(reason)).await.unwrap(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_others_are_reverted() {
    let scene = Scene::new().await;
    let one = scene.replica("one", &[]).await;
    let _two = scene.replica("two", &[]).await;
    scene.configure([&one.url(), &one.url()]).await;

    let before = scene.bundles().await;
    for bundle in [json!("Q0E="), json!(null)] {
        let broken =
            WEBHOOKS.map(|name| json!({"name": name, "clientConfig": {"caBundle": bundle}}));
        scene.reconfigure(json!(broken)).await;
        wait::until("the caBundle is as it was", async || {
            let now = scene.bundles().await;
            anyhow::ensure!(now == before, "{now:?}");
            anyhow::Ok(())
        })
        .await
        .unwrap();
        scene.until_asked().await;
    }

    // Without the Secret's data, a new certificate is issued, and its CA bundle written. The
    // operator may not create the Secret itself.
    let secrets: Api<Secret> = Api::namespaced(scene.server.client(), OPS);
    let nothing = Patch::Json::<()>(
        serde_json::from_value(json!([{"op": "remove", "path": "/data"}])).unwrap(),
    );
    secrets.patch(SECRET, &PatchParams::default(), &nothing).await.unwrap();
    wait::until("there is another authority", async || {
        let now = scene.bundles().await;
        anyhow::ensure!(now != before && now[0] == scene.secret("ca.crt").await, "{now:?}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    scene.until_asked().await;

    secrets.delete(SECRET, &DeleteParams::default()).await.unwrap();
    let told = one.operator.until_logs("cannot keep the webhook's certificate; trying again").await;
    let error = told.unwrap()["error"].as_str().unwrap().to_owned();
    let expected = format!("there is no Secret {SECRET}, and the operator may not make one: ");
    assert!(error.starts_with(&expected), "{error}");
    scene.until_asked().await;
}

/// As cert-manager keeps one: the operator reads it, and does not touch it.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_may_keep_the_certificate() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let names = vec!["x.ops.svc".to_owned(), "127.0.0.1".to_owned()];
    let spec = CertSpec { names, life: Duration::from_secs(3600) };
    let made = [(); 2].map(|()| renew(None, Next::All, &spec, Timestamp::now()).unwrap());
    let write = |number: usize| {
        std::fs::write(folder.path().join("tls.crt"), &made[number].certificate).unwrap();
        std::fs::write(folder.path().join("tls.key"), &made[number].key).unwrap();
    };
    write(0);
    let flag = format!("--webhook-certificates={}", folder.path().display());
    let one = scene.replica("one", &[&flag]).await;
    for (number, bundle) in made.iter().enumerate() {
        write(number);
        let trusted = ByteString(bundle.authorities.clone().into_bytes());
        let client = json!({"url": one.url(), "caBundle": trusted});
        if number == 0 {
            scene.make_configuration([client.clone(), client]).await;
        } else {
            let webhooks = WEBHOOKS.map(|name| json!({"name": name, "clientConfig": client}));
            scene.reconfigure(json!(webhooks)).await;
        }
        scene.until_asked().await;
    }
    // Its configuration goes with its namespace all the same.
    until_owned(&scene).await;
    assert_eq!(scene.secret("tls.crt").await, "");
    assert_eq!(scene.bundles().await, [&*made[1].authorities, &*made[1].authorities]);
}
