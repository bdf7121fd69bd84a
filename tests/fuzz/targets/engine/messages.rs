//! What other nodes say, as datagrams.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use grape_engine::Item;
use grape_engine::krpc::{
    self, Body, Contact, Message, NetworkTag, Put, Response, SignedFields, VERSION, Want,
};

use crate::steps::{Answer, Method, Query};

/// The token of a node that was given none.
const FORGED: &[u8] = b"none";

/// A query as a datagram. `token` is what its sender was given.
pub fn query(query: &Query, token: Option<&[u8]>, network: Option<NetworkTag>) -> Option<Vec<u8>> {
    let both = query.both_families;
    let body = Body::Query(krpc::Query {
        sender: query.sender.map(|ident| ident.id()),
        read_only: query.read_only,
        want: Want { n4: both, n6: both },
        method: method(&query.method, token),
    });
    let transaction_id = vec![b't'; query.transaction.into()];
    let mut datagram =
        write(&transaction_id, query.of_our_kind, query.names_network, network, body)?;
    if let Some((at, byte)) = query.damage {
        let at = usize::from(at) % datagram.len();
        datagram[at] = byte;
    }
    Some(datagram)
}

fn method<'a>(method: &Method, token: Option<&'a [u8]>) -> krpc::Method<'a> {
    let token = |forged: bool| Cow::Borrowed(token.filter(|_| !forged).unwrap_or(FORGED));
    match *method {
        Method::Ping { watch } => krpc::Method::Ping { watch },
        Method::FindNode { target } => {
            krpc::Method::FindNode { target: target.id().as_bytes().to_vec().into() }
        }
        Method::GetPeers { name } => krpc::Method::GetPeers { info_hash: name.bytes().into() },
        Method::Announce { name, port, forged, ttl, ip, alt } => krpc::Method::AnnouncePeer {
            info_hash: name.bytes().into(),
            port: port.map(u16::from),
            token: token(forged),
            ttl: ttl.map(|ms| Duration::from_millis(ms.into())),
            ip: ip.map(|place| place.addr().ip()),
            alt,
        },
        Method::Withdraw { name, port, forged, ip } => krpc::Method::WithdrawPeer {
            info_hash: name.bytes().into(),
            port: port.into(),
            token: token(forged),
            ip: ip.map(|place| place.addr().ip()),
        },
        Method::Get { item, seq } => {
            krpc::Method::Get { target: item.item().id().as_bytes().to_vec().into(), seq }
        }
        Method::Put { item, forged, cas } => {
            let item = item.item();
            krpc::Method::Put(Box::new(Put {
                token: token(forged),
                value: item.encoded().into(),
                signed: signed(item, true),
                cas: cas.map(i64::from),
            }))
        }
        Method::Dead { addr, depth } => krpc::Method::Dead { addr: addr.addr(), depth },
        Method::Withdrawn { name, addr, depth } => {
            krpc::Method::Withdrawn { info_hash: name.bytes().into(), addr: addr.addr(), depth }
        }
        Method::Forgotten => krpc::Method::Forgotten,
        Method::Unknown(length) => krpc::Method::Unknown { name: vec![b'u'; length.into()].into() },
    }
}

/// What makes an item mutable. An answer does not repeat the salt.
fn signed(item: &'static Item, salted: bool) -> Option<SignedFields<'static>> {
    item.signed().map(|signed| SignedFields {
        key: signed.key.as_slice().into(),
        signature: signed.signature.as_slice().into(),
        seq: signed.seq,
        salt: if salted { signed.salt.as_slice().into() } else { Cow::Borrowed(&[]) },
    })
}

/// An answer to the query of this transaction id, as a datagram.
pub fn answer(
    answer: &Answer,
    from: SocketAddr,
    transaction: &[u8],
    network: Option<NetworkTag>,
) -> Option<Vec<u8>> {
    let id = answer.id.map_or_else(|| id_at(from), |ident| ident.id());
    let nodes = answer.nodes.iter();
    let peers = answer.peers.iter().map(|peer| krpc::Peer {
        addr: peer.addr.addr(),
        ttl: peer.ttl.map(|ms| Duration::from_millis(ms.into())),
        node_port: peer.node_port.map(u16::from).filter(|port| *port != 0),
        announcers: peer.announcers.iter().map(|place| place.addr()).collect(),
        alt: peer.alt,
    });
    let item = answer.item.map(|choice| choice.item());
    let body = Body::Response(Box::new(Response {
        nodes: nodes.map(|(ident, place)| Contact { id: ident.id(), addr: place.addr() }).collect(),
        peers: peers.collect(),
        token: answer.token.map(|length| vec![b'k'; length.into()].into()),
        value: item.map(|item| item.encoded().into()),
        signed: item.and_then(|item| signed(item, false)),
        watch: answer.watch,
        ..Response::new(id)
    }));
    write(transaction, answer.of_our_kind, answer.names_network, network, body)
}

/// An error as a datagram.
pub fn error(code: u16, transaction: &[u8], network: Option<NetworkTag>) -> Option<Vec<u8>> {
    let body = Body::Error { code: code.into(), message: "no".into() };
    write(transaction, true, true, network, body)
}

/// The id of a node that claims no other: it follows from its address.
fn id_at(addr: SocketAddr) -> mainline::Id {
    let mut bytes = [0; 20];
    match addr.ip() {
        std::net::IpAddr::V4(ip) => {
            bytes[..4].copy_from_slice(&ip.to_bits().reverse_bits().to_be_bytes())
        }
        std::net::IpAddr::V6(ip) => {
            bytes[..16].copy_from_slice(&ip.to_bits().reverse_bits().to_be_bytes())
        }
    }
    bytes[18..].copy_from_slice(&addr.port().to_be_bytes());
    bytes.into()
}

fn write(
    transaction: &[u8],
    of_our_kind: bool,
    names_network: bool,
    network: Option<NetworkTag>,
    body: Body<'_>,
) -> Option<Vec<u8>> {
    let message = Message {
        transaction_id: transaction.into(),
        version: of_our_kind.then_some(VERSION),
        network: network.filter(|_| names_network),
        body,
    };
    krpc::encode(&message).ok()
}
