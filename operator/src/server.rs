//! The one HTTP server of the operator, for the admin pages and for the webhook: it accepts
//! connections within bounds, whatever they carry, and finishes them when it is to end.

use std::time::Duration;

use grape::http::accept_last;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// How long no connection is accepted after accepting failed, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";

/// A response whose body is in memory.
pub type Reply = Response<Full<Bytes>>;

/// The bounds of a server.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once. Further ones wait in the system's queue.
    pub connections: usize,
    /// How long connections are accepted after the shutdown began.
    pub linger: Duration,
    /// How long they may take to finish after that.
    pub finish: Duration,
}

/// Serves connections until `stop`, and for a while after; whether all of them finished in time.
/// `connection` serves one, and finishes when its token is cancelled.
pub async fn serve<F>(
    listener: TcpListener,
    limits: Limits,
    stop: CancellationToken,
    connection: impl Fn(TcpStream, CancellationToken) -> F,
) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    let closing = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut failing = false;
    let mut lingered = std::pin::pin!(async {
        stop.cancelled().await;
        sleep(limits.linger).await;
    });
    loop {
        tokio::select! {
            biased;
            () = &mut lingered => break,
            Some(ended) = connections.join_next() => check(ended),
            accepted = listener.accept(), if connections.len() < limits.connections => {
                match accepted {
                    Ok((stream, _)) => {
                        failing = false;
                        connections.spawn(connection(stream, closing.clone()));
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            warn!(%error, "cannot accept connections; trying again");
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    }
    accept_last(listener, |stream, _| {
        connections.spawn(connection(stream, closing.clone()));
    })
    .await;
    closing.cancel();
    let all = async { while connections.join_next().await.map(check).is_some() {} };
    timeout(limits.finish, all).await.is_ok()
}

fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection failed: this is a defect of the operator");
    }
}

/// A response of this media type.
pub fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A response that is a line of text.
pub fn text(status: StatusCode, line: impl Into<String>) -> Reply {
    reply(status, TEXT, line.into() + "\n")
}

/// A response that is an object.
pub fn json(body: Vec<u8>) -> Reply {
    reply(StatusCode::OK, "application/json", body)
}
