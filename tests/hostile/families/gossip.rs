//! Groups: members, versions, keys and digests that are not true.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use futures_util::future::LocalBoxFuture;
use grape_tests::http::Request;
use grape_tests::lab::{Client, Latencies};
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;
use tokio::time::{Duration, Instant, interval, sleep};

use crate::attack::{Attack, Outcome};
use crate::gossip_wire::{ACK, Delta, Entry, Header, SYN, cookie, message, tag};
use crate::site::{Ground, Site};

pub(super) const GROUP: &str = "workers";
/// A change is to be seen elsewhere within this time, while something goes wrong.
const SEEN: Duration = Duration::from_secs(1);

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "gossip-forged-keys",
            title: "a member says what keys of other members are",
            run: |ground| Box::pin(against_group(ground, 200, forged_keys)),
        },
        Attack {
            name: "gossip-forged-versions",
            title: "a member says that others have the highest generation and version there is",
            run: |ground| Box::pin(against_group(ground, 200, forged_versions)),
        },
        Attack {
            name: "gossip-changing-keys",
            title: "a member never stops changing its keys",
            run: |ground| Box::pin(against_group(ground, 1000, changing_keys)),
        },
        Attack {
            name: "gossip-invented",
            title: "a member tells 10,000 invented members",
            run: |ground| Box::pin(against_group(ground, 1000, invented)),
        },
        Attack {
            name: "gossip-digest",
            title: "a member's digest claims to know everything already",
            run: |ground| Box::pin(against_group(ground, 200, claims_all)),
        },
    ]
}

/// A member that lies. It has proved its address.
pub(super) struct Liar {
    socket: Arc<UdpSocket>,
    addr: SocketAddr,
    cookies: Arc<Mutex<HashMap<SocketAddr, [u8; 8]>>>,
    generation: u64,
    heartbeat: u32,
    reading: AbortHandle,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Liar {
    /// Proves its address to all of these.
    pub(super) async fn enter(addr: SocketAddr, to: &[SocketAddr]) -> Result<Self> {
        let socket = Arc::new(UdpSocket::bind(addr).await?);
        let cookies = Arc::<Mutex<HashMap<_, _>>>::default();
        let (reading, kept) = (Arc::clone(&socket), Arc::clone(&cookies));
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let Ok((length, from)) = reading.recv_from(&mut buffer).await else { continue };
                if let Some((_, cookie)) = cookie(&buffer[..length], tag(GROUP)) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).insert(from, cookie);
                }
            }
        })
        .abort_handle();
        // Any time of this century.
        let generation = 1_900_000_000_000;
        let mut liar = Self { socket, addr, cookies, generation, heartbeat: 1, reading };
        for _ in 0..20 {
            for to in to {
                liar.send(*to, SYN, &[], &[]).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
        let known = liar.cookies.lock().unwrap_or_else(PoisonError::into_inner).len();
        ensure!(known == to.len(), "{known} of {} Grapes gave a cookie", to.len());
        Ok(liar)
    }

    fn cookie_of(&self, to: &SocketAddr) -> [u8; 8] {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        cookies.get(to).copied().unwrap_or_default()
    }

    /// Sends one datagram.
    pub(super) async fn send(&mut self, to: SocketAddr, kind: u8, list: &[Entry], keys: &[Delta]) {
        let yours = self.cookie_of(&to);
        self.heartbeat += 1;
        let (group, generation, heartbeat) = (tag(GROUP), self.generation, self.heartbeat);
        let header = Header { kind, group, generation, heartbeat, yours };
        let _ = self.socket.send_to(&message(header, list, keys), to).await;
    }
}

/// A real member, as the group knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) addr: SocketAddr,
    generation: u64,
}

/// What is sent for the n-th time.
type Lie = for<'a> fn(&'a mut Liar, SocketAddr, &'a [Member], u64) -> LocalBoxFuture<'a, ()>;

