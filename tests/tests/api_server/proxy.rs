//! The proxy that other tests make things fail with.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt;
use grape_tests::kubernetes::proxy::{Call, Refusal, Which};
use grape_tests::kubernetes::{ApiServer, Proxy};
use grape_tests::wait;
use http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchParams};
use kube::core::{Status, WatchEvent};
use serde_json::json;
use tokio::time::{Instant, timeout};

fn maps(client: Client) -> Api<ConfigMap> {
    Api::default_namespaced(client)
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

fn refusal<T: std::fmt::Debug>(outcome: kube::Result<T>) -> Status {
    match outcome {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("it was to be refused: {other:?}"),
    }
}

#[tokio::test]
async fn calls_are_passed_on_and_recorded() {
    let server = ApiServer::start().await.unwrap();
    let proxy = Proxy::start(&server).await.unwrap();
    let api = maps(proxy.client().await.unwrap());
    api.create(&PostParams::default(), &map("proxied")).await.unwrap();
    let apply = PatchParams::apply("grape-tests");
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "proxied"},
        "data": {"a": "b"},
    });
    api.patch("proxied", &apply, &Patch::Apply(&object)).await.unwrap();
    let all = api.list(&ListParams::default().fields("metadata.name=proxied")).await.unwrap();
    assert_eq!(all.items.len(), 1);
    assert_eq!(maps(server.client()).get("proxied").await.unwrap(), all.items[0]);
    let missing = refusal(api.get("missing").await);
    assert_eq!((missing.code, missing.reason.as_str()), (404, "NotFound"));
    api.delete("proxied", &DeleteParams::default()).await.unwrap();

    let folder = "/api/v1/namespaces/default/configmaps";
    let told = |call: &Call| format!("{} {}?{}", call.method, call.path, call.query);
    assert_eq!(
        proxy.calls().iter().map(told).collect::<Vec<_>>(),
        [
            format!("POST {folder}?"),
            format!("PATCH {folder}/proxied?&fieldManager=grape-tests"),
            format!("GET {folder}?&fieldSelector=metadata.name%3Dproxied"),
            format!("GET {folder}/missing?"),
            format!("DELETE {folder}/proxied?"),
        ]
    );
    let writes = proxy.writes();
    assert_eq!(writes.len(), 3);
    assert_eq!(writes[1].body, Some(object));
    proxy.forget_calls();
    assert_eq!(proxy.calls(), []);

    let printed = kubectl(&server, &proxy, &["get", "namespaces", "default", "-o", "name"]);
    assert_eq!(printed, "namespace/default");
}

/// It blocks this thread, and so would a proxy that ran on it.
fn kubectl(server: &ApiServer, proxy: &Proxy, arguments: &[&str]) -> String {
    let kubeconfig = proxy.kubeconfig().to_str().unwrap();
    server.kubectl().unwrap().run([&["--kubeconfig", kubeconfig], arguments].concat()).unwrap()
}

#[tokio::test]
async fn a_refusal_is_seen_as_kubernetes_own() {
    let server = ApiServer::start().await.unwrap();
    let proxy = Proxy::start(&server).await.unwrap();
    let (api, direct) = (maps(proxy.client().await.unwrap()), maps(server.client()));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    for (refused, code, reason) in [
        (Refusal::Forbidden, 403, "Forbidden"),
        (Refusal::NotFound, 404, "NotFound"),
        (Refusal::Conflict, 409, "Conflict"),
        (Refusal::AlreadyExists, 409, "AlreadyExists"),
        (Refusal::Expired, 410, "Expired"),
        (Refusal::Invalid, 422, "Invalid"),
        (Refusal::TooManyRequests, 429, "TooManyRequests"),
        (Refusal::InternalError, 500, "InternalError"),
        (Refusal::ServiceUnavailable, 503, "ServiceUnavailable"),
    ] {
        proxy.refuse(Which::writes().to("/configmaps").nth(2), refused);
        api.create(&dry, &map("refused")).await.unwrap();
        let status = refusal(api.create(&PostParams::default(), &map("refused")).await);
        assert_eq!((status.code, status.reason.as_str()), (code, reason));
        let retry_after = status.details.map_or(0, |details| details.retry_after_seconds);
        assert_eq!(retry_after, u32::from(code == 429));
        assert!(direct.get_opt("refused").await.unwrap().is_none(), "it reached the API server");
        api.create(&dry, &map("refused")).await.unwrap();
    }
    proxy.refuse(Which::calls(), Refusal::InternalError);
    assert_eq!(refusal(api.get("refused").await).code, 500);
    proxy.clear();
    assert_eq!(refusal(api.get("refused").await).code, 404);
}

