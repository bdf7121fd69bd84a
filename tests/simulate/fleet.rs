//! A network of Grapes with Deployments of services on them, and what is true of them.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape_tests::simulation::{Link, Network};
use indicatif::ProgressBar;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::phases::Plan;

/// How long an announce is valid: the command's default.
const PEER_MAX_AGE: Duration = Duration::from_secs(120);
/// Pods of each service, each beside a Grape of its own.
const PODS: usize = 20;
/// Nodes that each Grape is given to join through.
const SEEDS: usize = 3;
/// In which all Grapes start, whatever their number.
pub(super) const START: Duration = Duration::from_secs(60);
/// What happens at all happens at multiples of this.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// Each service announces itself every so many steps: five seconds.
const ANNOUNCE_STEPS: u64 = 50;
/// How long a Deployment takes to start a pod in the place of one that is gone.
const REPLACED_AFTER: Duration = Duration::from_secs(1);
/// The port of the first service; each has its own.
const FIRST_PORT: usize = 1024;
/// Ports for services.
const PORTS: usize = 60_000;

/// A pod of a service.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) addr: SocketAddr,
    pub(super) since: Instant,
    node: usize,
}

/// A service, and what is true of it.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    port: u16,
    pub(super) pods: Vec<Pod>,
    /// When those died that are no more.
    pub(super) dead: HashMap<SocketAddr, Instant>,
}

/// Grapes that come and go.
#[derive(Debug)]
struct Churn {
    every: Duration,
    next: Instant,
}

/// A network with services.
pub(super) struct Fleet {
    pub(super) network: Network,
    pub(super) rng: StdRng,
    pub(super) living: Vec<usize>,
    pub(super) services: Vec<Service>,
    names_alike: bool,
    /// The services with a pod at each node.
    at: Vec<Vec<usize>>,
    churn: Option<Churn>,
    replacements: VecDeque<(Instant, usize)>,
    steps: u64,
    progress: ProgressBar,
}

impl Fleet {
    /// Without nodes yet.
    pub(super) fn new(plan: &Plan, link: Link, threads: usize, progress: ProgressBar) -> Self {
        Self {
            network: Network::parallel(plan.seed, link, threads),
            rng: StdRng::seed_from_u64(plan.seed),
            living: Vec::new(),
            services: Vec::new(),
            names_alike: plan.names_alike,
            at: Vec::new(),
            churn: None,
            replacements: VecDeque::new(),
            steps: 0,
            progress,
        }
    }

    /// Starts `grapes` nodes, each of which joins through a few that are there.
    pub(super) fn start(&mut self, grapes: usize) {
        let steps = (START.as_millis() / STEP.as_millis()) as usize;
        for step in 0..steps {
            while self.living.len() * steps < grapes * (step + 1) {
                self.add_grape();
            }
            self.step();
        }
    }

    fn add_grape(&mut self) {
        let mut seeds: Vec<usize> = Vec::new();
        if !self.living.is_empty() {
            let count = SEEDS.min(self.living.len());
            let chosen = rand::seq::index::sample(&mut self.rng, self.living.len(), count);
            seeds.extend(chosen.into_iter().map(|at| self.living[at]));
        }
        let node = self.network.add(PEER_MAX_AGE, &seeds);
        self.living.push(node);
        self.at.push(Vec::new());
    }

    /// Deploys services, each on its own random choice of Grapes.
    pub(super) fn deploy(&mut self, services: usize) {
        for _ in 0..services {
            let chosen = rand::seq::index::sample(
                &mut self.rng,
                self.living.len(),
                PODS.min(self.living.len()),
            );
            let nodes = chosen.into_iter().map(|at| self.living[at]).collect();
            self.deploy_at(nodes);
        }
    }

    /// Deploys one service with a pod at each living Grape. Returns its number.
    pub(super) fn deploy_everywhere(&mut self) -> usize {
        self.deploy_at(self.living.clone())
    }

