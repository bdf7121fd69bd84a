//! Two members of a group see each other's key: two seconds of virtual time.

use std::time::{Duration, Instant};

use grape_engine::gossip::{Gossip, GossipEffect};

#[expect(clippy::disallowed_methods, reason = "virtual time begins at any moment")]
fn main() {
    let (mut now, addrs) = (Instant::now(), [1, 2].map(|n| ([10, 0, 0, n], 20001).into()));
    let mut members = [0, 1].map(|n| {
        let mut member = Gossip::new(None, 1_700_000_000_000, [n as u8; 32], now);
        member.set_own_address(Some(addrs[n]), now);
        member.join("workers", [addrs[0]], now).expect("there is room");
        member.set("workers", "load", [n as u8].as_slice().into(), None, now).expect("it fits");
        member
    });
    for n in [0, 1].repeat(1000) {
        now += Duration::from_millis(1);
        members[n].handle_timeout(now);
        while let Some(effect) = members[n].poll_effect() {
            if let GossipEffect::Send { datagram, .. } = effect {
                members[1 - n].handle_datagram(addrs[n], &datagram, now);
            }
        }
    }
    for n in 0..2 {
        let seen = members[n].state("workers", Some(addrs[1 - n]), now).expect("it is a member");
        assert_eq!((&*seen[0].key, &*seen[0].value), ("load", &[1 - n as u8][..]));
    }
}
