//! One request, one answer.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::clock;
use crate::metrics::Endpoint;

use super::body::{self, Unread};
use super::connection::Activity;
use super::cors::{self, Permit};
use super::events::Events;
use super::reply::{ANNOUNCED_AT, Reply};
use super::routes::Verb;
use super::{Api, Listener, admin, drain, gossip, introduce, json, verbs, watch, websocket};

/// The body of an answer.
pub(crate) enum Answer {
    /// All of it.
    Whole(Full<Bytes>),
    /// Events, until one side ends them.
    Events(Events),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context),
            Self::Events(events) => events.poll_event(context).map(|event| event.map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// Who sends the requests of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// Where they come in.
    pub(crate) listener: Listener,
    /// Where they come from.
    pub(crate) peer: SocketAddr,
    /// Whether they came to a loopback address.
    pub(crate) to_loopback: bool,
}

/// Answers a request.
///
/// Its future is moved, and kept, with each connection. So what is long and seldom waited for is in a
/// box of its own, and the request is lent.
pub(crate) async fn answer(
    api: &Api,
    caller: Caller,
    connection: &Arc<Activity>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    connection.begins(request.body().size_hint().exact());
    connection.takes_turn().await;
    let response = match api.web_pages.permit(&request, caller.to_loopback) {
        Err(refusal) => {
            connection.rejects_input();
            api.metrics.answered(Endpoint::Unknown, StatusCode::FORBIDDEN);
            closing(text(StatusCode::FORBIDDEN, refusal.to_string()))
        }
        Ok(permit) if permit.has_headers() && caller.listener == Listener::Api => {
            Box::pin(to_page(api, caller, connection, &mut request, permit)).await
        }
        Ok(_) => route(api, caller, connection, &mut request).await,
    };
    connection.finishes();
    let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let is_last = !upgrades && (connection.has_nothing_more() || api.insists_on_stop());
    Ok(if is_last { closing(response) } else { response })
}

