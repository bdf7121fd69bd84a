//! Members that are asked whether they live, until they answer or have not answered often enough.
//!
//! How often is enough depends on how many questions get lost: the chance that all of a living
//! member's are lost is to be one in ten thousand million.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an answer is waited for before the member is asked again.
pub(super) const TRY_EVERY: Duration = Duration::from_millis(150);
/// Least questions: a member that stood still for a second answers in time.
const LEAST_TRIES: u8 = 9;
/// Most questions: 3.6 seconds.
const MOST_TRIES: u8 = 24;
/// Unanswered questions after which others are asked to look, too.
const SUSPECT_AFTER: u8 = 3;
/// Fewer suffice where another member already suspects it.
const CONFIRM_AFTER: u8 = 2;
/// Rounds of questions without an answer after which signs of life by way of others do not count.
const MOST_ROUNDS: u8 = 4;
/// The chance that all questions are lost, as a power of ten.
const CHANCE: f64 = -10.0;
/// Most members that are asked at a time.
const CAPACITY: usize = 64;
/// Weight of a question in the share of those that get lost.
const WEIGHT: f64 = 0.01;

/// A member that is asked.
#[derive(Debug)]
struct Probe {
    tries: u8,
    next: Instant,
    /// The last heartbeat that anyone is known to have heard of.
    heartbeat: u32,
    rounds: u8,
    /// Another member suspects it.
    suspected: bool,
    /// Others were asked to look.
    reported: bool,
}

/// The members that are asked.
#[derive(Debug, Default)]
pub(super) struct Probes {
    probes: BTreeMap<SocketAddr, Probe>,
    /// The share of questions that got lost, from 0 to 1.
    loss: f64,
}

/// What is to be done about a member that did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) addr: SocketAddr,
    /// It did not answer for so long that it has failed.
    pub(super) failed: bool,
    /// It is suspect enough to report it, if its silence is a surprise: what was last heard of it.
    pub(super) suspect: Option<u32>,
    /// Another member suspects it, too.
    pub(super) confirmed: bool,
}

impl Probes {
    /// A member was asked once. Returns whether that is followed up.
    pub(super) fn begin(&mut self, addr: SocketAddr, heartbeat: u32, now: Instant) -> bool {
        let begins = !self.probes.contains_key(&addr) && self.probes.len() < CAPACITY;
        if begins {
            let next = now + TRY_EVERY;
            let (rounds, suspected, reported) = (0, false, false);
            self.probes
                .insert(addr, Probe { tries: 1, next, heartbeat, rounds, suspected, reported });
        }
        begins
    }

    /// Whether a member is asked already.
    pub(super) fn is_probed(&self, addr: &SocketAddr) -> bool {
        self.probes.contains_key(addr)
    }

    /// Another member suspects one that is asked.
    pub(super) fn suspect(&mut self, addr: &SocketAddr, heartbeat: u32) {
        if let Some(probe) = self.probes.get_mut(addr) {
            probe.suspected = true;
            if heartbeat > probe.heartbeat {
                // Heartbeats that were on their way when the member died still reach some. Once all
                // know of the last one, nobody takes it for a sign of life.
                probe.heartbeat = heartbeat;
                probe.reported = false;
            }
        }
    }

    /// A member answered, or is not to be asked any more.
    pub(super) fn settle(&mut self, addr: &SocketAddr) {
        if let Some(probe) = self.probes.remove(addr) {
            let lost = f64::from(probe.tries.saturating_sub(1).min(MOST_TRIES));
            let share = lost / (lost + 1.0);
            self.loss += WEIGHT * (lost + 1.0) * (share - self.loss);
        }
    }

    /// A member is asked no more, without an answer.
    pub(super) fn end(&mut self, addr: &SocketAddr) {
        self.probes.remove(addr);
    }

    /// Nobody listened for a while: all that was not answered may have been.
    pub(super) fn clear(&mut self) {
        self.probes.clear();
    }

    /// When something is to be done.
    pub(super) fn next(&self) -> Option<Instant> {
        self.probes.values().map(|probe| probe.next).min()
    }

    /// The members that did not answer in time. `heard_of` is the last heartbeat of a member that
    /// anyone told of, or none if it is to be asked no more.
    pub(super) fn due(
        &mut self,
        now: Instant,
        heard_of: impl Fn(&SocketAddr) -> Option<u32>,
    ) -> Vec<Due> {
        let enough = self.enough();
        let mut due = Vec::new();
        self.probes.retain(|addr, probe| {
            if probe.next > now {
                return true;
            }
            let Some(heartbeat) = heard_of(addr) else { return false };
            let mut failed = false;
            if probe.tries >= enough {
                probe.rounds += 1;
                failed = heartbeat <= probe.heartbeat || probe.rounds >= MOST_ROUNDS;
                (probe.tries, probe.heartbeat) = (0, heartbeat.max(probe.heartbeat));
            }
            let unanswered = if probe.rounds > 0 { enough } else { probe.tries };
            let after = if probe.suspected { CONFIRM_AFTER } else { SUSPECT_AFTER };
            let last = heartbeat.max(probe.heartbeat);
            let suspect = (unanswered >= after && !probe.reported).then_some(last);
            probe.tries += 1;
            probe.next = now + TRY_EVERY;
            due.push(Due { addr: *addr, failed, suspect, confirmed: probe.suspected });
            !failed
        });
        due
    }

    /// Others were asked to look.
    pub(super) fn reported(&mut self, addr: &SocketAddr) {
        if let Some(probe) = self.probes.get_mut(addr) {
            probe.reported = true;
        }
    }

    /// How many unanswered questions show that a member has failed.
    fn enough(&self) -> u8 {
        // A question is lost on its way, or its answer is.
        let loss = self.loss.clamp(0.001, 0.99);
        let tries = (CHANCE / loss.log10()).ceil();
        (tries as u8).clamp(LEAST_TRIES, MOST_TRIES)
    }
}
