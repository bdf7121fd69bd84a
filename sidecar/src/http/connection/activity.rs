//! What a connection does, shared by its parts: the socket, the handler of requests, and the
//! supervisor of both. All of them are on one task; the counters are atomic because tasks may move
//! between threads.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use tokio::task::yield_now;

use super::super::turns::HostTurns;
use super::super::websocket::Upgrade;
use crate::clock;

/// Bytes that one request may take before its connection's buffer is looked into for the start of
/// the next one.
const LARGE: usize = 4096;

/// Requests, or messages, that one connection may have answered in a row while others wait.
const TURN: u32 = 2;

/// An unknown number of a body's bytes is still to come.
pub(super) const UNKNOWN: usize = usize::MAX;

/// What a connection does.
pub(crate) struct Activity {
    /// The connection's socket; open as long as the connection is.
    socket: RawFd,
    /// The turns of its host, where others may have to wait for that.
    turns: Option<Arc<HostTurns>>,
    /// Reads and writes that moved bytes, counted.
    moved: AtomicU32,
    /// Whether the last write had to wait for the client.
    blocked: AtomicBool,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// Whether a request is with the handler; its body may still be missing.
    handled: AtomicBool,
    /// Bytes that are still to come of its body, counted while the Grape stops.
    body_left: AtomicUsize,
    /// Requests (or messages of a WebSocket) that came whole, counted.
    finished: AtomicU32,
    /// Those that were answered since the last wait for more input, or since others had their turn.
    in_turn: AtomicU32,
    /// Bytes read since the last one: the beginning of the next request.
    unfinished: AtomicUsize,
    /// What is known of the bytes that were read together with the last request.
    ahead: Ahead,
    /// Whether input is left unread, to be thrown away before the socket is closed.
    rejects: AtomicBool,
    /// Whether the Grape stops: nothing is read beyond the end of a request.
    stopping: AtomicBool,
    is_websocket: AtomicBool,
    upgrade: Mutex<Option<Upgrade>>,
    born: Instant,
    /// How many milliseconds later it came to be as it is.
    changed: AtomicU32,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// For a request to begin.
    Idle,
    /// For the rest of one.
    Receiving,
    /// For an answer of ours.
    Answering,
    /// For the client to take it.
    Writing,
}

/// What would be lost if a connection were closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A request is being answered, or events are sent.
    Answering,
    /// Nothing has come since then.
    Idle(Instant),
    /// A request that has not come whole, or an answer that the client does not take, since then.
    Unfinished(Instant),
}

/// What is known of the bytes that were read behind the end of a request.
#[derive(Default)]
struct Ahead {
    /// There may be some; only hyper's buffer shows it.
    perhaps: AtomicBool,
    /// There may be so many that this should not wait.
    many: AtomicBool,
    /// There are some that hyper did not get yet.
    kept: AtomicBool,
    /// Hyper gets none, for nothing is read beyond the end of a request.
    none: AtomicBool,
}

impl Activity {
    /// Of a connection over this socket.
    pub(crate) fn new(socket: RawFd, turns: Option<Arc<HostTurns>>) -> Self {
        Self {
            socket,
            turns,
            moved: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            busy: AtomicU32::new(0),
            handled: AtomicBool::new(false),
            body_left: AtomicUsize::new(0),
            finished: AtomicU32::new(0),
            in_turn: AtomicU32::new(0),
            unfinished: AtomicUsize::new(0),
            ahead: Ahead::default(),
            rejects: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            is_websocket: AtomicBool::new(false),
            upgrade: Mutex::new(None),
            born: clock::now(),
            changed: AtomicU32::new(0),
        }
    }

    /// What the connection waits for.
    pub(super) fn phase(&self) -> Phase {
        if self.blocked.load(Ordering::Relaxed) {
            Phase::Writing
        } else if self.busy.load(Ordering::Relaxed) > 0 {
            Phase::Answering
        } else if self.unfinished() > 0 || self.may_be_ahead() {
            Phase::Receiving
        } else {
            Phase::Idle
        }
    }

