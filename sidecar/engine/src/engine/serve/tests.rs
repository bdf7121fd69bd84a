use mainline::Id;

use super::*;
use crate::krpc::{self, Message};
use crate::{Answer, Effect, Settings};

fn asker() -> SocketAddr {
    SocketAddr::from(([10, 200, 0, 1], 20001))
}

fn engine(now: Instant) -> Engine {
    Engine::new(Settings::new(Id::from([0; 20]), 20001), [7; 32], now)
}

/// The answer to a query, if there is one.
fn ask(engine: &mut Engine, method: Method<'_>, now: Instant) -> Option<Body<'static>> {
    let query =
        Query { sender: Some(Id::from([9; 20])), read_only: true, want: Want::default(), method };
    let body = Body::Query(query);
    let query = Message { transaction_id: b"tt".into(), version: None, network: None, body };
    engine.handle_datagram(asker(), &krpc::encode(&query).unwrap(), now);
    let Some(Effect::Send { datagram, .. }) = engine.poll_effect() else { return None };
    match krpc::decode(&datagram).unwrap().body {
        Body::Response(response) => {
            let token = response.token.map(|token| token.into_owned().into());
            Some(Body::Response(Box::new(Response { token, ..Response::new(response.id) })))
        }
        Body::Error { code, message } => {
            Some(Body::Error { code, message: message.into_owned().into() })
        }
        Body::Query(_) => None,
    }
}

fn token(engine: &mut Engine, name: &[u8], now: Instant) -> Vec<u8> {
    let method = Method::GetPeers { info_hash: name.into() };
    match ask(engine, method, now) {
        Some(Body::Response(response)) => response.token.unwrap().into_owned(),
        other => panic!("{other:?}"),
    }
}

fn announce<'a>(name: &'a [u8], token: &'a [u8]) -> Method<'a> {
    Method::AnnouncePeer {
        info_hash: name.into(),
        port: Some(1337),
        token: token.into(),
        ttl: None,
        ip: None,
        alt: false,
    }
}

#[test]
fn names_have_a_longest() {
    let now = crate::clock::now();
    let mut engine = engine(now);
    let longest = vec![b'n'; MAX_NAME];
    let token = token(&mut engine, &longest, now);
    let stored = ask(&mut engine, announce(&longest, &token), now);
    assert!(matches!(stored, Some(Body::Response(_))), "{stored:?}");

    let longer = vec![b'n'; MAX_NAME + 1];
    for method in
        [Method::GetPeers { info_hash: longer.as_slice().into() }, announce(&longer, &token)]
    {
        let Some(Body::Error { code, message }) = ask(&mut engine, method, now) else {
            panic!("it is refused")
        };
        assert_eq!((code, &*message), (203, "`info_hash` is longer than 1024 bytes"));
    }
    assert_eq!(engine.lookup(&longer, now), Answer::Now(Vec::new()));
    assert_eq!(engine.announce(&longer, 1337, now), Answer::Now(0));
    assert_eq!(engine.storage.held().names, 1);
}

#[test]
fn a_datagram_that_is_longer_than_any_message_is_not_read() {
    let now = crate::clock::now();
    let mut engine = engine(now);
    let query = |padding: usize| {
        let id = "i".repeat(20);
        let padding = "x".repeat(padding);
        format!("d1:ad2:id20:{id}1:x{}:{padding}e1:q4:ping1:t2:tt1:y1:qe", padding.len())
    };
    for (padding, answered) in [(1980, true), (2048, false), (60_000, false)] {
        engine.handle_datagram(asker(), query(padding).as_bytes(), now);
        assert_eq!(engine.poll_effect().is_some(), answered, "{padding}");
        while engine.poll_effect().is_some() {}
    }
    assert_eq!(engine.stats().malformed, 2);
}

/// A query whose source address may be forged, and the bytes of the answer to it, and whether a ping
/// came with it.
fn bytes_for(
    engine: &mut Engine,
    from: SocketAddr,
    now: Instant,
) -> (usize, usize, Option<Vec<u8>>) {
    let method = Method::GetPeers { info_hash: b"rpc_test".into() };
    let query =
        Query { sender: Some(Id::from([9; 20])), read_only: false, want: Want::default(), method };
    let body = Body::Query(query);
    let query = Message { transaction_id: b"tt".into(), version: None, network: None, body };
    let query = krpc::encode(&query).unwrap();
    engine.handle_datagram(from, &query, now);
    let (mut answer, mut ping) = (0, None);
    while let Some(effect) = engine.poll_effect() {
        if let Effect::Send { to, datagram } = effect {
            assert_eq!(to, from);
            let message = krpc::decode(&datagram).unwrap();
            match message.body {
                Body::Response(_) => answer = datagram.len(),
                _ => ping = Some(message.transaction_id.into_owned()),
            }
        }
    }
    (query.len(), answer, ping)
}

#[test]
fn a_forged_address_is_sent_little() {
    let now = crate::clock::now();
    let mut engine = engine(now);
    for n in 1..=200 {
        let by = Announcer { addr: asker(), until: now + engine.settings.peer_max_age, alt: false };
        engine.storage.add_peer(b"rpc_test", ([10, 0, 0, n], 1337).into(), by, &mut engine.rng);
    }
    let mut pings = Vec::new();
    for n in 0..100 {
        let (query, answer, ping) = bytes_for(&mut engine, asker(), now);
        pings.extend(ping);
        match n {
            0..3 => assert!(answer > 800, "{answer}"),
            _ => assert!(answer <= 3 * query, "{answer} for {query}"),
        }
    }
    assert_eq!(pings.len(), 1, "it is asked once whether it is there");
    let pong = Message {
        transaction_id: pings.remove(0).into(),
        version: None,
        network: None,
        body: Body::Response(Box::new(Response::new(Id::from([9; 20])))),
    };
    engine.handle_datagram(asker(), &krpc::encode(&pong).unwrap(), now);
    while engine.poll_effect().is_some() {}
    assert!(bytes_for(&mut engine, asker(), now).1 > 800, "it has proved that it is there");
    // All hosts that there may be.
    let (mut received, mut sent) = (0, 0);
    for n in 0..2000_u16 {
        let [high, low] = n.to_be_bytes();
        let (query, answer, _) = bytes_for(&mut engine, ([10, 1, high, low], 1).into(), now);
        (received, sent) = (received + query, sent + answer);
    }
    assert!(sent <= 3 * received + 200 * MTU, "{sent} for {received}");
}