fn forged_keys<'a>(
    liar: &'a mut Liar,
    to: SocketAddr,
    members: &'a [Member],
    n: u64,
) -> LocalBoxFuture<'a, ()> {
    let forged = members.iter().filter(|member| member.addr != to).map(|member| Delta {
        addr: member.addr,
        generation: member.generation,
        from: n,
        changes: vec![("load".to_owned(), b"\"forged\"".to_vec())],
    });
    let forged: Vec<_> = forged.collect();
    Box::pin(async move { liar.send(to, ACK, &[], &forged).await })
}

fn entries(members: &[Member], generation: impl Fn(&Member) -> u64) -> Vec<Entry> {
    let entry = |member: &Member| Entry {
        addr: member.addr,
        generation: generation(member),
        heartbeat: u64::from(u32::MAX),
        version: u64::MAX,
    };
    members.iter().map(entry).collect()
}

fn forged_versions<'a>(
    liar: &'a mut Liar,
    to: SocketAddr,
    members: &'a [Member],
    n: u64,
) -> LocalBoxFuture<'a, ()> {
    let highest = |member: &Member| if n.is_multiple_of(2) { u64::MAX } else { member.generation };
    let list = entries(members, highest);
    Box::pin(async move { liar.send(to, SYN, &list, &[]).await })
}

pub(super) fn changing_keys<'a>(
    liar: &'a mut Liar,
    to: SocketAddr,
    _: &'a [Member],
    n: u64,
) -> LocalBoxFuture<'a, ()> {
    let changes = (0..8).map(|k| (format!("key{k}"), format!("\"{n:0100}\"").into_bytes()));
    let (addr, generation) = (liar.addr, liar.generation);
    // Four Grapes are told the same.
    let delta = Delta { addr, generation, from: n / 4 * 8, changes: changes.collect() };
    Box::pin(async move { liar.send(to, ACK, &[], &[delta]).await })
}

pub(super) fn invented<'a>(
    liar: &'a mut Liar,
    to: SocketAddr,
    _: &'a [Member],
    n: u64,
) -> LocalBoxFuture<'a, ()> {
    let own = liar.addr;
    let made_up = (0..40).map(|each| {
        let number = (n * 40 + each) % 10_000;
        let mut addr = own;
        addr.set_port(10_000 + number as u16);
        Entry { addr, generation: 1_900_000_000_000, heartbeat: n, version: 3 }
    });
    let made_up: Vec<_> = made_up.collect();
    Box::pin(async move { liar.send(to, SYN, &made_up, &[]).await })
}

fn claims_all<'a>(
    liar: &'a mut Liar,
    to: SocketAddr,
    members: &'a [Member],
    _: u64,
) -> LocalBoxFuture<'a, ()> {
    let list = entries(members, |member| member.generation);
    Box::pin(async move { liar.send(to, SYN, &list, &[]).await })
}

async fn set(client: &mut Client, value: u64) -> Result<()> {
    let path = format!("/gossip/{GROUP}/state/load");
    let request = Request::post(&path, value.to_string()).method("PUT");
    let reply = client.send(&request).await?;
    ensure!(reply.status == 200, "{reply:?}");
    Ok(())
}

/// What a Grape knows of the other members that live.
async fn peers(client: &mut Client) -> Result<Vec<Value>> {
    let path = format!("/gossip/{GROUP}/peers?state=live&key=load");
    let told = client.send(&Request::get(&path)).await?.json()?;
    told.as_array().cloned().with_context(|| format!("no list: {told}"))
}

/// The members, once each knows all others.
pub(super) async fn members(site: &Site) -> Result<Vec<Member>> {
    let count = site.servers.len() - 1;
    for server in &site.servers {
        wait::until("all members know each other", async || {
            let known = peers(&mut server.client()).await?.len();
            ensure!(known >= count, "{} knows {known}", server.place.dht);
            anyhow::Ok(())
        })
        .await?;
    }
    let mut members = Vec::new();
    for asked in &site.servers[..2] {
        for peer in peers(&mut asked.client()).await? {
            let addr = peer["address"].as_str().context("an address")?.parse()?;
            let generation = peer["generation"].as_u64().context("a generation")?;
            members.push(Member { addr, generation });
        }
    }
    members.sort_by_key(|member| member.addr);
    members.dedup_by_key(|member| member.addr);
    Ok(members)
}

