//! Segmentation offload: several datagrams at a time. Where the kernel can (Linux: `UDP_SEGMENT`,
//! or GSO, since 4.18, `UDP_GRO` since 5.0), those to one address go through its layers as one
//! *batch*, which is split again on the wire, and for receivers that take no batches. Elsewhere
//! each goes by itself.
//!
//! Linux also reports to which address of this host a datagram came, and accepts the address to
//! send from (`IP_PKTINFO`, `IPV6_PKTINFO`).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::SockRef;
use tokio::net::UdpSocket;

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod kernel;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod kernel;

/// A datagram, and the address that it goes to.
pub(super) type Outgoing = (SocketAddr, Vec<u8>);

/// Largest UDP datagram, and largest batch.
const DATAGRAM: usize = 65_536;
/// Most datagrams in a batch: what every kernel that takes batches takes.
const MOST: usize = 64;
/// Most bytes in a batch: what an IPv4 packet holds beside the headers.
const MOST_BYTES: usize = 65_507;

/// How a socket sends.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// The way out does not take batches (a device without checksums, say).
    one_by_one: AtomicBool,
}

impl Sender {
    /// Sends datagrams that all go to one address, or drops those for which the kernel has no room:
    /// UDP promises no more, and those who wait ask again. They leave from `source`, or from where
    /// the kernel wants. Returns the source, unless the kernel refused it: they left from another.
    pub(super) fn send(
        &self,
        socket: &UdpSocket,
        to: SocketAddr,
        mut source: Option<IpAddr>,
        mut datagrams: &[Outgoing],
    ) -> Option<IpAddr> {
        while !datagrams.is_empty() {
            let (batch, later) = datagrams.split_at(batch_len(datagrams));
            datagrams = later;
            let mut refused = false;
            if batch.len() > 1 && !self.one_by_one.load(Ordering::Relaxed) {
                match kernel::send(socket, to, source, batch) {
                    Ok(()) => continue,
                    Err(error) => refused = kernel::refuses_offload(&error),
                }
            }
            for one in batch {
                if source.is_some() {
                    match kernel::send(socket, to, source, std::slice::from_ref(one)) {
                        Err(error) if kernel::refuses_source(&error) => {
                            (source, refused) = (None, false);
                        }
                        Ok(()) => continue,
                        Err(error) => {
                            tracing::debug!(%to, %error, "datagram not sent");
                            continue;
                        }
                    }
                }
                // Not through tokio, which lets nothing out before it has first polled the socket.
                if let Err(error) = SockRef::from(socket).send_to(&one.1, &to.into()) {
                    tracing::debug!(%to, %error, "datagram not sent");
                    // It was the address, such as one with port 0, that was refused.
                    refused = false;
                }
            }
            if refused {
                self.one_by_one.store(true, Ordering::Relaxed);
            }
        }
        source
    }
}

/// How many of these may go as one batch, from the first on: all of one length, but for the last,
/// which may be shorter.
fn batch_len(datagrams: &[Outgoing]) -> usize {
    let Some(length) = datagrams.first().map(|(_, first)| first.len()) else { return 0 };
    let most = MOST.min(MOST_BYTES / length.max(1)).max(1);
    let alike = datagrams.iter().take(most).take_while(|(_, one)| one.len() == length).count();
    let shorter = |(_, last): &Outgoing| (1..length).contains(&last.len());
    alike + usize::from(alike < most && datagrams.get(alike).is_some_and(shorter))
}

