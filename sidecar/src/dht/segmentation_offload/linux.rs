//! Bursts, as Linux has them, and the addresses of this host that datagrams come to and leave from.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Outgoing, Read};

pub(super) fn enable_offload(socket: &socket2::Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::UdpGroSegment, &true)?)
}

pub(super) fn report_drops(socket: &socket2::Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::RxqOvfl, &1)?)
}

pub(super) fn take_destinations(socket: &socket2::Socket, ipv6: bool) -> io::Result<()> {
    let control = match ipv6 {
        true => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true),
        false => setsockopt(socket, sockopt::Ipv4PacketInfo, &true),
    };
    Ok(control?)
}

/// Sends datagrams as one batch, from an address of this host where one is given.
pub(super) fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    source: Option<IpAddr>,
    batch: &[Outgoing],
) -> io::Result<()> {
    let slices: Vec<_> = batch.iter().map(|(_, datagram)| IoSlice::new(datagram)).collect();
    let length = batch.first().map_or(0, |(_, first)| first.len());
    let length = u16::try_from(length).map_err(|_| Errno::EMSGSIZE)?;
    let segments = (batch.len() > 1).then_some(ControlMessage::UdpGsoSegments(&length));
    let (v4, v6);
    let source = match source {
        None => None,
        Some(IpAddr::V4(ip)) => {
            let source = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            v4 = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: source,
                ipi_addr: in_addr { s_addr: 0 },
            };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Some(IpAddr::V6(ip)) => {
            v6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
    };
    let messages: Vec<_> = segments.into_iter().chain(source).collect();
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), &slices, &messages, MsgFlags::empty(), Some(&to))?;
    Ok(())
}

/// Whether the next batch would be refused as well.
pub(super) fn refuses_offload(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::EIO, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOPROTOOPT])
}

/// Whether a datagram may not have been sent since its source is no address of this host: IPv6
/// calls that an invalid argument, IPv4 by the kernel's version that or an unreachable network.
pub(super) fn refuses_source(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::EINVAL, Errno::EADDRNOTAVAIL, Errno::ENETUNREACH])
}

fn is_one_of(error: &io::Error, codes: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&Errno::from_raw(code)))
}

/// Where the kernel writes how long the datagrams of a batch are, and to which address they came.
#[derive(Debug)]
pub(super) struct Receiver {
    control: Vec<u8>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { control: cmsg_space!(i32, in6_pktinfo, u32) }
    }
}

impl Receiver {
    pub(super) fn receive(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Read> {
        socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let control = Some(self.control.as_mut_slice());
            let fd = socket.as_raw_fd();
            let read = recvmsg::<SockaddrStorage>(fd, &mut slices, control, MsgFlags::empty())?;
            let (mut each, mut at, mut dropped) = (None, None, 0);
            for message in read.cmsgs()? {
                match message {
                    ControlMessageOwned::UdpGroSegments(length) => {
                        each = usize::try_from(length).ok();
                    }
                    ControlMessageOwned::Ipv4PacketInfo(info) => {
                        let local = info.ipi_spec_dst.s_addr.to_ne_bytes();
                        at = Some(Ipv4Addr::from(local).into());
                    }
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        at = Some(info.ipi6_addr.s6_addr.into());
                    }
                    ControlMessageOwned::RxqOvfl(so_far) => dropped = so_far,
                    _ => {}
                }
            }
            let from = read.address.as_ref().and_then(address).ok_or(Errno::EAFNOSUPPORT)?;
            Ok(Read { from, at, dropped, all: read.bytes, each: each.unwrap_or(read.bytes) })
        })
    }
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    v4.or_else(|| from.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
}
