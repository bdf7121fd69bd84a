//! The node's UDP sockets: one for each address family. See `neighbours.rs` for others.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::interfaces;
use super::segmentation_offload::{self, Outgoing, Sender};
use super::sources::{Sources, is_link_local};

/// Bytes that the kernel may keep for us while we are busy; more than its default, so that a burst
/// of answers to a wide lookup is not lost.
const RECEIVE_BUFFER: usize = 1 << 20;
/// How often another port is tried where the system chose one that IPv6 cannot have.
const ATTEMPTS: usize = 16;

/// A UDP socket that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot bind the DHT to UDP {addr}: {source}")]
pub struct BindError {
    /// Where.
    pub addr: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// One or two sockets on one port.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<(UdpSocket, SocketAddr)>,
    sender: Sender,
}

impl Sockets {
    /// Binds to one address, or to all of both families where the host has both.
    pub(super) fn bind(ip: Option<IpAddr>, port: u16) -> Result<Self, BindError> {
        if let Some(ip) = ip {
            return Ok(Self::new(vec![open(SocketAddr::new(ip, port))?]));
        }
        let mut attempts = if port == 0 { ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            let v4 = open((Ipv4Addr::UNSPECIFIED, port).into())?;
            match open((Ipv6Addr::UNSPECIFIED, v4.1.port()).into()) {
                Ok(v6) => return Ok(Self::new(vec![v4, v6])),
                Err(BindError { source, .. }) if has_no_ipv6(&source) => {
                    tracing::debug!("this host has no IPv6: the DHT is on IPv4 alone");
                    return Ok(Self::new(vec![v4]));
                }
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn new(sockets: Vec<(UdpSocket, SocketAddr)>) -> Self {
        Self { sockets, sender: Sender::default() }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.sockets[0].1
    }

    pub(super) fn addrs(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(_, addr)| *addr).collect()
    }

    /// The addresses of this host at which these sockets are reached: the ones that they are bound
    /// to, or all that the host has now.
    pub(super) fn host_addresses(&self) -> Vec<IpAddr> {
        if !self.addr().ip().is_unspecified() {
            return vec![self.addr().ip()];
        }
        interfaces::addresses().unwrap_or_else(|error| {
            tracing::debug!(%error, "the addresses of this host cannot be read");
            Vec::new()
        })
    }

    /// The sockets, IPv4 first.
    pub(super) fn each(&self) -> impl Iterator<Item = &UdpSocket> {
        self.sockets.iter().map(|(socket, _)| socket)
    }

    /// Sends all of them, those to one address in their order, and leaves none.
    pub(super) fn send(&self, datagrams: &mut Vec<Outgoing>, sources: &mut Sources) {
        datagrams.sort_by_key(|(to, _)| *to);
        for alike in datagrams.chunk_by(|(one, _), (next, _)| one == next) {
            let Some((to, _)) = alike.first() else { continue };
            let socket = self.sockets.iter().find(|(_, on)| on.is_ipv4() == to.is_ipv4());
            if let Some((socket, _)) = socket {
                let source = sources.towards(to);
                if self.sender.send(socket, *to, source, alike) != source {
                    sources.forget(to);
                }
            }
        }
        datagrams.clear();
    }

    /// The address of this host from which the kernel sends datagrams to `to`. None where that is
    /// link-local: to others it means nothing.
    pub(super) fn source_towards(&self, to: SocketAddr) -> Option<IpAddr> {
        let (_, bound) = self.sockets.iter().find(|(_, on)| on.is_ipv4() == to.is_ipv4())?;
        if !bound.ip().is_unspecified() {
            return Some(bound.ip());
        }
        // A connected UDP socket sends nothing; it only asks the kernel for its route.
        let probe = std::net::UdpSocket::bind(SocketAddr::new(bound.ip(), 0)).ok()?;
        probe.connect(to).ok()?;
        Some(probe.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified() && !is_link_local(ip))
    }
}

/// A socket that is to be bound to this address.
pub(super) fn new_socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel gives less where its limit is lower.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    segmentation_offload::enable_offload(&socket);
    segmentation_offload::report_drops(&socket);
    if addr.ip().is_unspecified() {
        segmentation_offload::take_destinations(&socket, addr.is_ipv6());
    }
    Ok(socket)
}

fn open(addr: SocketAddr) -> Result<(UdpSocket, SocketAddr), BindError> {
    let bound = || -> io::Result<(UdpSocket, SocketAddr)> {
        let socket = new_socket(addr)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        let addr = socket.local_addr()?;
        Ok((socket, addr))
    };
    bound().map_err(|source| BindError { addr, source })
}

fn has_no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT comes without a kind of its own.
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}
