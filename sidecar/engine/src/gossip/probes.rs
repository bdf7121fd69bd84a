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
const MOST_ROUNDS: u8 = 6;
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
                // A heartbeat that was on its way when the member died still reaches some members.
                // Once all know that heartbeat, it is no sign of life for any of them.
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

    /// The members that did not answer in time. `heard_of` gives the last heartbeat of a member
    /// that was heard of, or none if it is to be asked no more.
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
                // The next round is half as long: all questions before it count as well.
                (probe.tries, probe.heartbeat) = (enough / 2, heartbeat.max(probe.heartbeat));
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
        let tries = (CHANCE / libm::log10(loss)).ceil();
        (tries as u8).clamp(LEAST_TRIES, MOST_TRIES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    /// After how many questions a member fails that is silent, and of which others hear this.
    fn questions(probes: &mut Probes, heard_of: impl Fn(usize) -> u32) -> Option<usize> {
        let mut now = crate::clock::now();
        probes.begin(addr(1), 0, now);
        for asked in 1..200 {
            now += TRY_EVERY;
            let due = probes.due(now, |_| Some(heard_of(asked)));
            if due.iter().any(|due| due.failed) {
                return Some(asked);
            }
        }
        None
    }

    #[test]
    fn a_silent_member_fails_after_more_than_a_second() {
        let tries = questions(&mut Probes::default(), |_| 0).unwrap();
        assert_eq!(tries, usize::from(LEAST_TRIES));
        assert!(TRY_EVERY * u32::from(LEAST_TRIES) > Duration::from_millis(1300));
    }

    #[test]
    fn where_questions_get_lost_more_of_them_decide() {
        let (now, mut probes) = (crate::clock::now(), Probes::default());
        for n in 0..1000 {
            probes.begin(addr(2), 0, now);
            if n % 3 == 0 {
                probes.due(now + TRY_EVERY, |_| Some(0));
            }
            probes.settle(&addr(2));
        }
        assert!((0.2..0.3).contains(&probes.loss), "{}", probes.loss);
        let tries = questions(&mut probes, |_| 0).unwrap();
        assert!((15..20).contains(&tries), "{tries}");
    }

    #[test]
    fn a_member_of_which_others_hear_has_more_time_but_not_for_ever() {
        let tries = questions(&mut Probes::default(), |asked| asked as u32).unwrap();
        assert!(tries > 3 * usize::from(LEAST_TRIES), "{tries}");
    }

    #[test]
    fn a_heartbeat_that_another_member_knew_already_gives_no_more_time() {
        let (now, mut probes) = (crate::clock::now(), Probes::default());
        probes.begin(addr(1), 0, now);
        probes.suspect(&addr(1), 7);
        assert_eq!(questions(&mut probes, |_| 7), Some(LEAST_TRIES.into()));
    }

    #[test]
    fn few_members_are_asked_at_a_time() {
        let (now, mut probes) = (crate::clock::now(), Probes::default());
        let begun = (1..5000).filter(|n| probes.begin(addr(*n), 0, now)).count();
        assert_eq!(begun, CAPACITY);
    }
}