/// Answers a request that may be one of a web page, whose browser wants to know who may read the answer.
async fn to_page(
    api: &Api,
    caller: Caller,
    connection: &Arc<Activity>,
    request: &mut Request<Incoming>,
    permit: Permit,
) -> Response<Answer> {
    let mut response = match cors::preflight(request) {
        Some(headers) => {
            let mut response = json_response(Reply::ok(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            *response.headers_mut() = headers;
            response
        }
        None => route(api, caller, connection, request).await,
    };
    permit.write(response.headers_mut());
    response
}

async fn route(
    api: &Api,
    caller: Caller,
    connection: &Arc<Activity>,
    request: &mut Request<Incoming>,
) -> Response<Answer> {
    let Caller { listener, peer, .. } = caller;
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        if let Some(page) = admin::page(api, request.uri()) {
            api.metrics.answered(Endpoint::Admin, page.status());
            return page;
        }
        if listener == Listener::Admin
            && let Some(page) = gossip::admin_page(&api.groups, request.uri())
        {
            api.metrics.answered(Endpoint::Gossip, page.status());
            return page;
        }
        let is_for_verbs = websocket::is_asked_for(request) && !gossip::is_asked_for(request);
        if listener == Listener::Api && is_for_verbs {
            return websocket::answer(connection, request);
        }
        if listener == Listener::Api && request.uri().path() == "/watch" {
            let answer = watch::answer(api, connection, request.uri().query());
            api.metrics.answered(Endpoint::Watch, answer.status());
            return answer;
        }
    }
    if listener == Listener::Api && drain::is_asked_for(request) {
        return Box::pin(drain(api, peer, connection, request)).await;
    }
    if listener == Listener::Api && gossip::is_asked_for(request) {
        let response = Box::pin(gossip::answer(api, connection, request)).await;
        api.metrics.answered(Endpoint::Gossip, response.status());
        return response;
    }
    if listener == Listener::Admin && introduce::is_asked_for(request) {
        let response = match body::read(request.body_mut(), introduce::MAX_BODY).await {
            Ok(body) => introduce::call(api, peer, &body),
            Err(unread) => not_read(connection, unread),
        };
        api.metrics.answered(Endpoint::Introduction, response.status());
        return response;
    }
    match listener {
        Listener::Api => ask(api, peer, connection, request).await,
        Listener::Admin => text(
            StatusCode::NOT_FOUND,
            "Here are GET /healthz, /readyz, /status, /metrics, /openapi.json and \
             /gossip/grapecluster/peers, and POST /introduce.\n",
        ),
    }
}

async fn drain(
    api: &Api,
    peer: SocketAddr,
    connection: &Arc<Activity>,
    request: &mut Request<Incoming>,
) -> Response<Answer> {
    let response = match body::read(request.body_mut(), api.max_payload_size).await {
        Ok(_) => {
            let _busy = connection.busy();
            json_response(drain::call(api, peer).await)
        }
        Err(unread) => not_read(connection, unread),
    };
    api.metrics.answered(Endpoint::Drain, response.status());
    response
}

/// Answers a verb.
async fn ask(
    api: &Api,
    peer: SocketAddr,
    connection: &Arc<Activity>,
    request: &mut Request<Incoming>,
) -> Response<Answer> {
    if request.method() == Method::CONNECT {
        // Any answer of 2xx would turn the connection into a tunnel.
        return closing(text(StatusCode::METHOD_NOT_ALLOWED, "A Grape is no proxy.\n"));
    }
    let started = clock::now();
    let _in_flight = api.metrics.request();
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let verb = Verb::from_path(target);
    let asked = verb.map_or(Endpoint::Unknown, Endpoint::Verb);
    let response = match body::read(request.body_mut(), api.max_payload_size).await {
        Ok(body) => {
            // Only now: a client that never sends its body is idle.
            let _busy = connection.busy();
            let body = lossy(&body);
            match json::envelope_data(&body) {
                Ok(data) => {
                    let reply = match verb {
                        Some(verb) => verbs::call(&api.services, verb, data, peer.ip()).await,
                        None => Reply::error("ERR_REQ_NOTFOUND"),
                    };
                    if reply.refused {
                        api.metrics.refused(asked);
                    }
                    json_response(reply)
                }
                Err(json::InvalidJson) => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, "ERR_GRAPE_PAYLOAD_INVALID")
                }
            }
        }
        Err(unread) => not_read(connection, unread),
    };
    api.metrics.answered(asked, response.status());
    if let Some(verb) = verb {
        api.metrics.took(verb, clock::now().saturating_duration_since(started));
    }
    response
}

/// The answer to a request whose body was not read.
fn not_read(connection: &Activity, unread: Unread) -> Response<Answer> {
    match unread {
        Unread::TooLarge => {
            connection.rejects_input();
            closing(text(StatusCode::PAYLOAD_TOO_LARGE, "ERR_GRAPE_PAYLOAD_SIZE"))
        }
        Unread::Broken => closing(text(StatusCode::BAD_REQUEST, "request aborted")),
    }
}

/// Text in which bytes that are no UTF-8 are replaced, as Node.js reads a body.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// A verb's answer; like the original's, it does not say that it is JSON.
pub(crate) fn json_response(reply: Reply) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Full::new(reply.body)));
    *response.status_mut() = reply.status;
    response.headers_mut().extend(reply.announced_at.map(|at| (ANNOUNCED_AT, at)));
    response
}

/// An answer of plain text.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Answer> {
    page(status, HeaderValue::from_static("text/plain; charset=utf-8"), text)
}

/// An answer of any type.
pub(crate) fn page(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<Answer> {
    let mut response = Response::new(Answer::Whole(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The same answer, the last on its connection.
pub(crate) fn closing(mut response: Response<Answer>) -> Response<Answer> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
