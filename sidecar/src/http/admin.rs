//! The pages for operators: `/healthz`, `/readyz`, `/status` and `/metrics`. They only read.

use std::net::SocketAddr;

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::engine::Status;

use super::Api;
use super::handler::{Answer, page as answer, text};

/// What `/status` shows: where the Grape is reached, and its DHT node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The DHT node.
    #[serde(flatten)]
    pub node: Status,
}

/// The page at `path`, when it is one of the four.
pub(crate) fn page(api: &Api, path: &str) -> Option<Response<Answer>> {
    match path {
        "/healthz" => Some(text(StatusCode::OK, "ok\n")),
        "/readyz" => Some(readiness(api)),
        "/status" => Some(status_page(api)),
        "/metrics" => Some(metrics(api)),
        _ => None,
    }
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
    let mut status = api.dht.status();
    status.draining |= api.is_draining();
    status.ready &= !status.draining;
    status
}

fn status_page(api: &Api) -> Response<Answer> {
    let page = StatusPage {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: clock::now().saturating_duration_since(api.started).as_secs(),
        api_address: api.addresses.api,
        admin_address: api.addresses.admin,
        dht_address: api.addresses.dht,
        node: status(api),
    };
    match serde_json::to_vec_pretty(&page) {
        Ok(mut json) => {
            json.push(b'\n');
            answer(StatusCode::OK, HeaderValue::from_static("application/json"), json)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn metrics(api: &Api) -> Response<Answer> {
    match api.metrics.exposition(&api.dht.stats(), api.is_ready()) {
        Ok(exposition) => answer(
            StatusCode::OK,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            exposition,
        ),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
