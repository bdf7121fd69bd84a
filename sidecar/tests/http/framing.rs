//! How the requests of a connection are separated, and how much of each is read.

use rstest::rstest;

use crate::grapes::{alone, start};
use crate::raw::{Raw, request};

const LOOKUP: &str = r#"{"rid":"1","data":"rpc_test"}"#;

#[tokio::test]
async fn a_connection_is_kept_alive() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    for _ in 0..3 {
        let response = client.post("/lookup", LOOKUP).await;
        assert_eq!((response.status, &*response.body, response.closes()), (200, "[]", false));
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let three = request("POST", "/lookup", LOOKUP)
        + &request("POST", "/nope", "{}")
        + &request("POST", "/announce", r#"{"data":["a",1]}"#);
    client.send(three).await;
    for body in ["[]", r#""ERR_REQ_NOTFOUND""#, "0"] {
        assert_eq!(client.response().await.body, body);
    }
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_next_request() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let whole = request("POST", "/lookup", LOOKUP);
    let (first, second) = whole.split_at(20);
    client.send(format!("{whole}{first}")).await;
    assert_eq!(client.response().await.body, "[]");
    client.send(second).await;
    assert_eq!(client.response().await.body, "[]");
}

#[rstest]
#[case("", true)]
#[case("Connection: keep-alive\r\n", false)]
#[tokio::test]
async fn http_1_0(#[case] header: &str, #[case] closes: bool) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let length = LOOKUP.len();
    let request =
        format!("POST /lookup HTTP/1.0\r\n{header}Content-Length: {length}\r\n\r\n{LOOKUP}");
    client.send(&request).await;
    assert_eq!(client.response().await.body, "[]");
    if closes {
        assert_eq!(client.rest().await, "");
    } else {
        client.send(&request).await;
        assert_eq!(client.response().await.body, "[]");
    }
}

#[tokio::test]
async fn bodies_may_come_in_chunks() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let head = "POST /lookup HTTP/1.1\r\nHost: grape\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (first, second) = LOOKUP.split_at(7);
    for part in [
        head.to_owned(),
        format!("{:x}\r\n{first}\r\n", first.len()),
        format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()),
    ] {
        client.send(part).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.response().await.body, "[]");
    assert_eq!(client.post("/lookup", LOOKUP).await.body, "[]");
}

#[rstest]
#[case(8192, 200, "[]")]
#[case(8193, 413, "ERR_GRAPE_PAYLOAD_SIZE")]
#[tokio::test]
async fn a_body_at_the_limit_passes(
    #[case] length: usize,
    #[case] status: u16,
    #[case] body: &str,
    #[values(false, true)] chunked: bool,
) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let padded = LOOKUP.to_owned() + &" ".repeat(length - LOOKUP.len());
    if chunked {
        let head = "POST /lookup HTTP/1.1\r\nHost: grape\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{length:x}\r\n{padded}\r\n0\r\n\r\n")).await;
    } else {
        client.send(request("POST", "/lookup", &padded)).await;
    }
    let response = client.response().await;
    assert_eq!((response.status, &*response.body), (status, body));
    assert_eq!(response.closes(), status == 413);
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_before_it_comes() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send("POST /lookup HTTP/1.1\r\nHost: grape\r\nContent-Length: 1000000\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!((response.status, &*response.body), (413, "ERR_GRAPE_PAYLOAD_SIZE"));
    assert_eq!(client.rest().await, "");
}

#[rstest]
#[tokio::test]
async fn a_client_that_sends_too_much_still_reads_the_answer(#[values(false, true)] chunked: bool) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let body = vec![b'x'; 900_000];
    let framing = if chunked {
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len())
    } else {
        format!("Content-Length: {}\r\n\r\n", body.len())
    };
    client.send(format!("POST /lookup HTTP/1.1\r\nHost: grape\r\n{framing}")).await;
    client.try_send(&body).await;
    let response = client.response().await;
    assert_eq!((response.status, &*response.body), (413, "ERR_GRAPE_PAYLOAD_SIZE"));
}

#[tokio::test]
async fn the_limit_can_be_set() {
    let grape =
        start(grape::config::Config { max_payload_size: 40, ..crate::grapes::config() }).await;
    let mut client = Raw::connect(grape.api_addr()).await;
    assert_eq!(client.post("/lookup", LOOKUP).await.status, 200);
    assert_eq!(client.post("/lookup", &" ".repeat(41)).await.status, 413);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    let head = |length: usize| {
        format!(
            "POST /lookup HTTP/1.1\r\nHost: grape\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    client.send(head(LOOKUP.len())).await;
    assert!(client.head().await.starts_with("HTTP/1.1 100 "));
    client.send(LOOKUP).await;
    assert_eq!(client.response().await.body, "[]");
    client.send(head(8193)).await;
    assert_eq!(client.response().await.status, 413);
}

#[tokio::test]
async fn a_client_that_closes_its_half_is_answered() {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request("POST", "/lookup", LOOKUP)).await;
    client.end().await;
    assert_eq!(client.response().await.body, "[]");
    assert_eq!(client.rest().await, "");
}

#[rstest]
#[tokio::test]
async fn any_method_with_a_body_works(#[values("PUT", "DELETE", "PATCH", "GET")] method: &str) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(request(method, "/lookup", LOOKUP)).await;
    assert_eq!(client.response().await.body, "[]");
}

#[rstest]
#[case("nonsense\r\n\r\n", "HTTP/1.1 400 ")]
#[case("POST /lookup HTTP/1.1\r\nno header\r\n\r\n", "HTTP/1.1 400 ")]
#[case("CONNECT grape:1 HTTP/1.1\r\nHost: grape\r\n\r\n", "HTTP/1.1 405 ")]
#[tokio::test]
async fn requests_that_are_not_for_a_grape_are_refused(#[case] bytes: &str, #[case] answer: &str) {
    let grape = alone().await;
    let mut client = Raw::connect(grape.api_addr()).await;
    client.send(bytes).await;
    let rest = client.rest().await;
    assert!(rest.starts_with(answer), "{rest}");
    let mut other = Raw::connect(grape.api_addr()).await;
    assert_eq!(other.post("/lookup", LOOKUP).await.body, "[]");
}
