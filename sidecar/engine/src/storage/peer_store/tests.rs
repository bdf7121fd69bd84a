use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

fn until(until: Instant) -> Announcer {
    from(20001, until)
}

/// Announced by a node of host 1.
fn from(port: u16, until: Instant) -> Announcer {
    Announcer { addr: addr(1, port), until, alt: false }
}

fn addr(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

#[test]
fn several_ports_of_one_host_are_kept_and_expire_to_the_millisecond() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(10);
    let later = |ms| now + Duration::from_millis(ms);
    store.announced(b"n", addr(1, 1), until(later(200)), &mut rng);
    store.announced(b"n", addr(1, 2), until(later(201)), &mut rng);
    assert_eq!(store.get(b"n", later(199)).unwrap().len(), 2);
    assert_eq!(
        store.get(b"n", later(200)).unwrap().iter().map(|(addr, _)| addr).collect::<Vec<_>>(),
        [addr(1, 2)]
    );
    assert!(store.get(b"n", later(201)).is_none());
    store.expire(later(201));
    assert_eq!((store.len(), store.peers()), (0, 0));
}

#[test]
fn a_peer_announced_again_lives_longer() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(10);
    let later = |ms| now + Duration::from_millis(ms);
    store.announced(b"n", addr(1, 1), until(later(100)), &mut rng);
    store.announced(b"n", addr(1, 1), until(later(300)), &mut rng);
    assert!(store.get(b"n", later(299)).is_some());
    assert_eq!(store.peers(), 1);
}

#[test]
fn the_name_that_was_announced_least_recently_goes_first() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(2);
    let expires = now + Duration::from_secs(1);
    store.announced(b"a", addr(1, 1), until(expires), &mut rng);
    store.announced(b"b", addr(1, 1), until(expires), &mut rng);
    store.announced(b"a", addr(1, 1), until(expires), &mut rng);
    store.announced(b"c", addr(1, 1), until(expires), &mut rng);
    assert!(store.get(b"b", now).is_none());
    assert!(store.get(b"a", now).is_some() && store.get(b"c", now).is_some());
    assert_eq!((store.peers(), store.dropped()), (2, 1));
}

#[test]
fn loopback_peers_are_for_askers_on_loopback() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(2);
    let expires = now + Duration::from_secs(1);
    store.announced(b"a", SocketAddr::from(([127, 0, 0, 1], 1)), until(expires), &mut rng);
    store.announced(b"a", addr(1, 1), until(expires), &mut rng);
    let peers = store.get(b"a", now).unwrap();
    assert_eq!(peers.sample(9, &SocketAddr::from(([127, 0, 0, 1], 9)), &mut rng).len(), 2);
    assert_eq!(peers.sample(9, &addr(9, 9), &mut rng).len(), 1);
}

#[test]
fn a_sample_of_many_is_even() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(100);
    for port in 1..=1000 {
        store.announced(b"a", addr(1, port), until(now + Duration::from_secs(1)), &mut rng);
    }
    let peers = store.get(b"a", now).unwrap();
    let mut seen = vec![0u32; 1001];
    for _ in 0..1000 {
        for (addr, _) in peers.sample(100, &addr(9, 9), &mut rng) {
            seen[usize::from(addr.port())] += 1;
        }
    }
    // Chi-square over 1,000 cells of 100 each: 999 degrees of freedom, far out at 1,200.
    let chi: f64 = seen[1..].iter().map(|n| (f64::from(*n) - 100.0).powi(2) / 100.0).sum();
    assert!(chi < 1200.0, "{chi}");
}

#[test]
fn the_announces_of_a_node_are_dropped_with_it() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(10);
    let later = now + Duration::from_secs(1);
    store.announced(b"a", addr(1, 1), from(7, later), &mut rng);
    store.announced(b"a", addr(1, 2), from(8, later), &mut rng);
    store.announced(b"a", addr(2, 1), Announcer { addr: addr(2, 7), ..until(later) }, &mut rng);
    store.announced(b"a", addr(3, 1), from(7, later), &mut rng);
    store.announced(b"a", addr(1, 3), from(7, later), &mut rng);
    store.announced(b"a", addr(1, 3), from(8, later), &mut rng);
    store.announced(b"b", addr(1, 1), from(7, later), &mut rng);
    let mut names = store.remove_from(&addr(1, 7));
    names.sort();
    assert_eq!(names, [Name::from(b"a".as_slice()), Name::from(b"b".as_slice())]);
    let mut left: Vec<_> = store.get(b"a", now).unwrap().iter().map(|(addr, _)| addr).collect();
    left.sort_unstable();
    assert_eq!(left, [addr(1, 2), addr(1, 3), addr(2, 1)]);
    assert_eq!((store.len(), store.peers()), (1, 3));
}

#[test]
fn a_withdrawal_drops_only_the_announce_of_its_node() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(10);
    let later = now + Duration::from_secs(1);
    store.announced(b"a", addr(1, 1), from(7, later), &mut rng);
    store.announced(b"a", addr(1, 1), from(8, later), &mut rng);
    assert_eq!(store.withdrawn(b"a", &addr(1, 1), &addr(1, 9)), Left::All);
    assert_eq!(store.withdrawn(b"a", &addr(1, 1), &addr(1, 7)), Left::Others);
    assert_eq!((store.len(), store.peers()), (1, 1));
    assert_eq!(store.withdrawn(b"a", &addr(1, 1), &addr(1, 8)), Left::Nobody);
    assert_eq!((store.len(), store.peers()), (0, 0));
}

