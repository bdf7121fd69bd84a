//! What Grapes say of each other by gossip spares some of them the question, and decides nothing.

use std::net::SocketAddr;

use grape::cluster_entry::{GROUP, KEY};
use grape::config::Config;
use grape::http::CLUSTER_PATH;
use grape::lifecycle::Grape;
use grape_operator::metrics::Metrics;
use grape_operator::observe::call::PATHS;
use grape_operator::observe::{Observation, Observer, Target};
use prometheus::IntCounterVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep, timeout};

use crate::targets::{DEADLINE, bootstrap, config, kill, ok, start, targets, until};

/// Starts a Grape in the cluster's group.
async fn start_member(targets: &[Target], index: usize) -> Grape {
    let bootstrap = bootstrap(targets, index);
    let config = Config { bootstrap, gossip: vec![GROUP.to_owned()], ..config(&targets[index]) };
    Grape::start(config).await.unwrap()
}

async fn until_joined(grapes: &[Grape]) {
    for grape in grapes {
        let others = grapes.len() - 1;
        until("it knows the others", || grape.status().neighbours.len() == others).await;
        timeout(DEADLINE, grape.ready()).await.unwrap();
    }
}

async fn cluster(targets: &[Target]) -> Vec<Grape> {
    let mut grapes = Vec::new();
    for index in 0..targets.len() {
        grapes.push(start_member(targets, index).await);
    }
    until_joined(&grapes).await;
    grapes
}

/// An observer, and the counts of its requests.
struct Scene {
    observer: Observer,
    requests: IntCounterVec,
    round: u64,
}

impl Scene {
    fn new() -> Self {
        let requests = Metrics::new().unwrap().grape_requests();
        Self { observer: Observer::counted(requests.clone()), requests, round: 0 }
    }

    fn count(&self, path: &str) -> u64 {
        assert!(PATHS.contains(&path));
        self.requests.with_label_values(&[path]).get()
    }

    /// A glance after another look; with how many views and status pages it read.
    async fn glance(&mut self, targets: &[Target], last: &Observation) -> (Observation, u64, u64) {
        let before = [self.count("/gossip"), self.count("/status")];
        let seen = self.observer.glance(targets, &[], self.round, &last.known).await;
        self.round += 1;
        (seen, self.count("/gossip") - before[0], self.count("/status") - before[1])
    }

