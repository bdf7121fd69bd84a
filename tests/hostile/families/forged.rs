//! Queries with forged source addresses: what reaches the victim, against what was sent.
//!
//! The victim's address is one of this namespace, so that the sender need not forge it: it counts what
//! arrives there, and never answers.

use anyhow::Result;
use grape_engine::krpc::Method;

use super::peers::Announcer;
use crate::attack::{Attack, Outcome};
use crate::flood::{Flood, Sent};
use crate::node::{self, random_id};
use crate::site::{Ground, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "forged-get-peers",
            title: "get_peers of a name with many peers, in one victim's name",
            run: |ground| Box::pin(get_peers(ground, 1)),
        },
        Attack {
            name: "forged-by-many",
            title: "the same, in the names of 100 victims",
            run: |ground| Box::pin(get_peers(ground, 100)),
        },
        Attack {
            name: "forged-pings",
            title: "pings in one victim's name, with new ids",
            run: |ground| Box::pin(pings(ground)),
        },
    ]
}

async fn get_peers(ground: Ground, victims: u8) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let (name, _) = site.honest.known_name();
    let name = name.to_owned();
    // 200 peers of 40 hosts, so that the answer is as long as it may be.
    let to = vec![site.target().place.dht];
    let hosts = (0..40).map(|n| ground.at(200 + n, 5000)).collect();
    let announcer = Announcer::new(hosts, to.clone()).await?;
    let taken = name.clone();
    announcer.run(2000, 200, ground.time(), move |n| (taken.clone(), 3000 + n as u16)).await?;
    let from = (0..victims).map(|n| ground.at(100 + n, 6000)).collect();
    let rate = Some(ground.pick(1000, 300));
    let flood = Flood { from, to, rate, time: ground.time(), most: u64::MAX };
    let id = random_id();
    let make = move |_| {
        let info_hash = name.as_bytes().into();
        node::query(b"gets", id, Method::GetPeers { info_hash })
    };
    let (sent, observed) = site.during(flood.run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    judge_bytes(&mut outcome, sent, f64::from(victims));
    Ok(outcome)
}

/// Whole answers come out of a budget; beyond it, thrice the bytes. A ping comes with each.
fn judge_bytes(outcome: &mut Outcome, sent: Sent, victims: f64) {
    let seconds = sent.seconds.ceil() + 1.0;
    let whole = (victims * 3.0).min(200.0) * 1200.0 * seconds;
    // A victim that does not answer is pinged again when it is asked for again.
    let pings = victims * 5.0 * 100.0 * seconds;
    let most = 3.0 * sent.bytes as f64 + whole + pings;
    let measured = format!(
        "{:.1} × ({:.0} KB for {:.0} KB)",
        sent.answered_bytes as f64 / sent.bytes as f64,
        sent.answered_bytes as f64 / 1e3,
        sent.bytes as f64 / 1e3
    );
    let must = "bytes ≤ 3 × those sent, 3 whole answers/s to each victim, 200/s in all, and pings";
    outcome.must(must, measured, sent.answered_bytes as f64 <= most);
}

async fn pings(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let flood = Flood {
        from: vec![ground.at(100, 6000)],
        to: vec![site.target().place.dht],
        rate: Some(ground.pick(1000, 300)),
        time: ground.time(),
        most: u64::MAX,
    };
    let make = |_| node::query(b"ping", random_id(), Method::Ping { watch: None });
    let (sent, observed) = site.during(flood.run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let each = sent.answered as f64 / sent.packets as f64;
    outcome.must("≤ 2 packets for each", format!("{each:.2}"), each <= 2.0);
    Ok(outcome)
}
