//! `grape-operator run` as a process, at a real API server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use grape::clock;
use grape_tests::http::{Connection, Request};
use grape_tests::kubernetes::{ApiServer, definition};
use grape_tests::link::Link;
use grape_tests::our_operator::{self, Operator};
use grape_tests::ports::Port;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, DeleteParams};
use kube::config::Kubeconfig;
use rstest::rstest;
use tokio::time::{sleep, timeout};

/// Times that a test can wait for.
const SHORT: [&str; 3] = ["--lease-duration=4s", "--renew-deadline=2s", "--retry-period=500ms"];
const LEASE: Duration = Duration::from_secs(4);
const RENEW: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(500);

/// A Lease of a scenario's own.
struct Scene<'a> {
    server: &'a ApiServer,
    name: &'static str,
}

impl<'a> Scene<'a> {
    async fn new(server: &'a ApiServer, name: &'static str) -> Self {
        let scene = Self { server, name };
        // The server may be somebody else's, and an earlier test may have been killed.
        let _ = scene.leases().delete(name, &DeleteParams::default()).await;
        scene
    }

    async fn start(&self, identity: &str, flags: &[&str]) -> Operator {
        self.start_with(self.server.kubeconfig(), identity, flags).await
    }

    async fn start_with(&self, kubeconfig: &Path, identity: &str, flags: &[&str]) -> Operator {
        let lease = format!("--lease-name={}", self.name);
        let own = [lease.as_str(), "--namespace=default"];
        let flags: Vec<&str> = own.into_iter().chain(flags.iter().copied()).collect();
        Operator::start(kubeconfig, identity, &flags).await.unwrap()
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.server.client(), "default")
    }

    async fn record(&self) -> LeaseSpec {
        self.leases().get(self.name).await.unwrap().spec.unwrap()
    }

    async fn end(self) {
        self.leases().delete(self.name, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_work_in_turns() {
    let server = ApiServer::start().await.unwrap();
    a_leader_without_the_definition_ends_at_once(&server).await;
    definition::install(&server.client()).await.unwrap();
    tokio::join!(
        a_terminated_leader_hands_over(&server),
        a_killed_leader_is_replaced_after_its_lease(&server),
        a_suspended_leader_ends_when_it_wakes(&server),
        a_leader_that_is_cut_off_ends_before_another_leads(&server),
        an_api_server_that_comes_later_is_waited_for(&server),
        a_standby_ends_at_once(&server),
    );
}

async fn a_leader_without_the_definition_ends_at_once(server: &ApiServer) {
    let scene = Scene::new(server, "operator-early").await;
    let mut one = scene.start("one", &[]).await;
    let told = one.until_logs("cannot watch GrapeClusters; trying again").await.unwrap();
    assert_eq!(told["level"], "WARN");
    let began = clock::now();
    one.signal("TERM").await.unwrap();
    assert_eq!(one.ended().await.unwrap().code(), Some(0));
    // The controller would be given 20 s.
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    scene.end().await;
}

async fn a_terminated_leader_hands_over(server: &ApiServer) {
    let scene = Scene::new(server, "operator-terminated").await;
    let mut one = scene.start("one", &[]).await;
    one.until_leads().await.unwrap();
    let two = scene.start("two", &[]).await;
    let waiting = two.until_logs("waiting for the lease").await.unwrap();
    assert_eq!((&waiting["holder"], &waiting["lease"]), (&"one".into(), &scene.name.into()));
    // A replica that stands by is ready, too.
    two.until_ready().await.unwrap();
    assert!(!two.leads().await.unwrap());
    pages_are_answered(&two).await;

    let began = clock::now();
    one.signal("TERM").await.unwrap();
    two.until_leads().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert_eq!(one.ended().await.unwrap().code(), Some(0));

    let log = one.log();
    let messages: Vec<&str> = log.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(
        messages,
        [
            "starting",
            "serving /healthz, /readyz and /metrics",
            "the API server is reached",
            "leading",
            "no other operator works here",
            "watching GrapeClusters",
            "stopping",
            "stopped",
        ]
    );
    let started = &log[0];
    assert_eq!(started["level"], "INFO");
    assert_eq!(started["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(started["identity"], "one");
    assert_eq!(started["namespace"], "default");
    assert_eq!(log[1]["address"], one.admin().to_string());
    assert!(started["api_server"].as_str().unwrap().starts_with("https://"), "{started}");
    assert_eq!(scene.record().await.holder_identity.as_deref(), Some("two"));
    scene.end().await;
}

async fn pages_are_answered(operator: &Operator) {
    for (path, status, body) in
        [("/healthz", 200, "ok\n"), ("/readyz", 200, "ok\n"), ("/status", 404, "not found\n")]
    {
        let reply = operator.page(path).await.unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (status, body), "{path}");
    }
    let build = format!("grape_operator_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(operator.metric(&build).await.unwrap(), Some(1.0));
    assert_eq!(operator.metric("grape_operator_queue_depth").await.unwrap(), Some(0.0));
    assert!(operator.metric("process_resident_memory_bytes").await.unwrap() > Some(1e6));
    let request = Request::post("/healthz", "");
    let refused = grape_tests::http::send(operator.admin(), &request).await.unwrap();
    assert_eq!(refused.status, 405);
}

async fn a_killed_leader_is_replaced_after_its_lease(server: &ApiServer) {
    let scene = Scene::new(server, "operator-killed").await;
    let mut one = scene.start("one", &SHORT).await;
    one.until_leads().await.unwrap();
    let two = scene.start("two", &SHORT).await;
    two.until_logs("waiting for the lease").await.unwrap();
    one.kill().await.unwrap();
    let killed = clock::now();
    two.until_leads().await.unwrap();
    let waited = killed.elapsed();
    assert!(waited > LEASE - RETRY - Duration::from_millis(300), "only {waited:?}");
    assert!(waited < LEASE + Duration::from_secs(3), "{waited:?}");
    scene.end().await;
}

async fn a_suspended_leader_ends_when_it_wakes(server: &ApiServer) {
    let scene = Scene::new(server, "operator-suspended").await;
    let mut one = scene.start("one", &SHORT).await;
    one.until_leads().await.unwrap();
    let two = scene.start("two", &SHORT).await;
    two.until_logs("waiting for the lease").await.unwrap();
    one.signal("STOP").await.unwrap();
    two.until_leads().await.unwrap();
    let before = scene.record().await;

    // It finds this question when it wakes, and must not say that it leads.
    let mut question = Connection::open(one.admin()).await.unwrap();
    question.send(&Request::get("/metrics").bytes()).await.unwrap();
    one.signal("CONT").await.unwrap();
    assert_eq!(one.ended().await.unwrap().code(), Some(1));
    if let Ok(reply) = question.reply(false).await {
        assert!(reply.body.contains("\ngrape_operator_leader 0\n"), "{}", reply.body);
    }
    let end = one.log().pop().unwrap();
    assert_eq!((&end["level"], &end["message"]), (&"ERROR".into(), &"ended".into()));
    let error = end["error"].as_str().unwrap();
    assert!(error.starts_with("lost the leadership: the lease was not renewed within 2s"), "{end}");

    // It left the Lease of the other alone.
    let after = scene.record().await;
    assert_eq!(after.holder_identity.as_deref(), Some("two"));
    assert_eq!(after.acquire_time, before.acquire_time);
    assert!(two.leads().await.unwrap());
    scene.end().await;
}

async fn a_leader_that_is_cut_off_ends_before_another_leads(server: &ApiServer) {
    let scene = Scene::new(server, "operator-cut-off").await;
    let folder = tempfile::tempdir().unwrap();
    let port = Port::take().unwrap();
    let (kubeconfig, to) = through(server, port.number(), folder.path()).await;
    let link = Link::open(port, to).await.unwrap();
    let mut one = scene.start_with(&kubeconfig, "one", &SHORT).await;
    one.until_leads().await.unwrap();
    let two = scene.start("two", &SHORT).await;
    two.until_logs("waiting for the lease").await.unwrap();

    link.cut();
    let cut = clock::now();
    let ended = async {
        assert_eq!(one.ended().await.unwrap().code(), Some(1));
        clock::now()
    };
    let replaced = async {
        two.until_leads().await.unwrap();
        clock::now()
    };
    let (ended, replaced): (Instant, Instant) = tokio::join!(ended, replaced);
    assert!(ended < replaced, "another led {:?} before it ended", ended - replaced);
    assert!(ended - cut < RENEW + Duration::from_secs(1), "{:?}", ended - cut);
    // What was on its way arrives, and changes nothing.
    let before = scene.record().await;
    link.mend();
    sleep(RETRY * 2).await;
    let after = scene.record().await;
    assert_eq!(after.holder_identity.as_deref(), Some("two"));
    assert_eq!(after.acquire_time, before.acquire_time);
    scene.end().await;
}

async fn an_api_server_that_comes_later_is_waited_for(server: &ApiServer) {
    let scene = Scene::new(server, "operator-early").await;
    let folder = tempfile::tempdir().unwrap();
    let port = Port::take().unwrap();
    let (kubeconfig, to) = through(server, port.number(), folder.path()).await;
    let mut one = scene.start_with(&kubeconfig, "one", &[]).await;
    let message = "the API server cannot be reached; trying again";
    let warning = one.until_logs(message).await.unwrap();
    assert_eq!(warning["level"], "WARN");
    assert_eq!(warning["url"], format!("https://127.0.0.1:{}/", port.number()));
    let error = warning["error"].as_str().unwrap();
    assert!(error.contains("Connection refused"), "{error}");
    let reply = one.page("/readyz").await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (503, "the API server is not reached yet\n"));
    assert!(!one.leads().await.unwrap());

    let _link = Link::open(port, to).await.unwrap();
    one.until_ready().await.unwrap();
    one.until_leads().await.unwrap();
    one.signal("INT").await.unwrap();
    assert_eq!(one.ended().await.unwrap().code(), Some(0));
    scene.end().await;
}

async fn a_standby_ends_at_once(server: &ApiServer) {
    let scene = Scene::new(server, "operator-standby").await;
    let one = scene.start("one", &[]).await;
    one.until_leads().await.unwrap();
    let mut two = scene.start("two", &[]).await;
    two.until_logs("waiting for the lease").await.unwrap();
    two.signal("TERM").await.unwrap();
    let ended = timeout(Duration::from_secs(2), two.ended()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(one.leads().await.unwrap());
    assert_eq!(scene.record().await.lease_transitions, Some(0));
    scene.end().await;
}

/// A kubeconfig that leads through a port here, and where the API server really is.
async fn through(server: &ApiServer, port: u16, folder: &Path) -> (PathBuf, SocketAddr) {
    let mut config = Kubeconfig::read_from(server.kubeconfig()).unwrap();
    let cluster = config.clusters[0].cluster.as_mut().unwrap();
    let url: http::Uri = cluster.server.take().unwrap().parse().unwrap();
    let host = url.host().unwrap().to_owned();
    let real = (host.as_str(), url.port_u16().unwrap_or(443));
    let real = tokio::net::lookup_host(real).await.unwrap().next().unwrap();
    cluster.server = Some(format!("https://127.0.0.1:{port}"));
    // The certificate is checked as ever.
    cluster.tls_server_name = Some(host);
    let path = folder.join("kubeconfig");
    fs::write(&path, serde_yaml::to_string(&config).unwrap()).unwrap();
    (path, real)
}

#[rstest]
#[case(&["--lease-duration=9s"], 1, "error: --renew-deadline is 10s; expected a duration below --lease-duration, which is 9s\n")]
#[case(&["--retry-period=2"], 2, "error: invalid value '2' for '--retry-period <DURATION>': has no unit; expected a duration as in 15s, 500ms or 1m30s\n")]
#[case(&["--log=a=b=c"], 2, "error: invalid value 'a=b=c' for '--log <FILTER>': \"c\" is no level: ")]
#[case(&["--admin-bind=127.0.0.1"], 2, "error: invalid value '127.0.0.1' for '--admin-bind <IP:PORT>': ")]
#[tokio::test]
async fn bad_flags_are_refused(#[case] flags: &[&str], #[case] code: i32, #[case] start: &str) {
    let (ended, errors) = our_operator::refused(None, flags).await.unwrap();
    assert!(errors.starts_with(start), "{errors}");
    assert_eq!(ended, Some(code));
}

#[tokio::test]
async fn without_a_kubernetes_it_says_so() {
    let (ended, errors) = our_operator::refused(None, &[]).await.unwrap();
    assert!(errors.contains("no Kubernetes is configured: "), "{errors}");
    assert_eq!(ended, Some(1));
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    let nowhere = serde_json::json!({
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": ""}}],
        "current-context": "a",
    });
    fs::write(&path, nowhere.to_string()).unwrap();
    let one = Operator::start(&path, "one", &[]).await.unwrap();
    let taken = format!("--admin-bind={}", one.admin());
    let (ended, errors) = our_operator::refused(Some(&path), &[&taken]).await.unwrap();
    assert!(errors.contains(&format!("cannot listen at {} (--admin-bind)", one.admin())));
    assert_eq!(ended, Some(1));
}
