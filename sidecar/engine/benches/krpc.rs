//! Datagrams to messages and back: what comes in and goes out most.

use std::borrow::Cow;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use grape_engine::krpc::{
    Body, Contact, Message, Method, Peer, Query, Response, VERSION, Want, decode, encode,
};
use mainline::Id;

fn query(method: Method<'static>) -> Body<'static> {
    Body::Query(Query {
        sender: Some(Id::from([1; 20])),
        read_only: false,
        want: Want::default(),
        method,
    })
}

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 20001))
}

/// A lookup's question, and answers to it: the closest nodes, and a full datagram of peers.
fn messages() -> [(&'static str, Body<'static>); 4] {
    let contact = |n| Contact { id: Id::from([n; 20]), addr: addr(n) };
    let peer = |n| Peer {
        ttl: Some(Duration::from_secs(100)),
        node_port: Some(20001),
        ..Peer::new(addr(n))
    };
    let token = Some(Cow::Borrowed(&b"tokens"[..]));
    let answer = || Response { token: token.clone(), ..Response::new(Id::from([2; 20])) };
    let name = Cow::Borrowed(&b"rpc_test"[..]);
    [
        ("get_peers", query(Method::GetPeers { info_hash: name.clone() })),
        (
            "announce_peer",
            query(Method::AnnouncePeer {
                info_hash: name,
                port: Some(1337),
                token: Cow::Borrowed(b"tokens"),
                ttl: Some(Duration::from_secs(120)),
                ip: None,
                alt: false,
            }),
        ),
        (
            "20 nodes",
            Body::Response(Box::new(Response {
                nodes: (0..20).map(contact).collect(),
                ..answer()
            })),
        ),
        (
            "50 peers",
            Body::Response(Box::new(Response { peers: (0..50).map(peer).collect(), ..answer() })),
        ),
    ]
}

fn krpc(criterion: &mut Criterion) {
    for (name, body) in messages() {
        let message = Message {
            transaction_id: Cow::Borrowed(b"\0\x07"),
            version: Some(VERSION),
            network: None,
            body,
        };
        let datagram = encode(&message).expect("nothing in it is nested deep");
        assert_eq!(decode(&datagram).expect("it was just encoded"), message);
        criterion.bench_function(&format!("krpc: encode {name}"), |bencher| {
            bencher.iter(|| encode(black_box(&message)));
        });
        criterion.bench_function(&format!("krpc: decode {name}"), |bencher| {
            bencher.iter(|| decode(black_box(&datagram)).map(drop));
        });
    }
}

criterion_group!(benches, krpc);
criterion_main!(benches);
