//! What a verb answers, over HTTP and over a WebSocket alike.

use bytes::Bytes;
use grape_engine::Withdrawn;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

/// An answer: JSON, or nothing at all for an item that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The status over HTTP. The original answers most refusals with 200.
    pub(crate) status: StatusCode,
    /// JSON, or empty.
    pub(crate) body: Bytes,
    /// Whether the request was refused.
    pub(crate) refused: bool,
    /// For a withdrawal that changed nothing, since the service was not announced here: which Grape
    /// announces it. A header of the answer says it; the body is the same as for other withdrawals.
    pub(crate) announced_at: Option<HeaderValue>,
}

/// The header for [`Reply::announced_at`].
pub(crate) const ANNOUNCED_AT: HeaderName = HeaderName::from_static("grape-announced-at");
/// Its value if no Grape announces the service …
pub(crate) const NOWHERE: &str = "nowhere";
/// … and if it is not known which Grape does.
pub(crate) const UNKNOWN: &str = "unknown";

impl Reply {
    /// A result: `body` is JSON, or empty.
    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, body: body.into(), refused: false, announced_at: None }
    }

    /// A count.
    pub(crate) fn count(count: usize) -> Self {
        Self::ok(count.to_string())
    }

    /// What became of a withdrawal.
    pub(crate) fn withdrawn(withdrawn: &Withdrawn) -> Self {
        let announced_at = match withdrawn {
            Withdrawn::Here(confirmed) => return Self::count(*confirmed),
            Withdrawn::Nowhere => HeaderValue::from_static(NOWHERE),
            Withdrawn::Elsewhere(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
                let unknown = HeaderValue::from_static(UNKNOWN);
                let known = Some(nodes.join(", ")).filter(|known| !known.is_empty());
                known.and_then(|known| known.parse().ok()).unwrap_or(unknown)
            }
        };
        Self { announced_at: Some(announced_at), ..Self::count(0) }
    }

    /// A refusal whose text is `message`.
    pub(crate) fn refused(status: StatusCode, message: &str) -> Self {
        Self { status, body: string(message).into(), refused: true, announced_at: None }
    }

    /// A refusal as the original sends most of them: 200, and the message as a JSON string.
    pub(crate) fn error(message: &str) -> Self {
        Self::refused(StatusCode::OK, message)
    }
}

/// A text as a JSON string.
pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut json = Vec::with_capacity(text.len() + 2);
    // Writing a string to memory cannot fail; were it to, nothing is sent rather than a panic.
    if serde_json::to_writer(&mut json, text).is_err() {
        json.clear();
    }
    json
}
