//! A name's peers are valid for `peerMaxAge`, and expire everywhere then.

use std::time::Duration;

use futures_util::future::join_all;
use grape_tests::grape::{Grape, Kind, Options};
use grape_tests::network::{Network, Shape, kinds};
use grape_tests::wait::DEADLINE;
use rstest::rstest;
use tokio::time::{Instant, sleep};

const AGE: Duration = Duration::from_secs(2);

/// What the timers of an original under load may be late. Ours looks at the clock, so that only the
/// milliseconds count in which ages are sent.
const SLACK: Duration = Duration::from_millis(500);
const ROUNDING: Duration = Duration::from_millis(10);

/// When one Grape was asked for a name, and whether it knew a peer.
#[derive(Debug)]
struct Sight {
    asked: Instant,
    answered: Instant,
    found: bool,
}

/// Asks until nothing is found. Each answer counts with the time around it, so that a slow machine
/// proves less, but nothing wrong.
async fn follow(grape: &Grape, name: &str, pause: Duration) -> Vec<Sight> {
    let end = Instant::now() + DEADLINE;
    let mut sights = Vec::new();
    loop {
        let asked = Instant::now();
        let found = !grape.lookup(name).await.unwrap().is_empty();
        sights.push(Sight { asked, answered: Instant::now(), found });
        if !found {
            return sights;
        }
        assert!(Instant::now() < end, "{grape} still finds {name}");
        sleep(pause).await;
    }
}

async fn start(nodes: &str) -> Network {
    let options = Options { peer_max_age: Some(AGE), ..Options::default() };
    Network::start_with(Shape::Star, &kinds(nodes).unwrap(), &options).await.unwrap()
}

/// How long each kind may answer a peer beyond its announce. An original stores it for up to 1.33
/// ages, and keeps what it found for 0.67 more.
fn longest(kind: Kind, network: &Network) -> Duration {
    let only_ours = network.grapes.iter().all(|grape| grape.kind() == Kind::Ours);
    match kind {
        _ if only_ours => AGE + ROUNDING,
        Kind::Ours => AGE.mul_f64(1.34) + SLACK,
        Kind::Npm => AGE.mul_f64(2.01) + SLACK,
    }
}

#[rstest]
#[tokio::test]
async fn a_peer_that_is_announced_no_more_is_gone(
    #[values("nnn", "onn", "noo", "noonon", "ooo", "oooooo")] nodes: &str,
    // Asked all the time, or now and then.
    #[values(50, 700)] pause: u64,
) {
    let network = start(nodes).await;
    let only_ours = nodes.chars().all(|node| node == 'o');
    for (own, announcer) in network.grapes.iter().enumerate() {
        let name = format!("short:lived:{own}");
        let before = Instant::now();
        announcer.announce(&name, 7400).await.unwrap();
        let after = Instant::now();
        let all = network.grapes.iter();
        let all = all.map(|grape| follow(grape, &name, Duration::from_millis(pause)));
        for (grape, sights) in network.grapes.iter().zip(join_all(all).await) {
            let longest = longest(grape.kind(), &network);
            // An original's entry may live for only 0.67 ages.
            let shortest = if only_ours { AGE } else { AGE.mul_f64(0.66) };
            if let Some(last) = sights.iter().rfind(|sight| sight.found) {
                eprintln!("{grape}: last found {:.2?} after the announce", last.asked - after);
            }
            for sight in sights {
                let too_early = !sight.found && sight.answered < before + shortest;
                assert!(!too_early, "{grape} lost it after {:?}", sight.answered - before);
                let too_late = sight.found && sight.asked > after + longest;
                assert!(!too_late, "{grape} has it after {:?}", sight.asked - after);
            }
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_peer_that_is_announced_again_and_again_stays(
    #[values("nnn", "noo", "onn", "ooo")] nodes: &str,
) {
    let network = start(nodes).await;
    let end = Instant::now() + AGE * 3;
    let announcer = &network.grapes[1];
    announcer.announce("long:lived", 7401).await.unwrap();
    let mut last = Instant::now();
    while Instant::now() < end {
        let before = Instant::now();
        announcer.announce("long:lived", 7401).await.unwrap();
        for grape in &network.grapes {
            let found = grape.lookup("long:lived").await.unwrap();
            // A machine that stood still for an age proves nothing.
            let in_time = last.elapsed() < AGE.mul_f64(0.6);
            assert!(!found.is_empty() || !in_time, "{grape} lost it");
        }
        last = before;
        sleep(Duration::from_millis(100)).await;
    }
    // And is gone, once it is announced no more.
    for grape in &network.grapes {
        follow(grape, "long:lived", Duration::from_millis(50)).await;
    }
}
