//! What a verb answers, over HTTP and over a WebSocket alike.

use bytes::Bytes;
use hyper::StatusCode;

/// An answer: JSON, or nothing at all for an item that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The status over HTTP. The original answers most refusals with 200.
    pub(crate) status: StatusCode,
    /// JSON, or empty.
    pub(crate) body: Bytes,
    /// Whether the request was refused.
    pub(crate) refused: bool,
}

impl Reply {
    /// A result: `body` is JSON, or empty.
    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, body: body.into(), refused: false }
    }

    /// A count.
    pub(crate) fn count(count: usize) -> Self {
        Self::ok(count.to_string())
    }

    /// A refusal whose text is `message`.
    pub(crate) fn refused(status: StatusCode, message: &str) -> Self {
        Self { status, body: string(message).into(), refused: true }
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
