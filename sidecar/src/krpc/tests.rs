use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        (any::<Ipv4Addr>(), 1u16..).prop_map(SocketAddr::from),
        (any::<Ipv6Addr>(), 1u16..).prop_map(SocketAddr::from),
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
        (
            bytes(400),
            option::of(1u16..),
            bytes(20),
            ttl,
            option::of(any::<IpAddr>()),
            any::<bool>()
        )
            .prop_map(|(info_hash, port, token, ttl, ip, alt)| Method::AnnouncePeer {
                info_hash,
                port,
                token,
                ttl,
                ip,
                alt
            }),
        (bytes(400), 1u16.., bytes(20), option::of(any::<IpAddr>())).prop_map(
            |(info_hash, port, token, ip)| Method::WithdrawPeer { info_hash, port, token, ip }
        ),
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
    let announcers = (vec(addr(), 0..=MAX_ANNOUNCERS), any::<bool>());
    let peers = prop_oneof![
        vec((addr(), Just(None), Just(None), Just((vec![], false))), 0..20),
        vec((addr(), ttl.clone(), option::of(1u16..), announcers), 0..20),
        vec((addr(), ttl, Just(Some(PORT)), Just((vec![], false))), 0..8),
    ]
    .prop_map(|peers| {
        let peer =
            |(addr, ttl, node_port, (mut announcers, alt)): (SocketAddr, _, _, (Vec<_>, _))| {
                announcers.retain(|by: &SocketAddr| by.is_ipv6() == addr.is_ipv6());
                Peer { addr, ttl, node_port, announcers, alt }
            };
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
        ("9:info_hash1:n4:porti0e5:token1:t", "announce_peer", "port"),
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
            ttl: Some(Duration::from_secs(90)),
            node_port: Some(PORT),
            ..Peer::new(SocketAddr::from(([10, 0, 0, 1], port)))
        })
        .collect();
    let message = Message {
        transaction_id: vec![1; 4].into(),
        version: Some(VERSION),
        body: Body::Response(Box::new(response)),
    };
    assert_eq!(encode(&message).unwrap().len(), 1200);
}

/// An older Grape writes a port for all peers or for each, and knows neither `by` nor `alt`.
#[test]
fn what_an_older_grape_tells_of_peers_is_read() {
    let answer = |before: &str, peers: &str| {
        let id = "a".repeat(20);
        format!("d1:rd{before}2:id20:{id}6:valuesl{peers}ee1:t1:t1:y1:re")
    };
    let read = |datagram: String| match decode(datagram.as_bytes()).unwrap().body {
        Body::Response(response) => response.peers,
        other => panic!("{other:?}"),
    };
    for (before, ports) in [
        ("", [None; 2]),
        ("2:dp2:AA", [Some(0x4141); 2]),
        ("2:dp4:AABB", [Some(0x4141), Some(0x4242)]),
    ] {
        let peers = read(answer(before, "6:aaaaaa6:bbbbbb"));
        assert_eq!(peers.iter().map(|peer| peer.node_port).collect::<Vec<_>>(), ports);
        assert!(peers.iter().all(|peer| peer.announcers.is_empty() && !peer.alt));
    }
}

#[test]
fn announcers_that_cannot_be_are_left_out() {
    let id = "a".repeat(20);
    let many = "cccccc".repeat(50);
    let datagram = format!(
        "d1:rd3:alti1e2:byl7:aaaaaab300:{many}i5ee2:id20:{id}6:valuesl6:aaaaaa6:bbbbbbee1:t1:t1:y1:re"
    );
    let Body::Response(response) = decode(datagram.as_bytes()).unwrap().body else { panic!() };
    let told: Vec<_> = response.peers.iter().map(|peer| peer.announcers.len()).collect();
    assert_eq!(told, [1, MAX_ANNOUNCERS]);
    assert!(response.peers.iter().all(|peer| !peer.alt));
}
