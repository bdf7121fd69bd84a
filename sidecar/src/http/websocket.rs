//! The verbs over a WebSocket, as the first Grapes had them: a text frame `[rid, verb, data]` is
//! answered by `[rid, result]` or `[rid, "ERR_…"]`, in whatever order the answers come.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, SplitSink};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use crate::clock;
use crate::metrics::Asked;

use super::handler::Answer;
use super::json::{self, Json};
use super::reply::Reply;
use super::routes::Verb;
use super::{Api, verbs};

/// Most requests of a connection that are answered at a time; more are read when one is done.
const MAX_IN_FLIGHT: usize = 64;

/// How often a ping is sent. A client that sent nothing between two of them is gone.
const PING: Duration = Duration::from_secs(30);

/// How long a client may leave an answer untaken.
const SEND: Duration = Duration::from_secs(10);

/// Buffers start small: a Grape may have many quiet connections.
const BUFFER: usize = 4096;

type Sink = SplitSink<WebSocketStream<TokioIo<Upgraded>>, Message>;

/// Whether a request asks to go on as a WebSocket.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The answer that turns a connection into a WebSocket, and the connection to come.
///
/// # Errors
/// When the request is no handshake: the text for the client.
pub(crate) fn accept(
    request: &mut Request<Incoming>,
) -> Result<(Response<Answer>, OnUpgrade), String> {
    let response = create_response_with_body(request, || Answer::Whole(Full::default()))
        .map_err(|error| format!("This is no WebSocket handshake: {error}\n"))?;
    Ok((response, hyper::upgrade::on(request)))
}

/// Serves a WebSocket until either side closes it.
pub(crate) async fn serve(upgrade: OnUpgrade, api: &Api) {
    let Ok(upgraded) = upgrade.await else { return };
    let _open = api.metrics.websocket();
    let limit = Some(api.max_payload_size);
    let config = WebSocketConfig::default()
        .max_message_size(limit)
        .max_frame_size(limit)
        .read_buffer_size(BUFFER)
        .write_buffer_size(0);
    let socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let mut answers = FuturesUnordered::new();
    let mut ping = interval_at(Instant::now() + PING, PING);
    let mut heard = true;
    let mut stopping = false;
    let goodbye = loop {
        if stopping && answers.is_empty() {
            break Some((CloseCode::Away, "the Grape stops"));
        }
        tokio::select! {
            Some(answer) = answers.next(), if !answers.is_empty() => {
                if !send(&mut sink, Message::text(answer)).await {
                    break None;
                }
            }
            message = stream.next(), if !stopping && answers.len() < MAX_IN_FLIGHT => {
                heard = true;
                match message {
                    Some(Ok(Message::Text(frame))) => {
                        answers.push(answer(api, frame.into()));
                    }
                    Some(Ok(Message::Binary(frame))) => answers.push(answer(api, frame)),
                    // Pings are answered, and a close returned, as the stream is read on.
                    Some(Ok(_)) => {}
                    Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                        break Some((CloseCode::Size, "ERR_GRAPE_PAYLOAD_SIZE"));
                    }
                    Some(Err(_)) | None => break None,
                }
            }
            _ = ping.tick() => {
                if !heard || !send(&mut sink, Message::Ping(Bytes::new())).await {
                    break None;
                }
                // While it is not read from, a client cannot be heard.
                heard = answers.len() >= MAX_IN_FLIGHT;
            }
            () = api.stop.cancelled(), if !stopping => stopping = true,
        }
    };
    if let Some((code, reason)) = goodbye {
        send(&mut sink, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }
}

/// Sends a message; false when the client does not take it.
async fn send(sink: &mut Sink, message: Message) -> bool {
    matches!(timeout(SEND, sink.send(message)).await, Ok(Ok(())))
}

/// The answer to a frame.
async fn answer(api: &Api, frame: Bytes) -> String {
    let started = clock::now();
    let _in_flight = api.metrics.request();
    let frame = String::from_utf8_lossy(&frame);
    let request = Frame::of(&frame);
    let (label, reply) = match request.verb {
        Some(Ok(verb)) => (Asked::Verb(verb), verbs::call(&api.services, verb, request.data).await),
        Some(Err(Unknown)) => (Asked::Unknown, Reply::error("ERR_REQ_NOTFOUND")),
        None => (Asked::Unknown, Reply::error("ERR_GRAPE_PAYLOAD_INVALID")),
    };
    if reply.refused {
        api.metrics.refused(label);
    }
    api.metrics.answered(label, reply.status);
    if let Asked::Verb(verb) = label {
        api.metrics.took(verb, clock::now().saturating_duration_since(started));
    }
    let body = std::str::from_utf8(&reply.body).ok().filter(|body| !body.is_empty());
    format!("[{},{}]", request.rid, body.unwrap_or("null"))
}

/// A frame as it was sent.
struct Frame<'a> {
    /// The request id's source, `null` when there is none.
    rid: &'a str,
    /// The verb; `None` when the frame is malformed.
    verb: Option<Result<Verb, Unknown>>,
    data: Option<&'a RawValue>,
}

/// A frame's verb is none.
struct Unknown;

impl<'a> Frame<'a> {
    fn of(text: &'a str) -> Self {
        let elements = json::elements(text);
        let verb = elements.get(1).and_then(|verb| match Json::of(verb) {
            Json::Text(verb) => Some(Verb::from_type(&verb).ok_or(Unknown)),
            _ => None,
        });
        Self {
            rid: elements.first().map_or("null", |rid| rid.get()),
            verb,
            data: elements.get(2).copied(),
        }
    }
}
