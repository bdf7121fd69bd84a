//! What this node stores for others: peers of names and BEP 44 items; and the write tokens that a
//! node must show to store something.
//!
//! | file | concern |
//! |---|---|
//! | `peer_store.rs` | announced peers of all names, until their announces end |
//! | `shares.rs` | which hosts have how many peers, and items |
//! | `peers.rs`, `by_host.rs` | those of one name, and a choice of them |
//! | `claims.rs` | IPs other than their own that Grapes announce their services at |
//! | `items.rs` | BEP 44 items |
//! | `tokens.rs` | write tokens |

mod by_host;
mod claims;
mod items;
mod peer_store;
mod peers;
mod shares;
mod tokens;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use mainline::Id;
use rand::Rng;

use crate::item::Item;
use crate::peer_record::{Announcer, Left, PeerRecord};
use crate::{Bound, Name, Settings};

pub(crate) use by_host::take_turns;
use claims::Claims;
pub(crate) use claims::TooManyClaims;
pub(crate) use items::Conflict;
use items::ItemStore;
use peer_store::PeerStore;
pub(crate) use peers::Peers;
pub(crate) use tokens::Token;
use tokens::Tokens;

/// What is held for others.
#[derive(Debug)]
pub(crate) struct Storage {
    peers: PeerStore,
    claims: Claims,
    items: ItemStore,
    tokens: Tokens,
}

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) names: usize,
    /// Peers of all names.
    pub(crate) peers: usize,
    pub(crate) items: usize,
    /// Names that had to make room, with their peers, since the start.
    pub(crate) names_dropped: u64,
}

impl Storage {
    pub(crate) fn new(settings: &Settings, rng: &mut impl Rng, now: Instant) -> Self {
        Self {
            peers: PeerStore::new(settings.max_names),
            claims: Claims::new(now),
            items: ItemStore::new(settings.max_items),
            tokens: Tokens::new(rng, now),
        }
    }

    /// Drops what has ended, and changes the secret of the tokens when its time is over. Due every
    /// second.
    pub(crate) fn expire(&mut self, rng: &mut impl Rng, now: Instant) {
        self.tokens.rotate(rng, now);
        self.peers.expire(now);
        self.claims.expire(now);
    }

    /// Drops the peers that have ended.
    pub(crate) fn expire_peers(&mut self, now: Instant) {
        self.peers.expire(now);
    }

    pub(crate) fn held(&self) -> Held {
        Held {
            names: self.peers.len(),
            peers: self.peers.peers(),
            items: self.items.len(),
            names_dropped: self.peers.dropped(),
        }
    }

    /// Names, their bytes, announces of peers, items, and claims of addresses.
    pub(crate) fn bounds(&self) -> [Bound; 5] {
        let [names, name_bytes, peers] = self.peers.bounds();
        [names, name_bytes, peers, self.items.bound(), self.claims.bound()]
    }

    /// The token with which the node at this address may store something.
    pub(crate) fn token(&self, asker: &SocketAddr) -> Token {
        self.tokens.give(asker)
    }

    pub(crate) fn accepts_token(&self, asker: &SocketAddr, given: &[u8]) -> bool {
        self.tokens.accepts(asker, given)
    }

    /// The node at `source` announces something until then, which is reached at this IP: its own,
    /// or one that it claims. Returns whether it claimed another IP before: what it announced there
    /// is over.
    ///
    /// # Errors
    /// When there are too many claims.
    pub(crate) fn claim(
        &mut self,
        source: SocketAddr,
        ip: IpAddr,
        until: Instant,
        now: Instant,
    ) -> Result<bool, TooManyClaims> {
        let claimed = Some(ip).filter(|ip| *ip != source.ip());
        let former = self.claims.announced(source, claimed, until, now)?;
        Ok(former.is_some())
    }

    /// The node at this address is dead: it claims nothing any more.
    pub(crate) fn forget_claim(&mut self, source: &SocketAddr) {
        self.claims.forget(source);
    }

    /// A node announced a peer (again).
    pub(crate) fn add_peer(
        &mut self,
        name: &[u8],
        peer: SocketAddr,
        by: Announcer,
        rng: &mut impl Rng,
    ) {
        self.peers.announced(name, peer, by, rng);
    }

    /// A node announces a peer no more; others may go on.
    pub(crate) fn withdraw_peer(
        &mut self,
        name: &[u8],
        peer: &SocketAddr,
        node: &SocketAddr,
    ) -> Left {
        self.peers.withdrawn(name, peer, node)
    }

    /// Drops a peer, whichever node announced it.
    pub(crate) fn remove_peer(&mut self, name: &[u8], peer: &SocketAddr) {
        self.peers.remove(name, peer);
    }

    /// Drops what the node at this address announced; returns the names of it. What others
    /// announced too stays.
    pub(crate) fn remove_peers_of(&mut self, node: &SocketAddr) -> Vec<Name> {
        self.peers.remove_from(node)
    }

    /// Whether this holds for any peer of an address family.
    pub(crate) fn any_peer(
        &self,
        ipv6: bool,
        holds: impl Fn(&SocketAddr, &PeerRecord) -> bool,
    ) -> bool {
        self.peers.any(ipv6, holds)
    }

    pub(crate) fn has_peer(&self, name: &[u8], peer: &SocketAddr) -> bool {
        self.peers.has(name, peer)
    }

    /// The peers of a name that are alive now.
    pub(crate) fn peers(&mut self, name: &[u8], now: Instant) -> Option<&Peers> {
        self.peers.get(name, now)
    }

    /// The names that peers are held of.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.peers.names()
    }

    /// Holds an item, which another node put, or (`None`) our own. The same version of a mutable item
    /// with the same value is a refresh.
    ///
    /// # Errors
    /// When `cas` is not the stored item's `seq`, or the item's is not greater.
    pub(crate) fn put_item(
        &mut self,
        item: Item,
        cas: Option<i64>,
        from: Option<IpAddr>,
    ) -> Result<(), Conflict> {
        let ours = Ipv4Addr::UNSPECIFIED.into();
        self.items.put(item, cas, from.unwrap_or(ours))
    }

    pub(crate) fn item(&mut self, id: &Id) -> Option<&Item> {
        self.items.get(id)
    }
}
