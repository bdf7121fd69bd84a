//! From a datagram to a message. Never panics, whatever the bytes.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use mainline::Id;

use super::bencode::{Object, Reader};
use super::compact::{NODE_V4, NODE_V6, read_addrs, read_ip, read_nodes, read_peer};
use super::fields::{Alt, Fields, Ttl};
use super::{
    Body, MAX_ANNOUNCERS, Message, Method, Peer, Put, Query, Response, SignedFields, Want,
};

/// Most bytes of a write token that is kept. Those of mainline's, npm's and our nodes have 4 to 20.
const MAX_TOKEN: usize = 64;

/// Why a datagram is no KRPC message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not bencode, or no dictionary.
    #[error("not a bencoded dictionary")]
    Bencode,
    /// `t` is missing.
    #[error("no transaction id")]
    TransactionId,
    /// `y` is none of `q`, `r`, `e`, or what it promises is missing.
    #[error("neither a query, a response nor an error")]
    Kind,
    /// An answer without the id of who answers.
    #[error("a response without a node id of 20 bytes")]
    Id,
}

/// Reads a datagram. What follows the dictionary is ignored, as the Node.js Grape does.
///
/// # Errors
/// When it is no KRPC message. A query with unfit arguments is one: [`Method::Invalid`].
pub fn decode(datagram: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut reader = Reader::new(datagram);
    if !reader.begin_dict() {
        return Err(Malformed::Bencode);
    }
    let (mut arguments, mut answer, mut error) = (None, None, None);
    let (mut method, mut kind, mut transaction_id) = (None, None, None);
    let (mut read_only, mut version, mut network) = (false, None, None);
    while let Some(key) = reader.key()? {
        match key {
            b"a" => arguments = Fields::read(&mut reader)?,
            b"r" => answer = Fields::read(&mut reader)?,
            b"e" => error = read_error(&mut reader)?,
            _ => match (key, reader.object()?) {
                (b"q", Object::Bytes(name)) => method = Some(name),
                (b"ro", Object::Integer(text)) => read_only = text.parse() == Ok(1),
                (b"t", Object::Bytes(id)) => transaction_id = Some(id),
                (b"v", Object::Bytes(program)) => version = program.try_into().ok(),
                (b"vn", Object::Bytes(tag)) => network = tag.try_into().ok(),
                (b"y", Object::Bytes(name)) => kind = Some(name),
                _ => {}
            },
        }
    }
    let transaction_id = Cow::Borrowed(transaction_id.ok_or(Malformed::TransactionId)?);
    let body = match kind {
        Some(b"q") => {
            let method = method.ok_or(Malformed::Kind)?;
            Body::Query(query(method, arguments.ok_or(Malformed::Kind)?, read_only))
        }
        Some(b"r") => Body::Response(Box::new(response(answer.ok_or(Malformed::Kind)?)?)),
        Some(b"e") => {
            let (code, message) = error.ok_or(Malformed::Kind)?;
            Body::Error { code, message }
        }
        _ => return Err(Malformed::Kind),
    };
    Ok(Message { transaction_id, version, network, body })
}

/// A code and its message; nothing where there is no list.
fn read_error<'a>(reader: &mut Reader<'a>) -> Result<Option<(i64, Cow<'a, str>)>, Malformed> {
    if !reader.begin_list() {
        return reader.object().map(|_| None);
    }
    let mut code = 0;
    let mut message = Cow::Borrowed("");
    while let Some(object) = reader.item()? {
        match object {
            Object::Integer(text) => code = text.parse().unwrap_or(0),
            Object::Bytes(text) => message = String::from_utf8_lossy(text),
            _ => {}
        }
    }
    Ok(Some((code, message)))
}

fn query<'a>(name: &'a [u8], fields: Fields<'a>, read_only: bool) -> Query<'a> {
    let sender = fields.id.and_then(|id| Id::from_bytes(id).ok());
    let want = Want {
        n4: fields.want.contains(&b"n4".as_slice()),
        n6: fields.want.contains(&b"n6".as_slice()),
    };
    let method = match name {
        b"ping" => Ok(Method::Ping { watch: fields.watch.map(|watch| watch != 0) }),
        b"find_node" => find_node(&fields),
        b"get_peers" => get_peers(&fields),
        b"announce_peer" => announce_peer(&fields),
        b"withdraw_peer" => withdraw_peer(&fields),
        b"get" => get(&fields),
        b"put" => put(fields),
        b"dead" => dead(&fields),
        b"withdrawn" => withdrawn(&fields),
        b"forgotten" => Ok(Method::Forgotten),
        name => Ok(Method::Unknown { name: name.into() }),
    };
    Query { sender, read_only, want, method: method.unwrap_or_else(|invalid| invalid) }
}

/// A field that a method cannot do without.
fn need<T>(
    field: Option<T>,
    name: &'static str,
    argument: &'static str,
) -> Result<T, Method<'static>> {
    field.ok_or(Method::Invalid { name, argument })
}

type Read<'a> = Result<Method<'a>, Method<'static>>;

fn find_node<'a>(fields: &Fields<'a>) -> Read<'a> {
    let target = need(fields.target, "find_node", "target")?.into();
    Ok(Method::FindNode { target })
}

/// Names are never empty: the Node.js Grape stores such, and dies of it.
fn info_hash<'a>(
    fields: &Fields<'a>,
    method: &'static str,
) -> Result<Cow<'a, [u8]>, Method<'static>> {
    let name = fields.info_hash.filter(|name| !name.is_empty());
    need(name, method, "info_hash").map(Cow::Borrowed)
}

fn get_peers<'a>(fields: &Fields<'a>) -> Read<'a> {
    Ok(Method::GetPeers { info_hash: info_hash(fields, "get_peers")? })
}

