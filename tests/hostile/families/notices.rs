//! Forged notices: that announces were forgotten, and that services were withdrawn.

use anyhow::Result;
use grape_engine::krpc::Method;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::ids::announce_many;
use crate::attack::{Attack, Outcome};
use crate::node::{Node, random_id};
use crate::site::{Ground, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "forgotten-20",
            title: "a node says 20 times a second that it forgot the Grape's announces, of which there are 1,000",
            run: |ground| Box::pin(notices(ground, 20, What::Forgotten)),
        },
        Attack {
            name: "forgotten-1000",
            title: "the same, 1,000 times a second",
            run: |ground| Box::pin(notices(ground, 1000, What::Forgotten)),
        },
        Attack {
            name: "withdrawn-20",
            title: "a node says 20 times a second that services were withdrawn which are there",
            run: |ground| Box::pin(notices(ground, 20, What::Withdrawn)),
        },
        Attack {
            name: "withdrawn-1000",
            title: "the same, 1,000 times a second",
            run: |ground| Box::pin(notices(ground, 1000, What::Withdrawn)),
        },
    ]
}

#[derive(Clone, Copy)]
enum What {
    Forgotten,
    Withdrawn,
}

/// From a node that has proved itself: it may do what a stranger may, and more.
async fn notices(ground: Ground, rate: u32, what: What) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    announce_many(&site, ground.pick(1000, 200)).await?;
    let node = Node::polite(ground.at(100, 5000), random_id()).await?;
    node.greet(&site.addresses()).await?;
    // The node is new: it gets what it should store.
    sleep(Duration::from_millis(ground.pick(3000, 1000))).await;
    let to = site.target().place.dht;
    let (name, peer) = site.honest.known_name();
    let (name, peer) = (name.as_bytes().to_vec(), peer.parse()?);
    let before = node.sent.load(super::RELAXED);
    let telling = async {
        let begun = Instant::now();
        let mut told = 0_u32;
        while begun.elapsed() < ground.time() {
            sleep_until(begun + Duration::from_secs_f64(f64::from(told) / f64::from(rate))).await;
            told += 1;
            let method = match what {
                What::Forgotten => Method::Forgotten,
                What::Withdrawn => {
                    let info_hash = name.as_slice().into();
                    Method::Withdrawn { info_hash, addr: peer, depth: 0 }
                }
            };
            node.tell(to, method).await?;
        }
        Ok(told)
    };
    let (told, observed) = site.during(telling).await?;
    let sent = node.sent.load(super::RELAXED) - before;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{:.0}/s, {seconds:.0} s", f64::from(told) / seconds));
    observed.judge(&mut outcome);
    // What it answers is asked for: only its notices count.
    observed.judge_packets(&mut outcome, sent.min(u64::from(told)));
    Ok(outcome)
}
