//! What is attacked: a network of Grapes, used honestly meanwhile, and watched.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use grape_tests::lab::{self, Honest, Memory, Page, Place, Seen, Server};
use tokio::time::{Duration, Instant, sleep};

use crate::attack::Outcome;

/// Most resident memory: 64 MB.
const MEMORY: f64 = 64e6;
const HOT: Duration = Duration::from_millis(10);
const COLD: Duration = Duration::from_millis(50);
/// Packets that may be sent for each that came, a second besides, for honest use varies, and once: the
/// bounds of `docs/threat-model.md` let 256 go at once, and a slow machine sends part of them again.
const TIMES: f64 = 3.0;
const BESIDES: f64 = 150.0;
const ONCE: f64 = 512.0;

/// Where an attack takes place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    /// Of the attack: addresses and ports follow from it.
    pub(crate) number: u8,
    /// A few seconds, and less of all.
    pub(crate) short: bool,
}

impl Ground {
    /// An address of 250. The Grapes have those from 1 on, attackers those from 100 on.
    pub(crate) fn ip(&self, host: u8) -> IpAddr {
        Ipv4Addr::new(10, 77, self.number, host).into()
    }

    /// A socket's address there.
    pub(crate) fn at(&self, host: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(host), port)
    }

    /// How long an attack goes on.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(if self.short { 2 } else { 5 })
    }

    /// The one or the other, by the form.
    pub(crate) fn pick<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    /// Where a Grape is.
    pub(crate) fn place(&self, own: u8, flags: &[&str]) -> Place {
        let port = 30_000 + u16::from(self.number) * 16 + u16::from(own);
        let mut flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        // Nobody listens at the ports that are announced here.
        flags.push("--check-announced=false".to_owned());
        Place {
            dht: self.at(own + 1, 20001),
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            bootstrap: if own == 0 { Vec::new() } else { vec![self.at(1, 20001)] },
            flags,
        }
    }
}

/// Grapes, of which the first is attacked above all.
pub(crate) struct Site {
    pub(crate) ground: Ground,
    pub(crate) servers: Vec<Server>,
    pub(crate) honest: Honest,
}

/// What was seen while an attack went on.
pub(crate) struct Observed {
    pub(crate) seen: Seen,
    /// The most bytes that a Grape had resident.
    pub(crate) memory: f64,
    pub(crate) time: Duration,
    /// Of the first Grape.
    pub(crate) before: Page,
    pub(crate) after: Page,
    /// Packets that it sent a second before the attack.
    rate_before: f64,
}

impl Site {
    /// Four Grapes.
    pub(crate) async fn start(ground: Ground) -> Result<Self> {
        Self::start_with(ground, 4, &[]).await
    }

    /// So many Grapes, with these flags.
    pub(crate) async fn start_with(ground: Ground, count: u8, flags: &[&str]) -> Result<Self> {
        let places = (0..count).map(|own| ground.place(own, flags)).collect();
        let servers = lab::network(places).await?;
        let cold = ground.pick(400, 150);
        let honest = Honest::prepare(&servers, &format!("of-{}", ground.number), cold).await?;
        Ok(Self { ground, servers, honest })
    }

    /// The first Grape.
    pub(crate) fn target(&self) -> &Server {
        &self.servers[0]
    }

    /// The DHT addresses of all.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.place.dht).collect()
    }

    /// Where others than programs of this host reach the API of the first.
    pub(crate) fn api_from_elsewhere(&self) -> SocketAddr {
        SocketAddr::new(self.target().place.dht.ip(), self.target().place.api.port())
    }

    /// Watches what happens during an attack, beside honest use.
    pub(crate) async fn during<T>(
        &mut self,
        attack: impl Future<Output = Result<T>>,
    ) -> Result<(T, Observed)> {
        let quiet = Duration::from_millis(self.ground.pick(1000, 500));
        let memory = Memory::of(self.servers.iter().map(Server::pid).collect::<Result<_>>()?);
        let using = self.honest.begin();
        let earlier = self.servers[0].page().await?;
        let begun = Instant::now();
        sleep(quiet).await;
        let before = self.servers[0].page().await?;
        let sent = before.since(&earlier, "grape_dht_packets_sent_total");
        let rate_before = sent / begun.elapsed().as_secs_f64();
        self.honest.give_back(using.end().await?);

        let using = self.honest.begin();
        let begun = Instant::now();
        let done = attack.await;
        let time = begun.elapsed();
        let used = using.end().await?;
        let seen = self.honest.give_back(used);
        let done = done?;
        let after = self.servers[0].page().await.context("the Grape after the attack")?;
        let memory = memory.most();
        Ok((done, Observed { seen, memory, time, before, after, rate_before }))
    }
}

impl Observed {
    /// What must hold in every attack, of which the Grape can read all packets.
    pub(crate) fn judge(&self, outcome: &mut Outcome) {
        self.judge_beyond(outcome);
        self.judge_latency(outcome, "cold p99", self.seen.cold.percentile(99), COLD);
    }

    /// What must hold in those that send more than it can read.
    pub(crate) fn judge_beyond(&self, outcome: &mut Outcome) {
        judge_memory(outcome, self.memory);
        let (asked, wrong) = (self.seen.asked, &self.seen.wrong);
        let mut measured = format!("{} of {asked} wrong", wrong.len());
        if let Some(first) = wrong.first() {
            measured.push_str(&format!(", as in: {first}"));
        }
        outcome.must("honest answers right", measured, wrong.is_empty() && asked > 0);
        self.judge_latency(outcome, "hot p99", self.seen.hot.percentile(99), HOT);
    }

    fn judge_latency(&self, outcome: &mut Outcome, what: &str, took: Duration, most: Duration) {
        let must = format!("{what} ≤ {} ms", most.as_millis());
        outcome.must_soon(must, format!("{:.1} ms", took.as_secs_f64() * 1000.0), took <= most);
    }

    /// Packets sent must be in proportion to what the attacker sent.
    pub(crate) fn judge_packets(&self, outcome: &mut Outcome, attack: u64) {
        let seconds = self.time.as_secs_f64();
        let grew = |name: &str| self.after.since(&self.before, name);
        let came = grew("grape_dht_packets_received_total").min(attack as f64);
        let more = grew("grape_dht_packets_sent_total") - self.rate_before * seconds;
        let most = TIMES * came + BESIDES * seconds + ONCE;
        let measured = format!("{:.0}/s more for {:.0}/s", more.max(0.0) / seconds, came / seconds);
        let must = "sends ≤ 3 packets for each that comes, 150/s, and 512 once";
        outcome.must(must, measured, more <= most);
    }
}

/// Memory must be at most 64 MB.
pub(crate) fn judge_memory(outcome: &mut Outcome, most: f64) {
    outcome.must("memory ≤ 64 MB", format!("{:.1} MB", most / 1e6), most <= MEMORY);
}
