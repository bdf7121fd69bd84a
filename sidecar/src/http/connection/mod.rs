//! One connection: how it is kept alive, when it is given up, and how it is closed.
//!
//! | file | concern |
//! |---|---|
//! | `activity.rs` | the state that its parts share |
//! | `socket.rs` | reading and writing; within one request once the Grape stops |
//! | `deadlines.rs` | how long it is waited for, by what is waited for |
//! | `budget.rs` | bytes of unfinished requests, over all connections |
//! | `farewell.rs` | its end, so that the client gets the last answer |
//!
//! Once the Grape stops, requests that were sent are answered, also those that hyper or the system
//! has buffered. The last of them is answered with `Connection: close`; which one is the last is
//! known because from then on hyper gets no byte beyond the request that it reads. A connection on
//! which nothing comes for a moment is closed.

mod activity;
mod budget;
mod deadlines;
mod farewell;
mod socket;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use self::socket::Socket;
use super::handler::{self, Caller};
use super::{Api, Listener, websocket};

pub(crate) use activity::{Activity, Busy, Standing};
pub(crate) use budget::Budget;
pub(crate) use deadlines::{Deadlines, TAKEN, Verdict};
pub(crate) use farewell::linger;

/// Largest head of a request in bytes, and most that is read ahead.
const MAX_HEAD: usize = 16 << 10;

/// How long nothing has to come, once the Grape stops, for a connection to be closed.
const QUIET: Duration = Duration::from_millis(500);

/// The same where a drain may take this long.
pub(crate) fn quiet(drain_timeout: Duration) -> Duration {
    QUIET.min(drain_timeout / 4)
}

/// Serves a connection until either side closes it. Its task is small while it waits: what comes
/// later is in boxes of its own.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    activity: Arc<Activity>,
    api: Arc<Api>,
    listener: Listener,
) {
    let _open = api.metrics.connection(listener == Listener::Admin);
    // One that is closed already has no address, and no requests.
    let to_loopback =
        stream.local_addr().is_ok_and(|local| local.ip().to_canonical().is_loopback());
    let caller = Caller { listener, peer, to_loopback };
    let service = service_fn(|request| handler::answer(&api, caller, &activity, request));
    let mut socket = Socket::new(stream, Arc::clone(&activity), quiet(api.drain_timeout));
    let mut deadlines = Deadlines::new(api.unfinished.share());
    let mut stopped = pin!(api.stop.cancelled());
    loop {
        // Not `pipeline_flush`: with it hyper keeps an answer while half of the next request is read.
        let mut connection = http1::Builder::new()
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(socket), &service)
            .with_upgrades();
        let verdict = poll_fn(|context| {
            if !activity.is_stopping() && stopped.as_mut().poll(context).is_ready() {
                activity.stops();
            }
            // An error here is the client's: it went away, or did not speak HTTP and got an answer
            // that says so.
            if Pin::new(&mut connection).poll(context).is_ready() {
                return Poll::Ready(None);
            }
            deadlines.poll(context, &activity).map(Some)
        });
        let verdict = verdict.await;
        let Some(parts) = connection.into_parts() else { break };
        socket = parts.io.into_inner();
        let ahead = parts.read_buf;
        match verdict {
            None => {
                // Frees the connection's share of bytes before the rest of the input is read.
                drop((ahead, deadlines));
                if activity.leaves_input() {
                    Box::pin(linger(&mut socket)).await;
                }
                return;
            }
            Some(Verdict::Idle) => return,
            Some(Verdict::Stuck) => return socket.resets(),
            Some(Verdict::Look { late }) => {
                // Line ends before a request mean nothing.
                let blank = ahead.iter().all(|byte| b"\r\n".contains(byte));
                if late && !blank {
                    drop((ahead, deadlines));
                    return Box::pin(refuse(socket, Verdict::Late)).await;
                }
                let ahead = if blank { Bytes::new() } else { ahead };
                activity.found_ahead(ahead.len());
                socket.keep(ahead);
            }
            Some(verdict) => {
                drop((ahead, deadlines));
                return Box::pin(refuse(socket, verdict)).await;
            }
        }
    }
    if let Some(upgrade) = activity.take_upgrade() {
        websocket::serve(upgrade, &api, peer.ip(), &activity, deadlines).await;
    }
}

/// Refuses a request that did not come whole, and closes the connection.
async fn refuse(mut socket: Socket, verdict: Verdict) {
    let (status, text) = match verdict {
        Verdict::Crowded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many requests are unfinished: send it again, in one piece.\n",
        ),
        _ => (StatusCode::REQUEST_TIMEOUT, "The request did not come whole in 10 s.\n"),
    };
    farewell::refuse(&mut socket, status, text).await;
    linger(&mut socket).await;
}
