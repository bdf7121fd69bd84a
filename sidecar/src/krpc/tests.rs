use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

const PORT: u16 = 20001;

fn bytes(max: usize) -> impl Strategy<Value = Cow<'static, [u8]>> {
    vec(any::<u8>(), 1..max).prop_map(Cow::Owned)
}

fn id() -> impl Strategy<Value = Id> {
    any::<[u8; 20]>().prop_map(Id::from)
}

fn addr() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<Ipv4Addr>(), any::<u16>()).prop_map(SocketAddr::from),
        (any::<Ipv6Addr>(), any::<u16>()).prop_map(SocketAddr::from),
    ]
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::btree_map(
                vec(any::<u8>(), 0..8).prop_map(Cow::Owned),
                inner,
                0..5
            )
            .prop_map(Value::Dict),
        ]
    })
}

fn signed(salted: bool) -> impl Strategy<Value = SignedFields<'static>> {
    (bytes(40), bytes(70), any::<i64>(), bytes(64)).prop_map(move |(key, signature, seq, salt)| {
        let salt = if salted { salt } else { Cow::Borrowed(&[][..]) };
        SignedFields { key, signature, seq, salt }
    })
}

fn method() -> impl Strategy<Value = Method<'static>> {
    let ttl = option::of((0u64..1 << 40).prop_map(Duration::from_millis));
    prop_oneof![
        option::of(any::<bool>()).prop_map(|watch| Method::Ping { watch }),
        (addr(), any::<u8>()).prop_map(|(addr, depth)| Method::Dead { addr, depth }),
        (bytes(400), addr(), any::<u8>()).prop_map(|(info_hash, addr, depth)| Method::Withdrawn {
            info_hash,
            addr,
            depth
        }),
        Just(Method::Forgotten),
        bytes(40).prop_map(|target| Method::FindNode { target }),
        bytes(400).prop_map(|info_hash| Method::GetPeers { info_hash }),
        (bytes(400), option::of(any::<u16>()), bytes(20), ttl).prop_map(
            |(info_hash, port, token, ttl)| Method::AnnouncePeer { info_hash, port, token, ttl }
        ),
        (bytes(400), any::<u16>(), bytes(20))
            .prop_map(|(info_hash, port, token)| Method::WithdrawPeer { info_hash, port, token }),
        (bytes(40), option::of(any::<i64>())).prop_map(|(target, seq)| Method::Get { target, seq }),
        (bytes(20), value(), option::of(signed(true)), option::of(any::<i64>())).prop_map(
            |(token, value, signed, cas)| Method::Put(Box::new(Put { token, value, signed, cas }))
        ),
    ]
}

fn query() -> impl Strategy<Value = Body<'static>> {
    (option::of(id()), any::<bool>(), any::<[bool; 2]>(), method()).prop_map(
        |(sender, read_only, [n4, n6], method)| {
            let want = match method {
                Method::Put(_) => Want::default(),
                _ => Want { n4, n6 },
            };
            Body::Query(Query { sender, read_only, want, method })
        },
    )
}

fn response() -> impl Strategy<Value = Body<'static>> {
    let ttl = (0u64..1 << 24).prop_map(|ms| Some(Duration::from_millis(ms)));
    let peers = prop_oneof![
        vec((addr(), Just(None), Just(None)), 0..8),
        vec((addr(), ttl.clone(), (1u16..).prop_map(Some)), 0..8),
        vec((addr(), ttl, Just(Some(PORT))), 0..8),
    ]
    .prop_map(|peers| {
        let peer = |(addr, ttl, node_port)| Peer { addr, ttl, node_port };
        peers.into_iter().map(peer).collect()
    });
    let nodes = vec((id(), addr()), 0..10).prop_map(|nodes| {
        let mut nodes: Vec<_> = nodes.into_iter().map(|(id, addr)| Contact { id, addr }).collect();
        nodes.sort_by_key(|node| node.addr.is_ipv6());
        nodes
    });
    let optional = (option::of(bytes(20)), option::of(value()), option::of(signed(false)));
    (id(), nodes, peers, optional, any::<bool>()).prop_map(
        |(id, nodes, peers, (token, value, signed), watch)| {
            Body::Response(Box::new(Response { id, nodes, peers, token, value, signed, watch }))
        },
    )
}

fn message() -> impl Strategy<Value = Message<'static>> {
    let error = (any::<i64>(), ".{0,30}")
        .prop_map(|(code, message)| Body::Error { code, message: message.into() });
    let version = option::of(any::<[u8; 4]>());
    (vec(any::<u8>(), 0..40), version, prop_oneof![query(), response(), error])
        .prop_map(|(tid, version, body)| Message { transaction_id: tid.into(), version, body })
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(message in message()) {
        let datagram = encode(&message).unwrap();
        prop_assert_eq!(decode(&datagram).unwrap(), message);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(datagram in vec(any::<u8>(), 0..300)) {
        let _ = decode(&datagram);
    }

    #[test]
    fn no_damage_to_a_message_makes_the_decoder_panic(
        message in message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut datagram = encode(&message).unwrap();
        for (at, byte) in damage {
            let at = at.index(datagram.len());
            datagram[at] = byte;
        }
        let _ = decode(&datagram);
        let _ = decode(&datagram[..cut.index(datagram.len())]);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = [b"d1:ad1:v".as_slice(), &b"l".repeat(60_000)].concat();
    assert_eq!(decode(&deep), Err(Malformed::Bencode));
}

#[test]
fn a_query_with_unfit_arguments_is_named() {
    for (arguments, method, argument) in [
        ("2:id20:aaaaaaaaaaaaaaaaaaaa", "get_peers", "info_hash"),
        ("9:info_hash0:", "get_peers", "info_hash"),
        ("9:info_hash1:n5:token1:t", "announce_peer", "port"),
        ("9:info_hash1:n4:porti65536e5:token1:t", "announce_peer", "port"),
        ("9:info_hash1:n4:porti-1e5:token1:t", "withdraw_peer", "port"),
        ("9:info_hash1:n4:porti7e", "announce_peer", "token"),
        ("4:addr3:abc5:depthi1e", "dead", "addr"),
        ("4:addr6:abcdef5:depthi256e", "dead", "depth"),
        ("6:targeti5e", "find_node", "target"),
        ("1:k1:k5:token1:t1:v1:v", "put", "sig"),
        ("5:token1:t", "put", "v"),
    ] {
        let datagram = format!("d1:ad{arguments}e1:q{}:{method}1:t2:aa1:y1:qe", method.len());
        let Body::Query(query) = decode(datagram.as_bytes()).unwrap().body else {
            panic!("{datagram} is a query");
        };
        match query.method {
            Method::Invalid { name, argument: at } => assert_eq!((name, at), (method, argument)),
            other => panic!("{datagram}: {other:?}"),
        }
    }
}

#[test]
fn a_hundred_ipv4_peers_with_their_times_and_one_port_fit_the_path_mtu() {
    let mut response = Response::new(Id::from([7; 20]));
    response.token = Some(vec![1; 6].into());
    response.peers = (1..=100u16)
        .map(|port| Peer {
            addr: SocketAddr::from(([10, 0, 0, 1], port)),
            ttl: Some(Duration::from_secs(90)),
            node_port: Some(PORT),
        })
        .collect();
    let message = Message {
        transaction_id: vec![1; 4].into(),
        version: Some(VERSION),
        body: Body::Response(Box::new(response)),
    };
    assert_eq!(encode(&message).unwrap().len(), 1200);
}
