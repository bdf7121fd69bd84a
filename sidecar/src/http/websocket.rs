//! WebSockets. By default, they are for the verbs, as the first Grapes had them: a text frame
//! `[rid, verb, data]` is answered by `[rid, result]` or `[rid, "ERR_…"]`, in the order in which
//! answers are ready. Those of `events.rs` follow a group.

mod events;

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{SinkExt, Stream, StreamExt};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use crate::clock;
use crate::metrics::Endpoint;

use super::connection::{self, Activity, Deadlines, Verdict, linger};
use super::handler::{Answer, text};
use super::json::{self, Json};
use super::reply::Reply;
use super::routes::Verb;
use super::{Api, verbs};
use events::Feed;

/// Most requests of a connection that are answered at a time; more are read when one is done.
const MAX_IN_FLIGHT: usize = 64;

/// How often a ping is sent. A client that sent nothing between two of them is gone.
const PING: Duration = Duration::from_secs(30);

/// How long a client may leave an answer untaken.
const SEND: Duration = Duration::from_secs(10);

/// Buffers start small: a Grape may have many quiet connections.
const BUFFER: usize = 4096;

/// Bytes of a client's control frame before its payload.
const CONTROL_HEAD: usize = 6;

const STOPS: Goodbye = (CloseCode::Away, "the Grape stops");

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Sink = SplitSink<Socket, Message>;

/// Whether a request asks to go on as a WebSocket.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(UPGRADE);
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// A connection that goes on as a WebSocket.
pub(crate) enum Upgrade {
    /// It asks verbs.
    Verbs(OnUpgrade),
    /// It follows events.
    Events(OnUpgrade, Box<Feed>),
}

/// Answers a handshake for the verbs.
pub(crate) fn answer(connection: &Activity, request: &mut Request<Incoming>) -> Response<Answer> {
    accept(connection, request, Upgrade::Verbs)
}

/// Answers a handshake after which these events are sent, each a text.
pub(crate) fn follow(
    api: &Api,
    connection: &Activity,
    request: &mut Request<Incoming>,
    texts: impl Stream<Item = String> + Send + 'static,
) -> Response<Answer> {
    match Feed::new(api, texts) {
        Ok(feed) => accept(connection, request, |upgrade| Upgrade::Events(upgrade, Box::new(feed))),
        Err(crowded) => crowded.answer(),
    }
}

/// Turns a connection into a WebSocket, unless the request is no handshake.
fn accept(
    connection: &Activity,
    request: &mut Request<Incoming>,
    upgrade: impl FnOnce(OnUpgrade) -> Upgrade,
) -> Response<Answer> {
    match create_response_with_body(request, || Answer::Whole(Full::default())) {
        Ok(response) => {
            connection.upgrade_to(upgrade(hyper::upgrade::on(request)));
            response
        }
        Err(error) => {
            let why = format!("This is no WebSocket handshake: {error}\n");
            text(StatusCode::BAD_REQUEST, why)
        }
    }
}

/// Why we close a WebSocket: RFC 6455, section 7.4.1.
type Goodbye = (CloseCode, &'static str);

/// Serves a WebSocket until either side closes it.
pub(crate) async fn serve(
    upgrade: Upgrade,
    api: &Api,
    peer: IpAddr,
    activity: &Activity,
    deadlines: Deadlines,
) {
    let _open = api.metrics.websocket();
    match upgrade {
        Upgrade::Verbs(upgrade) => Box::pin(ask(upgrade, api, peer, activity, deadlines)).await,
        Upgrade::Events(upgrade, feed) => {
            // What a client of events sends is short, and pings show whether it is still there.
            drop(deadlines);
            Box::pin(feed.serve(upgrade, &api.stop)).await;
        }
    }
}

/// The WebSocket of a connection; its client's messages have at most `limit` bytes.
async fn open(upgrade: OnUpgrade, limit: usize) -> Option<Socket> {
    let upgraded = upgrade.await.ok()?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    let io = TokioIo::new(upgraded);
    Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await)
}

