//! Keys of a member that another forged, at a version that the member has.

use super::*;

/// Two members, of which the second may hold what a forger told it.
struct Two {
    members: [Gossip; 2],
    now: Instant,
    sent: usize,
}

impl Two {
    fn start() -> Self {
        let now = crate::clock::now();
        let members = [0, 1].map(|n| {
            let mut gossip = Gossip::new(None, START, [n as u8; 32], now);
            gossip.set_own_address(Some(addr(n)), now);
            gossip.join(GROUP, [addr(0)], now).unwrap();
            gossip
        });
        let mut two = Self { members, now, sent: 0 };
        for (key, value) in [("load", "1"), ("place", "here"), ("gone", "soon")] {
            two.set(key, value);
        }
        two.members[0].unset(GROUP, "gone", two.now).unwrap();
        two.run(Duration::from_secs(2));
        two
    }

    fn set(&mut self, key: &str, value: &str) {
        self.members[0].set(GROUP, key, value.as_bytes().into(), None, self.now).unwrap();
    }

    /// Lets time pass. Returns what changed at the second.
    fn run(&mut self, time: Duration) -> Vec<GossipEvent> {
        let (end, mut seen) = (self.now + time, Vec::new());
        while self.now < end {
            self.now += Duration::from_millis(1);
            for n in [0, 1] {
                self.members[n].handle_timeout(self.now);
                while let Some(effect) = self.members[n].poll_effect() {
                    match effect {
                        GossipEffect::Send { to, datagram } if to == addr(1 - n as u32) => {
                            self.sent += datagram.len();
                            self.members[1 - n].handle_datagram(
                                addr(n as u32),
                                &datagram,
                                self.now,
                            );
                        }
                        GossipEffect::Event { event, .. } if n == 1 => seen.push(event),
                        _ => {}
                    }
                }
            }
        }
        seen
    }

    /// The first one's keys, as the second holds them.
    fn held(&self) -> Vec<(String, String)> {
        let items = self.members[1].state(GROUP, Some(addr(0)), self.now).unwrap().into_iter();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        items.map(|item| (item.key.to_string(), text(&item.value))).collect()
    }

    /// The version of the first one's keys that the second holds.
    fn version(&self) -> u64 {
        self.members[1].groups[0].members.get(&addr(0)).unwrap().replica.version()
    }

    /// Tells the second that the first one set keys, before it hears so from the first.
    fn forge(&mut self, keys: &[(&str, &str)]) {
        let version = self.version();
        let cookie = enter(&mut self.members[1], addr(9), self.now);
        let mut forged = message(Kind::Ack, cookie);
        let change = |((key, value), version): (&(&str, &str), u64)| Change {
            body: Body::Set(value.as_bytes().into()),
            ..set(key, version, 0)
        };
        forged.deltas =
            vec![delta(addr(0), version, keys.iter().zip(version + 1..).map(change).collect())];
        self.members[1].handle_datagram(addr(9), &encode(&forged), self.now);
    }
}

fn pairs<const N: usize>(keys: [(&str, &str); N]) -> Vec<(String, String)> {
    keys.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[test]
fn what_was_forged_at_the_members_version_goes_in_seconds() {
    let mut two = Two::start();
    assert_eq!(two.held(), pairs([("load", "1"), ("place", "here")]));
    two.forge(&[("evil", "x"), ("load", "forged")]);
    assert_eq!(two.held(), pairs([("evil", "x"), ("load", "forged"), ("place", "here")]));
    // Now the first has the version that was forged.
    two.set("more", "2");
    two.set("load", "3");
    assert_eq!(two.members[0].groups[0].own.version(), two.version());
    let events = two.run(Duration::from_secs(3));
    assert_eq!(two.held(), pairs([("load", "3"), ("more", "2"), ("place", "here")]));
    let unset = |key: &str| {
        let of = |event: &&GossipEvent| matches!(event, GossipEvent::Update { key: k, value: None, .. } if **k == *key);
        events.iter().filter(of).count()
    };
    assert_eq!([unset("evil"), unset("place")], [1, 0], "{events:?}");
    assert_eq!(two.members[0].generation(GROUP), Some(START));
}

#[test]
fn true_copies_change_nothing() {
    let mut two = Two::start();
    two.members[0]
        .set(GROUP, "short", (*b"s").into(), Some(two.now + Duration::from_secs(5)), two.now)
        .unwrap();
    two.set("long", &"l".repeat(3000));
    two.run(Duration::from_secs(1));
    let version = two.members[0].groups[0].own.version();
    let events = two.run(Duration::from_secs(400));
    assert_eq!(two.members[0].groups[0].own.version(), version);
    assert!(matches!(&events[..], [GossipEvent::Expire { .. }]), "{events:?}");
}

#[test]
fn false_receipts_cost_little() {
    let mut two = Two::start();
    (0..100).for_each(|n| two.set(&format!("key{n}"), &"v".repeat(60)));
    two.run(Duration::from_secs(2));
    let before = two.sent;
    let cookie = enter(&mut two.members[0], addr(9), two.now);
    for _ in 0..10_000 {
        let version = two.members[0].groups[0].own.version();
        let body = Body::Set((*b"0123456789abcdef").into());
        let mut forged = message(Kind::Ack, cookie);
        forged.deltas =
            vec![delta(addr(0), version - 1, vec![Change { body, ..set("", version, 0) }])];
        two.members[0].handle_datagram(addr(9), &encode(&forged), two.now);
        two.run(Duration::from_millis(1));
    }
    let sent = two.sent - before;
    assert!(sent < 200_000, "{sent} bytes in 10 s, five times all keys among them");
    assert_eq!(two.held().len(), 102);
}
