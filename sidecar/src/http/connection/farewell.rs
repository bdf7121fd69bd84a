//! The end of a connection, so that the client gets the last answer. Were a socket closed while
//! input of the client is unread, or on its way, the system would send a reset, and the client might
//! lose the answer.

use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// How long, and for how many bytes, a closing connection is still read.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// Says that nothing more will be written, and throws away what the client still sends, for a while.
pub(crate) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let heard_out = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut scratch = [0; 1024];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut scratch).await {
                Ok(0) | Err(_) => return,
                Ok(bytes) => left = left.saturating_sub(bytes),
            }
        }
    };
    // Who goes on for longer loses the answer.
    let _ = timeout(LINGER, heard_out).await;
}

/// Writes an answer to a request that was not read to its end.
pub(super) async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, status: StatusCode, text: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\n\r\n{text}",
        text.len()
    );
    // It is short, and fits in what the system takes at once.
    let _ = timeout(LINGER, stream.write_all(answer.as_bytes())).await;
}
