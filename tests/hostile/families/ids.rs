//! Ids: chosen near a name, or taken from another node; and many new ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use grape_engine::krpc::Method;
use grape_tests::lab::{self, Server};
use grape_tests::our_grape;
use mainline::Id;
use rand::RngExt;
use tokio::time::{Duration, Instant, interval, sleep};

use crate::attack::{Attack, Outcome};
use crate::node::{Node, id_near, polite, random_id};
use crate::site::{Ground, Site, judge_memory};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "ids-near-a-name",
            title: "20 nodes of one host with ids near a name, which take announces and tell none",
            run: |ground| Box::pin(near_a_name(ground)),
        },
        Attack {
            name: "ids-taken",
            title: "nodes that take the ids of others, one of which restarts",
            run: |ground| Box::pin(taken(ground)),
        },
        Attack {
            name: "new-ids",
            title: "4 new ids of one host join each second, while 1,000 announces are here",
            run: |ground| Box::pin(new_ids(ground)),
        },
        Attack {
            name: "fall-silent",
            title: "50 nodes of one host join, and all fall silent at once",
            run: |ground| Box::pin(fall_silent(ground)),
        },
    ]
}

async fn near_a_name(ground: Ground) -> Result<Outcome> {
    let count = ground.pick(12, 6);
    let places = (0..count).map(|own| ground.place(own, &[])).collect();
    let servers = lab::network(places).await?;
    let memory = lab::Memory::of(servers.iter().map(Server::pid).collect::<Result<_>>()?);
    let place = format!("of-{}-taken-over-by-20---", ground.number);
    let all: Vec<_> = servers.iter().map(|server| server.place.dht).collect();
    let mut attackers = Vec::new();
    for n in 0..20 {
        let node = Node::polite(ground.at(100, 5000 + n), id_near(&place, 3)).await?;
        node.greet(&all).await?;
        attackers.push(node);
    }
    sleep(Duration::from_secs(1)).await;
    let names = 20;
    for n in 0..names {
        servers[1].client().announce(&format!("{place}{n}"), 7100).await?;
    }
    let peer = format!("{}:7100", servers[1].place.dht.ip());
    let (mut found, mut asked) = (0, 0);
    for server in &servers {
        let mut client = server.client();
        for n in 0..names {
            asked += 1;
            let peers = client.lookup(&format!("{place}{n}")).await?;
            found += u32::from(peers.contains(&peer));
        }
    }
    let mut outcome = Outcome::new(format!("{count} Grapes, {names} names"));
    judge_memory(&mut outcome, memory.most());
    let measured = format!("{found} of {asked}");
    outcome.must("each Grape finds each name", measured, found == asked);
    Ok(outcome)
}

