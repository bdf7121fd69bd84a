//! From a message to a datagram.

use std::net::{IpAddr, SocketAddr};

use bendy::encoding::{AsString, Encoder, Error, SingleItemEncoder, SortedDictEncoder};

use super::bencode::{MAX_DEPTH, Reader};
use super::compact::{write_addr, write_ip, write_nodes};
use super::{Body, MAX_TTL, Malformed, Message, Method, Peer, Put, Query, Response, SignedFields};

/// A message that cannot be written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the message cannot be encoded: {0}")]
pub struct EncodeError(String);

/// Writes a message as a datagram.
///
/// # Errors
/// When it cannot be written, which none that is made here is.
pub fn encode(message: &Message<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new().with_max_depth(MAX_DEPTH);
    let mut datagram = encoder
        .emit_dict(|mut dict| envelope(message, &mut dict))
        .and_then(|()| encoder.get_output())
        .map_err(|error| EncodeError(error.to_string()))?;
    let value = match &message.body {
        Body::Query(Query { method: Method::Put(put), .. }) => Some(&put.value),
        Body::Response(response) => response.value.as_ref(),
        _ => None,
    };
    if let Some(value) = value {
        let at = place_of_value(&datagram).map_err(|error| EncodeError(error.to_string()))?;
        datagram.splice(at..at, b"1:v".iter().chain(value.iter()).copied());
    }
    Ok(datagram)
}

/// Where the value goes in a message that has none yet: into its first dictionary, `a` or `r`, before
/// all keys that come after `v`. The encoder takes no value as the bytes that it has.
fn place_of_value(datagram: &[u8]) -> Result<usize, Malformed> {
    let mut reader = Reader::new(datagram);
    reader.begin_dict();
    reader.key()?;
    reader.begin_dict();
    loop {
        let place = datagram.len() - reader.left();
        match reader.key()? {
            Some(key) if key < b"v".as_slice() => reader.object()?,
            _ => return Ok(place),
        };
    }
}

fn envelope(message: &Message<'_>, dict: &mut SortedDictEncoder<'_>) -> Result<(), Error> {
    let kind = match &message.body {
        Body::Query(query) => {
            dict.emit_pair_with(b"a", |a| arguments(query, a))?;
            dict.emit_pair(b"q", AsString(query.method.name()))?;
            if query.read_only {
                dict.emit_pair(b"ro", 1)?;
            }
            b"q"
        }
        Body::Response(response) => {
            dict.emit_pair_with(b"r", |r| answer(response, r))?;
            b"r"
        }
        Body::Error { code, message } => {
            dict.emit_pair_with(b"e", |e| {
                e.emit_list(|list| {
                    list.emit_int(*code)?;
                    list.emit_str(message)
                })
            })?;
            b"e"
        }
    };
    dict.emit_pair(b"t", AsString(&message.transaction_id))?;
    if let Some(version) = &message.version {
        dict.emit_pair(b"v", AsString(version))?;
    }
    if let Some(network) = &message.network {
        dict.emit_pair(b"vn", AsString(network))?;
    }
    dict.emit_pair(b"y", AsString(kind))
}

