//! Datagrams of groups, as docs/wire.md describes them: what attackers need of them.

use std::net::{IpAddr, SocketAddr};

/// Kinds of messages.
pub(crate) const SYN: u8 = 1;
pub(crate) const ACK: u8 = 4;

/// The first bytes of a message: who sends it, and the cookies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) group: [u8; 8],
    pub(crate) generation: u64,
    pub(crate) heartbeat: u32,
    /// What the receiver gave to this address.
    pub(crate) yours: [u8; 8],
}

/// A member, in a digest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) addr: SocketAddr,
    pub(crate) generation: u64,
    pub(crate) heartbeat: u64,
    pub(crate) version: u64,
}

/// Keys of a member, all of which it has set between two versions.
#[derive(Debug, Clone)]
pub(crate) struct Delta {
    pub(crate) addr: SocketAddr,
    pub(crate) generation: u64,
    pub(crate) from: u64,
    /// A key and its value, in the order of their versions.
    pub(crate) changes: Vec<(String, Vec<u8>)>,
}

/// The tag of a group.
pub(crate) fn tag(group: &str) -> [u8; 8] {
    let digest = sha1_smol::Sha1::from(group).digest().bytes();
    std::array::from_fn(|at| digest[at])
}

/// A message's datagram.
pub(crate) fn message(header: Header, digest: &[Entry], deltas: &[Delta]) -> Vec<u8> {
    let mut out = vec![b'g', 1, header.kind, 0];
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&header.group);
    out.extend_from_slice(&header.generation.to_be_bytes());
    out.extend_from_slice(&header.heartbeat.to_be_bytes());
    out.extend_from_slice(&header.yours);
    out.extend_from_slice(b"attacker");
    // It knows one member: the answer names the others.
    out.extend_from_slice(&1_u16.to_be_bytes());
    out.push(digest.len() as u8);
    for entry in digest {
        address(&entry.addr, 0, &mut out);
        for each in [entry.generation, entry.heartbeat, entry.version, 0] {
            number(each, &mut out);
        }
    }
    out.push(0);
    out.push(deltas.len() as u8);
    for delta in deltas {
        write_delta(delta, &mut out);
    }
    out
}

fn write_delta(delta: &Delta, out: &mut Vec<u8>) {
    // Fresh: it is to be passed on at once.
    address(&delta.addr, 2, out);
    let to = delta.from + delta.changes.len() as u64;
    for each in [delta.generation, delta.from, to, 0] {
        number(each, out);
    }
    out.push(delta.changes.len() as u8);
    for (version, (key, value)) in (delta.from + 1..).zip(&delta.changes) {
        out.push(0);
        out.push(key.len() as u8);
        out.extend_from_slice(key.as_bytes());
        number(version, out);
        number(value.len() as u64, out);
        out.extend_from_slice(value);
    }
}

/// The kind of a datagram of this group, and the cookie that its sender wants back.
pub(crate) fn cookie(datagram: &[u8], group: [u8; 8]) -> Option<(u8, [u8; 8])> {
    let is_ours = datagram.len() >= 48 && datagram[0] == b'g' && datagram[12..20] == group;
    is_ours.then(|| (datagram[2], std::array::from_fn(|at| datagram[40 + at])))
}

fn address(addr: &SocketAddr, flags: u8, out: &mut Vec<u8>) {
    match addr.ip() {
        IpAddr::V4(ip) => {
            out.push(flags);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(flags | 1);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&addr.port().to_be_bytes());
}

fn number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