/// Waits until a Grape shows the value of another; how long that took.
async fn shown(client: &mut Client, of: SocketAddr, value: u64) -> Result<Duration> {
    let begun = Instant::now();
    let mut seen = Value::Null;
    while begun.elapsed() < Duration::from_secs(10) {
        let all = peers(client).await?;
        let peer = all.iter().find(|peer| peer["address"] == of.to_string());
        seen = peer.map_or(Value::Null, |peer| peer["value"].clone());
        if seen == json!(value) {
            return Ok(begun.elapsed());
        }
        sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{of} has {value}, and {seen} is shown after 10 s")
}

/// Sends lies at a rate for a time. Returns how many.
pub(super) async fn lie(
    liar: &mut Liar,
    to: &[SocketAddr],
    members: &[Member],
    (rate, time): (u32, Duration),
    lie: Lie,
) -> u64 {
    let mut turns = interval(Duration::from_secs(1) / rate);
    let end = Instant::now() + time;
    let mut told = 0;
    while Instant::now() < end {
        turns.tick().await;
        lie(liar, to[told as usize % to.len()], members, told).await;
        told += 1;
    }
    told
}

async fn against_group(ground: Ground, rate: u32, what: Lie) -> Result<Outcome> {
    let mut site = Site::start_with(ground, 4, &["--gossip", GROUP]).await?;
    let members = members(&site).await?;
    let to = site.addresses();
    let mut liar = Liar::enter(ground.at(100, 5000), &to).await?;
    let (mut setting, mut reading) = (site.servers[1].client(), site.servers[2].client());
    let of = site.servers[1].place.dht;
    let mut times = Latencies::default();
    let time = ground.time();
    let changing = async {
        let end = Instant::now() + time;
        let mut value = 0;
        let mut wrong = None;
        while Instant::now() < end {
            value += 1;
            set(&mut setting, value).await?;
            match shown(&mut reading, of, value).await {
                Ok(took) => times.add(took),
                Err(error) => wrong = Some(format!("{error:#}")),
            }
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok((value, wrong))
    };
    let attack = async {
        let lying = async { Ok(lie(&mut liar, &to, &members, (rate, time), what).await) };
        tokio::try_join!(lying, changing)
    };
    let ((told, (value, wrong)), observed) = site.during(attack).await?;
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{:.0}/s, {seconds:.0} s", told as f64 / seconds));
    observed.judge(&mut outcome);
    let measured = wrong.clone().unwrap_or_else(|| format!("{} changes", times.count()));
    outcome.must("each change is shown elsewhere", measured, wrong.is_none() && value > 0);
    let slowest = times.percentile(99);
    let measured = format!("p99 {:.0} ms", slowest.as_secs_f64() * 1000.0);
    outcome.must_soon("within 1 s", measured, slowest <= SEEN);
    let bytes = observed.after.since(&observed.before, "grape_gossip_sent_bytes_total") / seconds;
    // A second's budget may have been saved before.
    let most = (256.0 * 1024.0) * (1.0 + 1.0 / seconds);
    outcome.must("gossip sends ≤ 256 KiB/s", format!("{:.0} KiB/s", bytes / 1024.0), bytes <= most);
    judge_after(&site, &mut outcome).await?;
    Ok(outcome)
}

/// Once it is over, all is as it was.
async fn judge_after(site: &Site, outcome: &mut Outcome) -> Result<()> {
    let mut apart = Vec::new();
    for (n, server) in (1000..).zip(&site.servers) {
        set(&mut server.client(), n).await?;
        for other in site.servers.iter().filter(|other| other.place.dht != server.place.dht) {
            let mut client = other.client();
            if let Err(error) = shown(&mut client, server.place.dht, n).await {
                apart.push(format!("{}: {error:#}", other.place.dht));
            }
            let known = peers(&mut client).await?.len();
            if known > 1000 {
                apart.push(format!("{} knows {known} members", other.place.dht));
            }
        }
    }
    let measured = match apart.first() {
        None => "all".to_owned(),
        Some(first) => format!("{} wrong, as in: {first}", apart.len()),
    };
    outcome.must("after it, each Grape shows the new value of each", measured, apart.is_empty());
    Ok(())
}
