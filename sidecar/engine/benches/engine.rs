//! The engine: a datagram in, an answer out, by a node that knows many nodes or holds many peers.

use std::borrow::Cow;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use grape_engine::krpc::{Body, Message, Method, Query, Response, Want, decode, encode};
use grape_engine::{Answer, Effect, Engine, MAX_PEERS, Settings};
use mainline::Id;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Who asks; it reads only, so that it comes into no table.
const ASKER: ([u8; 4], u16) = ([10, 200, 0, 1], 20001);

#[expect(clippy::disallowed_methods, reason = "the engine needs a moment to begin at")]
fn now() -> Instant {
    Instant::now()
}

fn engine(now: Instant) -> Engine {
    Engine::new(Settings::new(Id::from([0; 20]), 20001), [7; 32], now)
}

fn datagram(sender: Id, read_only: bool, method: Method<'_>) -> Vec<u8> {
    let query = Query { sender: Some(sender), read_only, want: Want::default(), method };
    let message = Message {
        transaction_id: Cow::Borrowed(b"\0\x07"),
        version: None,
        network: None,
        body: Body::Query(query),
    };
    encode(&message).expect("nothing in it is nested deep")
}

/// What the engine answers to one datagram.
fn answer(engine: &mut Engine, datagram: &[u8], now: Instant) -> Option<Vec<u8>> {
    let asker = SocketAddr::from(ASKER);
    engine.handle_datagram(asker, datagram, now);
    let mut answer = None;
    while let Some(effect) = engine.poll_effect() {
        match effect {
            Effect::Send { to, datagram } if to == asker => answer = Some(datagram),
            _ => {}
        }
    }
    answer
}

fn response(datagram: &[u8]) -> Response<'_> {
    match decode(datagram).expect("the engine answers KRPC").body {
        Body::Response(response) => *response,
        other => panic!("an answer, not {other:?}"),
    }
}

/// A node pings the engine, and answers the pings that it gets in return.
fn meet(engine: &mut Engine, node: SocketAddr, id: Id, now: Instant) {
    engine.handle_datagram(node, &datagram(id, false, Method::Ping { watch: None }), now);
    let mut pings = Vec::new();
    while let Some(effect) = engine.poll_effect() {
        match effect {
            Effect::Send { to, datagram } if to == node => pings.push(datagram),
            _ => {}
        }
    }
    for ping in pings {
        let ping = decode(&ping).expect("the engine sends KRPC");
        if let Body::Query(_) = ping.body {
            let body = Body::Response(Box::new(Response::new(id)));
            let pong =
                Message { transaction_id: ping.transaction_id, version: None, network: None, body };
            engine.handle_datagram(
                node,
                &encode(&pong).expect("nothing in it is nested deep"),
                now,
            );
        }
    }
    while engine.poll_effect().is_some() {}
}

/// `find_node` at a node that knows of ten thousand others.
fn closest(criterion: &mut Criterion) {
    let now = now();
    let mut rng = StdRng::seed_from_u64(1);
    let mut engine = engine(now);
    for n in 0..10_000u32 {
        let from = SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + n), 20001));
        meet(&mut engine, from, Id::from(rng.random::<[u8; 20]>()), now);
    }
    assert!(engine.stats().nodes > 150, "{} nodes", engine.stats().nodes);
    let target = Id::from(rng.random::<[u8; 20]>());
    let question = datagram(
        Id::from([9; 20]),
        true,
        Method::FindNode { target: Cow::Borrowed(target.as_bytes()) },
    );
    let answered = answer(&mut engine, &question, now).expect("an answer");
    assert_eq!(response(&answered).nodes.len(), 20);
    criterion.bench_function("engine: closest nodes of a full table", |bencher| {
        bencher.iter(|| answer(&mut engine, black_box(&question), now));
    });
}

/// The peers of names that few announced, and of one that many did.
fn peers(criterion: &mut Criterion) {
    for count in [1u16, 100, 10_000] {
        let now = now();
        let mut engine = engine(now);
        let ask = |method| datagram(Id::from([9; 20]), true, method);
        let name = Cow::Borrowed(&b"rpc_test"[..]);
        let get_peers = ask(Method::GetPeers { info_hash: name.clone() });
        let answered = answer(&mut engine, &get_peers, now).expect("an answer");
        let token = response(&answered).token.expect("a token").into_owned();
        let announce = |port| {
            let (info_hash, token) = (name.clone(), Cow::Borrowed(&*token));
            ask(Method::AnnouncePeer {
                info_hash,
                port: Some(port),
                token,
                ttl: None,
                ip: None,
                alt: false,
            })
        };
        for port in 1..=count {
            answer(&mut engine, &announce(port), now);
        }
        // The node knows no others, so the lookup ends at once, and the next answer is from memory.
        let _ = engine.lookup(&name, now);
        while engine.poll_effect().is_some() {}
        let Answer::Now(found) = engine.lookup(&name, now) else { panic!("it walks") };
        assert_eq!(found.len(), MAX_PEERS.min(count.into()));

        let held = format!("{count} peers");
        criterion.bench_function(&format!("engine: lookup from memory, {held}"), |bencher| {
            bencher.iter(|| engine.lookup(black_box(&name), now));
        });
        criterion.bench_function(&format!("engine: get_peers, {held}"), |bencher| {
            bencher.iter(|| answer(&mut engine, black_box(&get_peers), now));
        });
        let announce = announce(count);
        criterion.bench_function(&format!("engine: announce_peer, {held}"), |bencher| {
            bencher.iter(|| answer(&mut engine, black_box(&announce), now));
        });
    }
}

criterion_group!(benches, closest, peers);
criterion_main!(benches);
