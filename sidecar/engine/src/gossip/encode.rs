//! Messages to datagrams.

use std::net::{IpAddr, SocketAddr};

use super::message::{
    BARE, Body, Change, Delta, DigestEntry, FIRST_BYTE, Header, Kind, Message, Suspect, VERSION,
    millis,
};

/// Flag of an address: it is an IPv6 one.
pub(super) const IPV6: u8 = 1;
/// Flag of a digest's entry: parts follow.
pub(super) const PARTS: u8 = 2;
/// Flag of a delta: it is fresh.
pub(super) const FRESH: u8 = 2;
/// Flag of a change: an expiry follows.
pub(super) const EXPIRES: u8 = 4;
/// Flag of a header: the sender names its network.
pub(super) const NAMED: u8 = 1;

impl Kind {
    /// Its byte.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Syn => 1,
            Self::SynAck => 2,
            Self::Challenge => 3,
            Self::Ack => 4,
        }
    }
}

/// A message's datagram. The lists are to have no more than
/// [`MAX_LIST`](super::message::MAX_LIST) entries, and to fit.
pub(super) fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * BARE);
    write_header(&message.header, &mut out);
    out.extend_from_slice(&message.known.to_be_bytes());
    out.push(message.digest.len() as u8);
    message.digest.iter().for_each(|entry| write_entry(entry, &mut out));
    out.push(message.suspects.len() as u8);
    message.suspects.iter().for_each(|suspect| write_suspect(suspect, &mut out));
    out.push(message.deltas.len() as u8);
    message.deltas.iter().for_each(|delta| write_delta(delta, &mut out));
    out
}

fn write_header(header: &Header, out: &mut Vec<u8>) {
    let flags = if header.network.is_some() { NAMED } else { 0 };
    out.extend_from_slice(&[FIRST_BYTE, VERSION, header.kind.code(), flags]);
    out.extend_from_slice(&header.network.unwrap_or_default());
    out.extend_from_slice(&header.group);
    out.extend_from_slice(&header.generation.to_be_bytes());
    out.extend_from_slice(&header.heartbeat.to_be_bytes());
    out.extend_from_slice(&header.yours);
    out.extend_from_slice(&header.mine);
}

fn write_entry(entry: &DigestEntry, out: &mut Vec<u8>) {
    write_addr(&entry.addr, if entry.parts.is_some() { PARTS } else { 0 }, out);
    write_number(entry.generation, out);
    write_number(entry.heartbeat.into(), out);
    write_number(entry.version, out);
    write_number(entry.collected, out);
    if let Some((version, bits)) = entry.parts {
        write_number(version, out);
        out.push(bits);
    }
}

fn write_suspect(suspect: &Suspect, out: &mut Vec<u8>) {
    write_addr(&suspect.addr, 0, out);
    write_number(suspect.generation, out);
    write_number(suspect.heartbeat.into(), out);
}

fn write_delta(delta: &Delta, out: &mut Vec<u8>) {
    write_addr(&delta.addr, if delta.fresh { FRESH } else { 0 }, out);
    write_number(delta.generation, out);
    write_number(delta.from, out);
    write_number(delta.to, out);
    write_number(delta.collected, out);
    out.push(delta.changes.len() as u8);
    delta.changes.iter().for_each(|change| write_change(change, out));
}

fn write_change(change: &Change, out: &mut Vec<u8>) {
    let kind = match &change.body {
        Body::Set(_) => 0,
        Body::Unset => 1,
        Body::Part { .. } => 2,
    };
    out.push(kind | if change.expires_in.is_some() { EXPIRES } else { 0 });
    out.push(change.key.len() as u8);
    out.extend_from_slice(change.key.as_bytes());
    write_number(change.version, out);
    if let Some(left) = change.expires_in {
        write_number(millis(left), out);
    }
    match &change.body {
        Body::Set(value) => write_bytes(value, out),
        Body::Unset => {}
        Body::Part { total, index, bytes } => {
            write_number((*total).into(), out);
            out.push(*index);
            write_bytes(bytes, out);
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn write_addr(addr: &SocketAddr, flags: u8, out: &mut Vec<u8>) {
    match addr.ip() {
        IpAddr::V4(ip) => {
            out.push(flags);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(flags | IPV6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// Seven bits a byte, the lowest first; the highest bit of a byte says that another follows.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
