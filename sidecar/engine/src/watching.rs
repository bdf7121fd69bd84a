//! Whom we watch: who asked us to tell the others if it falls silent, and did not say yet that it
//! goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mainline::Id;

use super::node::Engine;
use super::probes::Tell;
use super::timers::Timer;
use crate::krpc::Contact;

/// Most nodes that we watch; others are sent to somebody else.
const MAX_WATCHED: usize = 32;
/// Who is heard every second is asked whether it is there after this.
const SILENCE: Duration = Duration::from_millis(1500);
/// How often it is asked before it is dead.
const TRIES: u8 = 3;

#[derive(Debug)]
struct Watched {
    id: Id,
    heard: Instant,
}

/// The nodes that we watch.
#[derive(Debug, Default)]
pub(super) struct Watching {
    /// In an order of its own, so that simulations run the same each time.
    watched: BTreeMap<SocketAddr, Watched>,
    /// A look at them is due.
    timer: bool,
}

impl Watching {
    pub(super) fn heard(&mut self, addr: &SocketAddr, now: Instant) {
        if let Some(watched) = self.watched.get_mut(addr) {
            watched.heard = now;
        }
    }

    pub(super) fn forget(&mut self, addr: &SocketAddr) {
        self.watched.remove(addr);
    }

    fn is_full(&self) -> bool {
        self.watched.len() >= MAX_WATCHED
    }

    /// Takes out those that were silent too long.
    fn take_silent(&mut self, now: Instant) -> Vec<Contact> {
        self.watched
            .extract_if(.., |_, watched| now.duration_since(watched.heard) >= SILENCE)
            .map(|(addr, watched)| Contact { id: watched.id, addr })
            .collect()
    }

    fn next_look(&self) -> Option<Instant> {
        self.watched.values().map(|watched| watched.heard + SILENCE).min()
    }
}

impl Engine {
    /// A node asks to be watched, or to be watched no more. Returns whether we watch it. `ours` says
    /// that it is a Grape of our kind.
    pub(super) fn on_watch(
        &mut self,
        from: Contact,
        watch: bool,
        ours: bool,
        now: Instant,
    ) -> bool {
        if !watch || self.draining {
            self.watching.forget(&from.addr);
            return false;
        }
        // A newcomer is pinged just now: by the time its silence would count it has answered, or it
        // is not watched.
        let table = self.table(&from.addr);
        let proven = table.get(&from.id).is_some_and(|node| node.contact == from);
        if !ours || !proven && !table.has_place_for(&from.id) {
            return false;
        }
        if self.watching.is_full() && !self.watching.watched.contains_key(&from.addr) {
            // Who answered before goes before whoever may be nobody.
            let unproven = |addr: &SocketAddr, watched: &Watched| {
                let table = if addr.is_ipv6() { &self.v6 } else { &self.v4 };
                table.get(&watched.id).is_none()
            };
            let mut watched = self.watching.watched.iter();
            let nobody = watched.find(|(addr, watched)| unproven(addr, watched));
            let Some(nobody) = nobody.map(|(addr, _)| *addr).filter(|_| proven) else {
                return false;
            };
            self.watching.forget(&nobody);
        }
        self.watching.watched.insert(from.addr, Watched { id: from.id, heard: now });
        if !std::mem::replace(&mut self.watching.timer, true) {
            self.set_timer(now + SILENCE, Timer::Watching);
        }
        true
    }

    /// Asks the silent ones whether they are there.
    pub(super) fn look_at_watched(&mut self, now: Instant) {
        for silent in self.watching.take_silent(now) {
            // Who never answered may be nobody: anyone can ask in another's name.
            let node = self.table(&silent.addr).get(&silent.id);
            if node.is_some_and(|node| node.contact == silent) {
                self.probe(silent.addr, TRIES, Tell::Always, now);
            }
        }
        let next = self.watching.next_look();
        self.watching.timer = next.is_some();
        if let Some(next) = next {
            self.set_timer(next, Timer::Watching);
        }
    }
}