    /// Glances until one of them read this many status pages.
    async fn until_pages(&mut self, targets: &[Target], pages: u64) -> Observation {
        let mut last = self.observer.observe(targets, &[], self.round).await;
        assert!(last.is_whole);
        let looking = async {
            loop {
                let (seen, views, read) = self.glance(targets, &last).await;
                assert_eq!(views, 1);
                if read == pages {
                    return seen;
                }
                last = seen;
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(DEADLINE, looking).await.expect("it should come to that many pages")
    }
}

#[tokio::test]
async fn at_rest_one_grape_is_asked_for_all() {
    let targets = targets(5);
    let _grapes = cluster(&targets).await;
    let mut scene = Scene::new();
    let seen = scene.until_pages(&targets, 1).await;
    assert!(!seen.is_whole);
    let whole = scene.observer.observe(&targets, &[], 0).await;
    assert!(whole.is_whole);
    assert_eq!(seen.topology, whole.topology);
    assert_eq!(seen.answers, whole.answers);
    assert_eq!((seen.topology.answered, seen.topology.min_known_nodes), (5, 4));
    assert_eq!(seen.probes.len(), 5, "each has its canary");
}

#[tokio::test]
async fn a_grape_without_an_entry_is_asked_in_each_round() {
    let targets = targets(4);
    let mut grapes = cluster(&targets[..3]).await;
    // Of a release that does not gossip.
    grapes.push(start(&targets, 3).await);
    until_joined(&grapes).await;
    let mut scene = Scene::new();
    let mut last = scene.until_pages(&targets, 2).await;
    assert!(!last.is_whole);
    // Its own turn to show a view comes too: then all are asked.
    let mut pages = Vec::new();
    for _ in 0..targets.len() {
        let (seen, _, read) = scene.glance(&targets, &last).await;
        assert_eq!(seen.topology.answered, 4);
        pages.push(read);
        last = seen;
    }
    assert!(pages.iter().all(|read| *read >= 2), "{pages:?}");
    assert!(pages.contains(&4), "{pages:?}");
}

#[tokio::test]
async fn a_grape_that_ends_is_asked_and_then_all_are() {
    let targets = targets(4);
    let mut grapes = cluster(&targets).await;
    let mut scene = Scene::new();
    let mut last = scene.until_pages(&targets, 1).await;
    kill(grapes.pop().unwrap()).await;
    let looking = async {
        loop {
            let (seen, ..) = scene.glance(&targets, &last).await;
            if !seen.topology.unreachable.is_empty() {
                return seen;
            }
            last = seen;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = timeout(DEADLINE, looking).await.unwrap();
    assert!(seen.is_whole, "no verdict without asking all");
    assert_eq!(seen.topology.unreachable[0].name, targets[3].name);
}

/// A Grape that says of itself what is true, and of the others what it likes.
struct Liar(JoinHandle<()>);

impl Liar {
    async fn start(at: SocketAddr, page: String, view: String) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        Self(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                let is_view = request[..read].starts_with(format!("GET {CLUSTER_PATH}").as_bytes());
                let answer = ok(if is_view { &view } else { &page });
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }))
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The body of a page of a Grape's admin address.
async fn page(at: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: grape\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Where the first Grape of `targets` is when it lies.
fn lying(targets: &[Target]) -> Vec<Target> {
    let mut targets = targets.to_vec();
    targets[0].admin_port += 1;
    targets
}

/// Puts a liar in the place of the first of `targets`, which shows for ever what is true now.
async fn lie_that_all_stays(scene: &mut Scene, targets: &[Target]) -> (Liar, Observation) {
    let lying = lying(targets);
    let trying = async {
        loop {
            scene.until_pages(targets, 1).await;
            let view = page(targets[0].admin(), &format!("{CLUSTER_PATH}?key={KEY}")).await;
            let own = page(targets[0].admin(), "/status?brief").await;
            let liar = Liar::start(lying[0].admin(), own, view).await;
            let last = scene.observer.observe(&lying, &[], 0).await;
            scene.round = 0;
            // Something may have changed meanwhile, on a busy machine.
            if let (seen, _, 1) = scene.glance(&lying, &last).await {
                return (liar, seen);
            }
        }
    };
    timeout(DEADLINE, trying).await.expect("all should stay as it is for a moment")
}

#[tokio::test]
async fn a_lie_that_all_is_well_makes_no_verdict_and_ends_with_the_turn() {
    let targets = targets(3);
    let mut grapes = cluster(&targets).await;
    let mut scene = Scene::new();
    let (_liar, mut last) = lie_that_all_stays(&mut scene, &targets).await;
    let targets = lying(&targets);
    kill(grapes.pop().unwrap()).await;

    scene.round = 0;
    let (seen, _, read) = scene.glance(&targets, &last).await;
    assert_eq!((read, seen.is_whole), (1, false), "its word alone is no verdict");
    assert!(!seen.topology.is_odd());
    // The second one tells the truth, once it knows.
    let looking = async {
        loop {
            scene.round = 1;
            let (seen, ..) = scene.glance(&targets, &last).await;
            if seen.topology.is_odd() {
                return seen;
            }
            last = seen;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = timeout(DEADLINE, looking).await.unwrap();
    assert!(seen.is_whole);
    assert_eq!(seen.topology.unreachable[0].name, targets[2].name);
}

#[tokio::test]
async fn a_lie_that_all_are_lost_costs_questions_and_nothing_else() {
    let targets = targets(3);
    let _grapes = cluster(&targets).await;
    let mut scene = Scene::new();
    scene.until_pages(&targets, 1).await;
    let own = page(targets[0].admin(), "/status?brief").await;
    let view = page(targets[0].admin(), &format!("{CLUSTER_PATH}?key={KEY}")).await;
    let view = view.replace("\"ready\":true", "\"ready\":false").replace("\"live\"", "\"dead\"");
    let targets = lying(&targets);
    let _liar = Liar::start(targets[0].admin(), own, view).await;
    let mut last = scene.observer.observe(&targets, &[], 0).await;
    let looking = async {
        loop {
            scene.round = 0;
            let (seen, _, read) = scene.glance(&targets, &last).await;
            assert_eq!((read, seen.is_whole), (3, true), "all were asked");
            // On a busy machine a Grape may be slow for a moment.
            if !seen.topology.is_odd() && seen.answers.values().all(|answer| answer.ready) {
                return;
            }
            last = seen;
        }
    };
    timeout(DEADLINE, looking).await.expect("the Grapes' own words should count");
}
