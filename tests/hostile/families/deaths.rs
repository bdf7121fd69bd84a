//! Deaths that are hidden, and deaths that are invented.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use grape_engine::krpc::{Method, Response};
use grape_tests::lab::Server;
use mainline::Id;
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::attack::{Attack, Outcome};
use crate::flood::Flood;
use crate::node::{self, Node, id_near, silent};
use crate::site::{Ground, Site, judge_memory};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "dead-kept-alive",
            title: "a Grape is killed, and pings are sent in its name from its address",
            run: |ground| Box::pin(kept_alive(ground)),
        },
        Attack {
            name: "false-monitors",
            title: "8 nodes of one host, near a Grape, promise to report its death, and do not; it is killed",
            run: |ground| Box::pin(false_monitors(ground)),
        },
        Attack {
            name: "false-deaths",
            title: "false reports that a Grape is dead, and that others are",
            run: |ground| Box::pin(false_deaths(ground)),
        },
    ]
}

/// How long the documentation says that a death takes to be noticed.
const NOTICED: Duration = Duration::from_secs(5);

/// A Grape that announces a service, and is killed. Returns its id and its address.
async fn killed(site: &mut Site, name: &str) -> Result<(Id, SocketAddr)> {
    let last = site.servers.pop().context("a Grape")?;
    last.client().announce(name, 7200).await?;
    let place = last.place.dht;
    for server in &site.servers {
        server.client().lookup(name).await?;
    }
    // It tells its monitors of its announce within a second.
    sleep(Duration::from_millis(1500)).await;
    let id: [u8; 20] = hex::decode(&last.id)?.try_into().ok().context("an id")?;
    let Server { mut process, .. } = last;
    process.kill().await?;
    Ok((Id::from(id), place))
}

/// How long it takes until no Grape shows a name any more; at most 20 s.
async fn gone(site: &Site, name: &str) -> Result<Duration> {
    let begun = Instant::now();
    for server in &site.servers {
        let mut client = server.client();
        while !client.lookup(name).await?.is_empty() && begun.elapsed() < Duration::from_secs(20) {
            sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(begun.elapsed())
}

/// In the short form with thrice the time.
fn judge_gone(outcome: &mut Outcome, took: Duration) {
    let measured = format!("{:.1} s", took.as_secs_f64());
    outcome.must_soon("its service is gone ≤ 5 s", measured.clone(), took <= NOTICED);
    outcome.must("and ≤ 15 s on a slow machine", measured, took <= 3 * NOTICED);
}

async fn kept_alive(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let name = format!("of-{}-that-dies", ground.number);
    let (id, place) = killed(&mut site, &name).await?;
    let forger = Node::start(place, id, Arc::new(silent)).await?;
    let others = site.addresses();
    let forging = async {
        loop {
            for to in &others {
                for watch in [None, Some(true), Some(false)] {
                    forger.tell(*to, Method::Ping { watch }).await?;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        #[expect(unreachable_code, reason = "it says which error the block may have")]
        anyhow::Ok(())
    };
    let noticing = async {
        tokio::select! {
            forged = forging => forged.and(Ok(Duration::MAX)),
            took = gone(&site, &name) => took,
        }
    };
    let memory = grape_tests::lab::Memory::of(pids(&site)?);
    let took = timeout(Duration::from_secs(60), noticing).await??;
    let mut outcome = Outcome::new("60 pings/s to each Grape");
    judge_memory(&mut outcome, memory.most());
    judge_gone(&mut outcome, took);
    Ok(outcome)
}

fn pids(site: &Site) -> Result<Vec<u32>> {
    site.servers.iter().map(Server::pid).collect()
}

async fn false_monitors(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let dying = site.servers.last().context("a Grape")?.id.clone();
    let near: String = hex::decode(&dying)?.iter().map(|byte| char::from(*byte & 0x7f)).collect();
    let promise = Arc::new(|method: &Method<'_>, _: SocketAddr, own: Id| {
        let watch = matches!(method, Method::Ping { watch: Some(true) });
        Some(Response { watch, ..Response::new(own) })
    });
    let mut nodes = Vec::new();
    for n in 0..8 {
        let at = ground.at(100, 5000 + n);
        let node = Node::start(at, id_near(&near, 19), promise.clone()).await?;
        node.greet(&site.addresses()).await?;
        nodes.push(node);
    }
    sleep(Duration::from_secs(1)).await;
    let name = format!("of-{}-unreported", ground.number);
    killed(&mut site, &name).await?;
    let memory = grape_tests::lab::Memory::of(pids(&site)?);
    let took = gone(&site, &name).await?;
    let mut outcome = Outcome::new("8 nodes");
    judge_memory(&mut outcome, memory.most());
    judge_gone(&mut outcome, took);
    Ok(outcome)
}

async fn false_deaths(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let alive = site.servers[1].place.dht;
    let id = node::random_id();
    let make = move |n: u64| {
        // Every second one is of an address where nobody is.
        let nobody = ground.at(150, 1024 + (n % 50_000) as u16);
        let addr = if n.is_multiple_of(2) { alive } else { nobody };
        node::query(b"dead", id, Method::Dead { addr, depth: 0 })
    };
    let flood = Flood {
        from: vec![ground.at(100, 5000)],
        to: vec![site.target().place.dht],
        rate: Some(1000),
        time: ground.time(),
        most: u64::MAX,
    };
    let (sent, observed) = site.during(flood.run(make)).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let nodes = observed.after.sum("grape_dht_nodes");
    outcome.must("it still knows its 3 nodes", format!("{nodes}"), nodes == 3.0);
    Ok(outcome)
}
