//! `--api-origin`: the CORS headers for browsers.

use grape::config::Config;
use rstest::rstest;

use crate::grapes::{config, start};
use crate::raw::{Raw, Response};

const PAGE: &str = "http://localhost:5173";

/// A request of a page of this origin.
fn from(origin: &str, method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: grape\r\nOrigin: {origin}\r\n{headers}\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

fn preflight(origin: &str, more: &str) -> String {
    let asks = "Access-Control-Request-Method: POST\r\n\
                Access-Control-Request-Headers: content-type,x-own\r\n";
    from(origin, "OPTIONS", "/lookup", &format!("{asks}{more}"), "")
}

async fn listed(origins: &[&str], request: &str) -> Response {
    let api_origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
    let grape = start(Config { api_origins, ..config() }).await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request).await;
    client.response().await
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

#[rstest]
#[case(&["https://a", PAGE], PAGE, Some("origin"))]
#[case(&["*"], "*", None)]
#[case(&[PAGE, "*"], "*", None)]
#[tokio::test]
async fn a_preflight_is_answered(
    #[case] origins: &[&str],
    #[case] allowed: &str,
    #[case] vary: Option<&str>,
) {
    let response = listed(origins, &preflight(PAGE, "")).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), Some(allowed));
    assert_eq!(
        response.header("access-control-allow-methods"),
        Some("GET, HEAD, POST, PUT, DELETE")
    );
    assert_eq!(response.header("access-control-allow-headers"), Some("content-type,x-own"));
    assert_eq!(response.header("access-control-max-age"), Some("7200"));
    assert_eq!(response.header("access-control-allow-private-network"), None);
    assert_eq!(response.header("vary"), vary);
}

#[tokio::test]
async fn a_page_of_the_internet_may_reach_loopback() {
    let asks = "Access-Control-Request-Private-Network: true\r\n";
    let response = listed(&[PAGE], &preflight(PAGE, asks)).await;
    assert_eq!(response.header("access-control-allow-private-network"), Some("true"));
}

#[rstest]
#[case("POST", "/lookup", r#"{"data":"x"}"#, 200)]
#[case("POST", "/lookup", "no JSON", 500)]
#[case("POST", "/nope", "{}", 200)]
#[case("POST", "/lookup", &" ".repeat(8193), 413)]
#[case("GET", "/watch", "", 400)]
#[case("GET", "/status", "", 200)]
// No preflight: nothing is asked.
#[case("OPTIONS", "/lookup", "", 500)]
#[tokio::test]
async fn answers_may_be_read_by_listed_pages(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
) {
    let response = listed(&[PAGE], &from(PAGE, method, path, "", body)).await;
    assert_eq!(response.status, status);
    assert_eq!(response.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(response.header("vary"), Some("origin"));
}

#[rstest]
#[case("POST", "/announce", r#"{"data":["x",1]}"#)]
#[case("GET", "/watch?name=x", "")]
#[case("POST", "/drain", "")]
#[tokio::test]
async fn a_page_of_another_origin_gets_nothing(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[values("http://localhost:5174", "https://localhost:5173", "null", "http://evil")]
    origin: &str,
) {
    for request in [from(origin, method, path, "", body), preflight(origin, "")] {
        let response = listed(&[PAGE], &request).await;
        assert_eq!(response.status, 403);
        assert_eq!(response.header("access-control-allow-origin"), None);
        assert!(response.body.contains("--api-origin"), "{}", response.body);
    }
}

#[rstest]
#[case(PAGE, 101)]
#[case("http://evil", 403)]
#[tokio::test]
async fn a_websocket_is_for_listed_pages(
    #[case] origin: &str,
    #[case] status: u16,
    #[values("/", "/gossip/workers/events")] path: &str,
) {
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let response = listed(&[PAGE], &from(origin, "GET", path, handshake, "")).await;
    assert_eq!(response.status, status);
}

#[tokio::test]
async fn programs_that_are_no_browsers_may_ask() {
    let request = crate::raw::request("POST", "/lookup", r#"{"data":"x"}"#);
    let response = listed(&[PAGE], &request).await;
    assert_eq!((response.status, &*response.body), (200, "[]"));
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_the_flag_there_are_no_cors_headers() {
    let request = crate::raw::request("POST", "/lookup", r#"{"data":"x"}"#);
    for (request, status) in [(preflight(PAGE, ""), 403), (request, 200)] {
        let response = listed(&[], &request).await;
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), None);
        assert_eq!(response.header("vary"), None);
    }
}
