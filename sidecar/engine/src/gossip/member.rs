//! Another member: its generation, its signs of life, and a copy of its keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::cookies::Cookie;
use super::message::{DigestEntry, Header};
use super::phi::Phi;
use super::replica::Replica;

/// A member that answers with a lower generation, and with nothing else this long, has no higher one
/// any more.
const LOWER_BELIEVED_AFTER: Duration = Duration::from_secs(10);
/// A member's own word on its heartbeat counts where others are ahead of it by more than what may
/// have overtaken it on the way.
const OVERTAKEN: u32 = 50;
/// Most Syns of a member that are answered within [`ANSWERED_WITHIN`]: a member that sends more takes
/// nothing from the others. One that is not answered sends some seven a second.
const MOST_ANSWERS: u8 = 50;
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// A member is asked for missing changes this often at most.
const PULL_PAUSE: Duration = Duration::from_millis(200);

/// Another member of a group, which has proved its address.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) generation: u64,
    /// The highest that was heard of this generation, from itself or others.
    pub(super) heartbeat: u32,
    /// What it expects back in our messages.
    pub(super) cookie: Cookie,
    pub(super) phi: Phi,
    pub(super) live: bool,
    /// Since when it is live, or failed.
    pub(super) since: Instant,
    pub(super) replica: Replica,
    /// When it last sent a message of this generation.
    heard: Instant,
    /// Since when it sends messages of a lower generation.
    lower_since: Option<Instant>,
    pulled: Option<Instant>,
    /// How many of its Syns were answered since when.
    answers: (u8, Instant),
}

/// What a message of its own says of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// It is live, as before.
    Known,
    /// It had failed, and answers.
    Back,
    /// It started again.
    Restarted,
    /// It started again with a generation that is not above the last one: it is to take a higher
    /// one.
    Outdated,
}

impl Member {
    /// A member that was heard for the first time.
    pub(super) fn new(header: &Header, now: Instant) -> Self {
        Self {
            generation: header.generation,
            heartbeat: header.heartbeat,
            cookie: header.mine,
            phi: Phi::new(now),
            live: true,
            since: now,
            replica: Replica::default(),
            heard: now,
            lower_since: None,
            pulled: None,
            answers: (0, now),
        }
    }

    /// A message of its own came, from its address.
    pub(super) fn heard(&mut self, header: &Header, now: Instant) -> Heard {
        if header.generation < self.generation && !self.believes_lower(now) {
            return Heard::Outdated;
        }
        if header.generation != self.generation {
            let was_live = self.live;
            *self = Self::new(header, now);
            return if was_live { Heard::Restarted } else { Heard::Back };
        }
        self.cookie = header.mine;
        self.heard = now;
        self.lower_since = None;
        if self.heartbeat.saturating_sub(header.heartbeat) > OVERTAKEN {
            self.heartbeat = header.heartbeat;
        }
        self.progress(header.heartbeat, now);
        if self.live {
            return Heard::Known;
        }
        (self.live, self.since) = (true, now);
        self.phi.skip(now);
        Heard::Back
    }

    /// An address has one owner at a time. Where it sends only messages of a lower generation, the
    /// higher one is no more, or was never there.
    fn believes_lower(&mut self, now: Instant) -> bool {
        let since = *self.lower_since.get_or_insert(now);
        let passed = |at| now.saturating_duration_since(at) >= LOWER_BELIEVED_AFTER;
        passed(since) && passed(self.heard)
    }

    /// A heartbeat was heard of, from the member or from another. Returns whether it is news.
    pub(super) fn progress(&mut self, heartbeat: u32, now: Instant) -> bool {
        let news = heartbeat > self.heartbeat;
        if news {
            self.heartbeat = heartbeat;
            self.phi.heartbeat(now);
        }
        news
    }

    /// It does not answer.
    pub(super) fn fail(&mut self, now: Instant) {
        (self.live, self.since) = (false, now);
    }

    /// When a message of its own came last.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// Whether missing changes are to be asked for now.
    pub(super) fn may_pull(&mut self, now: Instant) -> bool {
        let recent = |at| now.saturating_duration_since(at) < PULL_PAUSE;
        if self.pulled.is_some_and(recent) {
            return false;
        }
        self.pulled = Some(now);
        true
    }

    /// Whether its Syn is to be answered.
    pub(super) fn may_answer(&mut self, now: Instant) -> bool {
        let (answers, since) = &mut self.answers;
        if now.saturating_duration_since(*since) >= ANSWERED_WITHIN {
            (*answers, *since) = (0, now);
        }
        let may = *answers < MOST_ANSWERS;
        *answers += u8::from(may);
        may
    }

    /// What is known of it.
    pub(super) fn entry(&self, addr: SocketAddr) -> DigestEntry {
        DigestEntry {
            addr,
            generation: self.generation,
            heartbeat: self.heartbeat,
            version: self.replica.version(),
            collected: self.replica.collected(),
            parts: self.replica.parts(),
        }
    }
}
