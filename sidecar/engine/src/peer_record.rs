//! Who announced a peer: a service may be announced through several Grapes of its host, and is
//! there until the last of them takes it back, dies, or lets it age.

use std::net::SocketAddr;
use std::time::Instant;

use crate::krpc::{MAX_ANNOUNCERS, Peer};

/// What is known of a peer beside its address.
///
/// One node at the peer's own IP is the rule, and takes no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PeerRecord(Announcers);

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::box_collection, reason = "one pointer takes no more room than the one announcer")]
enum Announcers {
    One {
        until: Instant,
        /// The DHT port of the node, whose IP is the peer's; `None` if only other nodes know it.
        port: Option<u16>,
        alt: bool,
    },
    /// One to [`MAX_ANNOUNCERS`], each once.
    Several(Box<Vec<Announcer>>),
}

/// A node that announced a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announcer {
    /// Its DHT address. An unspecified IP stands for our own node.
    pub(super) addr: SocketAddr,
    /// When its announce expires.
    pub(super) until: Instant,
    /// It announces the service over the other address family too, where it is rather to be
    /// reached.
    pub(super) alt: bool,
}

/// What is left of a peer when one node announces it no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// That node had not announced it.
    All,
    /// Others announced it too.
    Others,
    /// No other node did.
    Nobody,
}

impl PeerRecord {
    /// It is not known which node announced the peer.
    #[cfg(test)]
    pub(super) fn unreported(until: Instant) -> Self {
        Self(Announcers::One { until, port: None, alt: false })
    }

    /// One node announced the peer.
    pub(super) fn of(peer: &SocketAddr, by: Announcer) -> Self {
        Self(if by.addr.ip() == peer.ip() {
            Announcers::One { until: by.until, port: Some(by.addr.port()), alt: by.alt }
        } else {
            Announcers::Several(Box::new(vec![by]))
        })
    }

    /// What the node at `from` returned of a peer, which expires at `until`.
    pub(super) fn reported(peer: &Peer, from: SocketAddr, until: Instant) -> Self {
        let alt = peer.alt;
        if peer.announcers.is_empty() {
            return Self(Announcers::One { until, port: peer.node_port, alt });
        }
        let mut list = Vec::with_capacity(peer.announcers.len());
        for addr in &peer.announcers {
            let addr = if addr.ip().is_unspecified() { from } else { *addr };
            put(&mut list, &peer.addr, Announcer { addr, until, alt });
        }
        Self::from_list(&peer.addr, list)
    }

    fn from_list(peer: &SocketAddr, list: Vec<Announcer>) -> Self {
        match list[..] {
            [by] => Self::of(peer, by),
            _ => Self(Announcers::Several(Box::new(list))),
        }
    }

    /// How many nodes announced it, as far as is known; one at least.
    pub(super) fn announces(&self) -> usize {
        match &self.0 {
            Announcers::One { .. } => 1,
            Announcers::Several(list) => list.len(),
        }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let more = match &self.0 {
            Announcers::One { .. } => 0,
            Announcers::Several(list) => size_of::<Vec<Announcer>>() + size_of_val(&list[..]),
        };
        size_of::<Self>() + more
    }

    /// When the peer expires.
    pub(super) fn until(&self) -> Instant {
        match &self.0 {
            Announcers::One { until, .. } => *until,
            Announcers::Several(list) => {
                let last = list.iter().map(|by| by.until).reduce(Instant::max);
                last.unwrap_or_else(|| unreachable!("nobody announced it"))
            }
        }
    }

    /// Whether all that announced it say that it is rather to be reached over the other address
    /// family.
    pub(super) fn is_alt(&self) -> bool {
        match &self.0 {
            Announcers::One { alt, .. } => *alt,
            Announcers::Several(list) => list.iter().all(|by| by.alt),
        }
    }

    /// Whether it is known which node announced it.
    pub(super) fn is_reported(&self) -> bool {
        !matches!(self.0, Announcers::One { port: None, .. })
    }

    /// Who is known to have announced it.
    pub(super) fn announcers(&self, peer: &SocketAddr) -> impl Iterator<Item = Announcer> {
        let (one, several) = match &self.0 {
            Announcers::One { port, until, alt } => {
                let addr = port.map(|port| SocketAddr::new(peer.ip(), port));
                (addr.map(|addr| Announcer { addr, until: *until, alt: *alt }), &[][..])
            }
            Announcers::Several(list) => (None, &list[..]),
        };
        one.into_iter().chain(several.iter().copied())
    }

    /// Whether the node at this address announced the peer; `None` if that is not known.
    pub(super) fn is_from(&self, peer: &SocketAddr, node: &SocketAddr) -> Option<bool> {
        match &self.0 {
            Announcers::One { .. } if peer.ip() != node.ip() => Some(false),
            Announcers::One { port, .. } => port.map(|port| port == node.port()),
            Announcers::Several(list) => Some(list.iter().any(|by| by.addr == *node)),
        }
    }

