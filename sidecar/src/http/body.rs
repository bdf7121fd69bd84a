//! How much of a request's body is read: as much as the limit allows, and a body that says it is
//! longer not at all.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// It is longer than the limit.
    #[error("longer than the limit")]
    TooLarge,
    /// The connection broke, or the body's chunks are malformed.
    #[error("broken off")]
    Broken,
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read<B>(mut body: B, limit: usize) -> Result<Bytes, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = body.size_hint().lower();
    if usize::try_from(declared).map_or(true, |declared| declared > limit) {
        return Err(Unread::TooLarge);
    }
    let mut first = Bytes::new();
    while !body.is_end_stream() {
        let Some(data) = next(&mut body).await? else { break };
        if first.is_empty() {
            // The usual body comes in one piece and is not copied.
            first = within(data, limit)?;
        } else {
            let mut whole = BytesMut::from(first);
            whole.extend_from_slice(&within(data, limit - whole.len())?);
            while let Some(data) = next(&mut body).await? {
                whole.extend_from_slice(&within(data, limit - whole.len())?);
            }
            return Ok(whole.freeze());
        }
    }
    within(first, limit)
}

async fn next<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Result<Option<Bytes>, Unread> {
    while let Some(frame) = body.frame().await {
        // Trailers are skipped.
        if let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn within(data: Bytes, limit: usize) -> Result<Bytes, Unread> {
    if data.len() > limit { Err(Unread::TooLarge) } else { Ok(data) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(8192, Ok(8192))]
    #[case(8193, Err(Unread::TooLarge))]
    #[case(0, Ok(0))]
    #[tokio::test]
    async fn whole_bodies(#[case] length: usize, #[case] expected: Result<usize, Unread>) {
        let body = Full::new(Bytes::from(vec![b'x'; length]));
        assert_eq!(read(body, 8192).await.map(|body| body.len()), expected);
    }

    #[rstest]
    #[case(&[], Ok(0))]
    #[case(&[0, 0], Ok(0))]
    #[case(&[3], Ok(3))]
    #[case(&[1, 2, 3, 4], Ok(10))]
    #[case(&[11], Err(Unread::TooLarge))]
    #[case(&[10, 1], Err(Unread::TooLarge))]
    #[case(&[5, 5, 1, 1], Err(Unread::TooLarge))]
    #[tokio::test]
    async fn bodies_in_chunks(#[case] chunks: &[usize], #[case] expected: Result<usize, Unread>) {
        let frames: Vec<Result<_, Infallible>> =
            chunks.iter().map(|&length| Ok(Frame::data(Bytes::from(vec![b'x'; length])))).collect();
        let body = StreamBody::new(stream::iter(frames));
        assert_eq!(read(body, 10).await.map(|body| body.len()), expected);
    }

    #[rstest]
    #[tokio::test]
    async fn a_body_that_breaks_off() {
        let frames = [Ok(Frame::data(Bytes::from_static(b"x"))), Err("reset")];
        let body = StreamBody::new(stream::iter(frames));
        assert_eq!(read(body, 10).await, Err(Unread::Broken));
    }
}