    /// It waits for something else from now on.
    pub(super) fn changes(&self, now: Instant) {
        let age = now.saturating_duration_since(self.born).as_millis();
        self.changed.store(u32::try_from(age).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn standing(&self) -> Standing {
        let since = self.born + Duration::from_millis(self.changed.load(Ordering::Relaxed).into());
        match self.phase() {
            Phase::Idle => Standing::Idle(since),
            Phase::Answering => Standing::Answering,
            Phase::Receiving | Phase::Writing => Standing::Unfinished(since),
        }
    }

    /// Marks a request as being answered, until the mark is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// Input was refused unread.
    pub(crate) fn rejects_input(&self) {
        self.rejects.store(true, Ordering::Relaxed);
    }

    /// The connection goes on as a WebSocket.
    pub(crate) fn upgrade_to(&self, upgrade: Upgrade) {
        self.is_websocket.store(true, Ordering::Relaxed);
        self.found_ahead(0);
        *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
    }

    pub(super) fn take_upgrade(&self) -> Option<Upgrade> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A request's head is with the handler. `body` is the body's length, `None` if it is in chunks.
    pub(crate) fn begins(&self, body: Option<u64>) {
        let left = match body.map(usize::try_from) {
            None => 0,
            Some(Ok(body)) if self.ahead.none.load(Ordering::Relaxed) => body,
            // Some of it may have been read with the head.
            Some(_) => UNKNOWN,
        };
        self.body_left.store(left, Ordering::Relaxed);
        self.handled.store(true, Ordering::Relaxed);
    }

    /// Lets other connections have their turn, if this one, or its host, has had its: to be called before
    /// each request, or message, is answered.
    pub(crate) async fn takes_turn(&self) {
        if let Some(turns) = &self.turns {
            turns.take().await;
        }
        if self.in_turn.fetch_add(1, Ordering::Relaxed) >= TURN {
            self.in_turn.store(1, Ordering::Relaxed);
            yield_now().await;
        }
    }

    /// Everything that came was read: others have their turn meanwhile.
    pub(super) fn awaits_input(&self) {
        self.in_turn.store(0, Ordering::Relaxed);
    }

    /// A request, or a message, came whole. What comes now belongs to the next one.
    pub(crate) fn finishes(&self) {
        self.handled.store(false, Ordering::Relaxed);
        self.body_left.store(0, Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Relaxed);
        let read = self.unfinished.swap(0, Ordering::Relaxed);
        let knows = self.ahead.none.load(Ordering::Relaxed);
        if !knows && !self.is_websocket.load(Ordering::Relaxed) {
            self.ahead.perhaps.store(true, Ordering::Relaxed);
            self.ahead.many.store(read > LARGE, Ordering::Relaxed);
        }
    }

    /// A control frame of so many bytes came between those of messages.
    pub(crate) fn skips(&self, bytes: usize) {
        let unfinished = self.unfinished.load(Ordering::Relaxed).saturating_sub(bytes);
        self.unfinished.store(unfinished, Ordering::Relaxed);
    }

    /// Whether no part of a message has come.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.unfinished() == 0
    }

    /// Whether the Grape stops and nothing more has come on this connection: the next answer may be
    /// the last one.
    pub(crate) fn has_nothing_more(&self) -> bool {
        self.ahead.none.load(Ordering::Relaxed)
            && !self.ahead.kept.load(Ordering::Relaxed)
            && !self.input_waits()
    }

    /// Whether the system holds bytes that were not read yet.
    fn input_waits(&self) -> bool {
        self.peek(&mut [0]) > 0
    }

    /// Looks at bytes that were not read yet; how many there are.
    pub(super) fn peek(&self, bytes: &mut [u8]) -> usize {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(self.socket, bytes, flags).unwrap_or(0)
    }

    /// Whether the client may still send what would make the system reset the connection, were the
    /// socket closed at once.
    pub(super) fn leaves_input(&self) -> bool {
        self.rejects.load(Ordering::Relaxed) || self.unfinished() > 0 || self.input_waits()
    }

    pub(crate) fn read(&self, bytes: usize) {
        if bytes > 0 {
            self.moved.fetch_add(1, Ordering::Relaxed);
            self.unfinished.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn wrote(&self, ready: bool) {
        self.blocked.store(!ready, Ordering::Relaxed);
        if ready {
            self.moved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hyper's buffer was looked into: it held so many bytes of the next request, and is to get them
    /// again.
    pub(super) fn found_ahead(&self, bytes: usize) {
        self.unfinished.store(bytes, Ordering::Relaxed);
        self.ahead.perhaps.store(false, Ordering::Relaxed);
        self.ahead.many.store(false, Ordering::Relaxed);
    }

    /// Whether there are bytes that were read and that hyper did not get yet.
    pub(super) fn keeps(&self, some: bool) {
        self.ahead.kept.store(some, Ordering::Relaxed);
    }

    /// Hyper has used up what it had, and gets nothing beyond the end of a request from now on.
    pub(super) fn reads_within_requests(&self) {
        self.ahead.none.store(true, Ordering::Relaxed);
    }

    /// Bytes that are still to come of a body with a Content-Length; [`UNKNOWN`] if it is not known
    /// how many have come.
    pub(super) fn body_left(&self) -> usize {
        self.body_left.load(Ordering::Relaxed)
    }

    pub(super) fn read_of_body(&self, bytes: usize) {
        let left = self.body_left();
        if left != UNKNOWN {
            self.body_left.store(left.saturating_sub(bytes), Ordering::Relaxed);
        }
    }

    /// The Grape stops.
    pub(super) fn stops(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether requests are to be distinguished: not what comes on a WebSocket.
    pub(super) fn reads_with_care(&self) -> bool {
        self.is_stopping() && !self.is_websocket.load(Ordering::Relaxed)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(super) fn moved(&self) -> u32 {
        self.moved.load(Ordering::Relaxed)
    }

    pub(super) fn finished(&self) -> u32 {
        self.finished.load(Ordering::Relaxed)
    }

    /// Bytes of a request, or a message, that has not come whole yet.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Relaxed)
    }

    pub(super) fn is_handled(&self) -> bool {
        self.handled.load(Ordering::Relaxed)
    }

    pub(super) fn may_be_ahead(&self) -> bool {
        self.ahead.perhaps.load(Ordering::Relaxed)
    }

    pub(super) fn may_be_far_ahead(&self) -> bool {
        self.ahead.many.load(Ordering::Relaxed)
    }
}

/// A request that is being answered.
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
