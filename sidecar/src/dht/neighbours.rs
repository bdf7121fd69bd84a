//! Sockets of neighbours. The kernel drops what does not fit a full queue before any code of ours runs.
//! So, once it does, nodes that answered share no queue with strangers: each has a socket of its own, on
//! the same port, and connected to the node, to which the kernel then gives what comes from there.
//! Nothing is sent through these sockets.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::UdpSocket;

use super::sockets::{Sockets, new_socket};

/// Most neighbours that have sockets of their own.
const MOST: usize = 64;
/// Neighbours have sockets for so long after the kernel dropped something.
const NEEDED: Duration = Duration::from_secs(60);

/// The sockets, by the addresses of the neighbours.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    sockets: BTreeMap<SocketAddr, UdpSocket>,
    /// What the kernel has dropped of the shared sockets so far, over IPv4 and over IPv6.
    dropped: [u32; 2],
    needed_until: Option<Instant>,
}

impl Neighbours {
    /// The kernel has dropped so many datagrams of a shared socket so far. Returns whether sockets are
    /// needed from now on.
    pub(super) fn dropped(&mut self, ipv6: bool, so_far: u32, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.dropped[usize::from(ipv6)], so_far);
        if so_far <= before {
            return false;
        }
        let needed = self.are_needed(now);
        self.needed_until = Some(now + NEEDED);
        !needed
    }

    pub(super) fn are_needed(&self, now: Instant) -> bool {
        self.needed_until.is_some_and(|until| now < until)
    }

    /// These are the neighbours now. Those that have a socket keep it.
    pub(super) fn set(&mut self, neighbours: &[SocketAddr], shared: &Sockets) {
        self.sockets.retain(|neighbour, _| neighbours.contains(neighbour));
        let free = MOST - self.sockets.len();
        let new = neighbours.iter().filter(|neighbour| !self.sockets.contains_key(neighbour));
        let new: Vec<SocketAddr> = new.take(free).copied().collect();
        if new.is_empty() {
            return;
        }
        self.open_port(shared, true);
        for neighbour in new {
            match connect(shared, neighbour) {
                Ok(socket) => drop(self.sockets.insert(neighbour, socket)),
                Err(error) => tracing::debug!(%neighbour, %error, "no socket of its own"),
            }
        }
        self.open_port(shared, false);
    }

    /// Whether more sockets may be bound to the port, also by other programs of this user. The kernel
    /// asks one of the sockets, so all say the same.
    fn open_port(&self, shared: &Sockets, open: bool) {
        for socket in shared.each().chain(self.sockets.values()) {
            if let Err(error) = SockRef::from(socket).set_reuse_port(open) {
                tracing::debug!(%error, "the port is not shared");
            }
        }
    }

    /// The neighbours whose sockets have something to read, once there are any.
    pub(super) async fn ready(&self) -> Vec<SocketAddr> {
        poll_fn(|context| {
            let ready = |(_, socket): &(&_, &UdpSocket)| socket.poll_recv_ready(context).is_ready();
            let ready: Vec<_> = self.sockets.iter().filter(ready).map(|(addr, _)| *addr).collect();
            if ready.is_empty() { Poll::Pending } else { Poll::Ready(ready) }
        })
        .await
    }

    /// Reads from a neighbour's socket. One that fails is closed: the shared one is there.
    pub(super) fn read(
        &mut self,
        neighbour: &SocketAddr,
        read: impl FnOnce(&UdpSocket) -> io::Result<()>,
    ) {
        if let Some(socket) = self.sockets.get(neighbour)
            && let Err(error) = read(socket)
        {
            tracing::debug!(%neighbour, %error, "its own socket is closed");
            self.sockets.remove(neighbour);
        }
    }
}

/// A socket on the port of the shared one, connected to a neighbour.
fn connect(shared: &Sockets, neighbour: SocketAddr) -> io::Result<UdpSocket> {
    let bound = shared.addrs().into_iter().find(|addr| addr.is_ipv4() == neighbour.is_ipv4());
    let bound = bound.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = new_socket(bound)?;
    socket.set_reuse_port(true)?;
    socket.bind(&bound.into())?;
    socket.connect(&neighbour.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::ops::ControlFlow;

    use rstest::rstest;

    use super::super::segmentation_offload::Receiver;
    use super::*;

    /// Reads all that there is. Returns who sent it, and what the kernel dropped so far.
    fn senders(socket: &UdpSocket) -> (Vec<SocketAddr>, u32) {
        let mut from = Vec::new();
        let each = |sender, _, _: &[u8]| {
            from.push(sender);
            ControlFlow::Continue(())
        };
        let dropped = Receiver::new().receive(socket, each).unwrap();
        (from, dropped)
    }

    #[rstest]
    #[case(Ipv4Addr::LOCALHOST.into())]
    #[case(Ipv6Addr::LOCALHOST.into())]
    #[tokio::test]
    async fn a_stranger_that_fills_the_queue_shuts_out_no_neighbour(#[case] ip: std::net::IpAddr) {
        let shared = Sockets::bind(Some(ip), 0).unwrap();
        let to = shared.addr();
        let open = async || UdpSocket::bind((ip, 0)).await.unwrap();
        let (neighbour, stranger) = (open().await, open().await);
        let of_neighbour = neighbour.local_addr().unwrap();
        let socket = shared.each().next().unwrap();

        let flood = async || {
            for _ in 0..10_000 {
                stranger.send_to(&[0; 1000], to).await.unwrap();
            }
        };
        flood().await;
        neighbour.send_to(&[1; 1000], to).await.unwrap();
        let mut neighbours = Neighbours::default();
        let (before, dropped) = senders(socket);
        assert!(!before.contains(&of_neighbour), "its datagram does not fit the queue");
        let now = crate::clock::now();
        assert!(!neighbours.are_needed(now));
        // The kernel tells what it dropped with the next datagram that it does not drop.
        stranger.send_to(b"next", to).await.unwrap();
        socket.readable().await.unwrap();
        let dropped = dropped.max(senders(socket).1);
        assert!(neighbours.dropped(ip.is_ipv6(), dropped, now), "{dropped} dropped");
        assert!(neighbours.are_needed(now) && !neighbours.are_needed(now + NEEDED));

        let third = open().await;
        neighbours.set(&[of_neighbour], &shared);
        neighbours.set(&[of_neighbour, third.local_addr().unwrap()], &shared);
        assert_eq!(neighbours.sockets.len(), 2);
        flood().await;
        neighbour.send_to(b"kept", to).await.unwrap();
        assert_eq!(neighbours.ready().await, [of_neighbour]);
        let mut came = Vec::new();
        neighbours.read(&of_neighbour, |socket| {
            came = senders(socket).0;
            Ok(())
        });
        assert_eq!(came, [of_neighbour]);
        let another = new_socket(to).unwrap();
        another.set_reuse_port(true).unwrap();
        let refused = another.bind(&to.into()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "nobody else gets on the port");

        neighbours.set(&[], &shared);
        while !senders(socket).0.is_empty() {}
        neighbour.send_to(b"shared", to).await.unwrap();
        socket.readable().await.unwrap();
        assert_eq!(senders(socket).0, [of_neighbour]);
    }
}
