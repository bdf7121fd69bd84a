//! A socket that records what is read and written, and that reads one request at a time once the
//! Grape stops.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::activity::{Activity, UNKNOWN};

/// Most bytes that are read at once while requests are distinguished.
const PART: usize = 512;

/// A connection's socket.
pub(super) struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    /// Bytes that were read already, and come before those of the stream.
    kept: Bytes,
    /// How long nothing comes, once the Grape stops, before the connection is closed.
    quiet: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, quiet: Duration) -> Self {
        Self { stream, activity, kept: Bytes::new(), quiet, timer: None }
    }

    /// Takes bytes back: they are read again.
    pub(super) fn keep(&mut self, bytes: Bytes) {
        self.activity.keeps(!bytes.is_empty());
        self.kept = bytes;
    }

    /// The socket is to be closed by a reset: what was not taken yet is thrown away.
    pub(super) fn resets(&self) {
        // Should it fail, the system keeps what was not taken for a while: no harm is done.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Reads no further than to the end of a request, and says that the connection ends when none has
    /// begun to come for a while.
    fn poll_read_within_request(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.activity.reads_within_requests();
        let mut scratch = [0; PART];
        let part = self.part(&mut scratch).min(buffer.remaining());
        let mut read = ReadBuf::new(&mut scratch[..part]);
        match self.poll_read_some(context, &mut read) {
            Poll::Ready(result) => {
                self.timer = None;
                self.activity.read_of_body(read.filled().len());
                buffer.put_slice(read.filled());
                Poll::Ready(result)
            }
            // A request that has begun is waited for as always.
            Poll::Pending if self.activity.is_handled() || self.activity.unfinished() > 0 => {
                Poll::Pending
            }
            Poll::Pending => {
                let quiet = self.quiet;
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(quiet)));
                timer.as_mut().poll(context).map(Ok)
            }
        }
    }

    /// How many of the next bytes surely belong to one request: the rest of a body with a
    /// Content-Length; else the bytes to the end of a line, because heads and chunks end with one.
    fn part(&self, scratch: &mut [u8; PART]) -> usize {
        let next = if self.kept.is_empty() {
            let waiting = self.activity.peek(scratch);
            &scratch[..waiting]
        } else {
            &self.kept[..self.kept.len().min(PART)]
        };
        let part = match self.activity.body_left() {
            0 => next.iter().position(|byte| *byte == b'\n').map_or(next.len(), |at| at + 1),
            UNKNOWN => 1,
            left => left.min(next.len()),
        };
        // Where nothing waits, one byte is waited for.
        part.max(1)
    }

    fn poll_read_some(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.kept.is_empty() {
            let some = buffer.remaining().min(self.kept.len());
            buffer.put_slice(&self.kept[..some]);
            self.kept.advance(some);
            self.activity.keeps(!self.kept.is_empty());
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if result.is_pending() {
            self.activity.awaits_input();
        }
        self.activity.read(buffer.filled().len() - before);
        result
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.wrote(written.is_ready());
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.activity.reads_with_care() {
            return self.poll_read_within_request(context, buffer);
        }
        self.poll_read_some(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
