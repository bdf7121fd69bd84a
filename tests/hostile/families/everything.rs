//! Everything that has a bound is filled, all at once.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt, stream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::RELAXED;
use super::gossip::{GROUP, Liar, changing_keys, invented, lie, members};
use super::peers::Announcer;
use super::stored;
use crate::attack::{Attack, Outcome};
use crate::site::{Ground, Site};
use crate::sockets::connect;
use crate::ws_frames;

pub(super) fn attacks() -> Vec<Attack> {
    vec![Attack {
        name: "everything",
        title: "names, peers, items, connections, WebSockets, watches, lookups and members, all as many as fit",
        run: |ground| Box::pin(everything(ground)),
    }]
}

/// Names that peers are announced on.
const NAMES: u64 = 4_397;

/// So long that as many names as are kept have as many bytes as they may.
fn name(n: u64) -> String {
    format!("{n}:{}", "n".repeat(240))
}

/// Peers on as many names as are kept, and as many peers as are kept, of many hosts.
async fn fill_names(ground: Ground, to: &[SocketAddr]) -> Result<u64> {
    let hosts = (150..174).map(|host| ground.at(host, 5000)).collect();
    let announcer = Announcer::new(hosts, to.to_vec()).await?;
    let grapes = to.len() as u64;
    // With those of honest use not more names than are kept: none makes room before all peers are there.
    let most = NAMES * 24 * grapes;
    let rate = ground.pick(6_000, 8_000) * grapes;
    let flood = announcer.run(rate, most, ground.time() * 8, |n| {
        // 24 peers of each name, of as many hosts: 24 and the number of names have no factor in common.
        (name(n % NAMES), 1 + (n / NAMES) as u16)
    });
    Ok(flood.await?.packets)
}

/// Lookups whose results are kept.
async fn fill_lookups(api: SocketAddr, count: u64) -> Result<u64> {
    let lanes = (0..8).map(async |lane| {
        let mut client = grape_tests::lab::Client::new(api);
        for n in (lane..count).step_by(8) {
            client.lookup(&name(n)).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(lanes).await?;
    Ok(count)
}

/// Connections of several hosts: half-sent heads and bodies, watches that are not read, WebSockets. All
/// are opened again and again until this is over, for the Grape gives them up, and once more then.
async fn fill_connections(ground: Ground, api: SocketAddr, over: &AtomicBool) -> Result<usize> {
    let mut opened = 0;
    loop {
        let last = over.load(RELAXED);
        let streams = open(ground, api).await;
        opened += streams.len();
        sleep(ground.time()).await;
        if last {
            return Ok(opened);
        }
    }
}

async fn open(ground: Ground, api: SocketAddr) -> Vec<TcpStream> {
    let one = async |n: usize| {
        let from = ground.ip(100 + (n % 8) as u8);
        let body = "x".repeat(2600);
        let sent = match n % 4 {
            0 => format!("POST /lookup HTTP/1.1\r\nHost: g\r\nContent-Length: 8000\r\n\r\n{body}"),
            1 => format!("GET /healthz HTTP/1.1\r\nHost: g\r\nX: {body}"),
            2 => format!("GET /watch?name={n}:{} HTTP/1.1\r\nHost: g\r\n\r\n", "n".repeat(1000)),
            _ => ws_frames::handshake("/", ""),
        };
        let mut stream = connect(from, api).await.ok()?;
        let _ = stream.write_all(sent.as_bytes()).await;
        Some(stream)
    };
    let all = stream::iter(0..1400).map(one).buffer_unordered(100);
    all.filter_map(async |stream| stream).collect().await
}

async fn everything(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start_with(ground, 3, &["--gossip", GROUP]).await?;
    let known = members(&site).await?;
    let all = site.addresses();
    let mut liars = Vec::new();
    for n in 0..8 {
        liars.push(Liar::enter(ground.at(90 + n, 5000), &all).await?);
    }
    // The bounds are those of each Grape: to fill one of them takes a third of the time.
    let filled = ground.pick(&all[..], &all[..1]);
    let api = site.api_from_elsewhere();
    let own = site.target().place.api;
    let groups = async {
        let time = ground.time() * 4;
        let lying = liars.iter_mut().zip(0..).map(async |(liar, n)| {
            let what = if n % 2 == 0 { changing_keys } else { invented };
            lie(liar, &all, &known, (100, time), what).await
        });
        Ok(join_all(lying).await.iter().sum::<u64>())
    };
    let over = AtomicBool::new(false);
    let filling = async {
        let filled = tokio::try_join!(
            fill_names(ground, filled),
            stored::fill(ground, filled, 6_000),
            fill_lookups(own, 6_000),
            groups,
        );
        over.store(true, RELAXED);
        filled
    };
    let all_of_it = async { tokio::try_join!(filling, fill_connections(ground, api, &over)) };
    let ((filled, connections), observed) = site.during(all_of_it).await?;
    let (announces, items, lookups, told) = filled;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!(
        "{announces} announces, {items} puts, {lookups} lookups, {connections} connections, {told} gossip, \
         {seconds:.0} s"
    ));
    observed.judge_beyond(&mut outcome);
    let held = |name: &str| observed.after.sum(name);
    let names = [
        ("names", held("grape_dht_names"), 5000.0),
        ("peers", held("grape_dht_peers"), 75_000.0),
        ("items", held("grape_dht_items"), 5000.0),
        ("connections", held("grape_api_connections"), 1024.0),
        ("watches", held("grape_watches"), 1024.0),
    ];
    for (what, held, most) in names {
        outcome.must(format!("≤ {most} {what}"), format!("{held}"), held <= most);
    }
    Ok(outcome)
}
