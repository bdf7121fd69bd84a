//! One connection: how it is kept alive, when it is given up, and how it is closed.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, Sleep, interval};

use super::{Api, Door, handler, websocket};

/// A connection on which nothing moves is given up after one to two of these.
const IDLE: Duration = Duration::from_secs(60);

/// How long, and for how many bytes, a client is heard out whose request was refused unread. Were
/// the socket closed at once, the system would send a reset, and the client might lose the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1 << 20;

/// Largest head of a request in bytes, and most that is read ahead.
const MAX_HEAD: usize = 64 << 10;

/// What a connection does, as its parts see it.
#[derive(Default)]
pub(crate) struct Activity {
    /// Reads and writes that moved bytes, counted.
    moved: AtomicU32,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// Whether input is left unread, to be thrown away before the socket is closed.
    rejects: AtomicBool,
    upgrade: Mutex<Option<OnUpgrade>>,
}

impl Activity {
    /// Marks a request as being answered, until the mark is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Input was refused unread.
    pub(crate) fn rejects_input(&self) {
        self.rejects.store(true, Ordering::Relaxed);
    }

    /// The connection goes on as a WebSocket.
    pub(crate) fn upgrade_to(&self, upgrade: OnUpgrade) {
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    fn take_upgrade(&self) -> Option<OnUpgrade> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request that is being answered.
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection until either side closes it.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, api: Arc<Api>, door: Door) {
    let _open = api.metrics.connection();
    let activity = Arc::new(Activity::default());
    let socket = TokioIo::new(Socket { stream, activity: Arc::clone(&activity), linger: None });
    let service = service_fn(|request| handler::answer(&api, door, peer, &activity, request));
    // Not `pipeline_flush`: with it hyper keeps an answer while half of the next request is read.
    let connection = http1::Builder::new()
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(socket, service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);

    let mut idle = interval(IDLE);
    idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut moved = None;
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            // An error here is the client's: it went away, or did not speak HTTP and was told so.
            _ = connection.as_mut() => break,
            () = api.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = idle.tick() => {
                let now = activity.moved.load(Ordering::Relaxed);
                if moved == Some(now) && activity.busy.load(Ordering::Relaxed) == 0 {
                    return;
                }
                moved = Some(now);
            }
        }
    }
    if let Some(upgrade) = activity.take_upgrade() {
        websocket::serve(upgrade, &api).await;
    }
}

/// A socket that notes when bytes move, and that closes without cutting off its last answer.
struct Socket {
    stream: TcpStream,
    activity: Arc<Activity>,
    linger: Option<Linger>,
}

struct Linger {
    until: Pin<Box<Sleep>>,
    bytes: usize,
}

impl Socket {
    fn note(&self, moved: bool) {
        if moved {
            self.activity.moved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Throws away what the client still sends, for a while.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let linger = self.linger.get_or_insert_with(|| Linger {
            until: Box::pin(tokio::time::sleep(LINGER)),
            bytes: LINGER_BYTES,
        });
        let mut scratch = [0; 4096];
        while linger.bytes > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => return linger.until.as_mut().poll(context),
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.bytes = linger.bytes.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note(buffer.filled().len() > before);
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(result.is_ready());
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note(result.is_ready());
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.activity.rejects.load(Ordering::Relaxed) {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}