#[tokio::test]
async fn a_watch_flows_event_by_event_until_the_cut() {
    let server = ApiServer::start().await.unwrap();
    let proxy = Proxy::start(&server).await.unwrap();
    let (api, direct) = (maps(proxy.client().await.unwrap()), maps(server.client()));
    let begin = direct.list(&ListParams::default()).await.unwrap().metadata.resource_version;
    let since = WatchParams::default().fields("metadata.name=watched");
    let mut events = pin!(api.watch(&since, &begin.unwrap()).await.unwrap());
    // The watch lasts for minutes: a proxy that buffered it would pass on no event.
    direct.create(&PostParams::default(), &map("watched")).await.unwrap();
    let added = within(events.try_next()).await.unwrap();
    assert!(matches!(added, Some(WatchEvent::Added(_))), "{added:?}");
    direct.delete("watched", &DeleteParams::default()).await.unwrap();
    let deleted = within(events.try_next()).await.unwrap();
    assert!(matches!(deleted, Some(WatchEvent::Deleted(_))), "{deleted:?}");
    assert!(proxy.calls()[0].is_watch());

    proxy.cut().await.unwrap();
    let ended = within(events.try_next()).await;
    assert!(matches!(ended, Ok(None) | Err(_)), "the watch goes on: {ended:?}");
    let cut = api.get("watched").await.unwrap_err();
    assert!(!matches!(cut, kube::Error::Api(_)), "somebody answered: {cut}");
    assert_eq!(proxy.calls().len(), 1);
    proxy.mend().await.unwrap();
    assert_eq!(refusal(api.get("watched").await).code, 404);
}

#[tokio::test]
async fn an_answer_is_held_back_until_it_may_go() {
    let server = ApiServer::start().await.unwrap();
    let proxy = Proxy::start(&server).await.unwrap();
    let (api, direct) = (maps(proxy.client().await.unwrap()), maps(server.client()));
    let held = proxy.hold(Which::writes().to("/configmaps").nth(1));
    let answered = proxy.answered(Which::writes().to("/configmaps").nth(2));
    let first = tokio::spawn({
        let api = api.clone();
        async move { api.create(&PostParams::default(), &map("held")).await }
    });
    let reached = held.reached().await.unwrap();
    assert_eq!(reached.call.method, Method::POST);
    direct.get("held").await.expect("the API server has done it");
    assert!(!first.is_finished());
    drop(reached);
    within(first).await.unwrap().unwrap();

    api.delete("held", &DeleteParams::default()).await.unwrap();
    assert_eq!(answered.call().await.unwrap().method, Method::DELETE);

    // A dropped hold holds nothing up.
    drop(proxy.hold(Which::calls()));
    within(api.list(&ListParams::default())).await.unwrap();
}

#[tokio::test]
async fn a_call_is_delayed() {
    let server = ApiServer::start().await.unwrap();
    let proxy = Proxy::start(&server).await.unwrap();
    let api = maps(proxy.client().await.unwrap());
    let time = Duration::from_millis(300);
    proxy.delay(Which::calls().method(Method::GET).nth(1), time);
    let begun = Instant::now();
    api.list(&ListParams::default()).await.unwrap();
    assert!(begun.elapsed() >= time);
}

/// What comes of it, in less time than a watch or a held answer lasts.
async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(wait::DEADLINE, future).await.expect("it is held up")
}
