//! Honest use of Grapes: lookups of names that are known already, lookups of names that are new to the
//! Grape that is asked, and announces, each found at another Grape.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::{Client, Latencies, Server};

/// How often each is asked for.
const EACH_HOT: Duration = Duration::from_millis(10);
const EACH_COLD: Duration = Duration::from_millis(50);
const EACH_ANNOUNCE: Duration = Duration::from_millis(200);
/// Names that are asked for again and again.
const HOT: usize = 20;

/// A service that an honest Grape announces.
#[derive(Debug, Clone)]
struct Service {
    name: String,
    peer: String,
}

/// What services of the first Grape ask it, and what must be answered.
#[derive(Debug)]
pub struct Honest {
    prefix: String,
    asked: SocketAddr,
    other: SocketAddr,
    asked_ip: String,
    hot: Vec<Service>,
    cold: Vec<Service>,
    announced: u16,
}

/// What was seen of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// Of names that the Grape knows.
    pub hot: Latencies,
    /// Of names that it has to look up.
    pub cold: Latencies,
    /// How many answers were expected.
    pub asked: usize,
    /// What was wrong with the others.
    pub wrong: Vec<String>,
}

impl Seen {
    fn count(&mut self, outcome: Result<()>) {
        self.asked += 1;
        if let Err(error) = outcome {
            self.wrong.push(format!("{error:#}"));
        }
    }

    fn add(&mut self, other: Self) {
        self.hot.extend(other.hot);
        self.cold.extend(other.cold);
        self.asked += other.asked;
        self.wrong.extend(other.wrong);
    }
}

impl Honest {
    /// Announces at the other Grapes what the first will be asked for: so many names that it does not
    /// know, and a few that it is asked for often.
    ///
    /// # Errors
    /// When a Grape refuses.
    pub async fn prepare(servers: &[Server], prefix: &str, cold: usize) -> Result<Self> {
        ensure!(servers.len() >= 2, "honest use takes two Grapes");
        let others = &servers[1..];
        let announcing = others.iter().enumerate().map(async |(own, server)| {
            let mut client = server.client();
            let mut services = Vec::new();
            for n in (own..cold + HOT).step_by(others.len()) {
                // Names of which the first 20 bytes differ: what a Grape knows of one does not help
                // it to find another.
                let name = format!("{n}:{prefix}");
                let port = 1024 + u16::try_from(n % 60_000)?;
                client.announce(&name, port).await?;
                services.push(Service { name, peer: format!("{}:{port}", server.place.dht.ip()) });
            }
            anyhow::Ok(services)
        });
        let mut cold: Vec<Service> = try_join_all(announcing).await?.concat();
        let hot = cold.split_off(cold.len() - HOT);
        let asked = servers[0].place.api;
        let mut client = Client::new(asked);
        for service in &hot {
            client.lookup(&service.name).await?;
        }
        let other = servers[servers.len() - 1].place.api;
        let asked_ip = servers[0].place.dht.ip().to_string();
        Ok(Self { prefix: prefix.to_owned(), asked, other, asked_ip, hot, cold, announced: 0 })
    }

    /// A name that is looked up often, and the address that is announced there.
    pub fn known_name(&self) -> (&str, &str) {
        (&self.hot[0].name, &self.hot[0].peer)
    }

    /// Begins to use them. It goes on until it is ended.
    pub fn begin(&mut self) -> Use {
        let running = Arc::new(AtomicBool::new(true));
        let cold = std::mem::take(&mut self.cold);
        let first = self.announced;
        self.announced += 1000;
        let new = (self.prefix.clone(), self.asked_ip.clone(), first);
        Use {
            hot: tokio::spawn(hot(self.asked, self.hot.clone(), Arc::clone(&running))),
            cold: tokio::spawn(use_cold(self.asked, cold, Arc::clone(&running))),
            announces: tokio::spawn(announces(self.asked, self.other, new, Arc::clone(&running))),
            running,
        }
    }

    /// What was not used up can be used again.
    pub fn give_back(&mut self, used: Used) -> Seen {
        self.cold = used.left;
        used.seen
    }
}

/// Use that goes on until it is ended.
#[derive(Debug)]
pub struct Use {
    running: Arc<AtomicBool>,
    hot: JoinHandle<Seen>,
    cold: JoinHandle<Used>,
    announces: JoinHandle<Seen>,
}

/// What was seen, and which names are still new.
#[derive(Debug)]
pub struct Used {
    seen: Seen,
    left: Vec<Service>,
}

impl Use {
    /// Ends it, once what was asked is answered.
    ///
    /// # Errors
    /// When a task of it has failed.
    pub async fn end(self) -> Result<Used> {
        self.running.store(false, Ordering::Relaxed);
        let mut used = self.cold.await?;
        used.seen.add(self.hot.await?);
        used.seen.add(self.announces.await?);
        Ok(used)
    }
}

/// Times at this distance; those that have passed are left out.
struct Pace {
    next: Instant,
    each: Duration,
}

impl Pace {
    fn of(each: Duration) -> Self {
        Self { next: Instant::now(), each }
    }

    async fn wait(&mut self) {
        self.next = (self.next + self.each).max(Instant::now());
        sleep_until(self.next).await;
    }
}

async fn find(client: &mut Client, service: &Service, times: &mut Latencies) -> Result<()> {
    let begun = Instant::now();
    let found = client.lookup(&service.name).await;
    times.add(begun.elapsed());
    let found = found?;
    let Service { name, peer } = service;
    ensure!(found.contains(peer), "{name}: {peer} is not among the {} found", found.len());
    Ok(())
}

async fn hot(api: SocketAddr, services: Vec<Service>, running: Arc<AtomicBool>) -> Seen {
    let (mut seen, mut client, mut pace) = (Seen::default(), Client::new(api), Pace::of(EACH_HOT));
    for service in services.iter().cycle() {
        if !running.load(Ordering::Relaxed) {
            break;
        }
        let outcome = find(&mut client, service, &mut seen.hot).await;
        seen.count(outcome);
        pace.wait().await;
    }
    seen
}

async fn use_cold(api: SocketAddr, mut left: Vec<Service>, running: Arc<AtomicBool>) -> Used {
    let (mut seen, mut client, mut pace) = (Seen::default(), Client::new(api), Pace::of(EACH_COLD));
    while running.load(Ordering::Relaxed)
        && let Some(service) = left.pop()
    {
        let outcome = find(&mut client, &service, &mut seen.cold).await;
        seen.count(outcome);
        pace.wait().await;
    }
    Used { seen, left }
}

async fn announces(
    api: SocketAddr,
    other: SocketAddr,
    (prefix, ip, first): (String, String, u16),
    running: Arc<AtomicBool>,
) -> Seen {
    let (mut seen, mut here, mut there) = (Seen::default(), Client::new(api), Client::new(other));
    let mut pace = Pace::of(EACH_ANNOUNCE);
    for port in 1024 + first.. {
        if !running.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("new:{port}:{prefix}");
        let service = Service { peer: format!("{ip}:{port}"), name };
        let outcome = match here.announce(&service.name, port).await {
            Ok(_) => find(&mut there, &service, &mut Latencies::default()).await,
            Err(error) => Err(error),
        };
        seen.count(outcome);
        pace.wait().await;
    }
    seen
}
