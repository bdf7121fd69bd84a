//! Bursts, as Linux has them.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Outgoing, Read};

pub(super) fn take_bursts(socket: &socket2::Socket) -> io::Result<()> {
    Ok(setsockopt(socket, sockopt::UdpGroSegment, &true)?)
}

pub(super) fn send_burst(socket: &UdpSocket, to: SocketAddr, burst: &[Outgoing]) -> io::Result<()> {
    let slices: Vec<_> = burst.iter().map(|(_, datagram)| IoSlice::new(datagram)).collect();
    let length = burst.first().map_or(0, |(_, first)| first.len());
    let length = u16::try_from(length).map_err(|_| Errno::EMSGSIZE)?;
    let segments = [ControlMessage::UdpGsoSegments(&length)];
    let to = SockaddrStorage::from(to);
    sendmsg(socket.as_raw_fd(), &slices, &segments, MsgFlags::empty(), Some(&to))?;
    Ok(())
}

/// Whether the next burst would be refused as well.
pub(super) fn refuses_bursts(error: &io::Error) -> bool {
    let refusals = [Errno::EIO, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOPROTOOPT];
    error.raw_os_error().is_some_and(|code| refusals.contains(&Errno::from_raw(code)))
}

/// Where the kernel tells how long the datagrams of a burst are.
#[derive(Debug)]
pub(super) struct Receiver {
    told: Vec<u8>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { told: cmsg_space!(i32) }
    }
}

impl Receiver {
    pub(super) fn receive(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Read> {
        socket.try_io(Interest::READABLE, || {
            let mut slices = [IoSliceMut::new(buffer)];
            let told = Some(self.told.as_mut_slice());
            let fd = socket.as_raw_fd();
            let read = recvmsg::<SockaddrStorage>(fd, &mut slices, told, MsgFlags::empty())?;
            let each = read.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::UdpGroSegments(each) => usize::try_from(each).ok(),
                _ => None,
            });
            let from = read.address.as_ref().and_then(address).ok_or(Errno::EAFNOSUPPORT)?;
            Ok(Read { from, all: read.bytes, each: each.unwrap_or(read.bytes) })
        })
    }
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    v4.or_else(|| from.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
}
