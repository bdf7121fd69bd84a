use std::time::Duration;

use super::*;

fn addr(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

/// The service.
fn peer() -> SocketAddr {
    addr(1, 80)
}

fn by(addr: SocketAddr, until: Instant) -> Announcer {
    Announcer { addr, until, alt: false }
}

#[test]
fn one_announcer_at_the_peers_host_takes_no_more_than_its_time_and_port() {
    assert_eq!(size_of::<PeerRecord>(), 24);
}

#[test]
fn a_peer_is_there_until_its_last_announcer_goes() {
    let now = crate::clock::now();
    let later = |s| now + Duration::from_secs(s);
    let mut record = PeerRecord::of(&peer(), by(addr(1, 7), later(10)));
    record.announced(&peer(), by(addr(1, 8), later(20)));
    record.announced(&peer(), by(addr(9, 7), later(5)));
    assert_eq!((record.until(), record.next_expiry()), (later(20), later(5)));
    assert_eq!(record.strike(&peer(), &addr(1, 9), true), Left::All, "it announced nothing");
    assert_eq!(record.strike(&peer(), &addr(1, 8), false), Left::Others);
    assert_eq!(record.until(), later(10));
    assert_eq!(record.strike(&peer(), &addr(9, 7), false), Left::Others);
    assert_eq!(record, PeerRecord::of(&peer(), by(addr(1, 7), later(10))));
    assert_eq!(record.strike(&peer(), &addr(2, 7), false), Left::All, "another host");
    assert_eq!(record.strike(&peer(), &addr(1, 7), false), Left::Nobody);
}

#[test]
fn each_announce_ages_by_itself() {
    let now = crate::clock::now();
    let later = |s| now + Duration::from_secs(s);
    let mut record = PeerRecord::of(&peer(), by(addr(1, 7), later(1)));
    record.announced(&peer(), by(addr(1, 8), later(2)));
    assert!(record.expire(&peer(), later(1)));
    assert_eq!(record.is_from(&peer(), &addr(1, 7)), Some(false));
    assert!(!record.expire(&peer(), later(2)));
}

#[test]
fn an_announce_again_replaces_the_one_before() {
    let now = crate::clock::now();
    let later = |s| now + Duration::from_secs(s);
    for node in [addr(1, 7), addr(9, 7)] {
        let mut record = PeerRecord::of(&peer(), by(node, later(9)));
        record.announced(&peer(), by(node, later(3)));
        assert_eq!(record, PeerRecord::of(&peer(), by(node, later(3))));
    }
}

#[test]
fn announcers_are_known_once_any_node_returns_them() {
    let now = crate::clock::now();
    let later = now + Duration::from_secs(1);
    let mut record = PeerRecord::of(&peer(), by(addr(1, 1), now));
    record.merge(&peer(), PeerRecord::unreported(later));
    assert_eq!(record, PeerRecord::of(&peer(), by(addr(1, 1), later)));
    assert_eq!(record.is_from(&peer(), &addr(1, 1)), Some(true));
    assert_eq!(record.is_from(&peer(), &addr(1, 2)), Some(false));
    assert_eq!(record.is_from(&peer(), &addr(2, 1)), Some(false));
    let mut unreported = PeerRecord::unreported(later);
    assert_eq!(unreported.is_from(&peer(), &addr(1, 1)), None);
    unreported.merge(&peer(), record.clone());
    assert_eq!(unreported, record);
}

#[test]
fn the_announcers_are_all_that_any_node_returned() {
    let now = crate::clock::now();
    let later = now + Duration::from_secs(1);
    let mut record = PeerRecord::of(&peer(), by(addr(1, 1), now));
    record.merge(&peer(), PeerRecord::of(&peer(), by(addr(1, 2), later)));
    record.merge(&peer(), PeerRecord::of(&peer(), by(addr(9, 1), now)));
    record.merge(&peer(), PeerRecord::of(&peer(), by(addr(1, 1), later)));
    let all: Vec<_> = record.announcers(&peer()).map(|by| (by.addr, by.until)).collect();
    assert_eq!(all, [(addr(1, 1), later), (addr(1, 2), later), (addr(9, 1), now)]);
}

#[test]
fn a_record_is_read_as_it_was_sent() {
    let now = crate::clock::now();
    let from = addr(5, 5);
    let mut record = PeerRecord::of(&peer(), by(addr(1, 7), now));
    assert_eq!(PeerRecord::reported(&record.tell(peer()), from, now), record);
    assert!(record.tell(peer()).announcers.is_empty(), "the port says it");
    record.announced(&peer(), by(addr(9, 7), now));
    assert_eq!(PeerRecord::reported(&record.tell(peer()), from, now), record);
    assert_eq!(record.tell(peer()).node_port, Some(7), "for those who know of one alone");
    let own = PeerRecord::of(&peer(), by(SocketAddr::from(([0, 0, 0, 0], 7)), now));
    let reported = PeerRecord::reported(&own.tell(peer()), from, now);
    assert_eq!(reported, PeerRecord::of(&peer(), by(from, now)), "the answerer's own");
}

#[test]
fn strangers_do_not_displace_announcers_of_the_peers_host() {
    let now = crate::clock::now();
    let later = now + Duration::from_secs(100);
    let mut record = PeerRecord::of(&peer(), by(addr(1, 7), now));
    for port in 1..=100 {
        record.announced(&peer(), by(addr(9, port), later));
    }
    assert_eq!(record.announcers(&peer()).count(), MAX_ANNOUNCERS);
    assert_eq!(record.is_from(&peer(), &addr(1, 7)), Some(true));
}

#[test]
fn a_peer_is_the_other_choice_where_all_its_announcers_say_so() {
    let now = crate::clock::now();
    let alt = |addr| Announcer { alt: true, ..by(addr, now) };
    let mut record = PeerRecord::of(&peer(), alt(addr(1, 7)));
    record.merge(&peer(), PeerRecord::of(&peer(), by(addr(1, 7), now)));
    assert!(record.is_alt(), "not all who hold it know what that means");
    record.announced(&peer(), by(addr(1, 8), now));
    assert!(!record.is_alt());
    record.announced(&peer(), alt(addr(1, 8)));
    assert!(record.is_alt());
}
