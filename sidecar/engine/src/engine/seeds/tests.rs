use std::net::IpAddr;
use std::time::Duration;

use mainline::Id;

use super::*;
use crate::krpc::{self, Body, Message, Method, Query, Response, Want};
use crate::{Effect, Settings};

const SECOND: Duration = Duration::from_secs(1);
const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fn own() -> Id {
    Id::from([1; 20])
}

fn other() -> Id {
    Id::from([2; 20])
}

/// An address that is not this node's.
fn shared() -> SocketAddr {
    SocketAddr::from(([10, 96, 0, 1], 20001))
}

fn engine(now: Instant) -> Engine {
    engine_of(settings(), now)
}

fn settings() -> Settings {
    Settings { awaits_seeds: true, ..Settings::new(own(), 20001) }
}

fn engine_of(settings: Settings, now: Instant) -> Engine {
    let mut engine = Engine::new(settings, [7; 32], now);
    engine.set_host_addresses(vec![HOST]);
    engine
}

/// Lets time pass, with a round of discovery each second. `answers` says which node answers at the
/// shared address.
fn run(
    engine: &mut Engine,
    now: &mut Instant,
    seconds: u32,
    mut answers: impl FnMut(u32) -> Option<Id>,
) {
    for second in 0..seconds {
        engine.join(vec![shared()], true, *now);
        while let Some(effect) = engine.poll_effect() {
            let Effect::Send { to, datagram } = effect else { continue };
            let query = krpc::decode(&datagram).unwrap();
            if let Some(id) = answers(second).filter(|_| to == shared()) {
                let body = Body::Response(Box::new(Response::new(id)));
                let answer = Message { body, version: None, network: None, ..query };
                engine.handle_datagram(to, &krpc::encode(&answer).unwrap(), *now);
            }
        }
        *now += SECOND;
        engine.handle_timeout(*now);
    }
}

#[test]
fn a_node_that_reached_only_itself_is_the_first_after_a_while() {
    let mut now = crate::clock::now();
    let mut engine = engine(now);
    run(&mut engine, &mut now, 29, |_| Some(own()));
    assert!(!engine.is_ready());
    assert_eq!(engine.seeds_that_lead_home(), [shared()]);
    run(&mut engine, &mut now, 3, |_| Some(own()));
    assert!(engine.is_ready());
}

#[test]
fn silence_at_a_shared_address_starts_the_time_again() {
    let mut now = crate::clock::now();
    let mut engine = engine(now);
    run(&mut engine, &mut now, 25, |_| Some(own()));
    run(&mut engine, &mut now, 4, |_| None);
    run(&mut engine, &mut now, 25, |_| Some(own()));
    assert!(!engine.is_ready());
    run(&mut engine, &mut now, 10, |_| Some(own()));
    assert!(engine.is_ready());
}

#[test]
fn another_node_at_a_shared_address_is_joined() {
    let mut now = crate::clock::now();
    let mut engine = engine(now);
    run(&mut engine, &mut now, 5, |_| Some(own()));
    assert!(!engine.is_ready());
    run(&mut engine, &mut now, 1, |_| Some(other()));
    assert!(engine.is_ready());
    assert_eq!((engine.stats().nodes, engine.seeds_that_lead_home()), (1, vec![]));
}

#[test]
fn a_nodes_own_address_replaces_the_shared_one() {
    let mut now = crate::clock::now();
    let mut engine = engine(now);
    run(&mut engine, &mut now, 2, |_| Some(own()));
    run(&mut engine, &mut now, 1, |_| Some(other()));
    assert!(engine.knows(&shared()));
    let real = SocketAddr::from(([10, 0, 0, 2], 20001));
    ask(&mut engine, real, other(), now);
    assert!(engine.knows(&shared()), "anyone can ask in its name");
    answer_pings(&mut engine, real, other(), now);
    assert!(engine.knows(&real) && !engine.knows(&shared()));
    assert_eq!(engine.stats().nodes, 1);
}

#[test]
fn our_own_id_in_the_query_of_another_proves_nothing() {
    let now = crate::clock::now();
    let mut engine = engine(now);
    engine.join(vec![shared()], true, now);
    ask(&mut engine, shared(), own(), now);
    assert!(!engine.knows(&shared()));
    assert_eq!(engine.seeds_that_lead_home(), []);
    engine.handle_timeout(now + 3 * SECOND);
    assert!(!engine.is_ready());
}

#[test]
fn itself_is_an_address_of_the_host_at_its_own_port() {
    let now = crate::clock::now();
    let engine = engine(now);
    let at = |ip: [u8; 4], port| SocketAddr::from((ip, port));
    assert!(engine.is_itself(&at([10, 0, 0, 1], 20001)));
    assert!(!engine.is_itself(&at([10, 0, 0, 1], 20002)), "another node of the host");
    assert!(!engine.is_itself(&at([127, 0, 0, 2], 20001)), "it is bound to one address");
    let everywhere = Settings { bound_to_all: true, ..settings() };
    assert!(engine_of(everywhere, now).is_itself(&at([127, 0, 0, 2], 20001)));
    let advertise = Some([192, 0, 2, 1].into());
    let mut engine = engine_of(Settings { advertise, ..settings() }, now);
    assert!(engine.is_itself(&at([192, 0, 2, 1], 20001)));
    engine.join(vec![at([10, 0, 0, 1], 20001), at([192, 0, 2, 1], 20001)], true, now);
    assert!(engine.is_ready(), "all seeds are itself");
}

/// Has a query come in a node's name.
fn ask(engine: &mut Engine, from: SocketAddr, id: Id, now: Instant) {
    let method = Method::Ping { watch: None };
    let query = Query { sender: Some(id), read_only: false, want: Want::default(), method };
    let transaction_id = b"aa".as_slice().into();
    let message =
        Message { transaction_id, version: None, network: None, body: Body::Query(query) };
    engine.handle_datagram(from, &krpc::encode(&message).unwrap(), now);
}

/// Has a node answer what it is asked.
fn answer_pings(engine: &mut Engine, at: SocketAddr, id: Id, now: Instant) {
    while let Some(effect) = engine.poll_effect() {
        let Effect::Send { to, datagram } = effect else { continue };
        let query = krpc::decode(&datagram).unwrap();
        if to == at && matches!(query.body, Body::Query(_)) {
            let body = Body::Response(Box::new(Response::new(id)));
            let answer = Message { body, version: None, network: None, ..query };
            engine.handle_datagram(at, &krpc::encode(&answer).unwrap(), now);
        }
    }
}
