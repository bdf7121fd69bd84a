//! The HTTP API of a Grape, its WebSocket and its pages for operators.
//!
//! | file | concern |
//! |---|---|
//! | `server.rs` | listening, and the last connections when the Grape stops |
//! | `places.rs`, `turns.rs` | how many connections are open, and which make room; each host's share |
//! | `connection/` | one connection: keep-alive, time-outs, bytes held, closing |
//! | `handler.rs`, `body.rs` | one request to one answer; how much of a body is read |
//! | `web_pages.rs`, `cors.rs` | which requests of web pages are answered; the headers for their browsers |
//! | `routes.rs`, `verbs.rs`, `items.rs` | the verbs, shared by HTTP and WebSocket |
//! | `refused.rs` | why a verb's data was refused, for people |
//! | `json.rs`, `values.rs`, `reply.rs` | JSON in, bencode between, JSON out |
//! | `websocket.rs`, `websocket/` | the verbs in text frames; events of groups |
//! | `watch.rs` | `/watch`: a name's peers, followed |
//! | `events.rs` | streams of events, and server-sent events |
//! | `admin.rs` | `/healthz`, `/readyz`, `/status`, `/metrics` |
//! | `gossip/` | `/gossip`: groups, their members and keys |
//! | `drain.rs` | `/drain`, for programs on this host |
//! | `introduce.rs` | `/introduce`, for the operator: addresses of others |
//! | `outgoing.rs` | connections to others, for the command and for [`crate::services`] |

mod admin;
mod body;
mod connection;
mod cors;
mod drain;
mod events;
mod gossip;
mod handler;
mod introduce;
mod items;
mod json;
pub(crate) mod outgoing;
mod places;
mod refused;
mod reply;
mod routes;
mod server;
mod turns;
mod values;
mod verbs;
mod watch;
mod web_pages;
mod websocket;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Config;
use crate::dht::Dht;
use crate::discovery::BootstrapNames;
use crate::gossip::Groups;
use crate::metrics::Metrics;
use crate::services::Services;

use connection::Budget;
use web_pages::WebPages;

pub use admin::StatusPage;
pub(crate) use admin::{status, status_of};
pub use cors::{InvalidOrigin, Origin};
pub(crate) use events::HEARTBEAT as WATCH_HEARTBEAT;
pub use gossip::CLUSTER_PATH;
pub(crate) use items::bencode;
pub(crate) use reply::{ANNOUNCED_AT, NOWHERE, UNKNOWN};
pub(crate) use routes::Verb;
pub(crate) use server::serve;
pub use server::{accept_last, bind};
pub use web_pages::{ApiHost, InvalidHost};

/// How long after a Grape stopped an answer says that it is the last one although more requests have
/// come: to a client that sends them without a pause.
const INSIST: Duration = Duration::from_secs(2);

/// Where a Grape is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) api: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) dht: SocketAddr,
}

/// What all connections of a Grape share.
pub(crate) struct Api {
    pub(crate) dht: Dht,
    /// What is announced and withdrawn goes through these.
    pub(crate) services: Arc<Services>,
    pub(crate) groups: Groups,
    pub(crate) metrics: Metrics,
    /// What is known of the bootstrap names.
    pub(crate) bootstrap: BootstrapNames,
    pub(crate) addresses: Addresses,
    /// Largest body and largest WebSocket message, in bytes.
    pub(crate) max_payload_size: usize,
    /// How long a drain may take.
    pub(crate) drain_timeout: Duration,
    pub(crate) started: Instant,
    /// Cancelled when the Grape takes no more requests: connections finish what they do and close.
    pub(crate) stop: CancellationToken,
    stopped: OnceLock<Instant>,
    /// The web pages that may ask.
    web_pages: WebPages,
    /// What may be held of requests that have not come whole.
    unfinished: Budget,
    draining: AtomicBool,
    watches: Arc<Semaphore>,
    /// How often others may be named at the admin address.
    introductions: introduce::Pace,
    whole_status: admin::StatusJson,
    brief_status: admin::StatusJson,
}

impl Api {
    pub(crate) fn new(
        services: Arc<Services>,
        groups: Groups,
        metrics: Metrics,
        bootstrap: BootstrapNames,
        addresses: Addresses,
        config: &Config,
        started: Instant,
    ) -> Self {
        Self {
            dht: services.dht().clone(),
            services,
            groups,
            metrics,
            bootstrap,
            addresses,
            max_payload_size: config.max_payload_size,
            drain_timeout: config.drain_timeout,
            started,
            stop: CancellationToken::new(),
            stopped: OnceLock::new(),
            web_pages: WebPages::new(&config.api_origins, &config.api_hosts),
            unfinished: Budget::new(config.max_payload_size),
            draining: AtomicBool::new(false),
            watches: Arc::new(Semaphore::new(events::MAX_STREAMS)),
            introductions: introduce::Pace::default(),
            whole_status: admin::StatusJson::default(),
            brief_status: admin::StatusJson::default(),
        }
    }

    /// From now on `/readyz` sends clients elsewhere.
    pub(crate) fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// From now on the Grape answers what it was sent before, and closes its connections.
    pub(crate) fn begin_stop(&self) {
        self.stopped.get_or_init(clock::now);
        self.stop.cancel();
    }

    /// Whether connections end even if more requests come on them.
    pub(crate) fn insists_on_stop(&self) -> bool {
        let stopped = self.stopped.get();
        stopped.is_some_and(|at| clock::now().saturating_duration_since(*at) >= INSIST)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether services should be sent here.
    pub(crate) fn is_ready(&self) -> bool {
        self.dht.is_ready() && !self.is_draining()
    }
}

/// On which of a Grape's addresses a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The API: everything.
    Api,
    /// The address for operators: the pages, the cluster's group, and introductions. Nothing that
    /// changes what is announced.
    Admin,
}
