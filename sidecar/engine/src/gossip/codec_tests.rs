use proptest::prelude::*;

use super::super::encode::encode;
use super::super::limits::MAX_STATE;
use super::super::message::{BARE, ENOUGH, Key, MAX_PARTS};
use super::*;

fn addr() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn entry() -> impl Strategy<Value = DigestEntry> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>());
    (addr(), numbers, any::<Option<(u64, u8)>>()).prop_map(|(addr, numbers, parts)| {
        let (generation, heartbeat, version, collected) = numbers;
        DigestEntry { addr, generation, heartbeat, version, collected, parts }
    })
}

fn change() -> impl Strategy<Value = Change> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Body::Set(bytes.into())),
        Just(Body::Unset),
    ];
    let expiry = prop::option::of((0..=1_u64 << 40).prop_map(Duration::from_millis));
    ("[a-zé]{1,20}", expiry, body).prop_map(|(key, expires_in, body)| Change {
        key: Key::from(&*key),
        version: 0,
        expires_in,
        body,
    })
}

fn delta() -> impl Strategy<Value = Delta> {
    let numbers = (any::<u64>(), 0..1_u64 << 60, any::<u64>(), any::<bool>());
    (addr(), numbers, prop::collection::vec(change(), 0..3)).prop_map(|(addr, numbers, changes)| {
        let (generation, from, collected, fresh) = numbers;
        let in_order = |(change, version)| Change { version, ..change };
        let changes: Vec<_> = changes.into_iter().zip(from + 1..).map(in_order).collect();
        let to = from + changes.len() as u64;
        Delta { addr, generation, from, to, collected, fresh, changes }
    })
}

prop_compose! {
    fn message()(
        kind in prop_oneof![
            Just(Kind::Syn), Just(Kind::SynAck), Just(Kind::Challenge), Just(Kind::Ack)
        ],
        network in any::<Option<[u8; 8]>>(),
        group in any::<[u8; 8]>(),
        (generation, heartbeat) in (any::<u64>(), any::<u32>()),
        (yours, mine) in (any::<[u8; 8]>(), any::<[u8; 8]>()),
        known in any::<u16>(),
        digest in prop::collection::vec(entry(), 0..4),
        suspects in prop::collection::vec((addr(), any::<u64>(), any::<u32>()), 0..4),
        deltas in prop::collection::vec(delta(), 0..2),
    ) -> Message {
        let header = Header { kind, network, group, generation, heartbeat, yours, mine };
        let suspects = suspects.into_iter().map(|(addr, generation, heartbeat)| {
            Suspect { addr, generation, heartbeat }
        });
        Message { header, known, digest, suspects: suspects.collect(), deltas }
    }
}

proptest! {
    #[test]
    fn messages_come_back_as_they_were(message in message()) {
        let datagram = encode(&message);
        if datagram.len() <= MAX_DATAGRAM {
            prop_assert_eq!(decode(&datagram), Ok(message));
        } else {
            prop_assert_eq!(decode(&datagram), Err(Malformed));
        }
    }

    #[test]
    fn lengths_are_foretold(message in message()) {
        let digest = message.digest.iter().map(DigestEntry::encoded_len).sum::<usize>();
        let suspects = message.suspects.iter().map(Suspect::encoded_len).sum::<usize>();
        let fixed = encode(&Message { deltas: Vec::new(), ..message.clone() });
        prop_assert_eq!(fixed.len(), BARE + digest + suspects);
        // The length of `to` is reserved at its longest.
        let deltas = message.deltas.iter().map(Delta::encoded_len).sum::<usize>();
        let written = encode(&message).len() - fixed.len();
        prop_assert!(written <= deltas && deltas <= written + 9 * message.deltas.len());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
        let _ = decode(&[&[FIRST_BYTE, VERSION, 1, 0], &*bytes].concat());
    }

    #[test]
    fn a_cut_message_is_refused(message in message(), cut in any::<prop::sample::Index>()) {
        let datagram = encode(&message);
        prop_assert_eq!(decode(&datagram[..cut.index(datagram.len())]), Err(Malformed));
    }

    #[test]
    fn a_changed_message_is_read_within_bounds(
        message in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut datagram = encode(&message);
        let at = at.index(datagram.len());
        datagram[at] = byte;
        if let Ok(message) = decode(&datagram) {
            let changes = message.deltas.iter().flat_map(|delta| &delta.changes);
            let bytes: usize = changes.map(|change| change.key.len()).sum();
            prop_assert!(bytes < MAX_DATAGRAM && MAX_DATAGRAM < MAX_STATE);
        }
    }
}

