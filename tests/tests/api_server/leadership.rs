//! What becomes of the controller: `process::run_until` at a real API server, with controllers that
//! end, fail, tarry and lose their leadership.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use grape::clock;
use grape_operator::config::{Component, OperatorConfig};
use grape_operator::leader::Timings;
use grape_operator::process::{self, Context};
use grape_tests::http::{self, Reply, Request};
use grape_tests::kubernetes::ApiServer;
use grape_tests::ports::Port;
use grape_tests::wait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Config;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// An operator with a controller of the test's own.
struct Scene {
    leases: Api<Lease>,
    config: Config,
    settings: OperatorConfig,
    stop: CancellationToken,
    _admin: Port,
}

impl Scene {
    async fn new(server: &ApiServer, lease: &str) -> Self {
        let kubeconfig = Kubeconfig::read_from(server.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        let admin = Port::take().unwrap();
        let [duration, deadline, period] = [15, 10, 2].map(Duration::from_secs);
        let settings = OperatorConfig {
            component: Component::All,
            watch_namespaces: Vec::new(),
            grape_image: "grape".to_owned(),
            namespace: Some("default".to_owned()),
            identity: "one".to_owned(),
            lease: lease.to_owned(),
            timings: Timings::new(duration, deadline, period).unwrap(),
            admin: ([127, 0, 0, 1], admin.number()).into(),
            observe_interval: duration,
            concurrency: 1,
            webhook: None,
        };
        let leases = Api::namespaced(server.client(), "default");
        // The server may be somebody else's, and an earlier test may have been killed.
        let _ = leases.delete(lease, &DeleteParams::default()).await;
        Self { leases, config, settings, stop: CancellationToken::new(), _admin: admin }
    }

    /// Runs it, and returns how it ended.
    async fn run(&self, control: impl AsyncFnOnce(Context) -> Result<()>) -> Result<(), String> {
        let (settings, config) = (self.settings.clone(), self.config.clone());
        let (stop, background) = (self.stop.clone(), process::no_background_task);
        let run = process::run_until(settings, config, stop, background, control);
        let ended = tokio::time::timeout(wait::DEADLINE, run).await.unwrap();
        ended.map_err(|error| format!("{error:#}"))
    }

    async fn page(&self, path: &str) -> Reply {
        http::send(self.settings.admin, &Request::get(path)).await.unwrap()
    }

    async fn holder(&self) -> Option<String> {
        let lease = self.leases.get(&self.settings.lease).await.unwrap();
        lease.spec.unwrap().holder_identity
    }

    async fn end(self) {
        self.leases.delete(&self.settings.lease, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn controllers_end_in_their_ways() {
    let server = ApiServer::start().await.unwrap();
    tokio::join!(
        one_that_is_asked_is_waited_for(&server),
        one_that_tarries_is_not_waited_for_for_ever(&server),
        one_that_fails_ends_the_process_and_lets_go(&server),
        one_that_ends_unasked_is_a_failure(&server),
        one_that_leads_no_more_is_dropped_at_once(&server),
    );
}

async fn one_that_is_asked_is_waited_for(server: &ApiServer) {
    let scene = Scene::new(server, "control-asked").await;
    let ended = scene
        .run(async |context| {
            assert_eq!(context.namespace, "default");
            assert_eq!(context.config.lease, "control-asked");
            context.client.apiserver_version().await?;
            assert!(scene.page("/metrics").await.body.contains("\ngrape_operator_leader 1\n"));
            assert_eq!(scene.page("/readyz").await.status, 200);
            scene.stop.cancel();
            context.stop.cancelled().await;
            // It still has things to end: it leads on, and gets no new work.
            let reply = scene.page("/readyz").await;
            assert_eq!((reply.status, reply.body.as_str()), (503, "stopping\n"));
            assert_eq!(scene.page("/healthz").await.status, 200);
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert_eq!(scene.holder().await.as_deref(), Some("one"));
            Ok(())
        })
        .await;
    assert_eq!(ended, Ok(()));
    assert_eq!(scene.holder().await, None);
    scene.end().await;
}

async fn one_that_tarries_is_not_waited_for_for_ever(server: &ApiServer) {
    let scene = Scene::new(server, "control-tarries").await;
    let began = clock::now();
    let ended = scene
        .run(async |_| {
            scene.stop.cancel();
            std::future::pending().await
        })
        .await;
    assert_eq!(ended, Ok(()));
    let took = began.elapsed();
    assert!((Duration::from_secs(20)..Duration::from_secs(25)).contains(&took), "{took:?}");
    // It was renewed all that time.
    assert_eq!(scene.holder().await, None);
    scene.end().await;
}

async fn one_that_fails_ends_the_process_and_lets_go(server: &ApiServer) {
    let scene = Scene::new(server, "control-fails").await;
    let ended = scene.run(async |_| bail!("it is broken")).await;
    assert_eq!(ended, Err("it is broken".to_owned()));
    assert_eq!(scene.holder().await, None);
    scene.end().await;
}

async fn one_that_ends_unasked_is_a_failure(server: &ApiServer) {
    let scene = Scene::new(server, "control-ends").await;
    let ended = scene.run(async |_| Ok(())).await;
    assert_eq!(ended, Err("the controller ended without having been asked".to_owned()));
    assert_eq!(scene.holder().await, None);
    scene.end().await;
}

async fn one_that_leads_no_more_is_dropped_at_once(server: &ApiServer) {
    /// Notes that it was dropped.
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let scene = Scene::new(server, "control-lost").await;
    let dropped = Arc::new(AtomicBool::new(false));
    let (leads, led) = oneshot::channel();
    let running = scene.run(async |context| {
        let _until = Dropped(Arc::clone(&dropped));
        leads.send(context.stop).unwrap();
        std::future::pending().await
    });
    let stealing = async {
        let stop = led.await.unwrap();
        let thief = Patch::Merge(json!({"spec": {"holderIdentity": "thief"}}));
        let lease = &scene.settings.lease;
        scene.leases.patch(lease, &PatchParams::default(), &thief).await.unwrap();
        (stop, clock::now())
    };
    let (ended, (stop, stolen)) = tokio::join!(running, stealing);
    assert!(stolen.elapsed() < Duration::from_secs(2), "{:?}", stolen.elapsed());
    assert_eq!(ended, Err("lost the leadership: the lease is held by thief".to_owned()));
    assert!(dropped.load(Ordering::SeqCst));
    assert!(stop.is_cancelled(), "what it began elsewhere is to end, too");
    assert_eq!(scene.holder().await.as_deref(), Some("thief"));
    scene.end().await;
}
