//! Peers: many of one host, many names of one host, those that come and go, and a withdrawal by another
//! process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use grape_engine::krpc::Method;
use tokio::time::{Duration, sleep};

use crate::attack::{Attack, Outcome};
use crate::flood::{Flood, Sent};
use crate::node::{self, Node, announce, random_id, silent};
use crate::site::{Ground, Observed, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "ports-of-one-host",
            title: "20,000 ports of one host on one name, at each Grape",
            run: |ground| Box::pin(ports(ground)),
        },
        Attack {
            name: "names-of-one-host",
            title: "200,000 names of one host, at each Grape in turn",
            run: |ground| Box::pin(names(ground)),
        },
        Attack {
            name: "come-and-go",
            title: "peers that come and go on 30 names, from 50 addresses",
            run: |ground| Box::pin(come_and_go(ground)),
        },
        Attack {
            name: "withdrawn-beside",
            title: "another process at the announcer's IP address withdraws its service",
            run: |ground| Box::pin(withdrawn_beside(ground)),
        },
    ]
}

/// A flood from sockets that have a token of each Grape.
pub(super) struct Announcer {
    from: Vec<SocketAddr>,
    to: Vec<SocketAddr>,
    /// Of the first socket for each Grape, then of the second …
    tokens: Vec<Vec<u8>>,
}

impl Announcer {
    pub(super) async fn new(from: Vec<SocketAddr>, to: Vec<SocketAddr>) -> Result<Self> {
        let of_one = async |at: &SocketAddr| {
            // It answers nothing, lest Grapes take it for a node that has died.
            let node = Node::start(*at, random_id(), Arc::new(silent)).await?;
            try_join_all(to.iter().map(|to| node.token(*to, b"any name"))).await
        };
        let tokens = try_join_all(from.iter().map(of_one)).await?.concat();
        // The sockets close with their tasks.
        sleep(Duration::from_millis(50)).await;
        Ok(Self { from, to, tokens })
    }

    /// Announces at each of the Grapes in turn: the service of `service`, by its number.
    pub(super) async fn run(
        self,
        rate: u64,
        most: u64,
        time: Duration,
        service: impl Fn(u64) -> (String, u16) + Send + 'static,
    ) -> Result<Sent> {
        let Self { from, to, tokens } = self;
        let grapes = to.len() as u64;
        let flood = Flood { from, to, rate: Some(rate), time, most };
        let id = random_id();
        flood
            .run(move |n| {
                let (name, port) = service(n / grapes);
                let token = &tokens[n as usize % tokens.len()];
                node::query(b"anno", id, announce(name.as_bytes(), port, token))
            })
            .await
    }
}

async fn ports(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let (name, peer) = site.honest.known_name();
    let (name, peer) = (name.to_owned(), peer.to_owned());
    let count = ground.pick(20_000, 2_000);
    let all = site.addresses();
    let most = count * all.len() as u64;
    let announcer = Announcer::new(vec![ground.at(100, 5000)], all).await?;
    let taken = name.clone();
    let rate = ground.pick(12_000, 4_000);
    let flood = announcer.run(rate, most, Duration::from_secs(15), move |n| {
        (taken.clone(), 1 + (n % 65_000) as u16)
    });
    let (sent, observed) = site.during(flood).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let lookups = ground.pick(250, 25);
    let mut found = 0;
    for server in &site.servers {
        let mut client = server.client();
        for _ in 0..lookups {
            found += usize::from(client.lookup(&name).await?.contains(&peer));
            // Grapes ask each other again now and then.
            sleep(Duration::from_millis(4)).await;
        }
    }
    let all = lookups * site.servers.len();
    outcome.must("each lookup has the honest peer", format!("{found} of {all}"), found == all);
    Ok(outcome)
}

async fn names(ground: Ground) -> Result<Outcome> {
    // In the short form a small store is filled instead.
    let flags: &[&str] = ground.pick(&[], &["--dht_maxTables", "500"]);
    let mut site = Site::start_with(ground, 4, flags).await?;
    let all = site.addresses();
    let most = ground.pick(200_000, 2_000) * all.len() as u64;
    let announcer = Announcer::new(vec![ground.at(100, 5000)], all).await?;
    let rate = ground.pick(24_000, 4_000);
    let flood = announcer.run(rate, most, Duration::from_secs(34), |n| {
        (format!("{n}:made-up"), 1 + (n % 60_000) as u16)
    });
    let (sent, observed) = site.during(flood).await?;
    let mut outcome = Outcome::new(sent.dose());
    observed.judge(&mut outcome);
    observed.judge_packets(&mut outcome, sent.packets);
    let (names, most) = (observed.after.sum("grape_dht_names"), ground.pick(5000.0, 500.0));
    outcome.must(format!("≤ {most} names are stored"), format!("{names}"), names <= most);
    // What they have not looked up before.
    let after = site
        .during(async {
            sleep(Duration::from_secs(1)).await;
            Ok(())
        })
        .await?
        .1;
    let (asked, wrong) = (after.seen.asked, after.seen.wrong.len());
    outcome.must("and right after it", format!("{wrong} of {asked} wrong"), wrong == 0);
    Ok(outcome)
}

async fn come_and_go(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let all = site.addresses();
    let hosts = (0..50).map(|n| ground.at(100 + n, 5000)).collect();
    let announcer = Announcer::new(hosts, all).await?;
    let rate = ground.pick(10_000, 2_000);
    let flood = announcer.run(rate, u64::MAX, ground.time() * 2, |n| {
        let port = (n.wrapping_mul(31) % 60_000) as u16;
        (format!("{}:comes-and-goes", n % 30), 1 + port)
    });
    let (sent, observed) = site.during(flood).await?;
    let packets = sent.packets;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{:.0}/s, {seconds:.0} s", packets as f64 / seconds));
    judge(&mut outcome, &observed, packets);
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, observed: &Observed, packets: u64) {
    observed.judge(outcome);
    observed.judge_packets(outcome, packets);
    let peers = observed.after.sum("grape_dht_peers");
    outcome.must("≤ 75,000 peers are stored", format!("{peers}"), peers <= 75_000.0);
}

async fn withdrawn_beside(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    let (name, peer) = site.honest.known_name();
    let (name, peer) = (name.to_owned(), peer.to_owned());
    let announcer: SocketAddr = peer.parse()?;
    let beside = Node::polite(SocketAddr::new(announcer.ip(), 5000), random_id()).await?;
    let all = site.addresses();
    let withdrawing = async {
        for to in &all {
            let token = beside.token(*to, name.as_bytes()).await?;
            let (info_hash, token) = (name.as_bytes().into(), token.into());
            let port = announcer.port();
            let withdraw = Method::WithdrawPeer { info_hash, port, token, ip: None };
            // Refused, or answered as if it had been there.
            let _ = beside.ask(*to, withdraw).await;
        }
        sleep(Duration::from_secs(2)).await;
        Ok(())
    };
    let (_, observed) = site.during(withdrawing).await?;
    let mut outcome = Outcome::new("once at each Grape");
    observed.judge(&mut outcome);
    let mut missing = 0;
    for server in &site.servers {
        missing += u32::from(!server.client().lookup(&name).await?.contains(&peer));
    }
    outcome.must("all Grapes still show it", format!("{missing} do not"), missing == 0);
    Ok(outcome)
}