    /// A node announced the peer (again).
    pub(super) fn announced(&mut self, peer: &SocketAddr, by: Announcer) {
        match &mut self.0 {
            Announcers::One { port, .. }
                if peer.ip() == by.addr.ip() && port.is_none_or(|port| port == by.addr.port()) =>
            {
                *self = Self::of(peer, by);
            }
            Announcers::One { port: None, .. } => *self = Self::of(peer, by),
            _ => {
                let mut list: Vec<_> = self.announcers(peer).collect();
                put(&mut list, peer, by);
                *self = Self::from_list(peer, list);
            }
        }
    }

    /// Takes what another node returned of the same peer: the later expiry counts, and the
    /// announcers are those of the node that knows them.
    pub(super) fn merge(&mut self, peer: &SocketAddr, other: Self) {
        match (&mut self.0, other.0) {
            (
                Announcers::One { until, port, alt },
                Announcers::One { until: other, port: other_port, alt: other_alt },
            ) if port.is_none() || other_port.is_none() || *port == other_port => {
                *until = other.max(*until);
                *port = port.or(other_port);
                // Not all who hold it know what this means.
                *alt |= other_alt;
            }
            (Announcers::One { port: None, until, .. }, other) => {
                let until = *until;
                self.0 = other;
                self.extend_to(until);
            }
            (_, Announcers::One { port: None, until, .. }) => self.extend_to(until),
            (_, other) => {
                let mut list: Vec<_> = self.announcers(peer).collect();
                for mut by in Self(other).announcers(peer) {
                    if let Some(known) = list.iter().find(|known| known.addr == by.addr) {
                        by.until = by.until.max(known.until);
                        by.alt |= known.alt;
                    }
                    put(&mut list, peer, by);
                }
                *self = Self::from_list(peer, list);
            }
        }
    }

    /// The peer expires then, or later.
    fn extend_to(&mut self, least: Instant) {
        match &mut self.0 {
            Announcers::One { until, .. } => *until = least.max(*until),
            Announcers::Several(list) => {
                if let Some(last) = list.iter_mut().max_by_key(|by| by.until) {
                    last.until = least.max(last.until);
                }
            }
        }
    }

    /// The node at this address announces the peer no more. `unreported` says that this also holds for
    /// announces of the peer's host whose node is not known. If no announcer is left, the record
    /// stays as it was, and the caller drops the peer.
    pub(super) fn strike(
        &mut self,
        peer: &SocketAddr,
        node: &SocketAddr,
        unreported: bool,
    ) -> Left {
        match &mut self.0 {
            Announcers::One { .. } => match self.is_from(peer, node).unwrap_or(unreported) {
                true => Left::Nobody,
                false => Left::All,
            },
            Announcers::Several(list) => {
                let Some(at) = list.iter().position(|by| by.addr == *node) else {
                    return Left::All;
                };
                if list.len() == 1 {
                    return Left::Nobody;
                }
                list.swap_remove(at);
                *self = Self::from_list(peer, std::mem::take(list));
                Left::Others
            }
        }
    }

    /// Drops the announces that expired; returns whether others are left.
    pub(super) fn expire(&mut self, peer: &SocketAddr, now: Instant) -> bool {
        if self.until() <= now {
            return false;
        }
        if let Announcers::Several(list) = &mut self.0 {
            list.retain(|by| by.until > now);
            *self = Self::from_list(peer, std::mem::take(list));
        }
        true
    }

    /// The first of its announces that ends.
    pub(super) fn next_expiry(&self) -> Instant {
        match &self.0 {
            Announcers::Several(list) => {
                list.iter().map(|by| by.until).min().unwrap_or_else(|| self.until())
            }
            Announcers::One { until, .. } => *until,
        }
    }

    /// The peer with its announcers, as an answer has it.
    pub(super) fn tell(&self, peer: SocketAddr) -> Peer {
        let bare = Peer { alt: self.is_alt(), ..Peer::new(peer) };
        match &self.0 {
            Announcers::One { port, .. } => Peer { node_port: *port, ..bare },
            Announcers::Several(list) => {
                // For those who know of one alone.
                let at_peer = list.iter().filter(|by| by.addr.ip() == peer.ip());
                let last = at_peer.max_by_key(|by| by.until);
                let announcers = list.iter().map(|by| by.addr).collect();
                Peer { node_port: last.map(|by| by.addr.port()), announcers, ..bare }
            }
        }
    }
}

/// Adds an announce, or renews it. Where there are too many, those made from another IP than the
/// peer's go before others, and those that end first before those that last.
fn put(list: &mut Vec<Announcer>, peer: &SocketAddr, by: Announcer) {
    match list.iter_mut().find(|known| known.addr == by.addr) {
        Some(known) => *known = by,
        None => list.push(by),
    }
    if list.len() > MAX_ANNOUNCERS {
        let worth = |by: &Announcer| (by.addr.ip() == peer.ip(), by.until);
        let least = (0..list.len()).min_by_key(|at| worth(&list[*at]));
        least.map(|at| list.swap_remove(at));
    }
}

#[cfg(test)]
mod tests;