    fn deploy_at(&mut self, nodes: Vec<usize>) -> usize {
        let number = self.services.len();
        let port = u16::try_from(FIRST_PORT + number % PORTS).unwrap_or(u16::MAX);
        let (pods, dead) = (Vec::new(), HashMap::new());
        self.services.push(Service { name: self.name(number), port, pods, dead });
        nodes.into_iter().for_each(|node| self.start_pod(number, node));
        number
    }

    /// The name of a service. Those of all services begin alike, or each with other digits.
    fn name(&self, number: usize) -> String {
        if self.names_alike {
            return format!("rpc:service:{number}");
        }
        // Multiplied by 2^32 over the golden ratio, which spreads what follows one another.
        let digits = (number as u32).wrapping_mul(0x9e37_79b9);
        format!("{digits:08x}:service:{number}")
    }

    /// It announces itself when its Grape's turn comes.
    fn start_pod(&mut self, number: usize, node: usize) {
        let service = &mut self.services[number];
        let addr = SocketAddr::new(Network::ip(node), service.port);
        // Announced at the latest then.
        let since = self.network.now() + STEP * ANNOUNCE_STEPS as u32;
        service.pods.push(Pod { addr, since, node });
        self.at[node].push(number);
    }

    /// A pod of a Deployment announces itself as soon as it runs.
    fn replace_pod(&mut self, number: usize) {
        // With few Grapes there may be none left without one of its pods.
        let Some(node) = (0..self.living.len()).find_map(|_| {
            let node = self.some_living();
            self.services[number].pods.iter().all(|pod| pod.node != node).then_some(node)
        }) else {
            return;
        };
        self.start_pod(number, node);
        if let Some(pod) = self.services[number].pods.last_mut() {
            pod.since = self.network.now();
        }
        self.announce(node, number);
    }

    /// A random living node.
    pub(super) fn some_living(&mut self) -> usize {
        self.living[self.rng.random_range(0..self.living.len())]
    }

    /// From now on that share of the nodes is killed each minute, and as many join. `None` ends it.
    pub(super) fn set_churn(&mut self, a_minute: Option<f64>) {
        self.churn = a_minute.map(|share| {
            let every = Duration::from_secs_f64(60.0 / (share * self.living.len() as f64));
            Churn { every, next: self.network.now() + every }
        });
    }

    fn kill_one(&mut self) {
        let at = self.rng.random_range(0..self.living.len());
        let node = self.living.swap_remove(at);
        self.network.kill(node);
        let now = self.network.now();
        for number in std::mem::take(&mut self.at[node]) {
            let service = &mut self.services[number];
            if let Some(at) = service.pods.iter().position(|pod| pod.node == node) {
                let pod = service.pods.swap_remove(at);
                service.dead.insert(pod.addr, now);
                self.replacements.push_back((now + REPLACED_AFTER, number));
            }
        }
    }

    fn announce(&mut self, node: usize, number: usize) {
        let Service { name, port, .. } = &self.services[number];
        self.network.start(node, |engine, now| engine.announce(name.as_bytes(), *port, now));
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.step();
        }
    }

    /// Lets a [`STEP`] of time pass, and all happen that is due.
    pub(super) fn step(&mut self) {
        let turn = self.steps % ANNOUNCE_STEPS;
        for at in 0..self.living.len() {
            let node = self.living[at];
            if node as u64 % ANNOUNCE_STEPS == turn {
                for n in 0..self.at[node].len() {
                    self.announce(node, self.at[node][n]);
                }
            }
        }
        let now = self.network.now();
        while let Some(churn) = self.churn.as_mut().filter(|churn| churn.next <= now) {
            churn.next += churn.every;
            self.kill_one();
            self.add_grape();
        }
        while self.replacements.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, number)) = self.replacements.pop_front() {
                self.replace_pod(number);
            }
        }
        self.network.run(STEP);
        self.steps += 1;
        self.progress.inc(1);
    }
}
