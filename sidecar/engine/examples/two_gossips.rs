//! Two members of a group meet, and one sees the other's key.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape_engine::gossip::{Gossip, GossipEffect, GossipEvent};

#[expect(clippy::disallowed_methods, reason = "virtual time begins at any moment")]
fn main() {
    let addr = |n: u8| SocketAddr::from(([10, 0, 0, n], 20001));
    let (mut now, mut seen) = (Instant::now(), None);
    let mut members = [1, 2].map(|n| {
        let mut gossip = Gossip::new(None, 1_700_000_000_000, [n; 32], now);
        gossip.set_own_address(Some(addr(n)), now);
        gossip.join("workers", [addr(1)], now).expect("it is the first group");
        gossip
    });
    members[0].set("workers", "load", (*b"0.7").into(), None, now).expect("it is short");
    while seen.is_none() {
        now += Duration::from_millis(1);
        for n in [1, 2] {
            members[n - 1].handle_timeout(now);
            while let Some(effect) = members[n - 1].poll_effect() {
                match effect {
                    GossipEffect::Send { to, datagram } => {
                        let receiver = usize::from(to == addr(2));
                        members[receiver].handle_datagram(addr(n as u8), &datagram, now);
                    }
                    GossipEffect::Event {
                        event: GossipEvent::Update { peer, key, value }, ..
                    } => {
                        seen = Some((peer, key, value));
                    }
                    _ => {}
                }
            }
        }
    }
    assert_eq!(seen, Some((addr(1), "load".into(), Some((*b"0.7").into()))));
}
