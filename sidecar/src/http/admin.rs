//! The pages for operators: `/healthz`, `/readyz`, `/status` and `/metrics`. They only read.
//!
//! `/status?brief` is for programs that ask often: the same page as `/status`, on one line, with
//! its `announced`, `peers` and `errors` empty, and a few of its `heldBack` and `refusals`. What is left is bounded by the routing table, not by
//! what services announce: 20 KB among 1000 Grapes, 256 KiB at most.

use std::net::SocketAddr;

use grape_engine::Status;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::discovery::{Unanswered, Unresolved};
use crate::services::{HeldBack, Refusal};

use super::Api;
use super::handler::{Answer, page as answer, text};

/// What `/status` shows: where the Grape is reached, and its DHT node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusPage {
    /// The Grape's version.
    pub version: String,
    /// How long ago it started, in seconds.
    pub uptime_seconds: u64,
    /// Address of the HTTP API.
    pub api_address: SocketAddr,
    /// Address where these pages are served alone; none unless asked for.
    pub admin_address: Option<SocketAddr>,
    /// Address of the DHT's UDP socket.
    pub dht_address: SocketAddr,
    /// Services of this host that are not announced, or no longer, with the reason. In a brief status
    /// 8 at most, of those that have been held back for 30 s and that nobody asked for.
    #[serde(default)]
    pub held_back: Vec<HeldBack>,
    /// What services asked for and were refused, by its cause, the last first; a few in a brief
    /// status.
    #[serde(default)]
    pub refusals: Vec<Refusal>,
    /// Bootstrap names that do not resolve now, 16 at most.
    #[serde(default)]
    pub unresolved: Vec<Unresolved>,
    /// Bootstrap names that resolve, and at whose addresses no Grape answered when it was last asked,
    /// 16 at most.
    #[serde(default)]
    pub unanswered: Vec<Unanswered>,
    /// The DHT node.
    #[serde(flatten)]
    pub node: Status,
}

/// The page at a path, when it is one of the four.
pub(crate) fn page(api: &Api, uri: &Uri) -> Option<Response<Answer>> {
    match uri.path() {
        "/healthz" => Some(text(StatusCode::OK, "ok\n")),
        "/readyz" => Some(readiness(api)),
        "/status" => Some(status_page(api, is_brief(uri))),
        "/metrics" => Some(metrics(api)),
        "/openapi.json" => Some(openapi()),
        _ => None,
    }
}

/// The description of the API. A test of the documentation writes it.
fn openapi() -> Response<Answer> {
    let document: &[u8] = include_bytes!("openapi.json");
    answer(StatusCode::OK, HeaderValue::from_static("application/json"), document)
}

fn readiness(api: &Api) -> Response<Answer> {
    if api.is_draining() {
        text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else if api.dht.is_ready() {
        text(StatusCode::OK, "ready\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "joining: no other Grape has answered yet\n")
    }
}

/// The node's status as this API sees it.
pub(crate) fn status(api: &Api) -> Status {
    seen_here(api, api.dht.status())
}

fn seen_here(api: &Api, mut status: Status) -> Status {
    // A Grape whose announces alone are drained goes on answering, and stays ready.
    status.draining |= api.is_draining();
    status.ready &= !api.is_draining();
    status
}

/// Whether `brief` is among the query's parameters, with any value or none.
fn is_brief(uri: &Uri) -> bool {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    parameters.any(|parameter| parameter.split('=').next() == Some("brief"))
}

/// The page of a Grape, whole or brief.
pub(crate) fn status_of(api: &Api, brief: bool) -> StatusPage {
    StatusPage {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: clock::now().saturating_duration_since(api.started).as_secs(),
        api_address: api.addresses.api,
        admin_address: api.addresses.admin,
        dht_address: api.addresses.dht,
        held_back: if brief { api.services.overdue() } else { api.services.held_back() },
        refusals: api.services.refusals().list(brief),
        unresolved: api.bootstrap.unresolved(),
        unanswered: api.bootstrap.unanswered(&api.dht.silent_seeds()),
        node: if brief { seen_here(api, api.dht.brief_status()) } else { status(api) },
    }
}

fn status_page(api: &Api, brief: bool) -> Response<Answer> {
    let page = status_of(api, brief);
    let json = if brief { serde_json::to_vec(&page) } else { serde_json::to_vec_pretty(&page) };
    match json {
        Ok(mut json) => {
            json.push(b'\n');
            answer(StatusCode::OK, HeaderValue::from_static("application/json"), json)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn metrics(api: &Api) -> Response<Answer> {
    let (groups, gossip) = api.groups.counters();
    let gossip = (groups, &gossip);
    let counts = api.services.counts();
    match api.metrics.exposition(&api.dht.stats(), &counts, gossip, api.is_ready()) {
        Ok(exposition) => answer(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            exposition,
        ),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
