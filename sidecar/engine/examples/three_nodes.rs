//! Three nodes join, one announces a service, another finds it: three seconds of virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape_engine::{Effect, Engine, Outcome, Settings};

#[expect(clippy::disallowed_methods, reason = "virtual time begins at any moment")]
fn main() {
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 20001));
    let (mut now, mut nodes) = (Instant::now(), BTreeMap::new());
    for n in 1..=3 {
        let mut node = Engine::new(Settings::new([n; 20].into(), 20001), [n; 32], now);
        node.set_host_addresses(vec![addr(n).ip()]);
        node.join(vec![addr(1)], true, now);
        nodes.insert(addr(n), node);
    }
    let (mut in_flight, mut found) = (Vec::<(_, _, Vec<u8>)>::new(), Vec::new());
    for millisecond in 0..3000 {
        now += Duration::from_millis(1);
        for (from, to, datagram) in std::mem::take(&mut in_flight) {
            let receiver: Option<&mut Engine> = nodes.get_mut(&to);
            receiver.into_iter().for_each(|node| node.handle_datagram(from, &datagram, now));
        }
        for (own, node) in &mut nodes {
            match millisecond {
                1000 if *own == addr(2) => drop(node.announce(b"rpc_test", 1337, now)),
                2000 if *own == addr(3) => drop(node.lookup(b"rpc_test", now)),
                _ => {}
            }
            node.handle_timeout(now);
            while let Some(effect) = node.poll_effect() {
                match effect {
                    Effect::Send { to, datagram } => in_flight.push((*own, to, datagram)),
                    Effect::Done { outcome: Outcome::Peers { peers, .. }, .. } => found = peers,
                    _ => {}
                }
            }
        }
    }
    assert_eq!(found, [SocketAddr::from(([10, 0, 0, 2], 1337))]);
}