fn arguments(query: &Query<'_>, encoder: SingleItemEncoder<'_>) -> Result<(), Error> {
    let id = |a: &mut SortedDictEncoder<'_>| match query.sender {
        Some(id) => a.emit_pair(b"id", AsString(id.as_bytes())),
        None => Ok(()),
    };
    encoder.emit_dict(|mut a| {
        match &query.method {
            Method::Ping { .. }
            | Method::Forgotten
            | Method::Unknown { .. }
            | Method::Invalid { .. } => id(&mut a)?,
            Method::Dead { addr, depth } => {
                notice(addr, *depth, &mut a)?;
                id(&mut a)?;
            }
            Method::Withdrawn { info_hash, addr, depth } => {
                notice(addr, *depth, &mut a)?;
                id(&mut a)?;
                a.emit_pair(b"info_hash", AsString(info_hash))?;
            }
            Method::FindNode { target } => {
                id(&mut a)?;
                a.emit_pair(b"target", AsString(target))?;
            }
            Method::GetPeers { info_hash } => {
                id(&mut a)?;
                a.emit_pair(b"info_hash", AsString(info_hash))?;
            }
            Method::AnnouncePeer { info_hash, port, token, ttl, ip, alt } => {
                if *alt {
                    a.emit_pair(b"alt", 1)?;
                }
                id(&mut a)?;
                a.emit_pair(b"implied_port", i64::from(port.is_none()))?;
                a.emit_pair(b"info_hash", AsString(info_hash))?;
                claim(*ip, &mut a)?;
                // BEP 5 wants the argument even where `implied_port` makes it void.
                a.emit_pair(b"port", port.unwrap_or(0))?;
                a.emit_pair(b"token", AsString(token))?;
                if let Some(ttl) = ttl {
                    a.emit_pair(b"ttl", u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))?;
                }
            }
            Method::WithdrawPeer { info_hash, port, token, ip } => {
                id(&mut a)?;
                a.emit_pair(b"info_hash", AsString(info_hash))?;
                claim(*ip, &mut a)?;
                a.emit_pair(b"port", *port)?;
                a.emit_pair(b"token", AsString(token))?;
            }
            Method::Get { target, seq } => {
                id(&mut a)?;
                if let Some(seq) = seq {
                    a.emit_pair(b"seq", *seq)?;
                }
                a.emit_pair(b"target", AsString(target))?;
            }
            Method::Put(put) => return put_arguments(put, &mut a, id),
        }
        want(query, &mut a)?;
        match query.method {
            Method::Ping { watch: Some(watch) } => a.emit_pair(b"watch", i64::from(watch)),
            _ => Ok(()),
        }
    })
}

fn claim(ip: Option<IpAddr>, a: &mut SortedDictEncoder<'_>) -> Result<(), Error> {
    let Some(ip) = ip else { return Ok(()) };
    let mut bytes = Vec::with_capacity(16);
    write_ip(ip, &mut bytes);
    a.emit_pair(b"ip", AsString(bytes))
}

fn notice(addr: &SocketAddr, depth: u8, a: &mut SortedDictEncoder<'_>) -> Result<(), Error> {
    let mut compact = Vec::with_capacity(18);
    write_addr(addr, &mut compact);
    a.emit_pair(b"addr", AsString(compact))?;
    a.emit_pair(b"depth", depth)
}

/// `want` sorts after every other argument but `watch`, and `v`, which no query has beside it.
fn want(query: &Query<'_>, a: &mut SortedDictEncoder<'_>) -> Result<(), Error> {
    if !query.want.n4 && !query.want.n6 {
        return Ok(());
    }
    a.emit_pair_with(b"want", |want| {
        want.emit_list(|list| {
            if query.want.n4 {
                list.emit_str("n4")?;
            }
            if query.want.n6 {
                list.emit_str("n6")?;
            }
            Ok(())
        })
    })
}

