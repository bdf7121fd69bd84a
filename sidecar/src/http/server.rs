//! Listening, and the connections that come in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{error, warn};

use super::connection;
use super::{Api, Door};

/// Connections that the system keeps waiting until they are accepted.
const BACKLOG: i32 = 1024;

/// How long no connection is accepted after accepting failed, for want of file descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

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
        // `::` takes IPv4 as well, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // A Grape that starts again gets its port back at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves all connections of a listener. Once the API is told to stop it accepts no more, and
/// returns when those that are open have ended.
pub(crate) async fn serve(listener: TcpListener, api: Arc<Api>, door: Door) {
    let mut connections = JoinSet::new();
    let mut failing = false;
    loop {
        tokio::select! {
            biased;
            () = api.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    failing = false;
                    // Answers are small and whole: waiting for more to send only delays them.
                    if stream.set_nodelay(true).is_ok() {
                        connections.spawn(connection::serve(stream, peer, Arc::clone(&api), door));
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "cannot accept connections: trying on");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => note(&api, ended),
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        note(&api, ended);
    }
}

/// A connection whose task panicked is lost, the others are not; the log and a counter say so.
fn note(api: &Api, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        api.metrics.panicked();
        error!(%error, "a connection failed: this is a defect of the Grape");
    }
}