async fn taken(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let mut impostors = Vec::new();
    for (n, server) in (0..).zip(&site.servers) {
        let id: [u8; 20] = hex::decode(&server.id)?.try_into().ok().context("an id")?;
        impostors.push(Node::polite(ground.at(100 + n, 5000), Id::from(id)).await?);
    }
    let all = site.addresses();
    let last = site.servers.pop().context("four Grapes")?;
    let place = last.place.clone();
    drop(last);
    let greeting = async {
        for _ in 0..ground.pick(20, 8) {
            for impostor in &impostors {
                impostor.greet(&all).await?;
            }
            sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    let (_, again) = tokio::try_join!(greeting, async {
        sleep(Duration::from_millis(500)).await;
        Server::start(place).await
    })?;
    site.servers.push(again);
    let known = ids_known(&site).await?;
    let measured = format!("{known:?}");
    let (_, observed) = site
        .during(async {
            sleep(ground.time()).await;
            Ok(())
        })
        .await?;
    let mut outcome = Outcome::new("4 nodes, 100 greetings a second");
    observed.judge(&mut outcome);
    let most = known.iter().all(|known| *known == 3);
    outcome.must("each Grape knows the 3 others", measured, most);
    Ok(outcome)
}

/// How many of the real Grapes each real Grape knows; looked at until all are known, at most 10 s.
async fn ids_known(site: &Site) -> Result<Vec<usize>> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let mut known = Vec::new();
        for server in &site.servers {
            let status = our_grape::status(server.place.api).await?;
            let nodes = status["neighbours"].as_array().context("neighbours")?.clone();
            let others = site.addresses();
            let is_known =
                |addr: &&SocketAddr| nodes.iter().any(|node| node["address"] == addr.to_string());
            known.push(others.iter().filter(is_known).count());
        }
        if known.iter().all(|known| *known == 3) || Instant::now() > end {
            return Ok(known);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Announces many names at the first Grape.
pub(super) async fn announce_many(site: &Site, count: u16) -> Result<()> {
    let announcing = (0..8).map(async |lane| {
        let mut client = site.target().client();
        for n in (lane..count).step_by(8) {
            client.announce(&format!("{n}:mine-{}", site.ground.number), 2000 + n).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(announcing).await.map(drop)
}

async fn fall_silent(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let speaking = Arc::new(AtomicBool::new(true));
    let all = site.addresses();
    let mut nodes = Vec::new();
    for n in 0..50 {
        let speaks = Arc::clone(&speaking);
        let behaviour = Arc::new(move |method: &Method<'_>, from: SocketAddr, own: Id| {
            polite(method, from, own).filter(|_| speaks.load(super::RELAXED))
        });
        // Near the names of honest use: digits.
        let id = id_near(&format!("{n}"), 19);
        let node = Node::start(ground.at(100, 5000 + n), id, behaviour).await?;
        node.greet(&all).await?;
        nodes.push(node);
    }
    sleep(Duration::from_secs(1)).await;
    speaking.store(false, super::RELAXED);
    let (_, observed) = site
        .during(async {
            sleep(ground.time()).await;
            Ok(())
        })
        .await?;
    let mut outcome = Outcome::new("once");
    observed.judge(&mut outcome);
    Ok(outcome)
}

async fn new_ids(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    announce_many(&site, ground.pick(1000, 200)).await?;
    let all = site.addresses();
    let time = ground.time() * 2;
    let joining = async {
        let mut nodes: Vec<Node> = Vec::new();
        let mut turns = interval(Duration::from_millis(250));
        let end = Instant::now() + time;
        while Instant::now() < end {
            turns.tick().await;
            let n = nodes.len();
            let at = ground.at(100, 5000 + n as u16);
            // Each is near the Grape's own names: digits.
            let id: Id = id_near(&format!("{}", rand::rng().random_range(0..1000)), 17);
            let node = Node::start(at, id, Arc::new(polite)).await?;
            node.greet(&all).await?;
            nodes.push(node);
        }
        Ok(nodes)
    };
    let (nodes, observed) = site.during(joining).await?;
    let sent: u64 = nodes.iter().map(|node| node.sent.load(super::RELAXED)).sum();
    let seconds = observed.time.as_secs_f64();
    let mut outcome =
        Outcome::new(format!("{:.0} ids/s, {seconds:.0} s", nodes.len() as f64 / seconds));
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent);
    // One more Grape joins meanwhile, and finds what there is.
    let flooding = async {
        for n in 0..20_u16 {
            let node = Node::polite(ground.at(220, 6000 + n), random_id()).await?;
            node.greet(&all).await?;
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    let joining = async {
        let begun = Instant::now();
        let server = Server::start(ground.place(10, &[])).await?;
        let (name, peer) = site.honest.known_name();
        let mut client = server.client();
        while !client.lookup(name).await?.contains(&peer.to_owned()) {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(begun.elapsed())
    };
    let (_, took) = tokio::try_join!(flooding, joining)?;
    let measured = format!("{:.1} s", took.as_secs_f64());
    outcome.must_soon("at 10/s a Grape joins ≤ 5 s", measured, took <= Duration::from_secs(5));
    Ok(outcome)
}
