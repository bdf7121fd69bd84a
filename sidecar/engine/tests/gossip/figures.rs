//! How fast, how much, and how often wrong.

use std::time::Duration;

use grape_engine::gossip::GossipEvent;

use crate::network::{Network, START};

fn is_update(event: &GossipEvent) -> bool {
    matches!(event, GossipEvent::Update { .. })
}

fn is_failure(event: &GossipEvent) -> bool {
    matches!(event, GossipEvent::PeerFailed { .. })
}

/// The medians and the last of all, over several updates.
fn update(count: usize, updates: usize) -> (Duration, Duration) {
    let mut network = Network::of(count, 1);
    let mut all = Vec::new();
    for n in 0..updates {
        network.forget_events();
        let since = network.now;
        network.set(n % count, "key", &n.to_be_bytes());
        network.run(Duration::from_secs(5));
        all.extend(network.latencies(n % count, since, is_update));
    }
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1])
}

/// The median and the last of all, over several deaths.
fn death(count: usize, deaths: usize) -> (Duration, Duration) {
    let mut network = Network::of(count, 2);
    let mut all = Vec::new();
    for n in 1..=deaths {
        network.forget_events();
        let since = network.now;
        network.kill(n);
        network.run(Duration::from_secs(6));
        all.extend(network.latencies(n, since, is_failure));
        network.restart(n, START + network.millis());
        network.run(Duration::from_secs(6));
    }
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1])
}

#[test]
fn an_update_is_seen_by_20_others_within_600_ms() {
    let (median, last) = update(21, 10);
    assert!(median <= Duration::from_millis(200), "{median:?}");
    assert!(last <= Duration::from_millis(600), "{last:?}");
}

#[test]
fn an_update_is_seen_by_60_others_within_800_ms() {
    let (median, last) = update(61, 10);
    assert!(median <= Duration::from_millis(200), "{median:?}");
    assert!(last <= Duration::from_millis(800), "{last:?}");
}

#[test]
fn a_killed_member_has_failed_for_20_others_within_3_s() {
    let (_, last) = death(21, 10);
    assert!(last <= Duration::from_secs(3), "{last:?}");
}

#[test]
fn a_killed_member_has_failed_for_60_others_within_4_s() {
    let (_, last) = death(61, 10);
    assert!(last <= Duration::from_secs(4), "{last:?}");
}

/// Bytes that each member sends a second, and how many were taken for dead.
fn rest(count: usize, loss: f64, time: Duration) -> (u64, usize) {
    let mut network = Network::of(count, 3);
    network.loss = loss;
    let before = network.bytes_sent();
    network.run(time);
    let failures = (0..count).map(|n| network.count(n, is_failure)).sum();
    ((network.bytes_sent() - before) / count as u64 / time.as_secs(), failures)
}

#[test]
fn a_hundred_members_take_none_for_dead_in_ten_minutes_of_loss() {
    let (bytes, failures) = rest(100, 0.05, Duration::from_secs(600));
    assert_eq!(failures, 0);
    assert!(bytes <= 4096, "{bytes}");
}

#[test]
fn a_member_at_rest_sends_little() {
    let (bytes, _) = rest(100, 0.0, Duration::from_secs(20));
    assert!(bytes <= 4096, "{bytes}");
}
