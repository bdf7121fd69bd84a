//! Addresses of the tests' own, and what listens there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use grape::config::{Config, HostPort};
use grape::http::StatusPage;
use grape::lifecycle::Grape;
use grape_operator::observe::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Each Grape has an address of its own, so that the ports can be the same, as those of pods are.
const API: u16 = 7301;
const ADMIN: u16 = 7391;
const DHT: u16 = 7201;

/// Most bootstrap addresses of a Grape.
const SEEDS: usize = 20;

/// Seats that no other test has, named `market-default-0` and so on; nothing listens there yet.
pub fn targets(count: u8) -> Vec<Target> {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let net = NEXT.fetch_add(1, Ordering::Relaxed);
    // Processes take different networks, so that two of them seldom meet.
    let process = (std::process::id() % 250) as u8 + 1;
    let target = |index: u8| Target {
        name: format!("market-default-{index}"),
        ip: Ipv4Addr::new(127, process, net, index + 1).into(),
        api_port: API,
        admin_port: ADMIN,
        dht_port: DHT,
        ready: true,
    };
    (0..count).map(target).collect()
}

/// Starts a Grape at each of these seats, and waits until they have joined each other.
pub async fn join(targets: &[Target]) -> Vec<Grape> {
    let mut grapes = Vec::new();
    for index in 0..targets.len() {
        grapes.push(start(targets, index).await);
    }
    let enough = SEEDS.min(targets.len() - 1);
    for grape in &grapes {
        until("a Grape has joined", || grape.status().neighbours.len() >= enough).await;
        timeout(DEADLINE, grape.ready()).await.unwrap();
    }
    grapes
}

/// Starts the Grape of one seat, to join through the next ones.
pub async fn start(targets: &[Target], index: usize) -> Grape {
    start_with(&targets[index], bootstrap(targets, index)).await
}

/// The seats through which the Grape of one seat joins: the next ones.
pub fn bootstrap(targets: &[Target], index: usize) -> Vec<HostPort> {
    let others = targets.iter().cycle().skip(index + 1).take(SEEDS.min(targets.len() - 1));
    others.map(|target| HostPort { host: target.ip.to_string(), port: target.dht_port }).collect()
}

/// The same, to join through these.
pub async fn start_with(target: &Target, bootstrap: Vec<HostPort>) -> Grape {
    let config = Config { bootstrap, ..config(target) };
    Grape::start(config).await.unwrap()
}

/// Starts a Grape without seeds at a target, with its status page; it joins through `bootstrap`, if
/// there is one.
pub async fn start_alone(target: &Target, bootstrap: Option<&str>) -> (Grape, String) {
    let bootstrap = bootstrap.into_iter().map(|name| name.parse().unwrap()).collect();
    let grape = Grape::start(Config { bootstrap, ..config(target) }).await.unwrap();
    let page = StatusPage {
        version: "0.1.0".to_owned(),
        uptime_seconds: 1,
        api_address: grape.api_addr(),
        admin_address: grape.admin_addr(),
        dht_address: grape.dht_addr(),
        held_back: Vec::new(),
        refusals: Vec::new(),
        unresolved: Vec::new(),
        unanswered: Vec::new(),
        node: grape.status(),
    };
    (grape, serde_json::to_string(&page).unwrap())
}

/// Starts a Grape of a network, at a seat.
pub async fn start_in(target: &Target, network: &str) -> Grape {
    let network = Some(network.parse().unwrap());
    Grape::start(Config { network, ..config(target) }).await.unwrap()
}

/// A Grape at a target, without seeds.
pub fn config(target: &Target) -> Config {
    Config {
        bind: Some(target.ip),
        api_port: target.api_port,
        admin_bind: Some(target.admin()),
        dht_bind: Some(target.ip),
        dht_port: target.dht_port,
        advertise_ip: Some(target.ip),
        ..Config::default()
    }
}

/// Ends a Grape as a crash does, and waits until its ports are free.
pub async fn kill(grape: Grape) {
    let (api, admin, dht) = (grape.api_addr(), grape.admin_addr().unwrap(), grape.dht_addr());
    drop(grape);
    let free = |address| std::net::TcpListener::bind(address).is_ok();
    until("its ports are free", || free(api) && free(admin) && UdpSocket::bind(dht).is_ok()).await;
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(DEADLINE, waiting).await.is_ok(), "it should come that {what}");
}

/// A TCP port that takes connections and never says anything.
pub fn silence(ip: IpAddr, port: u16) -> std::net::TcpListener {
    std::net::TcpListener::bind((ip, port)).unwrap()
}

/// Something that answers every request with the same bytes. Stops when dropped.
pub struct Parrot {
    task: JoinHandle<()>,
    /// Most requests that it had unanswered at a time.
    pub most_open: Arc<AtomicUsize>,
}

impl Parrot {
    /// Answers after a pause, and closes.
    pub async fn start(at: SocketAddr, answer: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self::listen(at, answer.into(), pause, Duration::ZERO).await
    }

    /// Answers at once, and keeps the connection open.
    pub async fn hanging(at: SocketAddr, answer: impl Into<Vec<u8>>) -> Self {
        Self::listen(at, answer.into(), Duration::ZERO, DEADLINE).await
    }

    async fn listen(at: SocketAddr, answer: Vec<u8>, pause: Duration, hold: Duration) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let answer: Arc<[u8]> = answer.into();
        let (open, most_open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let most = Arc::clone(&most_open);
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (answer, open, most) = (answer.clone(), open.clone(), most.clone());
                tokio::spawn(async move {
                    most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    sleep(pause).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                    let _ = stream.write_all(&answer).await;
                    sleep(hold).await;
                });
            }
        });
        Self { task, most_open }
    }
}

impl Drop for Parrot {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer of status 200.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
