//! Listening, and the connections that come in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinError, JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, warn};

use super::connection::{self, Activity};
use super::places::Places;
use super::{Api, Listener};

/// Connections that the system keeps waiting until they are accepted.
const BACKLOG: i32 = 1024;

/// How long no connection is accepted after accepting failed, for want of file descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

/// Bytes that the system keeps of answers that a client does not take; Linux doubles it. Connections
/// have it from their listener.
const SEND_BUFFER: usize = 64 << 10;

/// How long connections that are about to be made are waited for before a listener is closed.
const LAST: Duration = Duration::from_millis(50);

/// Listens at an address; at all of them, IPv6 included where there is any, when `ip` is `None` or
/// `::`.
///
/// # Errors
/// When the address is in use, is not this host's, or may not be bound.
pub fn bind(ip: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match ip.filter(|ip| *ip != Ipv6Addr::UNSPECIFIED) {
        Some(ip) => listen(SocketAddr::new(ip, port)),
        None => match listen(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
            }
            listener => listener,
        },
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `::` accepts IPv4 as well, also where that is not the system's default.
        socket.set_only_v6(false)?;
    }
    // A Grape that starts again gets its port back at once.
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    // A client that vanished, or that takes nothing, is given up by the system.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(connection::TAKEN))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves all connections of a socket. Once the API stops, no more connections are accepted, and
/// this returns when the open ones have ended.
pub(crate) async fn serve(socket: TcpListener, api: Arc<Api>, listener: Listener) {
    let mut connections = Connections {
        tasks: JoinSet::new(),
        places: Places::of(listener),
        api: Arc::clone(&api),
        listener,
    };
    let turn_wanted = connections.places.turn_wanted();
    let (mut failing, mut next_accept) = (false, Instant::now());
    loop {
        // Neither connections nor turns, which may both be wanted without an end, hold the others up.
        tokio::select! {
            () = api.stop.cancelled() => break,
            Some(ended) = connections.tasks.join_next_with_id() => connections.ended(ended),
            () = turn_wanted.notified() => {
                connections.places.next_turns();
                yield_now().await;
            }
            accepted = accept_after(next_accept, &socket) => match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    connections.open(stream, peer);
                    // Who comes with hundreds at once does not have them all answered in one turn.
                    yield_now().await;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "cannot accept connections; trying again");
                    }
                    next_accept = Instant::now() + PAUSE;
                }
            },
        }
    }
    connections.places.end_turns();
    accept_last(socket, |stream, peer| connections.open(stream, peer)).await;
    while let Some(ended) = connections.tasks.join_next_with_id().await {
        connections.ended(ended);
    }
}

async fn accept_after(time: Instant, socket: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    sleep_until(time).await;
    socket.accept().await
}

/// The connections of a listener.
struct Connections {
    tasks: JoinSet<()>,
    places: Places,
    api: Arc<Api>,
    listener: Listener,
}

impl Connections {
    /// Serves a connection. It is closed at once if there is no place for it.
    fn open(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and whole: waiting for more to send only delays them.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let made_room = self.places.admit(peer);
        self.api.metrics.crowded_out(made_room.unwrap_or(1));
        if made_room.is_none() {
            return;
        }
        let activity = Arc::new(Activity::new(stream.as_raw_fd(), self.places.turns(peer)));
        let (shared, api) = (Arc::clone(&activity), Arc::clone(&self.api));
        let task = self.tasks.spawn(connection::serve(stream, peer, shared, api, self.listener));
        self.places.opened(peer, activity, task);
    }

    /// A connection whose task panicked is lost, the others are not; the log and a counter say so.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        match ended {
            Ok((id, ())) => self.places.ended(id),
            Err(error) => {
                self.places.ended(error.id());
                if error.is_panic() {
                    self.api.metrics.panicked();
                    error!(%error, "a connection failed because of a defect in this program; please report it");
                }
            }
        }
    }
}

/// Accepts what has connected to a listener, and closes it. Were it closed at once, the system would
/// reset connections on which clients may have sent requests.
pub async fn accept_last(listener: TcpListener, mut accept: impl FnMut(TcpStream, SocketAddr)) {
    if let Err(error) = refuse_new(&listener) {
        debug!(%error, "a client that connects while the listener is closed may be reset");
    }
    let mut last = std::pin::pin!(sleep(LAST));
    loop {
        tokio::select! {
            // When the time is up, what has connected until then is accepted all the same.
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(stream, peer),
                Err(error) => {
                    warn!(%error, "cannot accept the last connections");
                    return;
                }
            },
            () = &mut last => return,
        }
    }
}

/// Lets the system ignore who begins to connect. Connections that are half made are still made, so
/// that after a moment no more can come, and the listener can be closed without cutting one off.
#[cfg(target_os = "linux")]
fn refuse_new(listener: &TcpListener) -> io::Result<()> {
    use socket2::SockFilter;

    // For classic BPF: byte 13 of a TCP header has the flags.
    socket2::SockRef::from(listener).attach_filter(&[
        // A = header[13]
        SockFilter::new(0x30, 0, 0, 13),
        // A &= SYN | ACK
        SockFilter::new(0x54, 0, 0, 0x12),
        // If it is SYN alone, the first return, else the second.
        SockFilter::new(0x15, 0, 1, 0x02),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn refuse_new(_: &TcpListener) -> io::Result<()> {
    Ok(())
}