/// Answers verbs until either side closes the WebSocket.
async fn ask(
    upgrade: OnUpgrade,
    api: &Api,
    peer: IpAddr,
    activity: &Activity,
    mut deadlines: Deadlines,
) {
    let Some(socket) = open(upgrade, api.max_payload_size).await else { return };
    let (mut sink, mut stream) = socket.split();
    let mut answers = FuturesUnordered::new();
    let mut ping = interval_at(Instant::now() + PING, PING);
    let mut heard = true;
    let mut stopping = false;
    let mut quiet = pin!(sleep(Duration::ZERO));
    // Once set, nothing more is read; what was asked before is answered yet.
    let mut goodbye: Option<Goodbye> = None;
    while goodbye.is_none() || !answers.is_empty() {
        tokio::select! {
            biased;
            () = api.stop.cancelled(), if !stopping => {
                stopping = true;
                quiet.as_mut().reset(Instant::now() + connection::quiet(api.drain_timeout));
            }
            _ = ping.tick() => {
                if !heard || !send(&mut sink, Message::Ping(Bytes::new())).await {
                    return;
                }
                // While nothing is read, silence does not mean that the client is gone.
                heard = answers.len() >= MAX_IN_FLIGHT;
            }
            message = stream.next(), if goodbye.is_none() && answers.len() < MAX_IN_FLIGHT => {
                heard = true;
                quiet.as_mut().reset(Instant::now() + connection::quiet(api.drain_timeout));
                match message {
                    Some(Ok(Message::Text(frame))) => {
                        activity.finishes();
                        answers.push(reply(api, peer, frame.into()));
                    }
                    Some(Ok(Message::Binary(frame))) => {
                        activity.finishes();
                        answers.push(reply(api, peer, frame));
                    }
                    // Pings are answered, and a close returned, as the stream is read on.
                    Some(Ok(control)) => activity.skips(CONTROL_HEAD + control.len()),
                    Some(Err(error)) => match breach(&error) {
                        Some(breach) => goodbye = Some(breach),
                        None => return,
                    },
                    None => return,
                }
                if stopping && api.insists_on_stop() {
                    goodbye.get_or_insert(STOPS);
                }
            }
            Some(answer) = answers.next(), if !answers.is_empty() => {
                activity.takes_turn().await;
                // Nothing more has come: it was looked for just before.
                if stopping && answers.is_empty() {
                    goodbye.get_or_insert(STOPS);
                }
                let taken = if goodbye.is_some() && answers.is_empty() {
                    // Together with the goodbye, so that nothing is asked in between.
                    feed(&mut sink, Message::text(answer)).await
                } else {
                    send(&mut sink, Message::text(answer)).await
                };
                if !taken {
                    return;
                }
            }
            () = &mut quiet, if stopping && goodbye.is_none() && activity.is_between_messages() => {
                goodbye = Some(STOPS);
            }
            verdict = poll_fn(|context| deadlines.poll(context, activity)), if goodbye.is_none() => {
                match verdict {
                    Verdict::Look { .. } | Verdict::Late => {
                        goodbye = Some((CloseCode::Policy, "the message did not come whole in 10 s"));
                    }
                    Verdict::Crowded => {
                        goodbye = Some((CloseCode::Again, "too many messages are unfinished"));
                    }
                    Verdict::Stuck => return,
                    // Pings show whether a quiet client is still there.
                    Verdict::Idle => deadlines.begins_again(),
                }
            }
        }
    }
    if let Some(goodbye) = goodbye {
        close(sink, stream, goodbye).await;
    }
}

/// Closes a WebSocket so that its client gets the reason.
async fn close(mut sink: Sink, stream: SplitStream<Socket>, (code, reason): Goodbye) {
    let frame = CloseFrame { code, reason: reason.into() };
    if send(&mut sink, Message::Close(Some(frame))).await
        && let Ok(socket) = sink.reunite(stream)
    {
        linger(&mut socket.into_inner()).await;
    }
}

/// The close frame for a client that broke the protocol, or a limit of ours; `None` when the client
/// is gone.
fn breach(error: &Error) -> Option<Goodbye> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            Some((CloseCode::Size, "ERR_GRAPE_PAYLOAD_SIZE"))
        }
        Error::Utf8(_) => Some((CloseCode::Invalid, "a text that is no UTF-8")),
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
        ) => None,
        Error::Protocol(breach) => Some((CloseCode::Protocol, wording(breach))),
        _ => None,
    }
}

/// What is wrong, in the few bytes that a close frame has for it.
fn wording(breach: &ProtocolError) -> &'static str {
    match breach {
        ProtocolError::UnmaskedFrameFromClient => "a client masks its frames",
        ProtocolError::NonZeroReservedBits => "a reserved bit is set",
        ProtocolError::UnknownControlFrameType(_) | ProtocolError::UnknownDataFrameType(_) => {
            "a reserved opcode"
        }
        ProtocolError::FragmentedControlFrame => "a control frame has no fragments",
        ProtocolError::ControlFrameTooBig => "a control frame has 125 bytes at most",
        ProtocolError::UnexpectedContinueFrame => "a continuation of nothing",
        ProtocolError::ExpectedFragment(_) => "a message within another one",
        ProtocolError::InvalidCloseSequence => "a close frame of one byte",
        _ => "not as RFC 6455 has it",
    }
}

/// Sends a message; false when the client does not take it.
async fn send(sink: &mut Sink, message: Message) -> bool {
    matches!(timeout(SEND, sink.send(message)).await, Ok(Ok(())))
}

/// The same for one that goes with the next.
async fn feed(sink: &mut Sink, message: Message) -> bool {
    matches!(timeout(SEND, sink.feed(message)).await, Ok(Ok(())))
}

/// The answer to a frame.
async fn reply(api: &Api, peer: IpAddr, frame: Bytes) -> String {
    let started = clock::now();
    let _in_flight = api.metrics.request();
    let frame = String::from_utf8_lossy(&frame);
    let request = Frame::of(&frame);
    let (label, reply) = match request.verb {
        Some(Ok(verb)) => {
            (Endpoint::Verb(verb), verbs::call(&api.services, verb, request.data, peer).await)
        }
        Some(Err(Unknown)) => (Endpoint::Unknown, Reply::error("ERR_REQ_NOTFOUND")),
        None => (Endpoint::Unknown, Reply::error("ERR_GRAPE_PAYLOAD_INVALID")),
    };
    if reply.refused {
        api.metrics.refused(label);
    }
    api.metrics.answered(label, reply.status);
    if let Endpoint::Verb(verb) = label {
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
