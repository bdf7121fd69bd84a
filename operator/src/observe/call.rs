//! HTTP to Grapes: one pool, one bound on the calls of all clusters, a time-out for each. I/O.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grape::clock;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prometheus::IntCounterVec;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Longest body that is read, in bytes. A Grape's brief status is shorter, however many others it
/// knows.
pub const MAX_BODY: usize = 256 << 10;

/// How long a connection is kept for the next call: through one round, not from round to round,
/// lest the operator hold connections to every Grape there is.
const KEEP: Duration = Duration::from_secs(5);

/// Most characters of foreign text in an error.
const EXCERPT: usize = 120;

/// The paths that are asked, for their counts. Those of the cluster's group are one.
pub const PATHS: [&str; 6] =
    ["/announce", "/gossip", "/introduce", "/lookup", "/status", "/withdraw"];

/// What calls are bounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one call may take, from its connection to the end of its answer.
    pub timeout: Duration,
    /// Most calls under way, of all clusters together.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), at_once: 64 }
    }
}

/// Why a call came to nothing: a short phrase, to stand after the Grape's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// Not done within [`Limits::timeout`].
    #[error("no answer in {0:?}")]
    TimedOut(Duration),
    /// The connection failed otherwise, or what came over it is no HTTP.
    #[error("{0}")]
    Broken(String),
    /// Another status than 200.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The body has more than so many bytes, which is more than a Grape answers.
    #[error("answered with more than {} KiB", .0 >> 10)]
    TooLong(usize),
    /// The answer is not what a Grape gives to this question.
    #[error("{0}")]
    Foreign(String),
}

impl CallError {
    /// Whether the Grape could not be spoken to at all, rather than answered amiss.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Refused | Self::TimedOut(_) | Self::Broken(_))
    }
}

/// An answer of status 200.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Bytes,
    /// From the start of the call, a new connection included, to the end of the answer.
    pub(super) took: Duration,
}

/// Calls Grapes. Cheap to clone: all clones share one pool and one bound.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    permits: Arc<Semaphore>,
    timeout: Duration,
    requests: Option<IntCounterVec>,
}

impl Caller {
    /// Calls are counted by their paths in `requests`.
    pub(super) fn new(limits: Limits, requests: Option<IntCounterVec>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .build(connector);
        let permits = Arc::new(Semaphore::new(limits.at_once.max(1)));
        Self { http, permits, timeout: limits.timeout, requests }
    }

    /// Reads a page of so many bytes at most.
    pub(super) async fn get(
        &self,
        at: SocketAddr,
        path: &str,
        most: usize,
    ) -> Result<Reply, CallError> {
        self.call(at, (Method::GET, path), Bytes::new(), most).await
    }

    /// Sends a body.
    pub(super) async fn post(
        &self,
        at: SocketAddr,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, CallError> {
        self.call(at, (Method::POST, path), body.into(), MAX_BODY).await
    }

    async fn call(
        &self,
        at: SocketAddr,
        (method, path): (Method, &str),
        body: Bytes,
        most: usize,
    ) -> Result<Reply, CallError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{at}{path}"))
            .body(Full::new(body))
            .map_err(|error| CallError::Broken(error.to_string()))?;
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        if let Some(requests) = &self.requests
            && let Some(path) = PATHS.into_iter().find(|known| path.starts_with(known))
        {
            requests.with_label_values(&[path]).inc();
        }
        let started = clock::now();
        let body = timeout(self.timeout, self.exchange(request, most))
            .await
            .map_err(|_| CallError::TimedOut(self.timeout))??;
        Ok(Reply { body, took: clock::now().saturating_duration_since(started) })
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<Bytes, CallError> {
        let response = self.http.request(request).await.map_err(|error| broken(&error))?;
        if response.status() != StatusCode::OK {
            return Err(CallError::Status(response.status()));
        }
        match Limited::new(response.into_body(), most).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(CallError::TooLong(most)),
            Err(error) => Err(broken(&*error)),
        }
    }
}

/// What failed at the bottom of it.
fn broken(error: &(dyn Error + 'static)) -> CallError {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    match last.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => CallError::Refused,
        _ => CallError::Broken(excerpt(&last.to_string())),
    }
}

/// The beginning of a text from outside, fit to be shown.
pub(super) fn excerpt(text: &str) -> String {
    let shown = text.trim().chars().take(EXCERPT);
    shown.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_cut_and_made_printable() {
        assert_eq!(excerpt(" a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb");
        assert_eq!(excerpt(&"é".repeat(1000)).chars().count(), EXCERPT);
    }

    #[test]
    fn errors_are_short_phrases() {
        for (error, phrase, unreachable) in [
            (CallError::Refused, "connection refused", true),
            (CallError::TimedOut(Duration::from_secs(2)), "no answer in 2s", true),
            (CallError::Status(StatusCode::NOT_FOUND), "answered 404 Not Found", false),
            (CallError::TooLong(MAX_BODY), "answered with more than 256 KiB", false),
        ] {
            assert_eq!((error.to_string().as_str(), error.is_unreachable()), (phrase, unreachable));
        }
    }
}