fn port(fields: &Fields<'_>, method: &'static str) -> Result<u16, Method<'static>> {
    need(fields.port.and_then(|port| u16::try_from(port).ok()), method, "port")
}

fn announce_peer<'a>(fields: &Fields<'a>) -> Read<'a> {
    const NAME: &str = "announce_peer";
    let implied = fields.implied_port.is_some_and(|flag| flag != 0);
    Ok(Method::AnnouncePeer {
        info_hash: info_hash(fields, NAME)?,
        port: if implied { None } else { Some(port(fields, NAME)?) },
        token: need(fields.token, NAME, "token")?.into(),
        ttl: match fields.ttl {
            Some(Ttl::Milliseconds(ms)) => u64::try_from(ms).ok().map(Duration::from_millis),
            _ => None,
        },
        ip: fields.ip.and_then(read_ip),
        alt: matches!(fields.alt, Some(Alt::Flag(flag)) if flag != 0),
    })
}

fn withdraw_peer<'a>(fields: &Fields<'a>) -> Read<'a> {
    const NAME: &str = "withdraw_peer";
    Ok(Method::WithdrawPeer {
        info_hash: info_hash(fields, NAME)?,
        port: port(fields, NAME)?,
        token: need(fields.token, NAME, "token")?.into(),
        ip: fields.ip.and_then(read_ip),
    })
}

fn dead<'a>(fields: &Fields<'a>) -> Read<'a> {
    let (addr, depth) = notice(fields, "dead")?;
    Ok(Method::Dead { addr, depth })
}

fn withdrawn<'a>(fields: &Fields<'a>) -> Read<'a> {
    const NAME: &str = "withdrawn";
    let (addr, depth) = notice(fields, NAME)?;
    Ok(Method::Withdrawn { info_hash: info_hash(fields, NAME)?, addr, depth })
}

/// Which node a notice is about, and from which depth on it is to be passed on.
fn notice(fields: &Fields<'_>, method: &'static str) -> Result<(SocketAddr, u8), Method<'static>> {
    let addr = need(fields.addr.and_then(read_peer), method, "addr")?;
    let depth = need(fields.depth.and_then(|depth| depth.try_into().ok()), method, "depth")?;
    Ok((addr, depth))
}

fn get<'a>(fields: &Fields<'a>) -> Read<'a> {
    let target = need(fields.target, "get", "target")?.into();
    Ok(Method::Get { target, seq: fields.seq })
}

fn put(fields: Fields<'_>) -> Read<'_> {
    const NAME: &str = "put";
    let signed = match (fields.k, fields.sig) {
        (None, None) => None,
        (key, signature) => Some(SignedFields {
            key: need(key, NAME, "k")?.into(),
            signature: need(signature, NAME, "sig")?.into(),
            seq: need(fields.seq, NAME, "seq")?,
            salt: fields.salt.unwrap_or_default().into(),
        }),
    };
    Ok(Method::Put(Box::new(Put {
        token: need(fields.token, NAME, "token")?.into(),
        value: need(fields.v, NAME, "v")?.into(),
        signed,
        cas: fields.cas,
    })))
}

fn response(fields: Fields<'_>) -> Result<Response<'_>, Malformed> {
    let id = fields.id.and_then(|id| Id::from_bytes(id).ok()).ok_or(Malformed::Id)?;
    let mut nodes: Vec<_> = read_nodes(fields.nodes.unwrap_or_default(), NODE_V4).collect();
    nodes.extend(read_nodes(fields.nodes6.unwrap_or_default(), NODE_V6));
    let ttls = match fields.ttl {
        Some(Ttl::Each(bytes)) => bytes,
        _ => &[],
    };
    let mut ttls = ttls.chunks_exact(3);
    let node_ports = fields.dp.unwrap_or_default();
    let alts = match fields.alt {
        Some(Alt::Each(bits)) => bits,
        _ => &[],
    };
    let peers = fields.values.iter().enumerate().filter_map(|(index, value)| {
        // A peer that cannot be read still has its place in the lists.
        let ttl = ttls.next().map(|ms| u32::from_be_bytes([0, ms[0], ms[1], ms[2]]));
        let addr = read_peer(value)?;
        let announcers = fields.by.get(index).copied().unwrap_or_default();
        Some(Peer {
            addr,
            ttl: ttl.map(|ms| Duration::from_millis(ms.into())),
            node_port: read_port(node_ports, index),
            announcers: read_addrs(announcers, addr.is_ipv6()).take(MAX_ANNOUNCERS).collect(),
            alt: alts.get(index / 8).is_some_and(|byte| byte & 0x80 >> (index % 8) != 0),
        })
    });
    let signed = match (fields.k, fields.sig, fields.seq) {
        (Some(key), Some(signature), Some(seq)) => Some(SignedFields {
            key: key.into(),
            signature: signature.into(),
            seq,
            salt: Cow::Borrowed(&[]),
        }),
        _ => None,
    };
    Ok(Response {
        id,
        nodes,
        peers: peers.collect(),
        token: fields.token.filter(|token| token.len() <= MAX_TOKEN).map(Cow::Borrowed),
        value: fields.v.map(Cow::Borrowed),
        signed,
        watch: fields.watch.is_some_and(|watch| watch != 0),
    })
}

/// The port at a place of a list of one for each, or the one for all.
fn read_port(ports: &[u8], index: usize) -> Option<u16> {
    let at = if ports.len() == 2 { 0 } else { 2 * index };
    let port = u16::from_be_bytes(ports.get(at..at + 2)?.try_into().ok()?);
    (port != 0).then_some(port)
}
