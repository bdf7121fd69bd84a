//! Datagrams, many of them, from outside the proven nodes.

use anyhow::{Context, Result};
use grape_engine::krpc::Method;
use mainline::Id;
use rand::RngExt;

use crate::attack::{Attack, Outcome};
use crate::flood::Flood;
use crate::node::{self, Node, random_id};
use crate::site::{Ground, Observed, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "flood-pings",
            title: "valid pings, as fast as a core sends",
            run: |ground| Box::pin(as_fast_as_can_be(ground, ping)),
        },
        Attack {
            name: "flood-get-peers",
            title: "get_peers of new names with new ids, as fast as a core sends",
            run: |ground| Box::pin(as_fast_as_can_be(ground, get_peers)),
        },
        Attack {
            name: "flood-garbage",
            title: "garbage, as fast as a core sends",
            run: |ground| Box::pin(as_fast_as_can_be(ground, garbage)),
        },
        Attack {
            name: "flood-at-a-rate",
            title: "get_peers of new names with new ids, at a rate that the Grape can read",
            run: |ground| Box::pin(at_a_rate(ground)),
        },
        Attack {
            name: "flood-own-id",
            title: "pings that say the Grape's own id, as fast as a core sends",
            run: |ground| Box::pin(own_id(ground)),
        },
        Attack {
            name: "flood-large",
            title: "datagrams of 60 KB",
            run: |ground| Box::pin(large(ground)),
        },
        Attack {
            name: "flood-costly-gets",
            title: "`get`s of items that are costly to decode",
            run: |ground| Box::pin(costly_gets(ground)),
        },
    ]
}

fn ping(_: u64) -> Result<Vec<u8>> {
    node::query(b"ping", random_id(), Method::Ping { watch: None })
}

fn get_peers(n: u64) -> Result<Vec<u8>> {
    let name = format!("{n}:of-nobody");
    node::query(b"peer", random_id(), Method::GetPeers { info_hash: name.as_bytes().into() })
}

fn garbage(_: u64) -> Result<Vec<u8>> {
    let noise: [u8; 100] = rand::rng().random();
    Ok(noise.to_vec())
}

/// From one address, to the first Grape.
fn flood(site: &Site, rate: Option<u64>) -> Flood {
    let ground = site.ground;
    let from = vec![ground.at(100, 4000)];
    let to = vec![site.target().place.dht];
    // In the short form several attacks share the cores.
    Flood { from, to, rate, time: ground.time(), most: ground.pick(u64::MAX, 20_000) }
}

type Make = fn(u64) -> Result<Vec<u8>>;

async fn as_fast_as_can_be(ground: Ground, make: Make) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let (sent, observed) = site.during(flood(&site, None).run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge_beyond(&mut outcome);
    cold(&mut outcome, &observed);
    observed.judge_packets(&mut outcome, sent.packets);
    Ok(outcome)
}

/// Beyond the rate that a Grape can read, cold lookups need be right alone: the figure is shown.
fn cold(outcome: &mut Outcome, observed: &Observed) {
    let took = observed.seen.cold.percentile(99).as_secs_f64() * 1000.0;
    outcome.must_soon("cold p99 ≤ 5,000 ms", format!("{took:.1} ms"), took <= 5000.0);
}

async fn at_a_rate(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let rate = ground.pick(10_000, 2_000);
    let (sent, observed) = site.during(flood(&site, Some(rate)).run(get_peers)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    Ok(outcome)
}

async fn own_id(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let id: [u8; 20] = hex::decode(&site.target().id)?.try_into().ok().context("an id")?;
    let own = Id::from(id);
    let make = move |_| node::query(b"mine", own, Method::Ping { watch: None });
    let (sent, observed) = site.during(flood(&site, None).run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge_beyond(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let (_, later) = site
        .during(async {
            tokio::time::sleep(ground.time()).await;
            Ok(())
        })
        .await?;
    let took = later.seen.hot.percentile(99).as_secs_f64() * 1000.0;
    outcome.must_soon("hot p99 ≤ 10 ms after it", format!("{took:.1} ms"), took <= 10.0);
    let nodes = later.after.sum("grape_dht_nodes");
    outcome.must("it still knows its 3 nodes", format!("{nodes}"), nodes == 3.0);
    Ok(outcome)
}

async fn large(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let make = |_| {
        let name = vec![b'x'; 60_000];
        node::query(b"huge", random_id(), Method::FindNode { target: name.into() })
    };
    let rate = ground.pick(2_000, 200);
    let (sent, observed) = site.during(flood(&site, Some(rate)).run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let none = sent.answered == 0;
    outcome.must("none is answered", format!("{} answers", sent.answered), none);
    Ok(outcome)
}

/// A list of lists, 999 bytes in all.
pub(super) fn nested(n: u64) -> Vec<u8> {
    let mut value = format!("l{}:{n}", n.to_string().len()).into_bytes();
    while value.len() + 21 < 999 {
        value.extend_from_slice(b"llllllllleeeeeeeee");
    }
    value.push(b'e');
    value
}

async fn costly_gets(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let putter = Node::polite(ground.at(100, 3999), random_id()).await?;
    let mut targets = Vec::new();
    for n in 0..200 {
        let value = nested(n);
        targets.push(super::stored::put(&putter, site.target().place.dht, &value).await?);
    }
    let make = move |n: u64| {
        let target = targets[n as usize % targets.len()].to_vec().into();
        node::query(b"cost", random_id(), Method::Get { target, seq: None })
    };
    let rate = ground.pick(10_000, 1_000);
    let (sent, observed) = site.during(flood(&site, Some(rate)).run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    Ok(outcome)
}
