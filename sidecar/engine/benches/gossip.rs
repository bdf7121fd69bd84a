//! A group of a thousand members under virtual time: how fast updates and deaths reach all, how much
//! each member sends, and how many are taken for dead under loss.
//!
//! `cargo bench -p grape-engine --bench gossip` runs it, for `GOSSIP_SECONDS` of loss, 60 unless set;
//! the hour of 3600 takes up to 90 minutes. As a test it has 60 members, and takes seconds.

#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../tests/gossip/network.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod network;

use std::time::Duration;

use grape_engine::gossip::GossipEvent;

use network::Network;

fn is_update(event: &GossipEvent) -> bool {
    matches!(event, GossipEvent::Update { .. })
}

fn is_failure(event: &GossipEvent) -> bool {
    matches!(event, GossipEvent::PeerFailed { .. })
}

/// The median and the slowest.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

fn main() {
    let measured = std::env::args().any(|argument| argument == "--bench");
    let (count, default) = if measured { (1000, 60) } else { (60, 5) };
    let seconds = std::env::var("GOSSIP_SECONDS").ok().and_then(|text| text.parse().ok());
    let watched = Duration::from_secs(seconds.unwrap_or(default));

    let mut network = Network::of(count, 4);
    println!("{count} members know each other after {} s", network.millis() / 1000);
    network.run(Duration::from_secs(30));
    let before = network.bytes_sent();
    network.run(Duration::from_secs(10));
    let bytes = (network.bytes_sent() - before) / 10 / count as u64;
    println!("at rest each sends {bytes} B/s");

    let mut updates = Vec::new();
    for n in 0..5 {
        network.forget_events();
        let since = network.now;
        network.set(n, "key", &n.to_be_bytes());
        network.run(Duration::from_secs(3));
        updates.extend(network.latencies(n, since, is_update));
    }
    let (median, slowest) = spread(updates);
    println!("an update is seen after {median:?} (median), {slowest:?} (slowest)");

    network.forget_events();
    let since = network.now;
    network.kill(7);
    network.run(Duration::from_secs(20));
    let (typical, last) = spread(network.latencies(7, since, is_failure));
    println!("a death is seen after {typical:?} (median), {last:?} (slowest)");

    network.forget_events();
    network.loss = 0.05;
    network.run(watched);
    let failures: usize = (0..count).map(|n| network.count(n, is_failure)).sum();
    println!("with 5 % loss, {failures} live members are taken for dead in {watched:?}");

    assert_eq!(failures, 0, "live members taken for dead");
    assert!(bytes <= 8192, "{bytes} B/s");
    assert!(
        median <= Duration::from_millis(200) && slowest <= Duration::from_secs(3),
        "{slowest:?}"
    );
    assert!(last <= Duration::from_secs(4), "{last:?}");
}
