//! HTTPS for API servers: HTTP/2, or HTTP/1.1. Clients are not authenticated, so everything that a
//! client can use up is bounded.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::server::{self, Limits, Reply, text};

/// Where reviews are posted.
pub const PATH: &str = "/inject";

/// Where a replica says whether it is about to end, for another one that is.
pub const SERVING: &str = "/serving";

/// Largest body in bytes: an object of etcd's largest size, twice (the old one is there too), as JSON.
pub const MAX_BODY: usize = 3 << 20;

/// Most connections at once. Further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;

/// Most requests at once of one connection.
const MAX_STREAMS: u32 = 100;

/// Most that all bodies take up at once, in KiB.
const MAX_BODIES_KIB: usize = 64 << 10;

/// Largest head of a request in bytes.
const MAX_HEAD: usize = 16 << 10;

/// How long a handshake, the first head of a connection, or a body may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the end of the next head may take after an answer by HTTP/1.1: longer than the 90 s for
/// which API servers keep a connection, so that they close it and not we. A connection that stops
/// half-way through a head costs no more than an idle one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(100);

/// How long a request may take, as an API server waits at most.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection lasts. Then its requests are finished, and the next ones take another one.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// How long a client may leave a ping of HTTP/2 unanswered. A busy API server may be slow to answer it,
/// and still wait for its reviews.
const PONG_TIMEOUT: Duration = REQUEST_TIMEOUT;

/// How long connections are accepted after the stop: until then API servers know that this pod is
/// no endpoint of the Service any more.
const LINGER: Duration = Duration::from_secs(10);

/// How long requests may take after that.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// When a server ends; never by default.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Cancelled when the replica is asked to end: [`SERVING`] says so from then on.
    pub asked: CancellationToken,
    /// Cancelled when the server is to end. Connections are accepted for a few seconds more.
    pub end: CancellationToken,
}

/// Serves `answer` at [`PATH`] until `stop`.
pub async fn serve<A, F>(listener: TcpListener, tls: TlsAcceptor, answer: A, stop: Stop)
where
    A: Fn(Bytes) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let Stop { asked, end } = stop;
    let service = Arc::new(Service { answer, asked, bodies: Semaphore::new(MAX_BODIES_KIB) });
    let limits = Limits { connections: MAX_CONNECTIONS, linger: LINGER, finish: FINISH_TIMEOUT };
    let finished = server::serve(listener, limits, end, |stream, closing| {
        connection(stream, tls.clone(), Arc::clone(&service), closing)
    });
    if !finished.await {
        let after = FINISH_TIMEOUT;
        warn!(?after, "not all reviews were answered: they are not waited for any longer");
    }
    info!("the webhook is closed");
}

async fn connection<A, F>(
    stream: TcpStream,
    tls: TlsAcceptor,
    service: Arc<Service<A>>,
    closing: CancellationToken,
) where
    A: Fn(Bytes) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    // Without this the first answer waits until the client has acknowledged the end of the
    // handshake: with its next bytes, or after 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "TCP_NODELAY cannot be set");
    }
    let stream = match timeout(READ_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            // Probes that only connect end here, too.
            debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let asked = CancellationToken::new();
    let asks = asked.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        asks.cancel();
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .keep_alive_interval(Some(4 * READ_TIMEOUT))
        .keep_alive_timeout(PONG_TIMEOUT);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let silent = async {
        sleep(READ_TIMEOUT).await;
        if asked.is_cancelled() {
            pending::<()>().await;
        }
    };
    let ended = async {
        let _ = timeout(MAX_CONNECTION_AGE, closing.cancelled()).await;
        // Who has just connected is about to ask, and gets an answer.
        asked.cancelled().await;
    };
    // An error is the client's: it disconnected, or did not speak HTTP and got an error.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = silent => {}
        () = ended => {}
    }
    // By HTTP/2 the client is told, and what it asks until it knows is answered.
    connection.as_mut().graceful_shutdown();
    let closed = timeout(READ_TIMEOUT, connection.as_mut()).await.is_ok();
    if !closed && asked.is_cancelled() {
        let _ = timeout(REQUEST_TIMEOUT, connection).await;
    }
}

struct Service<A> {
    answer: A,
    /// Cancelled when the replica is asked to end.
    asked: CancellationToken,
    /// KiB that bodies may still take up.
    bodies: Semaphore,
}

impl<A, F> Service<A>
where
    A: Fn(Bytes) -> F,
    F: Future<Output = Reply>,
{
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match request.uri().path() {
            PATH => {}
            SERVING if self.asked.is_cancelled() => {
                return text(StatusCode::SERVICE_UNAVAILABLE, "stopping");
            }
            SERVING => return text(StatusCode::OK, "ok"),
            _ => return text(StatusCode::NOT_FOUND, "not found"),
        }
        if request.method() != Method::POST {
            let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "only POST");
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return reply;
        }
        timeout(REQUEST_TIMEOUT, self.review(request.into_body()))
            .await
            .unwrap_or_else(|_| text(StatusCode::GATEWAY_TIMEOUT, "it took too long"))
    }

    async fn review(&self, body: Incoming) -> Reply {
        let too_large = || {
            let limit = MAX_BODY >> 20;
            text(StatusCode::PAYLOAD_TOO_LARGE, format!("a review may have {limit} MiB at most"))
        };
        // The announced size, or else the largest one allowed.
        let size = body.size_hint().upper().unwrap_or(MAX_BODY as u64);
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= MAX_BODY) else {
            return too_large();
        };
        let room = u32::try_from(size >> 10).unwrap_or(u32::MAX).saturating_add(1);
        let Ok(_room) = self.bodies.acquire_many(room).await else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "stopping");
        };
        match timeout(READ_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
            Ok(Ok(body)) => (self.answer)(body.to_bytes()).await,
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => too_large(),
            Ok(Err(error)) => {
                text(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))
            }
            Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        }
    }
}

#[cfg(test)]
mod tests;
