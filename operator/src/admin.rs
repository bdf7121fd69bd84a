//! The pages for those who run the operator: `/healthz`, `/readyz`, `/metrics`.
//!
//! Each connection serves one request, and is short: kubelet's probes and Prometheus' scrapes need
//! no more, and so no client can use up the server's memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::metrics::Metrics;
use crate::server::{self, Limits, Reply, reply, text};

/// Most connections at once. Further ones wait in the system's queue.
const CONNECTIONS: usize = 64;

/// How long one connection may last: for its request's head, and for the answer to be read.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest head of a request in bytes.
const MAX_HEAD: usize = 16 << 10;

/// How long requests are awaited that were sent before the stop.
const FINISH: Duration = Duration::from_secs(1);

/// Whether `/readyz` says yes, and otherwise why not. Clones share the state.
#[derive(Debug, Clone)]
pub struct Readiness(watch::Sender<Reasons>);

/// Why the process is not ready; none if it is.
#[derive(Debug)]
struct Reasons {
    own: Option<&'static str>,
    waits: Option<String>,
}

impl Readiness {
    /// Not ready, for this reason, which is one line.
    pub fn not_yet(reason: &'static str) -> Self {
        Self(watch::Sender::new(Reasons { own: Some(reason), waits: None }))
    }

    /// Ready from now on, unless it waits for another operator.
    pub fn ready(&self) {
        self.0.send_modify(|reasons| reasons.own = None);
    }

    /// Not ready from now on, for this reason, which is one line.
    pub fn not_ready(&self, reason: &'static str) {
        self.0.send_modify(|reasons| reasons.own = Some(reason));
    }

    /// The operator that it waits for from now on, as one line; `None`: for none. While it waits it
    /// is not ready, whatever else was reported.
    pub fn waits(&self, reason: Option<String>) {
        self.0.send_modify(|reasons| reasons.waits = reason);
    }
}

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// `/readyz`.
    pub readiness: Readiness,
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
}

/// Serves the pages until `stop`.
pub async fn serve(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    serve_with_timeout(listener, pages, stop, CONNECTION_TIMEOUT).await;
}

async fn serve_with_timeout(
    listener: TcpListener,
    pages: Pages,
    stop: CancellationToken,
    limit: Duration,
) {
    let bounds = Limits { connections: CONNECTIONS, linger: Duration::ZERO, finish: FINISH };
    // Requests that arrived are answered; connections without one are not awaited.
    let _ = server::serve(listener, bounds, stop, |stream, _| {
        let answered = timeout(limit, answer(stream, pages.clone()));
        async { drop(answered.await) }
    })
    .await;
}

async fn answer(stream: TcpStream, pages: Pages) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = pages.answer(request.method(), request.uri().path());
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // An error here is the client's: it disconnected, or did not speak HTTP and got an error.
    let _ = connection.await;
}

impl Pages {
    fn answer(&self, method: &Method, path: &str) -> Reply {
        let page: fn(&Self) -> Reply = match path {
            // The answer shows that the process' tasks are alive: the process ends when one of them
            // does.
            "/healthz" => |_| text(StatusCode::OK, "ok"),
            "/readyz" => Self::readyz,
            "/metrics" => Self::metrics,
            _ => return text(StatusCode::NOT_FOUND, "not found"),
        };
        if matches!(*method, Method::GET | Method::HEAD) {
            return page(self);
        }
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    }

