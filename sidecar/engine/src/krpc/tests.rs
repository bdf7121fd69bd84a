use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use bendy::decoding::{Decoder, Object};
use bendy::encoding::{Encoder, ToBencode};
use bendy::value::Value;

use super::bencode::Reader;
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

fn encoded(value: &Value<'_>) -> Cow<'static, [u8]> {
    let mut encoder = Encoder::new().with_max_depth(40);
    encoder.emit_with(|encoder| value.encode(encoder)).unwrap();
    encoder.get_output().unwrap().into()
}

fn raw_value() -> impl Strategy<Value = Cow<'static, [u8]>> {
    value().prop_map(|value| encoded(&value))
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
            option::of(any::<u16>()),
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
        (bytes(400), any::<u16>(), bytes(20), option::of(any::<IpAddr>())).prop_map(
            |(info_hash, port, token, ip)| Method::WithdrawPeer { info_hash, port, token, ip }
        ),
        (bytes(40), option::of(any::<i64>())).prop_map(|(target, seq)| Method::Get { target, seq }),
        (bytes(20), raw_value(), option::of(signed(true)), option::of(any::<i64>())).prop_map(
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
    let optional = (option::of(bytes(20)), option::of(raw_value()), option::of(signed(false)));
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
    let network = option::of(any::<[u8; 8]>());
    let body = prop_oneof![query(), response(), error];
    (vec(any::<u8>(), 0..40), version, network, body).prop_map(|(tid, version, network, body)| {
        Message { transaction_id: tid.into(), version, network, body }
    })
}

proptest! {
    #[test]
    fn messages_are_read_as_they_were_written(message in message()) {
        let datagram = encode(&message).unwrap();
        prop_assert_eq!(decode(&datagram).unwrap(), message);
        // A strict reader takes it too: its keys are in order.
        let mut strict = Decoder::new(&datagram).with_max_depth(40);
        let Ok(Some(Object::Dict(mut dict))) = strict.next_object() else { panic!("no dictionary") };
        prop_assert!(dict.consume_all().is_ok());
    }

    #[test]
    fn keys_in_any_order_are_read_the_same(message in message(), seed in any::<u64>()) {
        let datagram = encode(&message).unwrap();
        let shuffled = shuffled(&datagram, seed, 2);
        prop_assert_eq!(shuffled.len(), datagram.len());
        prop_assert_eq!(decode(&shuffled).unwrap(), message);
    }

    #[test]
    fn a_value_is_written_as_it_was_read(value in value(), seed in any::<u64>()) {
        let raw = shuffled(&encoded(&value), seed, 40);
        let put = [b"d1:ad5:token1:t1:v", &raw[..], b"e1:q3:put1:t1:t1:y1:qe"].concat();
        let message = decode(&put).unwrap();
        let Body::Query(Query { method: Method::Put(read), .. }) = &message.body else { panic!() };
        prop_assert_eq!(&read.value, &raw);
        prop_assert_eq!(encode(&message).unwrap(), put);
        prop_assert_eq!(read_value(&raw), Some(value));
    }

    #[test]
    fn no_pieces_of_bencode_make_the_decoder_panic(
        pieces in vec(prop::sample::select(PIECES.to_vec()), 0..60)
    ) {
        let datagram = pieces.concat();
        let _ = (decode(datagram.as_bytes()), read_value(datagram.as_bytes()));
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

const PIECES: [&str; 20] = [
    "d",
    "l",
    "e",
    "i",
    ":",
    "-",
    "0",
    "1:a",
    "1:r",
    "1:q",
    "1:v",
    "1:t",
    "2:id",
    "i1e",
    "i-0e",
    "i03e",
    "00:",
    "18446744073709551616:",
    "6:values",
    "99999999999999999999",
];

/// A dictionary with its keys in another order, and those in it, so many levels deep.
fn shuffled(bytes: &[u8], seed: u64, levels: usize) -> Vec<u8> {
    let mut reader = Reader::new(bytes);
    if levels == 0 || !reader.begin_dict() {
        return bytes.to_vec();
    }
    let mut entries = Vec::new();
    let mut number = seed;
    while let Some(key) = reader.key().unwrap() {
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = shuffled(reader.raw().unwrap(), number, levels - 1);
        entries.push((
            number >> 32,
            [encoded(&Value::Bytes(key.into())).into_owned(), value].concat(),
        ));
    }
    entries.sort_unstable();
    let entries = entries.into_iter().flat_map(|(_, entry)| entry);
    [b'd'].into_iter().chain(entries).chain([b'e']).collect()
}

/// What npm's `bencode` reads, and what it makes of it.
#[test]
fn messages_are_read_as_npm_reads_them() {
    let ping = |fields: &str| format!("d1:ad{fields}e1:q4:ping1:t2:aa1:y1:qe");
    let id = "2:id20:aaaaaaaaaaaaaaaaaaaa";
    let read = |datagram: &str| match decode(datagram.as_bytes()).map(|message| message.body) {
        Ok(Body::Query(Query { sender, method: Method::Ping { watch }, .. })) => {
            Ok((sender.is_some(), watch))
        }
        other => Err(format!("{other:?}")),
    };
    for (fields, watch) in [
        (format!("5:watchi1e{id}"), Some(true)),
        (format!("{id}5:watchi0e5:watchi1e"), Some(true)),
        (format!("{id}5:watchi1e5:watchi0e"), Some(false)),
        (format!("{id}5:watchi01e"), Some(true)),
        (format!("{id}5:watchi-0e"), Some(false)),
        (format!("{id}5:watchi+1e"), Some(true)),
        (format!("{id}05:watchi1e"), Some(true)),
        (format!("1:zd1:b0:1:ai9ee{id}"), None),
    ] {
        assert_eq!(read(&ping(&fields)), Ok((true, watch)), "{fields}");
    }
    assert_eq!(read(&format!("d1:y1:q1:t2:aa1:q4:ping1:ad{id}ee")), Ok((true, None)));
    assert_eq!(read(&format!("d1:y1:e1:t2:bb1:t2:aa1:q4:ping1:ad{id}e1:y1:qe")), Ok((true, None)));
    for fields in ["i1e1:a", "1:ai-e", "1:aie", "1:ai1", "2:a", "1:a", "1:al", "1:a-1:"] {
        assert_eq!(decode(ping(fields).as_bytes()), Err(Malformed::Bencode), "{fields}");
    }
}

/// Its bytes are its identity: two nodes must not take them for two values.
#[test]
fn a_value_has_its_numbers_in_one_form() {
    for value in
        ["i03e", "i-0e", "i+1e", "02:ab", "l1:ai00ee", "d02:abi1ee", "i9223372036854775808e"]
    {
        assert_eq!(read_value(value.as_bytes()), None, "{value}");
        let put = format!("d1:ad5:token1:t1:v{value}e1:q3:put1:t1:t1:y1:qe");
        let Body::Query(Query { method, .. }) = decode(put.as_bytes()).unwrap().body else {
            panic!()
        };
        assert_eq!(method, Method::Invalid { name: "put", argument: "v" }, "{value}");
    }
    for no_value in ["", "i1e1:a", "d1:a", "di1ei1ee", "le1:a"] {
        assert_eq!(read_value(no_value.as_bytes()), None, "{no_value}");
    }
    let twice = read_value(b"d1:bi1e1:ai2e1:bi3ee");
    let sorted = [(b"a".as_slice(), 2), (b"b", 3)];
    let sorted = sorted.map(|(key, n)| (Cow::Borrowed(key), Value::Integer(n)));
    assert_eq!(twice, Some(Value::Dict(sorted.into_iter().collect())));
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
            ttl: Some(Duration::from_secs(90)),
            node_port: Some(PORT),
            ..Peer::new(SocketAddr::from(([10, 0, 0, 1], port)))
        })
        .collect();
    let message = Message {
        transaction_id: vec![1; 4].into(),
        version: Some(VERSION),
        network: None,
        body: Body::Response(Box::new(response)),
    };
    assert_eq!(encode(&message).unwrap().len(), 1200);
    let named = Message { network: Some([1; 8]), ..message };
    assert_eq!(encode(&named).unwrap().len(), 1200 + NETWORK_TAG_FIELD);
}

/// An older Grape writes a port for all peers or for each, and knows neither `by` nor `alt`.
#[test]
fn peers_of_an_older_grape_are_read() {
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
