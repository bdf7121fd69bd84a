//! Groups under virtual time: how fast updates and deaths reach all members, what each member sends,
//! and how many live members are taken for dead under loss. One seed, so that each run is the same.

use std::time::Duration;

use grape_engine::gossip::GossipEvent;
use grape_tests::results::{Goal, Row};

use crate::network::Network;
use crate::plan::Plan;

const SEED: u64 = 4;
/// The share of datagrams that get lost.
const LOSS: f64 = 0.05;
const UPDATES: usize = 5;

/// The rows of a group of this size.
pub(crate) fn measure(members: usize, bytes_at_rest: f64, plan: Plan) -> Vec<Row> {
    let mut network = Network::of(members, SEED);
    let mut rows = vec![at_rest(&mut network, members, bytes_at_rest)];
    rows.extend(updates(&mut network, members));
    rows.push(death(&mut network, members));
    rows.push(false_positives(&mut network, members, plan.loss));
    rows
}

fn at_rest(network: &mut Network, members: usize, bound: f64) -> Row {
    network.run(Duration::from_secs(30));
    let before = network.bytes_sent();
    let watched = Duration::from_secs(10);
    network.run(watched);
    let bytes = (network.bytes_sent() - before) as f64 / watched.as_secs_f64() / members as f64;
    Row::alone(
        format!("gossip, {members} members simulated: a member at rest sends"),
        bytes / 1024.0,
        "KiB/s",
        Goal::AtMost(bound),
    )
}

fn updates(network: &mut Network, members: usize) -> [Row; 2] {
    let mut times = Vec::new();
    for n in 0..UPDATES {
        network.forget_events();
        let since = network.now;
        network.set(n, "key", &n.to_be_bytes());
        network.run(Duration::from_secs(3));
        times.extend(
            network.latencies(n, since, |event| matches!(event, GossipEvent::Update { .. })),
        );
    }
    times.sort_unstable();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    let case = format!("gossip, {members} members simulated: an update is seen");
    [
        Row::alone(format!("{case} by half"), millis(median), "ms", Goal::AtMost(200.0)),
        Row::alone(format!("{case} by all"), millis(last), "ms", Goal::AtMost(3000.0)),
    ]
}

fn death(network: &mut Network, members: usize) -> Row {
    network.forget_events();
    let since = network.now;
    network.kill(members / 2);
    network.run(Duration::from_secs(20));
    let times = network.latencies(members / 2, since, is_failure);
    let last = times.last().copied().unwrap_or_default();
    let case = format!("gossip, {members} members simulated: a death is seen by all");
    Row::alone(case, millis(last), "ms", Goal::AtMost(4000.0))
}

fn false_positives(network: &mut Network, members: usize, time: Duration) -> Row {
    network.forget_events();
    network.loss = LOSS;
    network.run(time);
    let failures: usize = (0..members).map(|n| network.count(n, is_failure)).sum();
    let case = format!(
        "… live members taken for dead in {} s, {} % of datagrams lost",
        time.as_secs(),
        LOSS * 100.0
    );
    Row::alone(case, failures as f64, "", Goal::AtMost(0.0))
}

fn is_failure(event: &GossipEvent) -> bool {
    matches!(event, GossipEvent::PeerFailed { .. })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
