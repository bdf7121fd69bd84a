//! What Grapes send at rest.

use super::fleet::Fleet;
use super::{SECOND, steady};

/// Packets that a Grape sends in a second, with names that stand, and with services that announce
/// theirs every second.
fn rates(count: usize, names: usize) -> (f64, f64) {
    let mut fleet = Fleet::new(1, &steady(), count, names, |_| false);
    let mut rate = |seconds: u32, announcing: bool| {
        if !announcing {
            fleet.stop_announcing();
        }
        let before = fleet.network.sent();
        fleet.run(seconds * SECOND);
        (fleet.network.sent() - before) as f64 / f64::from(seconds) / count as f64
    };
    // Announces are stored again every 40 seconds: one round of it.
    let announcing = rate(40, true);
    (rate(10, false), announcing)
}

#[test]
fn packets_at_rest() {
    eprintln!("Grapes  names each  packets/s at rest  while announcing every second");
    for (count, each) in [(3, &[1, 10, 100][..]), (10, &[1, 10]), (60, &[1])] {
        for names in each {
            let (rest, announcing) = rates(count, *names);
            eprintln!("{count:6}  {names:10}  {rest:17.1}  {announcing:28.1}");
            assert!(rest <= 10.0, "{count} Grapes with {names} names each: {rest} packets/s");
        }
    }
}

/// A node without announces sends no heartbeats.
#[test]
fn a_node_without_announces_has_no_monitors() {
    let mut fleet = Fleet::new(1, &steady(), 3, 0, |_| false);
    let before = fleet.network.sent();
    fleet.run(60 * SECOND);
    let rate = (fleet.network.sent() - before) as f64 / 180.0;
    assert!(rate <= 1.5, "{rate} packets/s");
}
