//! A Grape from start to end: its addresses, when it is ready, and how it leaves.

use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use grape_engine::Status;
use grape_engine::gossip::GossipError;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use crate::clock;
use crate::cluster_entry;
use crate::config::Config;
use crate::dht::{BindError, Dht};
use crate::discovery::{self, BootstrapNames};
use crate::gossip::Groups;
use crate::http::{self, Addresses, Api, Listener};
use crate::metrics::Metrics;
use crate::services::{Refusal, Services};

/// How long a Grape that ends waits until the others know. Those that do not, find out.
const LEAVE: Duration = Duration::from_millis(500);

/// A Grape that runs: a DHT node and its HTTP API. Dropping it stops everything at once, and
/// frees its ports; [`Grape::drain`] withdraws its services first.
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use grape::config::Config;
/// use grape::lifecycle::Grape;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let ip = Some(Ipv4Addr::LOCALHOST.into());
/// // The system chooses the ports.
/// let config = Config { bind: ip, dht_bind: ip, api_port: 0, dht_port: 0, ..Config::default() };
/// let grape = Grape::start(config).await?;
/// grape.ready().await;
/// grape.dht().announce(b"rpc_test", 1337).await;
/// assert_eq!(grape.dht().lookup(b"rpc_test").await, ["127.0.0.1:1337".parse()?]);
/// grape.drain().await;
/// # Ok(())
/// # }
/// ```
pub struct Grape {
    api: Arc<Api>,
    /// Listeners with their connections: they end when the API stops.
    servers: Tasks,
    /// What ends only when it fails.
    background: Tasks,
}

/// Why a Grape did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of the API cannot be had.
    #[error("cannot bind the API to {address} ({}): {}", bind_flag(source), reason(source))]
    Api {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address of the admin pages cannot be had.
    #[error("cannot bind the admin pages to {address} (--admin-bind): {}", reason(source))]
    Admin {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The UDP address of the DHT cannot be had.
    #[error("cannot bind the DHT to {} (--dht_port): {}", .0.addr, reason(&.0.source))]
    Dht(#[from] BindError),
    /// A group cannot be joined.
    #[error("cannot join the groups (--gossip): {0}")]
    Gossip(#[from] GossipError),
    /// The metrics contradict each other, which is a defect.
    #[error("cannot set up the metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A task without which a Grape is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{task} failed: {reason}")]
pub struct TaskFailed {
    /// What the task did.
    pub task: &'static str,
    /// How it ended.
    pub reason: String,
}

/// What a drain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// How many services were withdrawn; `None` when there was not time enough for all.
    pub withdrawn: Option<usize>,
    /// Connections that had not ended when the time was up, and were cut off.
    pub cut_off: usize,
    /// How long it took.
    pub took: Duration,
}

impl Grape {
    /// Starts a Grape on the current tokio runtime. It answers at once, and joins the others in
    /// the background: see [`Grape::ready`].
    ///
    /// # Errors
    /// When one of its addresses cannot be bound; the error names it and its flag.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let api_listener = http::bind(config.bind, config.api_port)
            .map_err(|source| StartError::Api { address: wanted(&config), source })?;
        let admin_listener = config
            .admin_bind
            .map(|address| {
                http::bind(Some(address.ip()), address.port())
                    .map_err(|source| StartError::Admin { address, source })
            })
            .transpose()?;
        let (dht, driver) = Dht::bind(&config)?;
        let unnamed = |source| StartError::Api { address: wanted(&config), source };
        let admin = admin_listener.as_ref().map(|listener| listener.local_addr()).transpose();
        let addresses = Addresses {
            api: api_listener.local_addr().map_err(unnamed)?,
            admin: admin.map_err(unnamed)?,
            dht: dht.addr(),
        };
        info!("API at http://{}", addresses.api);
        // Who gives the pages an address of their own has thought of who reaches what.
        if config.bind.is_none() && config.admin_bind.is_none() {
            warn!(
                "the API listens on all addresses of this host: whoever reaches them can announce \
                 and withdraw services. For programs on this host alone: -b 127.0.0.1"
            );
        }
        if let Some(address) = addresses.admin {
            info!("admin pages at http://{address}");
        }
        for address in dht.addrs() {
            info!("DHT at udp {address}");
        }

        let services = Arc::new(Services::new(dht.clone(), &config));
        let groups = Groups::new(dht.clone(), &config)?;
        let names = BootstrapNames::default();
        let api = Arc::new(Api::new(
            Arc::clone(&services),
            groups.clone(),
            Metrics::new()?,
            names.clone(),
            addresses,
            &config,
            clock::now(),
        ));
        let mut servers = Tasks::default();
        servers.spawn("the API's listener", serve(api_listener, &api, Listener::Api));
        if let Some(listener) = admin_listener {
            servers.spawn("the admin pages' listener", serve(listener, &api, Listener::Admin));
        }
        let mut background = Tasks::default();
        background.spawn("the DHT", async move {
            match driver.run().await {
                Ok(()) => "it ended".to_owned(),
                Err(error) => error.to_string(),
            }
        });
        background.spawn("the discovery of other Grapes", {
            let dht = dht.clone();
            async move {
                discovery::keep_joined(dht, config.bootstrap, names).await;
                "it ended".to_owned()
            }
        });
        background.spawn("the watch over bootstrap addresses", {
            let dht = dht.clone();
            async move {
                discovery::warn_of_silence(dht).await;
                "it ended".to_owned()
            }
        });
        background.spawn("the watch over address families", {
            let services = Arc::clone(&services);
            async move {
                services.follow_families().await;
                "it ended".to_owned()
            }
        });
        background.spawn("the watch over services", async move {
            services.keep().await;
            "it ended".to_owned()
        });
        background.spawn("the search for members of groups", async move {
            groups.keep().await;
            "it ended".to_owned()
        });
        if config.gossip.iter().any(|group| group == cluster_entry::GROUP) {
            let entry = cluster_entry::keep(Arc::clone(&api));
            background.spawn("the entry in the cluster's group", entry);
        }
        background.spawn("the watch over readiness", async move {
            dht.ready().await;
            info!(nodes = dht.stats().nodes, "ready");
            pending().await
        });
        Ok(Self { api, servers, background })
    }

    /// The address of the HTTP API, its port the one that was bound.
    pub fn api_addr(&self) -> SocketAddr {
        self.api.addresses.api
    }

    /// The address where the admin pages are served alone.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.api.addresses.admin
    }

    /// The UDP address of the DHT; the IPv4 one where it has both.
    pub fn dht_addr(&self) -> SocketAddr {
        self.api.addresses.dht
    }

    /// The DHT node.
    pub fn dht(&self) -> &Dht {
        &self.api.dht
    }

    /// A picture of the Grape for people, as `/status` has it.
    pub fn status(&self) -> Status {
        http::status(&self.api)
    }

    /// What services asked for and were refused, by its cause, the last first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.api.services.refusals().list(false)
    }

    /// Completes when the Grape has joined others, or is knowingly the first.
    pub async fn ready(&self) {
        self.api.dht.ready().await;
    }

    /// Drains: withdraws what was announced here, lets requests in flight finish, notifies the
    /// other Grapes that this one ends, and stops. Takes no longer than [`Config::drain_timeout`].
    pub async fn drain(mut self) -> Drained {
        let start = Instant::now();
        let deadline = start + self.api.drain_timeout;
        self.api.begin_drain();
        // Other Grapes that do not answer must not use up the time of our own clients.
        let withdrawal = self.api.services.drain(self.api.drain_timeout / 2).await;
        let withdrawn = withdrawal.complete.then_some(withdrawal.withdrawn);
        self.api.begin_stop();
        let ended = timeout_at(deadline, self.servers.all()).await.is_ok();
        let cut_off = if ended { 0 } else { self.api.metrics.connections_open() };
        let left = timeout_at(deadline.min(Instant::now() + LEAVE), self.api.dht.leave()).await;
        debug!(told = left.ok(), "left the other Grapes");
        Drained { withdrawn, cut_off, took: start.elapsed() }
    }

    /// Completes when a part of the Grape has died: it is of no use then, and should be dropped.
    pub async fn failed(&mut self) -> TaskFailed {
        tokio::select! {
            failed = self.background.next() => failed,
            failed = self.servers.next() => failed,
        }
    }
}

