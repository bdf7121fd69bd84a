//! Where there are no bursts, and no source can be chosen.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

use super::{Outgoing, Read};

pub(super) fn take_bursts(_: &socket2::Socket) -> io::Result<()> {
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

pub(super) fn refuses_bursts(_: &io::Error) -> bool {
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
        Ok(Read { from, at: None, all, each: all })
    }
}
