//! The canary: a name announced at one Grape has to be found at another. A pure plan of the pairs
//! of Grapes, and the probes themselves. I/O.
//!
//! A canary's name, `grape-canary-` and 32 random hex digits, is used once and withdrawn at the end
//! of its probe, whatever the result. If that fails too, the announce expires after four minutes:
//! its port is that of the announcing Grape's DHT, which accepts no connections. At a port that
//! answers, the Grape would keep it announced.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape::clock;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Target;
use super::call::{CallError, Caller, excerpt};

/// Most probes of a round.
pub const MAX_PROBES: usize = 8;

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The lookup found the canary, and took this long; a new connection is in it.
    Found(Duration),
    /// The lookup was answered, and the canary's address was not in the answer.
    NotFound,
    /// A Grape could not be asked, or answered amiss.
    Failed {
        /// The pod of that Grape.
        at: String,
        /// Why.
        why: CallError,
    },
}

/// One canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The pod that it was announced at.
    pub announcer: String,
    /// The pod that was to find it; the same one only where there is no other.
    pub looker: String,
    /// When it was begun.
    pub begun: Instant,
    /// What came of it.
    pub result: ProbeResult,
}

/// Who announces and who looks in a round of `targets` Grapes, as indices: at most [`MAX_PROBES`]
/// pairs of two different Grapes; with a single Grape, that one alone.
///
/// The announcers of a round are spread over the targets, so that with targets in the order of their
/// names they are of different pools. In `⌈targets / 8⌉` rounds, a lap, each Grape announces once and
/// looks once. From lap to lap the lookers move on by one, from the far side of the ring, so that
/// after `targets - 1` laps each Grape has looked for each other one.
pub fn pairs(targets: usize, round: u64) -> Vec<(usize, usize)> {
    match targets {
        0 => return Vec::new(),
        1 => return vec![(0, 0)],
        _ => {}
    }
    let rounds = targets.div_ceil(MAX_PROBES);
    let turn = remainder(round, rounds);
    let lap = remainder(round / rounds as u64, targets - 1);
    let step = 1 + (targets / 2 - 1 + lap) % (targets - 1);
    (turn..targets).step_by(rounds).map(|index| (index, (index + step) % targets)).collect()
}

/// `number % modulus`, which fits where `modulus` does.
fn remainder(number: u64, modulus: usize) -> usize {
    (number % modulus as u64) as usize
}

/// Announces a canary at one Grape and looks for it at the other. Takes three calls at most.
pub(super) async fn probe(caller: &Caller, announcer: &Target, looker: &Target) -> Probe {
    let begun = clock::now();
    let name = format!("grape-canary-{:032x}", rand::random::<u128>());
    let result = announced_and_found(caller, announcer, looker, &name).await;
    let service = json!([name, announcer.dht_port]);
    if let Err(error) = ask::<u64>(caller, announcer, "withdraw", &service).await {
        tracing::debug!(pod = announcer.name, %error, name, "a canary was not withdrawn");
    }
    Probe { announcer: announcer.name.clone(), looker: looker.name.clone(), begun, result }
}

async fn announced_and_found(
    caller: &Caller,
    announcer: &Target,
    looker: &Target,
    name: &str,
) -> ProbeResult {
    let failed = |target: &Target, why| ProbeResult::Failed { at: target.name.clone(), why };
    let service = json!([name, announcer.dht_port]);
    if let Err(why) = ask::<u64>(caller, announcer, "announce", &service).await {
        return failed(announcer, why);
    }
    match ask::<Vec<SocketAddr>>(caller, looker, "lookup", &json!(name)).await {
        Ok((peers, took)) if peers.contains(&announcer.dht()) => ProbeResult::Found(took),
        Ok(_) => ProbeResult::NotFound,
        Err(why) => failed(looker, why),
    }
}

/// Asks a verb of a Grape's API; its result, and how long that took. A refusal, `"ERR_…"`, is no
/// `T`.
async fn ask<T: DeserializeOwned>(
    caller: &Caller,
    target: &Target,
    verb: &str,
    data: &serde_json::Value,
) -> Result<(T, Duration), CallError> {
    let body = json!({ "rid": "canary", "data": data }).to_string();
    let reply = caller.post(target.api(), &format!("/{verb}"), body).await?;
    let result = serde_json::from_slice(&reply.body).map_err(|_| {
        let text = excerpt(&String::from_utf8_lossy(&reply.body));
        CallError::Foreign(format!("/{verb} answered {text}"))
    })?;
    Ok((result, reply.took))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_single_grape_finds_itself() {
        assert_eq!(pairs(0, 5), []);
        assert_eq!(pairs(1, 5), [(0, 0)]);
        assert_eq!(pairs(2, u64::MAX), [(0, 1), (1, 0)]);
    }

    #[test]
    fn a_small_cluster_is_covered_by_each_round() {
        assert_eq!(pairs(3, 0), [(0, 1), (1, 2), (2, 0)]);
        assert_eq!(pairs(3, 1), [(0, 2), (1, 0), (2, 1)]);
        assert_eq!(pairs(3, 2), pairs(3, 0));
    }

    #[test]
    fn the_pairs_of_a_large_cluster_are_spread() {
        assert_eq!(
            pairs(1000, 3),
            [3, 128, 253, 378, 503, 628, 753, 878].map(|index| (index, (index + 500) % 1000))
        );
    }

    #[test]
    fn with_two_pools_each_round_asks_across_them() {
        // Seats in the order of their names: the first half is one pool.
        for targets in [2, 4, 6, 8] {
            for round in 0..50 {
                let pool = |index: usize| index < targets / 2;
                assert!(
                    pairs(targets, round).iter().any(|(a, b)| pool(*a) != pool(*b)),
                    "{targets} targets, round {round}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_round_is_bounded_and_a_lap_covers_all(targets in 2_usize..300, lap in 0_u64..1 << 40) {
            let rounds = targets.div_ceil(MAX_PROBES) as u64;
            let (mut announcers, mut lookers) = (BTreeSet::new(), BTreeSet::new());
            for round in lap * rounds..(lap + 1) * rounds {
                let pairs = pairs(targets, round);
                prop_assert!((1..=MAX_PROBES).contains(&pairs.len()));
                for (announcer, looker) in pairs {
                    prop_assert!(announcer != looker && announcer < targets && looker < targets);
                    prop_assert!(announcers.insert(announcer) && lookers.insert(looker));
                }
            }
            prop_assert_eq!((announcers.len(), lookers.len()), (targets, targets));
        }

        #[test]
        fn in_the_end_each_has_looked_for_each_other(targets in 2_usize..40) {
            let rounds = (targets.div_ceil(MAX_PROBES) * (targets - 1)) as u64;
            let all: BTreeSet<_> = (0..rounds).flat_map(|round| pairs(targets, round)).collect();
            prop_assert_eq!(all.len(), targets * (targets - 1));
        }
    }
}
