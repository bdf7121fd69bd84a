//! The messages of gossip: what a datagram says, apart from how it is written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::cookies::Cookie;
use super::limits::{MAX_DATAGRAM, MAX_GOSSIP_VALUE};
use crate::krpc::NetworkTag;

/// A key of a member's state.
pub type Key = Arc<str>;
/// A value: bytes that mean nothing to the machine.
pub type Value = Arc<[u8]>;
/// A group on the wire: the first 8 bytes of the SHA-1 of its name.
pub(super) type GroupTag = [u8; 8];

/// The first byte of each message. KRPC's is `d`.
pub(super) const FIRST_BYTE: u8 = b'g';
/// The second byte: the version of this format.
pub(super) const VERSION: u8 = 1;
/// Bytes before the lists.
pub(super) const HEADER: usize = 48;
/// Bytes of a message without entries: the header, how many members are known, and the lengths of
/// the three lists.
pub(super) const BARE: usize = HEADER + 2 + 3;
/// Bytes that the lists may have together.
pub(super) const ROOM: usize = MAX_DATAGRAM - BARE;
/// Bytes of a part of a long value. With a key, an IPv6 address and numbers at their longest, a part
/// fits a datagram.
pub(super) const PART: usize = 900;
/// Most parts of a value.
pub(super) const MAX_PARTS: usize = MAX_GOSSIP_VALUE.div_ceil(PART);
/// Most entries of each list.
pub(super) const MAX_LIST: usize = 255;
/// In place of the number of members: the answer need not name others.
pub(super) const ENOUGH: u16 = u16::MAX;

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) header: Header,
    /// How many live members the sender knows, or [`ENOUGH`]: the answer to one that knows fewer
    /// names members beyond those of the digest.
    pub(super) known: u16,
    /// What the sender knows of members.
    pub(super) digest: Vec<DigestEntry>,
    /// Members that do not answer the sender.
    pub(super) suspects: Vec<Suspect>,
    /// Changes of members.
    pub(super) deltas: Vec<Delta>,
}

/// What each message begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) network: Option<NetworkTag>,
    pub(super) group: GroupTag,
    /// The sender's.
    pub(super) generation: u64,
    /// How many beats the sender has lived.
    pub(super) heartbeat: u32,
    /// What the sender got from the receiver, or zeros.
    pub(super) yours: Cookie,
    /// What the receiver is to repeat.
    pub(super) mine: Cookie,
}

/// The messages of an exchange (van Renesse et al., 2008), and the proof of an address before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Begins an exchange: this is what I know.
    Syn,
    /// Answers a Syn: this is what you lack, and that is what I lack.
    SynAck,
    /// Answers a Syn of an address that has not proved itself: repeat my cookie.
    Challenge,
    /// Ends an exchange, or brings what is fresh.
    Ack,
}

/// What somebody knows of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DigestEntry {
    pub(super) addr: SocketAddr,
    pub(super) generation: u64,
    pub(super) heartbeat: u32,
    /// Changes up to this version are known.
    pub(super) version: u64,
    /// Tombstones up to this version were dropped.
    pub(super) collected: u64,
    /// The version of a long value of which some parts are there, and a bit for each part.
    pub(super) parts: Option<(u64, u8)>,
}

/// A member that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) addr: SocketAddr,
    pub(super) generation: u64,
    /// The last that the sender knows of.
    pub(super) heartbeat: u32,
}

/// Changes of one member's state: all after version `from`, up to version `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) addr: SocketAddr,
    pub(super) generation: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    /// As that of [`DigestEntry`], at the sender.
    pub(super) collected: u64,
    /// It is to be passed on at once.
    pub(super) fresh: bool,
    /// In the order of their versions, each above `from` and none above `to`, but for a part, which
    /// is alone.
    pub(super) changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) key: Key,
    pub(super) version: u64,
    /// How long the value is still there.
    pub(super) expires_in: Option<Duration>,
    pub(super) body: Body,
}

/// What became of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Set(Value),
    Unset,
    /// A part of a value of `total` bytes.
    Part {
        total: u16,
        index: u8,
        bytes: Arc<[u8]>,
    },
}

fn addr_len(addr: &SocketAddr) -> usize {
    if addr.is_ipv6() { 18 } else { 6 }
}

/// Bytes of a number in groups of seven bits.
fn number_len(number: u64) -> usize {
    (64 - number.leading_zeros()).div_ceil(7).max(1) as usize
}

impl DigestEntry {
    /// Its bytes in a message.
    pub(super) fn encoded_len(&self) -> usize {
        let parts = self.parts.map_or(0, |(version, _)| number_len(version) + 1);
        let numbers = [self.generation, self.heartbeat.into(), self.version, self.collected];
        1 + addr_len(&self.addr) + numbers.into_iter().map(number_len).sum::<usize>() + parts
    }
}

impl Suspect {
    /// Its bytes in a message.
    pub(super) fn encoded_len(&self) -> usize {
        1 + addr_len(&self.addr) + number_len(self.generation) + number_len(self.heartbeat.into())
    }
}

impl Delta {
    /// Its bytes in a message, without changes.
    pub(super) fn head_len(&self) -> usize {
        // `to` grows with the changes: a version's longest form is reserved for it.
        let numbers = [self.generation, self.from, u64::MAX, self.collected];
        2 + addr_len(&self.addr) + numbers.into_iter().map(number_len).sum::<usize>()
    }

    /// Its bytes in a message, at most.
    pub(super) fn encoded_len(&self) -> usize {
        self.head_len() + self.changes.iter().map(Change::encoded_len).sum::<usize>()
    }
}

impl Change {
    /// Its bytes in a message.
    pub(super) fn encoded_len(&self) -> usize {
        let expiry = self.expires_in.map_or(0, |left| number_len(millis(left)));
        let body = match &self.body {
            Body::Set(value) => number_len(value.len() as u64) + value.len(),
            Body::Unset => 0,
            Body::Part { total, bytes, .. } => {
                number_len((*total).into()) + 1 + number_len(bytes.len() as u64) + bytes.len()
            }
        };
        2 + self.key.len() + number_len(self.version) + expiry + body
    }
}

/// Longest time that an expiry can say: 34 years.
pub(super) const MAX_EXPIRY: Duration = Duration::from_millis(1 << 40);

/// An expiry on the wire.
pub(super) fn millis(left: Duration) -> u64 {
    u64::try_from(left.min(MAX_EXPIRY).as_millis()).unwrap_or(0)
}