fn put_arguments(
    put: &Put<'_>,
    a: &mut SortedDictEncoder<'_>,
    id: impl Fn(&mut SortedDictEncoder<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if let Some(cas) = put.cas {
        a.emit_pair(b"cas", cas)?;
    }
    id(a)?;
    if let Some(signed) = &put.signed {
        a.emit_pair(b"k", AsString(&signed.key))?;
        if !signed.salt.is_empty() {
            a.emit_pair(b"salt", AsString(&signed.salt))?;
        }
        seq_and_sig(signed, a)?;
    }
    a.emit_pair(b"token", AsString(&put.token))
}

fn seq_and_sig(signed: &SignedFields<'_>, dict: &mut SortedDictEncoder<'_>) -> Result<(), Error> {
    dict.emit_pair(b"seq", signed.seq)?;
    dict.emit_pair(b"sig", AsString(&signed.signature))
}

fn answer(response: &Response<'_>, encoder: SingleItemEncoder<'_>) -> Result<(), Error> {
    encoder.emit_dict(|mut r| {
        let alts = alts(response);
        if !alts.is_empty() {
            r.emit_pair(b"alt", AsString(alts))?;
        }
        let told = response.peers.iter().rposition(|peer| !peer.announcers.is_empty());
        if let Some(last) = told {
            r.emit_pair_with(b"by", |by| announcers(&response.peers[..=last], by))?;
        }
        let node_ports = node_ports(response);
        if !node_ports.is_empty() {
            r.emit_pair(b"dp", AsString(node_ports))?;
        }
        r.emit_pair(b"id", AsString(response.id.as_bytes()))?;
        if let Some(signed) = &response.signed {
            r.emit_pair(b"k", AsString(&signed.key))?;
        }
        for (key, ipv6) in [(b"nodes".as_slice(), false), (b"nodes6", true)] {
            let nodes = write_nodes(&response.nodes, ipv6);
            if !nodes.is_empty() {
                r.emit_pair(key, AsString(nodes))?;
            }
        }
        if let Some(signed) = &response.signed {
            seq_and_sig(signed, &mut r)?;
        }
        if let Some(token) = &response.token {
            r.emit_pair(b"token", AsString(token))?;
        }
        let ttls = ttls(response);
        if !ttls.is_empty() {
            r.emit_pair(b"ttl", AsString(ttls))?;
        }
        if !response.peers.is_empty() {
            r.emit_pair_with(b"values", |values| {
                values.emit_list(|list| {
                    let mut bytes = Vec::with_capacity(18);
                    for peer in &response.peers {
                        bytes.clear();
                        write_addr(&peer.addr, &mut bytes);
                        list.emit_bytes(&bytes)?;
                    }
                    Ok(())
                })
            })?;
        }
        if response.watch { r.emit_pair(b"watch", 1) } else { Ok(()) }
    })
}

/// Three bytes of milliseconds for each peer, when every peer has a time.
fn ttls(response: &Response<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(response.peers.len() * 3);
    for peer in &response.peers {
        let Some(ttl) = &peer.ttl else { return Vec::new() };
        let ms = u32::try_from(ttl.min(&MAX_TTL).as_millis()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&ms.to_be_bytes()[1..]);
    }
    bytes
}

/// Two bytes for all peers when their nodes have one port, else two for each, 0 where it is not
/// known; nothing when none is known.
fn node_ports(response: &Response<'_>) -> Vec<u8> {
    let ports = || response.peers.iter().map(|peer| peer.node_port.unwrap_or(0));
    let first = ports().next().unwrap_or(0);
    if ports().all(|port| port == first) {
        return if first == 0 { Vec::new() } else { first.to_be_bytes().to_vec() };
    }
    ports().flat_map(u16::to_be_bytes).collect()
}

/// One string of compact addresses for each of these peers.
fn announcers(peers: &[Peer], encoder: SingleItemEncoder<'_>) -> Result<(), Error> {
    encoder.emit_list(|list| {
        let mut bytes = Vec::new();
        for peer in peers {
            bytes.clear();
            for announcer in &peer.announcers {
                write_addr(announcer, &mut bytes);
            }
            list.emit_bytes(&bytes)?;
        }
        Ok(())
    })
}

/// A bit for each peer, the highest of a byte first; nothing when none is set.
fn alts(response: &Response<'_>) -> Vec<u8> {
    if !response.peers.iter().any(|peer| peer.alt) {
        return Vec::new();
    }
    let byte = |peers: &[Peer]| {
        peers.iter().enumerate().fold(0, |byte, (at, peer)| byte | u8::from(peer.alt) << (7 - at))
    };
    response.peers.chunks(8).map(byte).collect()
}