    fn readyz(&self) -> Reply {
        let Reasons { own, waits } = &*self.readiness.0.borrow();
        match waits.as_deref().or(*own) {
            None => text(StatusCode::OK, "ok"),
            Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason.to_string()),
        }
    }

    fn metrics(&self) -> Reply {
        match self.metrics.exposition() {
            Ok(text) => reply(StatusCode::OK, prometheus::TEXT_FORMAT, text),
            Err(error) => {
                error!(%error, "the metrics cannot be written: this is a defect of the operator");
                text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    struct Server {
        address: SocketAddr,
        readiness: Readiness,
        stop: CancellationToken,
        ended: tokio::task::JoinHandle<()>,
    }

    async fn server() -> Server {
        server_with(CONNECTION_TIMEOUT).await
    }

    async fn server_with(limit: Duration) -> Server {
        let listener = grape::http::bind(Some(Ipv4Addr::LOCALHOST.into()), 0).unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = Readiness::not_yet("starting");
        let metrics = Arc::new(Metrics::new().unwrap());
        let pages = Pages { readiness: readiness.clone(), metrics };
        let stop = CancellationToken::new();
        let ended = tokio::spawn(serve_with_timeout(listener, pages, stop.clone(), limit));
        Server { address, readiness, stop, ended }
    }

    impl Server {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// The whole answer, which ends with its connection.
        async fn ask(&self, method: &str, path: &str) -> String {
            let mut stream = self.connect().await;
            let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        }
    }

    #[rstest]
    #[case("GET", "/healthz", "200 OK", "ok\n")]
    #[case("HEAD", "/healthz", "200 OK", "")]
    #[case("GET", "/healthz?verbose", "200 OK", "ok\n")]
    #[case("GET", "/readyz", "503 Service Unavailable", "starting\n")]
    #[case("POST", "/healthz", "405 Method Not Allowed", "only GET and HEAD\n")]
    #[case("DELETE", "/metrics", "405 Method Not Allowed", "only GET and HEAD\n")]
    #[case("GET", "/", "404 Not Found", "not found\n")]
    #[case("POST", "/healthz/", "404 Not Found", "not found\n")]
    #[tokio::test]
    async fn pages_are_answered(
        #[case] method: &str,
        #[case] path: &str,
        #[case] status: &str,
        #[case] body: &str,
    ) {
        let answer = server().await.ask(method, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        assert_eq!(answer.contains("allow: GET, HEAD\r\n"), status.starts_with("405"), "{answer}");
    }

    #[tokio::test]
    async fn readiness_is_the_one_of_now() {
        let server = server().await;
        server.readiness.ready();
        assert!(server.ask("GET", "/readyz").await.starts_with("HTTP/1.1 200 "));
        server.readiness.not_ready("stopping");
        assert!(server.ask("GET", "/readyz").await.ends_with("\r\n\r\nstopping\n"));
    }

    #[tokio::test]
    async fn metrics_are_in_prometheus_format() {
        let answer = server().await.ask("GET", "/metrics").await;
        assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
        assert!(answer.contains("\ngrape_operator_leader 0\n"), "{answer}");
    }

    #[tokio::test]
    async fn silent_connections_are_closed_and_let_others_in() {
        let limit = Duration::from_secs(1);
        let server = server_with(limit).await;
        let began = Instant::now();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut stream = server.connect().await;
            stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
            silent.push(stream);
        }
        // It waits for a place, and gets one.
        assert!(server.ask("GET", "/healthz").await.ends_with("ok\n"));
        assert!(began.elapsed() >= limit, "{:?}", began.elapsed());
        for mut stream in silent {
            assert!(matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_)));
        }
    }

    #[tokio::test]
    async fn a_head_beyond_measure_is_refused() {
        let server = server().await;
        let mut stream = server.connect().await;
        let head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(2 * MAX_HEAD));
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
    }

    #[tokio::test]
    async fn requests_before_the_shutdown_are_answered() {
        let server = server().await;
        let mut asked: Vec<_> = (0..20)
            .map(|_| {
                // Not accepted yet: nothing is awaited, and the server is on this thread.
                let mut stream = std::net::TcpStream::connect(server.address).unwrap();
                let request = b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
                std::io::Write::write_all(&mut stream, request).unwrap();
                stream.set_nonblocking(true).unwrap();
                TcpStream::from_std(stream).unwrap()
            })
            .collect();
        server.stop.cancel();
        for stream in &mut asked {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("ok\n"), "{answer}");
        }
        server.ended.await.unwrap();
    }

    #[tokio::test]
    async fn it_ends_at_a_shutdown() {
        let server = server().await;
        let _open = server.connect().await;
        server.stop.cancel();
        server.ended.await.unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }
}
