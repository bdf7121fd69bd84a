//! What services ask of the Grapes meanwhile: each announces its services again and again, and looks up
//! those of the others.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use grape_tests::lab::{Client, Latencies};
use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::fleet::Board;
use crate::hosts::{HOSTS, api, dht};

/// Services of each host.
const SERVICES: usize = 10;
/// Each announces all of its services in this time.
const ANNOUNCED_EACH: Duration = Duration::from_secs(1);
/// Between two lookups at a Grape.
const PAUSE: Duration = Duration::from_millis(5);

/// What was asked, and what was wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) lookups: u64,
    pub(crate) announces: u64,
    /// What was wrong: the first of them.
    pub(crate) wrong: Vec<String>,
    pub(crate) failed: u64,
    pub(crate) times: Latencies,
}

impl Counts {
    fn fail(&mut self, why: String) {
        self.failed += 1;
        if self.wrong.len() < 5 {
            self.wrong.push(why);
        }
    }

    /// The share of lookups and announces that were right, in percent.
    pub(crate) fn right(&self) -> f64 {
        let all = (self.lookups + self.announces) as f64;
        if all == 0.0 { 0.0 } else { 100.0 * (all - self.failed as f64) / all }
    }
}

/// The load, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    counts: Arc<Mutex<Counts>>,
    _tasks: JoinSet<()>,
}

impl Load {
    /// Begins.
    pub(crate) fn begin(board: &Board) -> Self {
        let counts = Arc::<Mutex<Counts>>::default();
        let mut tasks = JoinSet::new();
        for host in 0..HOSTS {
            tasks.spawn(announces(host, board.clone(), Arc::clone(&counts)));
            tasks.spawn(lookups(host, board.clone(), Arc::clone(&counts)));
        }
        Self { counts, _tasks: tasks }
    }

    /// What was counted since the last time.
    pub(crate) fn lap(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A service of a host.
pub(crate) fn service(host: usize, n: usize) -> (String, u16) {
    (format!("{n}:service-of-{host}"), 7000 + (host * 2 * SERVICES + n) as u16)
}

fn with(counts: &Mutex<Counts>, count: impl FnOnce(&mut Counts)) {
    count(&mut counts.lock().unwrap_or_else(PoisonError::into_inner));
}

async fn announces(host: usize, board: Board, counts: Arc<Mutex<Counts>>) {
    let mut client = Client::new(api(host));
    loop {
        let before = board.view();
        let mut well = before.grapes[host].up.is_some();
        for n in 0..SERVICES {
            let before = board.view();
            if before.grapes[host].up.is_none() {
                well = false;
                break;
            }
            let (name, port) = service(host, n);
            let outcome = client.announce(&name, port).await;
            // What was disturbed meanwhile proves nothing.
            if board.view().is_as(&before, [host, host]) {
                with(&counts, |counts| {
                    counts.announces += 1;
                    if let Err(error) = &outcome {
                        counts.fail(format!("announce at {host}: {error:#}"));
                    }
                });
            }
            well &= outcome.is_ok();
            sleep(ANNOUNCED_EACH / SERVICES as u32).await;
        }
        if well {
            board.announced(host, &before);
            new_name(host, &mut client, &board, &counts).await;
        } else {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Announces a name that nobody has looked up yet, and looks it up at another Grape.
async fn new_name(host: usize, client: &mut Client, board: &Board, counts: &Mutex<Counts>) {
    let asked = (host + rand::rng().random_range(1..HOSTS)) % HOSTS;
    let before = board.view();
    if !before.must_find(asked, host) {
        return;
    }
    let (name, port) = (format!("{:x}:new", rand::rng().random::<u64>()), 7900);
    let peer = format!("{}:{port}", dht(host).ip());
    let outcome = async {
        client.announce(&name, port).await?;
        let found = Client::new(api(asked)).lookup(&name).await?;
        ensure!(found.contains(&peer), "{name}: no {peer} in {found:?}");
        anyhow::Ok(())
    }
    .await;
    if board.view().is_as(&before, [host, asked]) {
        with(counts, |counts| {
            counts.announces += 1;
            counts.lookups += 1;
            if let Err(error) = outcome {
                counts.fail(format!("new name of {host} at {asked}: {error:#}"));
            }
        });
    }
}

/// Whether a Grape shows a service of another.
pub(crate) async fn find(client: &mut Client, announcer: usize, n: usize) -> Result<()> {
    let (name, port) = service(announcer, n);
    let found = client.lookup(&name).await?;
    let peer = format!("{}:{port}", dht(announcer).ip());
    ensure!(found.contains(&peer), "{name}: no {peer} in {found:?}");
    Ok(())
}

async fn lookups(host: usize, board: Board, counts: Arc<Mutex<Counts>>) {
    let mut client = Client::new(api(host));
    loop {
        sleep(PAUSE).await;
        let (announcer, n) = {
            let mut rng = rand::rng();
            (rng.random_range(0..HOSTS), rng.random_range(0..SERVICES))
        };
        let before = board.view();
        if !before.must_find(host, announcer) {
            continue;
        }
        let begun = Instant::now();
        let outcome = find(&mut client, announcer, n).await;
        let took = begun.elapsed();
        if board.view().is_as(&before, [host, announcer]) {
            with(&counts, |counts| {
                counts.lookups += 1;
                counts.times.add(took);
                if let Err(error) = &outcome {
                    counts.fail(format!("lookup at {host}: {error:#}"));
                }
            });
        }
    }
}

/// Announces at each Grape services that no Grape has looked up yet.
pub(crate) async fn announce_more() -> Result<()> {
    for host in 0..HOSTS {
        let mut client = Client::new(api(host));
        for n in SERVICES..2 * SERVICES {
            let (name, port) = service(host, n);
            client.announce(&name, port).await?;
        }
    }
    Ok(())
}

/// Waits until each Grape shows all services of all others, so many of each; how long that took.
async fn everywhere(services: usize, longest: Duration) -> Result<Duration> {
    let begun = Instant::now();
    for asked in 0..HOSTS {
        let mut client = Client::new(api(asked));
        for announcer in 0..HOSTS {
            for n in 0..services {
                while let Err(error) = find(&mut client, announcer, n).await {
                    ensure!(begun.elapsed() < longest, "after {longest:?}, at {asked}: {error:#}");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    Ok(begun.elapsed())
}

/// The same, of the services that are announced all the time.
pub(crate) async fn all_everywhere(longest: Duration) -> Result<Duration> {
    everywhere(SERVICES, longest).await
}

/// The same, and of those of [`announce_more`].
pub(crate) async fn more_everywhere(longest: Duration) -> Result<Duration> {
    everywhere(2 * SERVICES, longest).await
}
