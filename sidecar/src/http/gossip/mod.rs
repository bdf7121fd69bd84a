//! `/gossip`: the groups of this Grape, their members, the keys of each, and events.
//!
//! | file | concern | |
//! |---|---|---|
//! | `path.rs` | what a path names | pure |
//! | `json.rs` | groups, members, keys and events as JSON | pure |
//! | `expiry.rs` | when a key expires | pure |

mod expiry;
mod json;
mod path;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use grape_engine::gossip::{GossipError, MAX_GOSSIP_VALUE};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Api;
use super::body::{self, Unread};
use super::connection::Activity;
use super::events::{self, parameter};
use super::handler::{Answer, closing, page, text};
use super::websocket;
use crate::cluster_entry;
use crate::gossip::{Groups, News};
use path::Resource;

/// The one path that is at the admin address too.
pub const CLUSTER_PATH: &str = "/gossip/grapecluster/peers";

/// Whether a request is for a path here.
pub(super) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    path == "/gossip" || path.starts_with("/gossip/")
}

/// What operators may see: the other Grapes of the cluster. None for another request.
pub(super) fn admin_page(groups: &Groups, uri: &Uri) -> Option<Response<Answer>> {
    let cluster = Resource::Peers { group: cluster_entry::GROUP.to_owned() };
    let is_it = uri.path() == CLUSTER_PATH;
    is_it.then(|| read(groups, &cluster, uri.query().unwrap_or_default()))
}

/// Answers a request.
pub(super) async fn answer(
    api: &Api,
    connection: &Arc<Activity>,
    request: &mut Request<Incoming>,
) -> Response<Answer> {
    let resource = match path::read(request.uri().path()) {
        Ok(resource) => resource,
        Err(unknown) => return refused(StatusCode::NOT_FOUND, unknown),
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let changes = matches!(resource, Resource::Key { peer: None, .. });
    let response = match (request.method(), resource) {
        (&Method::GET | &Method::HEAD, Resource::Events { group }) => {
            // Browsers and other clients say by this header where they were.
            let header = request.headers().get("last-event-id").map(|id| id.as_bytes().to_vec());
            let since = parameter(&query, "since").or(header);
            return follow(api, connection, request, &group, since.as_deref());
        }
        (&Method::GET | &Method::HEAD, resource) => read(&api.groups, &resource, &query),
        (&Method::PUT, Resource::Key { group, peer: None, key }) => {
            let body = match body::read(request.body_mut(), MAX_GOSSIP_VALUE).await {
                Ok(body) => body,
                Err(Unread::TooLarge) => {
                    connection.rejects_input();
                    let why = format!("a value has {MAX_GOSSIP_VALUE} bytes at most");
                    return closing(refused(StatusCode::PAYLOAD_TOO_LARGE, why));
                }
                Err(Unread::Broken) => {
                    return closing(refused(StatusCode::BAD_REQUEST, "request aborted"));
                }
            };
            return set(&api.groups, (&group, &key), &body, &query);
        }
        (&Method::DELETE, Resource::Key { group, peer: None, key }) => {
            unset(&api.groups, &group, &key)
        }
        _ => {
            let allowed = if changes { "GET, HEAD, PUT, DELETE" } else { "GET, HEAD" };
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed}\n"));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            response
        }
    };
    // A body that is not wanted is not left for the next request.
    match body::read(request.body_mut(), MAX_GOSSIP_VALUE).await {
        Ok(_) => response,
        Err(_) => closing(response),
    }
}

fn read(groups: &Groups, resource: &Resource, query: &str) -> Response<Answer> {
    match resource {
        Resource::Groups => json(&json::groups(groups)),
        Resource::Peers { group } => {
            let Some((peers, now)) = groups.peers(group) else { return not_joined(group) };
            match json::Wanted::read(parameter(query, "state").as_deref()) {
                Some(wanted) => {
                    let key = parameter(query, "key");
                    let key = key.as_deref().map(String::from_utf8_lossy);
                    let values = key.map(|key| groups.values(group, &key)).unwrap_or_default();
                    json(&json::peers(&peers, &values, wanted, now))
                }
                None => refused(StatusCode::BAD_REQUEST, "expected state=live, dead or all"),
            }
        }
        Resource::State { group, peer } => match groups.state(group, *peer) {
            Some(items) => json(&json::state(&items)),
            None => unknown(groups, group),
        },
        Resource::Key { group, peer, key } => match groups.state(group, *peer) {
            Some(items) => match items.iter().find(|item| *item.key == **key) {
                Some(item) => raw(json::value(&item.value).get().to_owned()),
                None => refused(StatusCode::NOT_FOUND, format!("there is no key {key:?}")),
            },
            None => unknown(groups, group),
        },
        // Answered before.
        Resource::Events { group } => not_joined(group),
    }
}

