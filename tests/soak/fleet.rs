//! The Grapes of the hosts: which of them run, and which can reach each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use grape_tests::lab::{self, Place, Server, binary};
use tokio::time::{Duration, Instant};

use crate::hosts::{HOSTS, Hosts, api, dht};

/// A Grape that was killed and started again may be missing for so long.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// What is known of each Grape.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    /// Since when it answers; none while it does not run.
    pub(crate) up: Option<Instant>,
    /// Since when its services are announced.
    pub(crate) announced: Option<Instant>,
    /// How often it was disturbed.
    pub(crate) turns: u64,
}

/// What the load looks at before and after each question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) grapes: [Standing; HOSTS],
    /// The later half is cut off from the other.
    pub(crate) apart: bool,
    begun: Instant,
}

impl View {
    /// Whether a Grape has run undisturbed for so long that it is to know all.
    pub(crate) fn is_settled(&self, host: usize) -> bool {
        self.grapes[host].up.is_some_and(|up| up <= self.begun || up.elapsed() > GRACE)
    }

    /// Whether what one announces must be found at another.
    pub(crate) fn must_find(&self, asked: usize, announcer: usize) -> bool {
        let together = !self.apart || (asked < HOSTS / 2) == (announcer < HOSTS / 2);
        let announced = self.grapes[announcer].announced.is_some();
        together && announced && self.is_settled(asked) && self.is_settled(announcer)
    }

    /// Whether neither was disturbed since an earlier view.
    pub(crate) fn is_as(&self, before: &Self, hosts: [usize; 2]) -> bool {
        let same = |host: usize| self.grapes[host].turns == before.grapes[host].turns;
        hosts.into_iter().all(same) && self.apart == before.apart
    }
}

/// The view, as the load shares it.
#[derive(Debug, Clone)]
pub(crate) struct Board(Arc<Mutex<View>>);

impl Board {
    fn new() -> Self {
        let grapes = [Standing::default(); HOSTS];
        Self(Arc::new(Mutex::new(View { grapes, apart: false, begun: Instant::now() })))
    }

    fn lock(&self) -> MutexGuard<'_, View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now.
    pub(crate) fn view(&self) -> View {
        *self.lock()
    }

    /// A Grape's services are announced, if it was not disturbed since this view.
    pub(crate) fn announced(&self, host: usize, before: &View) {
        let mut view = self.lock();
        if view.is_as(before, [host, host]) {
            view.grapes[host].announced.get_or_insert_with(Instant::now);
        }
    }

    /// A Grape runs no more.
    pub(crate) fn is_down(&self, host: usize) {
        let mut view = self.lock();
        let turns = view.grapes[host].turns + 1;
        view.grapes[host] = Standing { up: None, announced: None, turns };
    }

    fn is_up(&self, host: usize) {
        let mut view = self.lock();
        view.grapes[host].turns += 1;
        view.grapes[host].up = Some(Instant::now());
    }

    /// All is well at this time: all Grapes are to know all.
    pub(crate) fn all_is_well(&self) {
        self.lock().begun = Instant::now();
    }

    /// The network is cut, or whole again.
    pub(crate) fn part(&self, apart: bool) {
        self.lock().apart = apart;
    }
}

/// The Grapes.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) hosts: Hosts,
    pub(crate) board: Board,
    servers: Vec<Option<Server>>,
}

impl Fleet {
    /// One on each host, which know each other.
    pub(crate) async fn start() -> Result<Self> {
        let hosts = Hosts::new().await?;
        let servers = (0..HOSTS).map(|_| None).collect();
        let mut fleet = Self { hosts, board: Board::new(), servers };
        for host in 0..HOSTS {
            fleet.run(host, &[]).await?;
        }
        let running: Vec<Server> = fleet.servers.iter_mut().filter_map(Option::take).collect();
        lab::know_each_other(&running).await?;
        fleet.servers = running.into_iter().map(Some).collect();
        fleet.board.all_is_well();
        Ok(fleet)
    }

    /// Starts the Grape of a host, by a program that starts programs.
    pub(crate) async fn run(&mut self, host: usize, by: &[&str]) -> Result<()> {
        let path = binary()?;
        let path = path.to_str().context("the binary's path is no text")?;
        let command = self.hosts.command(host, &[by, &[path]].concat())?;
        let bootstrap = (0..HOSTS).filter(|other| *other != host).map(dht).collect();
        // Nobody listens at the ports that are announced here.
        let flags = vec!["--check-announced=false".to_owned()];
        let place = Place { dht: dht(host), api: api(host), bootstrap, flags };
        self.servers[host] = Some(Server::start_by(command, place).await?);
        self.board.is_up(host);
        Ok(())
    }

    /// Kills the Grape of a host.
    pub(crate) async fn kill(&mut self, host: usize) -> Result<()> {
        self.board.is_down(host);
        let mut server = self.servers[host].take().context("it does not run")?;
        server.process.kill().await
    }

    /// Sends the Grape of a host a signal.
    pub(crate) async fn signal(&self, host: usize, signal: &str) -> Result<()> {
        self.servers[host].as_ref().context("it does not run")?.process.signal(signal).await
    }

    /// It stands still from now on.
    pub(crate) async fn stop(&self, host: usize) -> Result<()> {
        self.board.is_down(host);
        self.signal(host, "STOP").await
    }

    /// It goes on.
    pub(crate) async fn go_on(&self, host: usize) -> Result<()> {
        self.signal(host, "CONT").await?;
        self.board.is_up(host);
        Ok(())
    }
}