fn header() -> Header {
    Header {
        kind: Kind::Ack,
        network: None,
        group: [7; 8],
        generation: u64::MAX,
        heartbeat: u32::MAX,
        yours: [1; 8],
        mine: [2; 8],
    }
}

fn with(change: Change, from: u64, to: u64) -> Vec<u8> {
    let addr = "[fd00::1]:1".parse().unwrap();
    let (generation, collected) = (u64::MAX, u64::MAX);
    let changes = vec![change];
    let deltas = vec![Delta { addr, generation, from, to, collected, fresh: true, changes }];
    let (header, digest, suspects) = (header(), Vec::new(), Vec::new());
    encode(&Message { header, known: ENOUGH, digest, suspects, deltas })
}

/// A part of a value with the longest key.
fn part(total: u16, index: u8, bytes: usize) -> Change {
    Change {
        key: "k".repeat(MAX_KEY).into(),
        version: u64::MAX,
        expires_in: Some(MAX_EXPIRY),
        body: Body::Part { total, index, bytes: vec![7; bytes].into() },
    }
}

#[test]
fn the_longest_part_fits_a_datagram() {
    let (from, total) = (u64::MAX - 1, MAX_GOSSIP_VALUE as u16);
    for index in 0..MAX_PARTS as u8 - 1 {
        let datagram = with(part(total, index, PART), from, from);
        assert!(datagram.len() <= MAX_DATAGRAM && decode(&datagram).is_ok());
    }
}

#[test]
fn parts_that_belong_nowhere_are_refused() {
    let read = |change, from, to| decode(&with(change, from, to)).is_ok();
    assert!(read(part(1000, 1, 100), 5, 5));
    assert!(!read(part(1000, 1, 99), 5, 5), "too short");
    assert!(!read(part(1000, 2, 100), 5, 5), "behind the end");
    assert!(!read(part(1000, 255, 100), 5, 5));
    assert!(!read(part(4097, 0, PART), 5, 5), "of too long a value");
    assert!(!read(part(0, 0, 0), 5, 5));
    assert!(!read(part(1000, 1, 100), 5, 6), "a part covers no version");
    assert!(!read(part(1000, 1, 100), u64::MAX, u64::MAX), "no version is above");
}

#[test]
fn versions_out_of_order_are_refused() {
    let set = |version| Change {
        key: "a".into(),
        version,
        expires_in: None,
        body: Body::Set((*b"1").into()),
    };
    let read = |version, from, to| decode(&with(set(version), from, to)).is_ok();
    assert!(read(6, 5, 6) && read(6, 5, 9));
    assert!(!read(5, 5, 6) && !read(7, 5, 6) && !read(6, 9, 5));
}

#[test]
fn an_empty_key_is_that_of_a_name() {
    let read = |expires_in, body| {
        let change = Change { key: NAME_KEY.into(), version: 6, expires_in, body };
        decode(&with(change, 5, 6)).is_ok()
    };
    let set = |name: &[u8]| Body::Set(name.into());
    assert!(read(None, set(b"workers-0")));
    assert!(!read(None, set(b"")), "no name");
    assert!(!read(None, set(b"Workers")), "no name of a pod");
    assert!(!read(None, set(&[b'x'; 254])), "too long");
    assert!(!read(None, set(b"\xff")), "no text");
    assert!(!read(None, Body::Unset), "a name stays");
    assert!(!read(Some(Duration::from_secs(1)), set(b"workers-0")), "a name stays");
    let part = Body::Part { total: 10, index: 0, bytes: [b'x'; 10].into() };
    assert!(!read(None, part), "a name is short");
}
