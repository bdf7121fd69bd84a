//! Compact forms: nodes in 26 or 38 bytes, peers in 6 or 18 (BEP 5, BEP 32).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mainline::Id;

use super::Contact;

/// Bytes of an IPv4 node.
pub const NODE_V4: usize = 26;
/// Bytes of an IPv6 node.
pub const NODE_V6: usize = 38;
/// Bytes of an IPv4 peer.
pub const PEER_V4: usize = 6;
/// Bytes of an IPv6 peer.
pub const PEER_V6: usize = 18;

/// A peer's address in compact form; `None` if it has neither 6 nor 18 bytes.
pub(super) fn read_peer(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    Some(SocketAddr::new(read_ip(ip)?, port))
}

/// An IP address; none when it is neither 4 nor 16 bytes.
pub(super) fn read_ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

/// Addresses of one family, one after the other; what does not read as an address is left out.
pub(super) fn read_addrs(bytes: &[u8], ipv6: bool) -> impl Iterator<Item = SocketAddr> + '_ {
    bytes.chunks_exact(if ipv6 { PEER_V6 } else { PEER_V4 }).filter_map(read_peer)
}

pub(super) fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
}

pub(super) fn write_addr(addr: &SocketAddr, out: &mut Vec<u8>) {
    write_ip(addr.ip(), out);
    out.extend_from_slice(&addr.port().to_be_bytes());
}

/// The nodes of a `nodes` or `nodes6` field; what does not read as a node is left out.
pub(super) fn read_nodes(bytes: &[u8], size: usize) -> impl Iterator<Item = Contact> + '_ {
    bytes.chunks_exact(size).filter_map(|chunk| {
        let (id, addr) = chunk.split_at_checked(20)?;
        Some(Contact { id: Id::from_bytes(id).ok()?, addr: read_peer(addr)? })
    })
}

/// The nodes of one address family, as one byte string.
pub(super) fn write_nodes(nodes: &[Contact], ipv6: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(nodes.len() * if ipv6 { NODE_V6 } else { NODE_V4 });
    for node in nodes.iter().filter(|node| node.addr.is_ipv6() == ipv6) {
        out.extend_from_slice(node.id.as_bytes());
        write_addr(&node.addr, &mut out);
    }
    out
}