/// Where datagrams are read into.
#[derive(Debug)]
pub(super) struct Receiver {
    buffer: Vec<u8>,
    kernel: kernel::Receiver,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; DATAGRAM], kernel: kernel::Receiver::default() }
    }

    /// Reads datagrams until there are no more, or `each` has had enough. `each` gets where a
    /// datagram came from, and to which address of this host, if the system reports that. Returns how
    /// many datagrams the kernel has dropped of this socket so far; 0 if it did not say.
    ///
    /// # Errors
    /// When the socket fails. That nothing is there is no failure.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]) -> ControlFlow<()>,
    ) -> io::Result<u32> {
        let mut flow = ControlFlow::Continue(());
        let mut dropped = 0;
        while flow.is_continue() {
            match self.kernel.receive(socket, &mut self.buffer) {
                Ok(read) => {
                    dropped = dropped.max(read.dropped);
                    let datagrams = self.buffer[..read.all].chunks(read.each.max(1));
                    flow = datagrams.fold(flow, |flow, one| match each(read.from, read.at, one) {
                        ControlFlow::Continue(()) => flow,
                        enough => enough,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What an earlier datagram of ours met with (ICMP) is no fault of the socket.
                Err(error) if is_remote(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(dropped)
    }
}

/// What was read at once.
#[derive(Debug, Clone, Copy)]
struct Read {
    from: SocketAddr,
    /// The address of this host that they came to.
    at: Option<IpAddr>,
    /// Datagrams that the kernel has dropped so far, for want of room; 0 where it does not say.
    dropped: u32,
    /// Bytes of all datagrams.
    all: usize,
    /// Bytes of each, but for the last, which may be shorter.
    each: usize,
}

/// Asks the kernel for segmentation offload. Without them all works as well.
pub(super) fn enable_offload(socket: &socket2::Socket) {
    if let Err(error) = kernel::enable_offload(socket) {
        tracing::debug!(%error, "this kernel gives no bursts of datagrams");
    }
}

/// Makes the kernel report how many datagrams it dropped.
pub(super) fn report_drops(socket: &socket2::Socket) {
    if let Err(error) = kernel::report_drops(socket) {
        tracing::debug!(%error, "this kernel does not tell what it drops");
    }
}

/// Makes the kernel report to which of this host's addresses a datagram came.
pub(super) fn take_destinations(socket: &socket2::Socket, ipv6: bool) {
    if let Err(error) = kernel::take_destinations(socket, ipv6) {
        tracing::debug!(%error, "this kernel does not tell which address was asked");
    }
}

fn is_remote(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | HostUnreachable | NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rstest::rstest;

    use super::*;

    fn datagrams(to: SocketAddr, lengths: &[usize]) -> Vec<Outgoing> {
        let fill = |(number, length): (usize, &usize)| (to, vec![number as u8; *length]);
        lengths.iter().enumerate().map(fill).collect()
    }

    #[rstest]
    #[case::none(&[], 0)]
    #[case::one(&[5], 1)]
    #[case::alike(&[5, 5, 5], 3)]
    #[case::the_last_is_shorter(&[5, 5, 3, 3], 3)]
    #[case::a_longer_one_begins_another(&[5, 6, 6], 1)]
    #[case::an_empty_one_ends_nothing(&[5, 0], 1)]
    #[case::empty_ones(&[0, 0], 2)]
    #[case::as_many_as_the_kernel_takes(&[5; 100], MOST)]
    #[case::as_long_as_a_packet(&[1200; 100], 54)]
    #[case::longer_than_one(&[70_000, 70_000], 1)]
    fn batches(#[case] lengths: &[usize], #[case] expected: usize) {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        assert_eq!(batch_len(&datagrams(to, lengths)), expected);
    }

    #[tokio::test]
    async fn an_impossible_address_does_not_slow_down_the_others() {
        let sends = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sender = Sender::default();
        sender.send(&sends, nowhere, None, &datagrams(nowhere, &[100, 100]));
        assert!(!sender.one_by_one.into_inner());
    }

    /// Datagrams leave from the address that is given, in batches and one by one, and from another
    /// once the host does not have it; the receiver learns which of its addresses they came to.
    #[cfg(target_os = "linux")]
    #[rstest]
    #[tokio::test]
    async fn sources_are_chosen_and_destinations_reported(#[values(true, false)] one_by_one: bool) {
        let open = || {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
            let socket = socket.unwrap();
            socket.set_nonblocking(true).unwrap();
            enable_offload(&socket);
            take_destinations(&socket, false);
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
            UdpSocket::from_std(socket.into()).unwrap()
        };
        let (sends, receives) = (open(), open());
        let asked: IpAddr = Ipv4Addr::new(127, 0, 0, 3).into();
        let to = SocketAddr::new(asked, receives.local_addr().unwrap().port());
        let sender = Sender { one_by_one: one_by_one.into() };
        for (source, seen) in [("127.0.0.9", "127.0.0.9"), ("203.0.113.254", "127.0.0.1")] {
            let (source, seen): (IpAddr, IpAddr) = (source.parse().unwrap(), seen.parse().unwrap());
            let left = sender.send(&sends, to, Some(source), &datagrams(to, &[100; 3]));
            assert_eq!(left, Some(source).filter(|source| *source == seen));
            let (mut receiver, mut came) = (Receiver::new(), 0);
            while came < 3 {
                receives.readable().await.unwrap();
                let each = |from: SocketAddr, at: Option<IpAddr>, _: &[u8]| {
                    assert_eq!((from.ip(), at), (seen, Some(asked)));
                    came += 1;
                    ControlFlow::Continue(())
                };
                receiver.receive(&receives, each).unwrap();
            }
        }
        assert_eq!(sender.one_by_one.into_inner(), one_by_one, "it was the source alone");
    }

    /// Those sent in batches come as they were, in their order, to one that takes batches and to one
    /// that does not; and so do those sent one by one.
    #[rstest]
    #[tokio::test]
    async fn sent_datagrams_are_received(
        #[values("127.0.0.1:0", "[::1]:0")] host: SocketAddr,
        #[values(true, false)] receives_batches: bool,
        #[values(true, false)] one_by_one: bool,
        #[values(true, false)] chosen: bool,
    ) {
        let open = || {
            let domain = socket2::Domain::for_address(host);
            let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.bind(&host.into()).unwrap();
            socket
        };
        let receives = open();
        if receives_batches {
            enable_offload(&receives);
        }
        let [sends, receives] =
            [open(), receives].map(|it| UdpSocket::from_std(it.into()).unwrap());
        let [from, to] = [&sends, &receives].map(|it| it.local_addr().unwrap());
        let lengths = [&[100; 70][..], &[90, 90, 1200, 3, 1, 2, 2]].concat();
        let sent = datagrams(to, &lengths);
        let sender = Sender { one_by_one: one_by_one.into() };
        let source = chosen.then_some(from.ip());
        assert_eq!(sender.send(&sends, to, source, &sent), source);

        let (mut receiver, mut came) = (Receiver::new(), Vec::new());
        while came.len() < sent.len() {
            receives.readable().await.unwrap();
            let each = |of: SocketAddr, _: Option<IpAddr>, datagram: &[u8]| {
                assert_eq!(of, from);
                came.push((to, datagram.to_vec()));
                ControlFlow::Continue(())
            };
            receiver.receive(&receives, each).unwrap();
        }
        assert_eq!(came, sent);
        assert_eq!(sender.one_by_one.into_inner(), one_by_one, "loopback takes batches");
    }
}
