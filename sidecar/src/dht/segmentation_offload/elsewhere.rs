//! Where there are no batches, and no source can be chosen.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

use super::{Outgoing, Read};

pub(super) fn enable_offload(_: &socket2::Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn report_drops(_: &socket2::Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn take_destinations(_: &socket2::Socket, _ipv6: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn send(
    _: &UdpSocket,
    _: SocketAddr,
    _source: Option<IpAddr>,
    _: &[Outgoing],
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn refuses_offload(_: &io::Error) -> bool {
    true
}

pub(super) fn refuses_source(_: &io::Error) -> bool {
    true
}

#[derive(Debug, Default)]
pub(super) struct Receiver;

impl Receiver {
    pub(super) fn receive(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Read> {
        let (all, from) = socket.try_recv_from(buffer)?;
        Ok(Read { from, at: None, dropped: 0, all, each: all })
    }
}
