//! Services beside a Grape: those that it announces by itself, those whose ports it tries, and the
//! drain of all.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grape::config::Config;
use grape::http::StatusPage;
use grape::lifecycle::Grape;
use grape::services::{Declared, HeldBack};
use rstest::rstest;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::time::{sleep, timeout};

use crate::grapes::{SOON, alone, config, node, pair, start};
use crate::raw::{Raw, request};

/// A port that refuses connections until something listens there.
async fn port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn lookup(grape: &Grape) -> Vec<String> {
    lookup_at(grape.api_addr()).await
}

async fn lookup_at(api: SocketAddr) -> Vec<String> {
    let body = Raw::connect(api).await.post("/lookup", r#"{"data":"here"}"#).await.body;
    serde_json::from_str(&body).unwrap()
}

async fn announce(grape: &Grape, port: u16) -> String {
    let body = format!(r#"{{"data":["here",{port}]}}"#);
    Raw::connect(grape.api_addr()).await.post("/announce", &body).await.body
}

async fn status(grape: &Grape) -> StatusPage {
    let body = Raw::connect(grape.api_addr()).await.get("/status").await.body;
    serde_json::from_str(&body).unwrap()
}

async fn metrics(grape: &Grape) -> String {
    Raw::connect(grape.api_addr()).await.get("/metrics").await.body
}

/// Waits until a Grape knows just this of the name.
async fn known(grape: &Grape, peers: &[SocketAddr]) {
    let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
    let seen = timeout(SOON * 3, async {
        while lookup(grape).await != peers {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(seen.await.is_ok(), "{:?}, and not {peers:?}", lookup(grape).await);
}

#[tokio::test]
async fn a_declared_service_is_announced_while_it_answers() {
    let (socket, address) = port().await;
    let declared = Declared { name: "here".to_owned(), port: address.port() };
    let grape = start(Config { announce: vec![declared.clone()], ..config() }).await;
    assert_eq!(lookup(&grape).await, [""; 0]);
    let held_back = HeldBack {
        name: declared.name,
        port: declared.port,
        reason: format!("{address} has not answered yet"),
    };
    assert_eq!(status(&grape).await.held_back, std::slice::from_ref(&held_back));
    let brief = Raw::connect(grape.api_addr()).await.get("/status?brief").await.body;
    assert!(brief.contains(r#""heldBack":[]"#), "{brief}");

    let listener = socket.listen(8).unwrap();
    known(&grape, &[address]).await;
    assert_eq!(status(&grape).await.held_back, []);
    drop(listener);
    known(&grape, &[]).await;
    let reason = format!("{address} refuses connections");
    assert_eq!(status(&grape).await.held_back, [HeldBack { reason, ..held_back }]);
    let metrics = metrics(&grape).await;
    for line in [
        r#"grape_services_held_back{reason="port_refuses"} 1"#,
        r#"grape_services_withdrawals_total{reason="port_refuses"} 1"#,
        r#"grape_services_withdrawals_total{reason="not_ready"} 0"#,
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is missing in\n{metrics}");
    }
    let _listener = TcpListener::bind(address).await.unwrap();
    known(&grape, &[address]).await;
}

#[tokio::test]
async fn a_declared_service_waits_for_its_conditions() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = service.local_addr().unwrap();
    let (other, condition) = port().await;
    let ready_when = format!("tcp://{condition}");
    let grape = start(Config {
        announce: vec![Declared { name: "here".to_owned(), port: address.port() }],
        ready_when: vec![
            format!("http://{address}/").parse().unwrap(),
            ready_when.parse().unwrap(),
        ],
        ..config()
    })
    .await;
    // The service answers as an HTTP server does whose readiness is its own matter.
    let answers = tokio::spawn(async move {
        loop {
            let (mut stream, _) = service.accept().await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                if stream.read_buf(&mut Vec::new()).await.unwrap_or(0) > 0 {
                    stream.write_all(answer).await.unwrap();
                    sleep(SOON).await;
                }
            });
        }
    });
    let told = timeout(SOON, async {
        loop {
            let held_back = status(&grape).await.held_back;
            if held_back[0].reason.starts_with(&ready_when) {
                return held_back[0].reason.clone();
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let told = told.await.unwrap();
    assert!(told.contains("refused"), "{told}");
    assert_eq!(lookup(&grape).await, [""; 0]);
    let _listener = other.listen(8).unwrap();
    known(&grape, &[address]).await;
    answers.abort();
}

#[tokio::test]
async fn a_port_that_answered_and_refuses_is_withdrawn_and_held_back() {
    let grape = start(Config { check_announced: true, ..config() }).await;
    let (socket, address) = port().await;
    let listener = socket.listen(8).unwrap();
    announce(&grape, address.port()).await;
    assert_eq!(lookup(&grape).await, [address.to_string()]);
    timeout(SOON, listener.accept()).await.expect("the port is tried").unwrap();
    drop(listener);
    known(&grape, &[]).await;
    assert_eq!(announce(&grape, address.port()).await, "0", "answered as ever");
    assert_eq!(lookup(&grape).await, [""; 0], "and held back");
    let listener = TcpListener::bind(address).await.unwrap();
    known(&grape, &[address]).await;
    drop(listener);
}

#[tokio::test]
async fn a_port_that_never_answered_is_left_alone() {
    let grape = start(Config { check_announced: true, ..config() }).await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (proof, other) = port().await;
    let proof = proof.listen(8).unwrap();
    announce(&grape, udp.local_addr().unwrap().port()).await;
    announce(&grape, other.port()).await;
    for _ in 0..4 {
        timeout(SOON, proof.accept()).await.expect("ports are tried").unwrap();
    }
    drop(proof);
    known(&grape, &[udp.local_addr().unwrap()]).await;
}

#[rstest]
#[tokio::test]
async fn a_drain_withdraws_all_and_holds_back(#[values("", "{}")] body: &str) {
    let (here, there) = pair().await;
    announce(&here, 7001).await;
    announce(&here, 7002).await;
    assert_eq!(lookup(&there).await.len(), 2);
    let mut client = Raw::connect(here.api_addr()).await;
    let drained = client.post("/drain", body).await;
    assert_eq!((drained.status, &*drained.body), (200, r#"{"withdrawn":2,"complete":true}"#));
    assert_eq!(lookup(&there).await, [""; 0]);
    assert_eq!(announce(&here, 7001).await, "0");
    assert_eq!(lookup(&there).await, [""; 0]);
    assert_eq!(announce(&there, 7003).await, "1", "the others go on");
    assert_eq!(lookup(&here).await, ["127.0.0.1:7003"], "and so do lookups here");
    assert_eq!(client.get("/readyz").await.status, 200);
    let page = status(&here).await;
    assert!(page.node.ready && page.node.draining);
    assert_eq!(page.held_back[0].reason, "this Grape was drained; restart it to announce");
    let metrics = metrics(&here).await;
    assert!(metrics.contains("\ngrape_services_withdrawals_total{reason=\"drained\"} 2\n"));
    assert!(metrics.contains("\ngrape_api_requests_total{code=\"2xx\",verb=\"drain\"} 1\n"));
    let again = client.post("/drain", body).await;
    assert_eq!(again.body, r#"{"withdrawn":0,"complete":true}"#);
}

#[tokio::test]
async fn a_drain_takes_no_longer_than_it_may() {
    let there = alone().await;
    let gone = there.dht_addr();
    let drain_timeout = Duration::ZERO;
    let here = start(Config { bootstrap: vec![node(gone)], drain_timeout, ..config() }).await;
    assert_eq!(announce(&here, 7001).await, "1");
    drop(there);
    sleep(Duration::from_millis(10)).await;
    let silent = UdpSocket::bind(gone).await.unwrap();
    let drained = Raw::connect(here.api_addr()).await.post("/drain", "").await;
    assert_eq!(drained.body, r#"{"withdrawn":1,"complete":false}"#);
    timeout(SOON, silent.recv_from(&mut [0; 2000])).await.expect("it is told").unwrap();
}

#[tokio::test]
async fn only_programs_of_this_host_may_drain() {
    // The host's address that is not loopback: the one of the default route.
    let route = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    route.connect("192.0.2.1:9").await.expect("this host has an address but loopback");
    let own = route.local_addr().unwrap().ip();
    let grape = start(Config { bind: None, ..config() }).await;
    announce(&grape, 7001).await;
    let api = SocketAddr::new(own, grape.api_addr().port());
    let mut client = Raw::connect(api).await;
    let refused = client.post("/drain", "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains(&own.to_string()), "{}", refused.body);
    assert_eq!(lookup_at(api).await.len(), 1);
}

#[tokio::test]
async fn a_drain_is_a_post_to_the_api() {
    let admin_bind = Some("127.0.0.1:0".parse().unwrap());
    let grape = start(Config { admin_bind, ..config() }).await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request("PUT", "/drain", "{}")).await;
    assert_eq!(client.response().await.body, r#""ERR_REQ_NOTFOUND""#);
    let admin = Raw::connect(grape.admin_addr().unwrap()).await.post("/drain", "").await;
    assert_eq!(admin.status, 404);
    assert!(!status(&grape).await.node.draining);
    let long = Raw::connect(grape.api_addr()).await.post("/drain", &"x".repeat(9000)).await;
    assert_eq!((long.status, long.closes()), (413, true));
}

/// The port is tried where others are sent: at loopback, and at the advertised address if this host
/// has it. Loopback has all of 127.0.0.0/8.
#[rstest]
#[case::at_the_advertised_address("127.0.0.2", Some("127.0.0.2"))]
#[case::at_loopback_behind_a_nat("127.0.0.1", Some("192.0.2.1"))]
#[case::at_ipv6_alone("::1", None)]
#[tokio::test]
async fn a_service_is_tried_wherever_it_listens(
    #[case] listens: std::net::IpAddr,
    #[case] advertise_ip: Option<&str>,
) {
    let advertise_ip = advertise_ip.map(|ip| ip.parse().unwrap());
    let grape = start(Config { advertise_ip, ..config() }).await;
    let listener = TcpListener::bind((listens, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    announce(&grape, port).await;
    assert_eq!(lookup(&grape).await.len(), 1);
    timeout(SOON, listener.accept()).await.expect("the port is tried").unwrap();
    drop(listener);
    let begun = tokio::time::Instant::now();
    known(&grape, &[]).await;
    use std::io::Write;
    let line = format!("figure: W1: a service at {listens} that ends is withdrawn after");
    writeln!(std::io::stderr(), "{line} {:.1} s", begun.elapsed().as_secs_f64()).unwrap();
}

#[tokio::test]
async fn refusals_are_shown_by_cause_with_what_would_be_right() {
    let grape = start(config()).await;
    let mut client = Raw::connect(grape.api_addr()).await;
    for (verb, data, answer) in [
        ("announce", r#"["svc","1337"]"#, "ERR_GRAPE_SERVICE_PORT"),
        ("announce", r#"["svc","1338"]"#, "ERR_GRAPE_SERVICE_PORT"),
        ("announce", r#"["svc",70000]"#, "ERR_GRAPE_SERVICE_PORT"),
        ("announce", r#"["",1337]"#, "ERR_GRAPE_ANNOUNCE"),
        ("withdraw", r#"["svc","1337"]"#, "ERR_GRAPE_SERVICE_PORT"),
        ("lookup", "5", "ERR_GRAPE_LOOKUP"),
        (
            "put",
            r#"{"v":1.5}"#,
            "v holds 1.5, and bencode carries no fractions: send it as a string",
        ),
        ("get", "null", "ERR_GRAPE_GENERIC"),
    ] {
        let reply = client.post(&format!("/{verb}"), &format!(r#"{{"data":{data}}}"#)).await;
        assert_eq!((reply.status, reply.body), (200, format!("{answer:?}")));
    }
    let refusals = status(&grape).await.refusals;
    let causes: Vec<_> =
        refusals.iter().map(|it| (&*it.verb, &*it.name, &*it.reason, it.count)).collect();
    assert_eq!(
        causes,
        [
            ("get", "", "the data is no hash of an item", 1),
            ("put", "", "v holds 1.5, and bencode carries no fractions: send it as a string", 1),
            ("lookup", "", "the data is no name", 1),
            ("withdraw", "svc", "the port is a text", 1),
            ("announce", "", "the name is empty", 1),
            ("announce", "svc", "the port is beyond 65535, or negative", 1),
            ("announce", "svc", "the port is a text", 2),
        ]
    );
    assert_eq!(refusals[6].hint, r#"send the port as a number: ["svc", 1337]"#);
    let brief = Raw::connect(grape.api_addr()).await.get("/status?brief").await.body;
    let brief: StatusPage = serde_json::from_str(&brief).unwrap();
    assert_eq!(brief.refusals, refusals, "the operator reads the brief one");
}
