//! How many connections a listener has open at once. Where there are too many, those of the host
//! with the most make room, idle ones first.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ahash::RandomState;
use grape_engine::host_of;
use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id};

use super::Listener;
use super::connection::{Activity, Standing};
use super::turns::HostTurns;

/// Most connections to the API.
const API: usize = 1024;
/// Most connections to the admin address.
const ADMIN: usize = 128;
/// Of the connections to the API, those that only programs of this host may have.
const OF_THIS_HOST: usize = 64;
/// One of so many makes room when there are too many.
const SHARE: usize = 32;

/// An open connection.
struct Open {
    host: IpAddr,
    activity: Arc<Activity>,
    task: AbortHandle,
}

/// A host with connections.
struct Host {
    open: usize,
    turns: Arc<HostTurns>,
}

/// The connections of a listener.
pub(super) struct Places {
    most: usize,
    for_others: usize,
    open: HashMap<Id, Open, RandomState>,
    of_host: HashMap<IpAddr, Host, RandomState>,
    /// Told when a host wants its next turn.
    turn_wanted: Arc<Notify>,
    turns_ended: bool,
}

impl Places {
    pub(super) fn of(listener: Listener) -> Self {
        let of_this_host = if listener == Listener::Api { OF_THIS_HOST } else { 0 };
        Self::new(most(listener), of_this_host)
    }

    fn new(most: usize, of_this_host: usize) -> Self {
        let for_others = most - of_this_host.min(most / 2);
        Self {
            most,
            for_others,
            open: HashMap::default(),
            of_host: HashMap::default(),
            turn_wanted: Arc::default(),
            turns_ended: false,
        }
    }

    /// How many connections were closed to make room for one from there; `None` if it has no place:
    /// all others are being answered.
    pub(super) fn admit(&mut self, peer: SocketAddr) -> Option<usize> {
        let here = host(peer).is_loopback();
        let others = self.open.len() - self.of_this_host();
        let full = self.open.len() >= self.most || !here && others >= self.for_others;
        if !full {
            return Some(0);
        }
        Some(self.make_room(here)).filter(|closed| *closed > 0)
    }

    fn of_this_host(&self) -> usize {
        self.of_host.iter().filter(|(host, _)| host.is_loopback()).map(|(_, host)| host.open).sum()
    }

    fn of_host(&mut self, host: IpAddr) -> &mut Host {
        let wanted = &self.turn_wanted;
        self.of_host.entry(host).or_insert_with(|| Host {
            open: 0,
            turns: Arc::new(HostTurns::new(Arc::clone(wanted))),
        })
    }

    /// The turns for a connection from there, which is about to be opened. Programs of this host have none:
    /// they are answered at once.
    pub(super) fn turns(&mut self, peer: SocketAddr) -> Option<Arc<HostTurns>> {
        let host = host(peer);
        let has_turns = !self.turns_ended && !host.is_loopback();
        has_turns.then(|| Arc::clone(&self.of_host(host).turns))
    }

    /// Completes when a host wants its next turn: see [`Places::next_turns`].
    pub(super) fn turn_wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.turn_wanted)
    }

    /// Each host has its next turn.
    pub(super) fn next_turns(&self) {
        let mut more = false;
        for host in self.of_host.values() {
            more |= host.turns.next();
        }
        if more {
            self.turn_wanted.notify_one();
        }
    }

    /// From now on, all are answered at once.
    pub(super) fn end_turns(&mut self) {
        self.turns_ended = true;
        self.of_host.values().for_each(|host| host.turns.end());
    }

    /// A connection was opened.
    pub(super) fn opened(&mut self, peer: SocketAddr, activity: Arc<Activity>, task: AbortHandle) {
        let host = host(peer);
        self.of_host(host).open += 1;
        self.open.insert(task.id(), Open { host, activity, task });
    }

    /// A connection has ended. Those that made room have been forgotten before.
    pub(super) fn ended(&mut self, id: Id) {
        let Some(open) = self.open.remove(&id) else { return };
        if let Some(host) = self.of_host.get_mut(&open.host) {
            host.open -= 1;
            if host.open == 0 {
                self.of_host.remove(&open.host);
            }
        }
    }

    /// Closes some connections, and returns how many. Those of this host make room only for each
    /// other, or where it has more than its own places.
    fn make_room(&mut self, here: bool) -> usize {
        let spares_here = !here && self.of_this_host() <= self.most - self.for_others;
        let all = self.open.iter().filter(|(_, open)| !(spares_here && open.host.is_loopback()));
        let closable = |(id, open): (&Id, &Open)| {
            let (idle, since) = match open.activity.standing() {
                Standing::Answering => return None,
                Standing::Idle(since) => (true, since),
                Standing::Unfinished(since) => (false, since),
            };
            Some((
                (Reverse(self.of_host.get(&open.host).map(|host| host.open)), Reverse(idle), since),
                *id,
            ))
        };
        let mut all: Vec<_> = all.filter_map(closable).collect();
        all.sort_unstable_by_key(|(order, _)| *order);
        all.truncate((self.most / SHARE).max(1));
        for (_, id) in &all {
            if let Some(open) = self.open.get(id) {
                open.task.abort();
            }
            self.ended(*id);
        }
        all.len()
    }
}

/// Most connections of a listener.
pub(super) fn most(listener: Listener) -> usize {
    let most = match listener {
        Listener::Api => API.min(files() / 2),
        Listener::Admin => ADMIN.min(files() / 8),
    };
    most.max(1)
}

fn host(peer: SocketAddr) -> IpAddr {
    host_of(peer.ip().to_canonical())
}

/// How many files this process may have open. Sockets are files.
fn files() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
