//! Warns of bootstrap addresses that do not answer: the port may be another's, as that of the API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::dht::Dht;

/// How often it is looked. An address counts as silent two seconds after it was asked.
const EACH: Duration = Duration::from_secs(1);
/// A Grape that has not joined any other says so this often; nothing is said more often.
const AGAIN: Duration = Duration::from_secs(60);
/// Most addresses that are named in a line.
const NAMED: usize = 8;

/// Warns of bootstrap addresses that do not answer. Never ends.
pub async fn warn_of_silence(dht: Dht) {
    let mut warnings = Warnings::default();
    let mut each = interval(EACH);
    each.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        each.tick().await;
        let alone = dht.stats().nodes == 0;
        let silent: BTreeSet<_> = dht.silent_seeds().into_iter().collect();
        if !warnings.is_due(&silent, alone, clock::now()) {
            continue;
        }
        let asked = listed(&silent);
        if alone {
            tracing::warn!(
                %asked,
                "no Grape answers at a bootstrap address: is that the UDP port of its DHT? This \
                 Grape has not joined any other; it keeps asking"
            );
        } else {
            tracing::warn!(
                %asked,
                "no Grape answers at these bootstrap addresses: is that the UDP port of its DHT?"
            );
        }
    }
}

/// The warnings that were logged.
#[derive(Debug, Default)]
struct Warnings {
    /// The silent addresses that were named.
    named: BTreeSet<SocketAddr>,
    last: Option<Instant>,
}

impl Warnings {
    /// Whether to warn now: of each address once, and again while the node is alone.
    fn is_due(&mut self, silent: &BTreeSet<SocketAddr>, alone: bool, now: Instant) -> bool {
        self.named.retain(|addr| silent.contains(addr));
        let just_warned = self.last.is_some_and(|last| now.saturating_duration_since(last) < AGAIN);
        let is_due =
            !just_warned && !silent.is_empty() && (alone || !silent.is_subset(&self.named));
        if is_due {
            self.named.clone_from(silent);
            self.last = Some(now);
        }
        is_due
    }
}

fn listed(addrs: &BTreeSet<SocketAddr>) -> String {
    let named: Vec<_> = addrs.iter().take(NAMED).map(ToString::to_string).collect();
    let named = named.join(", ");
    match addrs.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addrs(ports: &[u16]) -> BTreeSet<SocketAddr> {
        ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect()
    }

    /// The seconds at which it warns, of ten minutes.
    fn warned(alone: bool, silent: impl Fn(u64) -> BTreeSet<SocketAddr>) -> Vec<u64> {
        let start = clock::now();
        let mut warnings = Warnings::default();
        let seconds = 0..600;
        seconds
            .filter(|s| warnings.is_due(&silent(*s), alone, start + Duration::from_secs(*s)))
            .collect()
    }

    #[test]
    fn a_grape_that_is_alone_warns_each_minute() {
        let silent = |second| if second < 3 { addrs(&[]) } else { addrs(&[1, 2]) };
        assert_eq!(warned(true, silent), [3, 63, 123, 183, 243, 303, 363, 423, 483, 543]);
        assert!(warned(true, |_| addrs(&[])).is_empty());
    }

    #[test]
    fn a_grape_that_has_joined_warns_once_of_each_address() {
        assert_eq!(warned(false, |_| addrs(&[1])), [0]);
        let another = |second| if second < 10 { addrs(&[1]) } else { addrs(&[1, 2]) };
        assert_eq!(warned(false, another), [0, 60]);
    }

    #[test]
    fn one_that_comes_and_goes_fills_no_log() {
        let flaps = |second: u64| if second.is_multiple_of(2) { addrs(&[1]) } else { addrs(&[]) };
        assert_eq!(warned(false, flaps).len(), 10);
    }

    #[test]
    fn a_line_names_a_few_addresses() {
        assert_eq!(listed(&addrs(&[1])), "127.0.0.1:1");
        let many: Vec<u16> = (1..=20).collect();
        assert!(listed(&addrs(&many)).ends_with("127.0.0.1:8 and 12 more"));
    }
}
