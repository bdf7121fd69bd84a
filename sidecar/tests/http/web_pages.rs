//! Requests that web pages make behind the back of whoever opens them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use grape::config::Config;
use grape::lifecycle::Grape;
use rstest::rstest;

use crate::grapes::{alone, config, start};
use crate::raw::{Raw, Response, request};

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A Grape with an admin address.
async fn with_admin() -> Grape {
    start(Config { admin_bind: Some("127.0.0.1:0".parse().unwrap()), ..config() }).await
}

/// The answer to a request with these headers, on a connection of its own.
async fn asked(address: SocketAddr, line: &str, headers: &str, body: &str) -> Response {
    let mut client = Raw::connect(address).await;
    let length = body.len();
    let request = format!("{line} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    client.send(request).await;
    client.response().await
}

#[rstest]
#[case::a_script("Host: localhost\r\nOrigin: http://evil.example\r\n", "--api-origin")]
#[case::a_form("Host: localhost\r\nOrigin: null\r\nSec-Fetch-Mode: navigate\r\n", "--api-origin")]
#[case::of_a_neighbour("Host: localhost\r\nSec-Fetch-Site: same-site\r\n", "--api-origin")]
#[case::rebinding("Host: evil.example:30001\r\n", "--api-host")]
#[case::rebinding_as_its_own(
    "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
    "--api-host"
)]
#[tokio::test]
async fn nothing_is_done_for_a_page(#[case] headers: &str, #[case] flag: &str) {
    let grape = with_admin().await;
    let api = grape.api_addr();
    let kept = Raw::connect(api).await.post("/announce", r#"{"data":["rpc_kept",1337]}"#).await;
    assert_eq!(kept.status, 200);
    for (line, body) in [
        ("POST /announce", r#"{"data":["rpc_page",1337]}"#),
        ("POST /Announce", r#"{"data":["rpc_page",1337]}"#),
        ("POST /withdraw", r#"{"data":["rpc_kept",1337]}"#),
        ("POST /lookup", r#"{"data":"rpc_kept"}"#),
        ("POST /put", r#"{"data":{"v":"x"}}"#),
        ("POST /drain", ""),
        ("PUT /gossip/workers/load", "1"),
        ("OPTIONS /announce", ""),
        ("DELETE /gossip/workers/load", ""),
    ] {
        let response = asked(api, line, headers, body).await;
        assert_eq!(response.status, 403, "{line}");
        assert!(response.body.contains(flag) && response.closes(), "{line}: {}", response.body);
    }
    let admin = grape.admin_addr().unwrap();
    let introduced = asked(admin, "POST /introduce", headers, r#"{"addresses":[]}"#).await;
    assert_eq!(introduced.status, 403);
    let socket = format!("{headers}{HANDSHAKE}Sec-Fetch-Mode: websocket\r\n").replacen(
        "Sec-Fetch-Mode: navigate\r\n",
        "",
        1,
    );
    for path in ["/", "/gossip/workers/events"] {
        assert_eq!(asked(api, &format!("GET {path}"), &socket, "").await.status, 403, "{path}");
    }
    let mut client = Raw::connect(api).await;
    let found = client.post("/lookup", r#"{"data":"rpc_page"}"#).await;
    assert_eq!(found.body, "[]");
    let found = client.post("/lookup", r#"{"data":"rpc_kept"}"#).await;
    assert_eq!(found.body, r#"["127.0.0.1:1337"]"#);
    let refused = client.get("/metrics").await.body;
    let counted = r#"grape_api_requests_total{code="4xx",verb="unknown"} 12"#;
    assert!(refused.contains(counted), "{refused}");
}

#[rstest]
#[tokio::test]
async fn no_page_is_read_by_rebinding(
    #[values("/status", "/metrics", "/healthz", "/watch?name=x", "/gossip", "/nothing")] path: &str,
) {
    let grape = with_admin().await;
    for address in [grape.api_addr(), grape.admin_addr().unwrap()] {
        let host = "Host: evil.example\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n";
        let response = asked(address, &format!("GET {path}"), host, "").await;
        assert_eq!(response.status, 403, "{}", response.body);
    }
}

#[tokio::test]
async fn whoever_opens_a_link_reads_the_page() {
    let grape = with_admin().await;
    let link =
        "Host: localhost:30001\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n";
    for address in [grape.api_addr(), grape.admin_addr().unwrap()] {
        assert_eq!(asked(address, "GET /status", link, "").await.status, 200);
    }
}

#[tokio::test]
async fn a_listed_name_of_the_machine_is_answered() {
    let api_hosts = vec!["grape.example.org".parse().unwrap()];
    let grape = start(Config { api_hosts, ..config() }).await;
    for (host, status) in [("grape.example.org:30001", 200), ("evil.example.org", 403)] {
        let headers = format!("Host: {host}\r\n");
        assert_eq!(asked(grape.api_addr(), "GET /status", &headers, "").await.status, status);
    }
}

/// A connection of IPv4 at a socket of IPv6 has an address that is not loopback at first sight.
#[tokio::test]
async fn loopback_is_known_at_a_socket_for_both_families() {
    let grape = start(Config { bind: Some(Ipv6Addr::UNSPECIFIED.into()), ..config() }).await;
    let port = grape.api_addr().port();
    for address in
        [(Ipv4Addr::LOCALHOST, port).into(), SocketAddr::from((Ipv6Addr::LOCALHOST, port))]
    {
        let evil = "Host: evil.example\r\n";
        assert_eq!(asked(address, "GET /status", evil, "").await.status, 403, "{address}");
    }
}

#[tokio::test]
async fn a_program_needs_no_host() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send("POST /lookup HTTP/1.0\r\nContent-Length: 12\r\n\r\n{\"data\":\"x\"}").await;
    assert_eq!(client.response().await.status, 200);
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request("POST", "/lookup", r#"{"data":"x"}"#)).await;
    assert_eq!(client.response().await.status, 200);
}
