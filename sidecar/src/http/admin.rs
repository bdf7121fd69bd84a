//! The pages for operators: `/healthz`, `/readyz`, `/status` and `/metrics`. They only read.
//!
//! `/status?brief` is for programs that ask often: the same page as `/status`, on one line, with
//! its `announced`, `peers` and `errors` empty, and a few of its `heldBack` and `refusals`. What is left is bounded by the routing table, not by
//! what services announce: 20 KB among 1000 Grapes, 256 KiB at most.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use grape_engine::{Bound, Status};
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::discovery::{Unanswered, Unresolved};
use crate::services::{HeldBack, Refusal};

use super::events::MAX_STREAMS;
use super::handler::{Answer, page as answer, text};
use super::{Api, Listener, places};

/// A status page is long from so many bytes on.
const LONG: usize = 64 << 10;
/// A long one is made again after this.
const MADE_AGAIN: Duration = Duration::from_secs(1);

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
    let make = || {
        let page = status_of(api, brief);
        let mut json =
            if brief { serde_json::to_vec(&page)? } else { serde_json::to_vec_pretty(&page)? };
        json.push(b'\n');
        Ok(json.into())
    };
    let pages = if brief { &api.brief_status } else { &api.whole_status };
    match pages.get(make) {
        Ok(json) => answer(StatusCode::OK, HeaderValue::from_static("application/json"), json),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// What others take up of the API, and of groups.
fn bounds(api: &Api) -> [(&'static str, Bound); 5] {
    let [connections, admin] = api.metrics.connections_of_each();
    let watches = MAX_STREAMS - api.watches.available_permits();
    [
        ("api_connections", Bound { used: connections, most: places::most(Listener::Api) }),
        ("admin_connections", Bound { used: admin, most: places::most(Listener::Admin) }),
        ("unfinished_request_bytes", api.unfinished.bound()),
        ("watches", Bound { used: watches, most: MAX_STREAMS }),
        ("gossip_bytes", api.groups.memory()),
    ]
}

/// A status page. One that is long is made once a second at most: it takes milliseconds, in which
/// nobody else is served.
#[derive(Default)]
pub(super) struct StatusJson(Mutex<Option<(Instant, Bytes)>>);

impl StatusJson {
    fn get(
        &self,
        make: impl FnOnce() -> Result<Bytes, serde_json::Error>,
    ) -> Result<Bytes, serde_json::Error> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        match &*last {
            Some((made, json)) if now.saturating_duration_since(*made) < MADE_AGAIN => {
                Ok(json.clone())
            }
            _ => {
                let json = make()?;
                *last = (json.len() > LONG).then(|| (now, json.clone()));
                Ok(json)
            }
        }
    }
}

fn metrics(api: &Api) -> Response<Answer> {
    let (groups, gossip) = api.groups.counters();
    let gossip = (groups, &gossip);
    let counts = api.services.counts();
    let bounds = bounds(api);
    match api.metrics.exposition(&api.dht.stats(), &counts, gossip, &bounds, api.is_ready()) {
        Ok(exposition) => answer(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            exposition,
        ),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_page_is_kept_and_a_short_one_is_not() {
        let page = StatusJson::default();
        let of = |byte: u8, length: usize| page.get(|| Ok(vec![byte; length].into())).unwrap()[0];
        assert_eq!((of(1, LONG), of(2, LONG), of(3, LONG + 1)), (1, 2, 3));
        assert_eq!((of(4, LONG), of(5, LONG + 1)), (3, 3));
        let mut last = page.0.lock().unwrap();
        last.as_mut().unwrap().0 -= MADE_AGAIN;
        drop(last);
        assert_eq!((of(6, LONG), of(7, LONG)), (6, 7));
    }
}
