//! Nodes that lie to lookups, or ask without end.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use grape_engine::krpc::{Contact, Method, Peer, Response};
use mainline::Id;
use rand::RngExt;
use tokio::time::{Duration, sleep};

use crate::attack::{Attack, Outcome};
use crate::flood::Flood;
use crate::node::{self, Node, id_near, random_id};
use crate::site::{Ground, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "ever-nearer",
            title: "a lying node answers each query with ever nearer nodes, at 64 ports of its host that answer likewise",
            run: |ground| Box::pin(ever_nearer(ground)),
        },
        Attack {
            name: "teller",
            title: "one lying node tells 7,500 peers near a name, 200 of them in each answer",
            run: |ground| Box::pin(teller(ground)),
        },
        Attack {
            name: "only-ask",
            title: "24 strangers near a name only ask, and never answer",
            run: |ground| Box::pin(only_ask(ground)),
        },
    ]
}

/// Nodes that are nearer to the target than any before.
fn nearer(target: &[u8], addresses: &[SocketAddr]) -> Vec<Contact> {
    let mut rng = rand::rng();
    let nearer = |addr: &SocketAddr| {
        let mut id = [0; 20];
        for (to, from) in id.iter_mut().zip(target) {
            *to = *from;
        }
        rng.fill(&mut id[16..]);
        Contact { id: Id::from(id), addr: *addr }
    };
    addresses.iter().map(nearer).collect()
}

async fn ever_nearer(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let addresses: Vec<SocketAddr> = (0..64).map(|n| ground.at(100, 5000 + n)).collect();
    let told = addresses.clone();
    let lie = Arc::new(move |method: &Method<'_>, _: SocketAddr, own: Id| {
        let mut response = Response::new(own);
        match method {
            Method::FindNode { target } => response.nodes = nearer(target, &told),
            Method::GetPeers { info_hash } | Method::Get { target: info_hash, .. } => {
                response.nodes = nearer(info_hash, &told);
                response.token = Some(b"token".as_slice().into());
            }
            _ => {}
        }
        Some(response)
    });
    let starting = addresses.iter().map(|at| Node::start(*at, random_id(), lie.clone()));
    let liars = try_join_all(starting).await?;
    liars[0].greet(&site.addresses()).await?;
    sleep(Duration::from_millis(500)).await;
    let before: u64 = liars.iter().map(|liar| liar.sent.load(super::RELAXED)).sum();
    let (_, observed) = site
        .during(async {
            sleep(ground.time()).await;
            Ok(())
        })
        .await?;
    let after: u64 = liars.iter().map(|liar| liar.sent.load(super::RELAXED)).sum();
    let seconds = observed.time.as_secs_f64();
    let mut outcome =
        Outcome::new(format!("{:.0} answers/s, {seconds:.0} s", (after - before) as f64 / seconds));
    observed.judge(&mut outcome);
    let queries = observed.after.since(&observed.before, "grape_dht_queries_sent_total");
    // All of them, of lookups here: the announces search as well.
    let lookups = observed.seen.cold.count() as f64 + seconds * 10.0;
    let each = queries / lookups;
    outcome.must("a lookup sends ≤ 300 queries", format!("{each:.0}"), each <= 300.0);
    Ok(outcome)
}

async fn teller(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    // All these names have the same place in the network.
    let place = format!("of-{}-told-by-liars------", ground.number);
    let lie = Arc::new(|method: &Method<'_>, _: SocketAddr, own: Id| {
        let mut response = Response::new(own);
        if let Method::GetPeers { .. } = method {
            response.token = Some(b"token".as_slice().into());
            let mut rng = rand::rng();
            let made_up = |_| {
                let n: u16 = rng.random_range(0..7500);
                let ip = [10, 200, (n >> 8) as u8, n as u8];
                Peer::new(SocketAddr::from((ip, 7000)))
            };
            // What fits the longest datagram that a Grape reads.
            response.peers = (0..200).map(made_up).collect();
        }
        Some(response)
    });
    let liar = Node::start(ground.at(100, 5000), id_near(&place, 2), lie).await?;
    liar.greet(&site.addresses()).await?;
    let names = ground.pick(400, 60);
    let mut announcer = site.servers[1].client();
    for n in 0..names {
        announcer.announce(&format!("{place}{n}"), 7100).await?;
    }
    let peer = format!("{}:7100", site.servers[1].place.dht.ip());
    let mut asker = site.servers[2].client();
    let asking = async {
        let mut found = 0;
        for n in 0..names {
            let peers = asker.lookup(&format!("{place}{n}")).await?;
            found += usize::from(peers.contains(&peer));
        }
        Ok(found)
    };
    let (found, observed) = site.during(asking).await?;
    let mut outcome = Outcome::new(format!("{names} lookups"));
    observed.judge(&mut outcome);
    outcome.must("each finds the honest peer", format!("{found} of {names}"), found == names);
    Ok(outcome)
}

async fn only_ask(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let (near, _) = site.honest.known_name();
    let ids: Vec<Id> = (0..24).map(|_| id_near(near, 4)).collect();
    let name = near.as_bytes().to_vec();
    let flood = Flood {
        from: (0..24).map(|n| ground.at(100 + n, 5000)).collect(),
        to: site.addresses(),
        rate: Some(ground.pick(4_000, 800)),
        time: ground.time(),
        most: u64::MAX,
    };
    let grapes = flood.to.len();
    let make = move |n: u64| {
        // Each address keeps its id.
        let id = ids[n as usize / grapes % ids.len()];
        node::query(b"asks", id, Method::GetPeers { info_hash: name.as_slice().into() })
    };
    let (sent, observed) = site.during(flood.run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let nodes = observed.after.sum("grape_dht_nodes");
    outcome.must("none of them is a node", format!("knows {nodes} nodes"), nodes == 3.0);
    Ok(outcome)
}