#[test]
fn one_of_several_announces_expires_alone() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(10);
    let later = |ms| now + Duration::from_millis(ms);
    store.announced(b"a", addr(1, 1), from(7, later(300)), &mut rng);
    store.announced(b"a", addr(1, 1), from(8, later(100)), &mut rng);
    assert!(store.get(b"a", later(100)).is_some());
    assert_eq!(store.withdrawn(b"a", &addr(1, 1), &addr(1, 8)), Left::All, "it is over");
    assert!(store.get(b"a", later(300)).is_none());
}

/// One host announces ever more names, or ever more ports of a name: what others announced stays.
#[test]
fn a_host_that_announces_without_end_crowds_out_nobody() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(100);
    let later = now + Duration::from_secs(1);
    let mine = Announcer { addr: SocketAddr::from(([0, 0, 0, 0], 20001)), ..until(later) };
    store.announced(b"own", addr(66, 1337), mine, &mut rng);
    for host in 1..=20 {
        store.announced(format!("honest {host}").as_bytes(), addr(host, 1), until(later), &mut rng);
    }
    for n in 0..10_000_u32 {
        let port = u16::try_from(n + 1).unwrap();
        store.announced(format!("false {n}").as_bytes(), addr(66, 1), until(later), &mut rng);
        store.announced(b"honest 1", addr(66, port), until(later), &mut rng);
    }
    assert!(store.len() <= 100 && store.peers() <= 100 * ANNOUNCES_PER_NAME);
    for host in 1..=20 {
        assert!(store.has(format!("honest {host}").as_bytes(), &addr(host, 1)), "{host}");
    }
    assert!(store.has(b"own", &addr(66, 1337)));
    let peers: usize = store.names.iter().map(|(_, peers)| peers.len()).sum();
    assert_eq!(store.peers(), peers);
    store.expire(later);
    assert_eq!((store.len(), store.peers()), (0, 0));
    assert!(store.shares.make_room().is_none(), "nothing is counted that is not held");
}

/// A peer takes more memory, the more nodes announce it.
#[test]
fn each_announce_of_a_peer_counts() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(100);
    let later = |ms| now + Duration::from_millis(ms);
    store.announced(b"honest", addr(2, 1), until(later(900)), &mut rng);
    let announce = |store: &mut PeerStore, n: u64, node, rng: &mut StdRng| {
        let until = later(100 + n % 7 + u64::from(node));
        store.announced(
            format!("{}", n % 90).as_bytes(),
            addr(1, n as u16),
            from(node, until),
            rng,
        );
    };
    for n in 0..5_000 {
        (1..=8).for_each(|node| announce(&mut store, n, node, &mut rng));
    }
    let [names, _, announces] = store.bounds();
    assert!(names.used > 50 && announces.used <= 100 * ANNOUNCES_PER_NAME, "{announces:?}");
    assert!(store.peers() < announces.used / 4 && store.has(b"honest", &addr(2, 1)));
    // What ends is counted no more, in whichever way it ends.
    let counted = |store: &PeerStore| {
        let records = store.names.iter().flat_map(|(_, peers)| peers.iter());
        records.map(|(_, record)| record.announces()).sum::<usize>()
    };
    store.remove_from(&addr(1, 3));
    assert_eq!(store.bounds()[2].used, counted(&store));
    for n in 4_900..5_000 {
        let (name, peer) = (format!("{}", n % 90), addr(1, n));
        match n % 3 {
            0 => store.remove(name.as_bytes(), &peer),
            1 => drop(store.withdrawn(name.as_bytes(), &peer, &addr(1, 5))),
            _ => (1..=8).for_each(|node| {
                store.withdrawn(name.as_bytes(), &peer, &addr(1, node));
            }),
        }
    }
    assert_eq!(store.bounds()[2].used, counted(&store));
    store.get(b"7", later(105));
    assert_eq!(store.bounds()[2].used, counted(&store));
    store.expire(later(110));
    assert_eq!(store.bounds()[2].used, counted(&store));
    store.expire(later(900));
    assert_eq!(store.bounds().map(|bound| bound.used), [0; 3]);
}

/// Names may be long, but not all of them.
#[test]
fn long_names_make_room() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(100);
    let later = |ms| now + Duration::from_millis(ms);
    store.announced(b"honest", addr(2, 1), until(later(900)), &mut rng);
    for n in 0..1000 {
        let name = format!("{n}{}", "n".repeat(1000));
        store.announced(name.as_bytes(), addr(1, 1), until(later(100 + n)), &mut rng);
    }
    let counted = |store: &PeerStore| store.names().map(|name| name.len()).sum::<usize>();
    let [names, bytes, _] = store.bounds();
    assert!((20..=30).contains(&names.used) && bytes.used <= 25_600, "{names:?} {bytes:?}");
    assert_eq!(bytes.used, counted(&store));
    assert!(store.has(b"honest", &addr(2, 1)), "another host's");
    store.expire(later(1095));
    assert_eq!(store.bounds()[1].used, counted(&store));
    store.expire(later(2000));
    assert_eq!(store.bounds().map(|bound| bound.used), [0; 3]);
}

/// A name that is as full as it may be.
#[test]
fn ports_without_end_hide_no_other_host() {
    let (mut rng, now) = (StdRng::seed_from_u64(1), crate::clock::now());
    let mut store = PeerStore::new(5000);
    let later = now + Duration::from_secs(1);
    store.announced(b"a", addr(1, 1), until(later), &mut rng);
    for n in 1..=60_000 {
        store.announced(b"a", addr(66, n), until(later), &mut rng);
    }
    assert_eq!(store.peers(), 20_000);
    let peers = store.get(b"a", now).unwrap();
    for _ in 0..100 {
        let chosen = peers.sample(50, &addr(9, 9), &mut rng);
        assert_eq!(chosen.len(), 50);
        assert!(chosen.iter().any(|(peer, _)| *peer == addr(1, 1)));
    }
}