fn serve(
    socket: tokio::net::TcpListener,
    api: &Arc<Api>,
    listener: Listener,
) -> impl Future<Output = String> + Send + use<> {
    let api = Arc::clone(api);
    async move {
        http::serve(socket, api, listener).await;
        "it ended".to_owned()
    }
}

/// The address that the API was to have.
fn wanted(config: &Config) -> SocketAddr {
    SocketAddr::new(config.bind.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), config.api_port)
}

/// The flag to change when the API's address cannot be bound.
fn bind_flag(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => "--bind",
        _ => "--api_port",
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this host has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Tasks with their names; all are aborted when dropped. Each returns how it ended.
#[derive(Default)]
struct Tasks {
    set: JoinSet<String>,
    names: Vec<(Id, &'static str)>,
}

impl Tasks {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = String> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.push((id, name));
    }

    /// The next task to end; never, once all have.
    async fn next(&mut self) -> TaskFailed {
        let (id, reason) = match self.set.join_next_with_id().await {
            Some(Ok((id, reason))) => (id, reason),
            Some(Err(error)) => (error.id(), panic_message(error)),
            None => return pending().await,
        };
        let name = self.names.iter().find(|(known, _)| *known == id);
        TaskFailed { task: name.map_or("a task", |(_, name)| name), reason }
    }

    /// Completes when all tasks have ended.
    async fn all(&mut self) {
        while self.set.join_next().await.is_some() {}
    }
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("it panicked: {}", text.as_deref().unwrap_or("no message"))
        }
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_named_with_its_flag() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let config = Config { api_port: address.port(), ..local() };
        let error = Grape::start(config).await.err().unwrap().to_string();
        assert_eq!(error, format!("cannot bind the API to {address} (--api_port): address in use"));

        let config = Config { admin_bind: Some(address), ..local() };
        let error = Grape::start(config).await.err().unwrap().to_string();
        let expected =
            format!("cannot bind the admin pages to {address} (--admin-bind): address in use");
        assert_eq!(error, expected);
    }

    #[tokio::test]
    async fn a_dht_port_in_use_is_named_with_its_flag() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let config = Config { dht_port: address.port(), ..local() };
        let error = Grape::start(config).await.err().unwrap().to_string();
        assert_eq!(error, format!("cannot bind the DHT to {address} (--dht_port): address in use"));
    }

    #[tokio::test]
    async fn too_many_groups_are_named_with_their_flag() {
        let gossip = (0..17).map(|n| n.to_string()).collect();
        let error = Grape::start(Config { gossip, ..local() }).await.err().unwrap().to_string();
        assert!(
            error.starts_with("cannot join the groups (--gossip): a Grape is in 16"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_task_that_dies_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("the quiet one", pending());
        tasks.spawn("the loud one", async { panic!("no more") });
        assert_eq!(tasks.next().await.to_string(), "the loud one failed: it panicked: no more");
    }

    fn local() -> Config {
        let ip = Some(std::net::Ipv4Addr::LOCALHOST.into());
        Config { bind: ip, api_port: 0, dht_bind: ip, dht_port: 0, ..Config::default() }
    }
}
