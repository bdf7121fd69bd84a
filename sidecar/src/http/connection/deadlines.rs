//! How long a connection is waited for, by what is waited for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Phase};
use super::budget::{BUFFERS, Share};

/// A client that asks nothing keeps its connection for so long.
const IDLE: Duration = Duration::from_secs(90);

/// How long a request, or a message, may take from its first byte to its last. A body has as long
/// again after its head.
pub(crate) const WHOLE: Duration = Duration::from_secs(10);

/// How long a client may take no byte of what is written to it. The system gives up a client as late
/// that takes none out of its buffer: see [`super::super::server`].
pub(crate) const TAKEN: Duration = Duration::from_secs(15);

/// What is to be done about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing happens on it: it is closed.
    Idle,
    /// Its client takes nothing: it is cut off.
    Stuck,
    /// A request did not come whole in time.
    Late,
    /// Unfinished requests take up more than they may together.
    Crowded,
    /// Whether there is a part of a request is to be found out. If it is late as well, there had
    /// better be none.
    Look {
        /// It has been there for too long.
        late: bool,
    },
}

/// The watch over one connection.
pub(crate) struct Deadlines {
    phase: Phase,
    /// Counts what must go on in this phase.
    mark: u32,
    since: Instant,
    timer: Pin<Box<Sleep>>,
    share: Share,
}

impl Deadlines {
    pub(super) fn new(share: Share) -> Self {
        let now = Instant::now();
        Self {
            phase: Phase::Idle,
            mark: 0,
            since: now,
            timer: Box::pin(sleep_until(now + IDLE)),
            share,
        }
    }

    /// Completes when something is to be done about the connection. It is polled each time after the
    /// connection was.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, activity: &Activity) -> Poll<Verdict> {
        let (phase, mark) = Self::phase(activity);
        let held = match activity.unfinished() {
            bytes @ 1.. if phase == Phase::Receiving => bytes + BUFFERS,
            _ => 0,
        };
        if !self.share.set(held) {
            return Poll::Ready(Verdict::Crowded);
        }
        if (phase, mark) != (self.phase, self.mark) {
            (self.phase, self.mark, self.since) = (phase, mark, Instant::now());
            activity.changes(self.since.into_std());
        }
        let unsure = phase == Phase::Receiving && !activity.is_handled() && activity.may_be_ahead();
        if unsure && (activity.may_be_far_ahead() || activity.is_stopping()) {
            return Poll::Ready(Verdict::Look { late: false });
        }
        let deadline = self.since
            + match phase {
                Phase::Idle | Phase::Answering => IDLE,
                Phase::Receiving => WHOLE,
                Phase::Writing => TAKEN,
            };
        // An earlier deadline is set at once, a later one when the timer has run out.
        if deadline < self.timer.deadline() {
            self.timer.as_mut().reset(deadline);
        }
        loop {
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() >= deadline {
                break;
            }
            self.timer.as_mut().reset(deadline);
        }
        match phase {
            Phase::Idle => Poll::Ready(Verdict::Idle),
            Phase::Writing => Poll::Ready(Verdict::Stuck),
            Phase::Receiving if activity.is_handled() => Poll::Ready(Verdict::Late),
            Phase::Receiving => Poll::Ready(Verdict::Look { late: true }),
            Phase::Answering => {
                self.begins_again();
                self.poll(context, activity)
            }
        }
    }

    /// The wait begins again.
    pub(crate) fn begins_again(&mut self) {
        self.since = Instant::now();
    }

    fn phase(activity: &Activity) -> (Phase, u32) {
        let phase = activity.phase();
        let mark = match phase {
            Phase::Idle | Phase::Writing => activity.moved(),
            Phase::Receiving => activity.finished(),
            Phase::Answering => 0,
        };
        (phase, mark)
    }
}
