//! Where there are no bursts.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

use super::{Outgoing, Read};

pub(super) fn take_bursts(_: &socket2::Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn send_burst(_: &UdpSocket, _: SocketAddr, _: &[Outgoing]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn refuses_bursts(_: &io::Error) -> bool {
    true
}

#[derive(Debug, Default)]
pub(super) struct Receiver;

impl Receiver {
    pub(super) fn receive(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Read> {
        let (all, from) = socket.try_recv_from(buffer)?;
        Ok(Read { from, all, each: all })
    }
}