fn set(groups: &Groups, (group, key): (&str, &str), body: &[u8], query: &str) -> Response<Answer> {
    if let Err(error) = serde_json::from_slice::<&RawValue>(body) {
        let why = format!("the body is not JSON: {error}");
        return refused(StatusCode::BAD_REQUEST, why);
    }
    let expires_in = match parameter(query, "expires").map(|text| expiry::read(&text)).transpose() {
        Ok(expires_in) => expires_in,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    match groups.join(group).and_then(|()| groups.set(group, key, body, expires_in)) {
        Ok(version) => json(&json::Version { version }),
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

fn unset(groups: &Groups, group: &str, key: &str) -> Response<Answer> {
    match groups.unset(group, key) {
        Ok(true) => text(StatusCode::NO_CONTENT, Bytes::new()),
        Ok(false) => refused(StatusCode::NOT_FOUND, format!("there is no key {key:?}")),
        Err(GossipError::NotJoined) => not_joined(group),
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

fn follow(
    api: &Api,
    connection: &Arc<Activity>,
    request: &mut Request<Incoming>,
    group: &str,
    since: Option<&[u8]>,
) -> Response<Answer> {
    let since = since.map(|text| String::from_utf8_lossy(text).parse::<u64>());
    let since = match since.transpose() {
        Ok(since) => since,
        Err(_) => {
            let why = "since is the number of an event: the id of the last one that you have";
            return refused(StatusCode::BAD_REQUEST, why);
        }
    };
    if let Err(error) = api.groups.join(group) {
        return refused(StatusCode::BAD_REQUEST, error);
    }
    let news = news(api.groups.clone(), group, since);
    if websocket::is_asked_for(request) {
        let texts = news.flat_map(|news| stream::iter(json::messages(&news)));
        websocket::follow(api, connection, request, texts)
    } else {
        events::answer(api, connection, news.map(|news| json::events(&news).into()))
    }
}

/// The events of a group after the one with the number `since`; without it, those from now on.
fn news(
    groups: Groups,
    group: &str,
    since: Option<u64>,
) -> impl Stream<Item = News> + Send + use<> {
    let group = group.to_owned();
    let mut last = groups.last_event();
    let since = since.unwrap_or_else(|| *last.borrow_and_update());
    last.mark_changed();
    stream::unfold((groups, group, last, since), |(groups, group, mut last, since)| async move {
        loop {
            last.changed().await.ok()?;
            let newest = *last.borrow_and_update();
            let news = groups.events(&group, since);
            if news.gap || !news.events.is_empty() {
                // An event may have come since `newest` was read.
                let sent = news.events.last().map_or(newest, |event| event.number.max(newest));
                return Some((news, (groups, group, last, sent)));
            }
        }
    })
}

fn unknown(groups: &Groups, group: &str) -> Response<Answer> {
    match groups.has(group) {
        true => refused(StatusCode::NOT_FOUND, format!("no member of {group:?} has this address")),
        false => not_joined(group),
    }
}

fn not_joined(group: &str) -> Response<Answer> {
    let why = format!(
        "this Grape is not in the group {group:?}: start it with --gossip, set a key, or follow the \
         group's events"
    );
    refused(StatusCode::NOT_FOUND, why)
}

fn refused(status: StatusCode, why: impl ToString) -> Response<Answer> {
    text(status, format!("{}\n", why.to_string()))
}

fn json(value: &impl Serialize) -> Response<Answer> {
    match serde_json::to_string(value) {
        Ok(json) => raw(json),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

fn raw(json: String) -> Response<Answer> {
    page(StatusCode::OK, HeaderValue::from_static("application/json"), json)
}
