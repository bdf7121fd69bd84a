//! What the machine wants done, and what it reports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{Key, Value};
use super::name::MemberName;

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GossipEffect {
    /// Send a datagram of at most [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes.
    Send {
        /// To which member, or to which address that may be one.
        to: SocketAddr,
        /// What.
        datagram: Vec<u8>,
    },
    /// Something happened in a group.
    Event {
        /// The group's name.
        group: Arc<str>,
        /// What happened.
        event: GossipEvent,
    },
    /// A Grape of another network sent a datagram, which was refused. Reported once for each
    /// address, of 256 at most.
    OtherNetwork(SocketAddr),
}

/// What happened in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GossipEvent {
    /// A member was seen for the first time, or started again with its keys gone.
    NewPeer {
        /// The member's address.
        peer: SocketAddr,
        /// Its generation: it grows with each start.
        generation: u64,
    },
    /// A member that had failed is back, perhaps of a higher generation and with its keys gone.
    PeerAlive {
        /// The member's address.
        peer: SocketAddr,
        /// Its generation.
        generation: u64,
    },
    /// A member does not answer.
    PeerFailed {
        /// The member's address.
        peer: SocketAddr,
    },
    /// A member set a key, or unset it.
    Update {
        /// The member's address.
        peer: SocketAddr,
        /// The key.
        key: Key,
        /// The new value; none if the key was unset.
        value: Option<Value>,
    },
    /// A key's time is over.
    Expire {
        /// The member's address.
        peer: SocketAddr,
        /// The key.
        key: Key,
    },
}

/// A member as another sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct GossipPeer {
    /// Its address.
    pub addr: SocketAddr,
    /// When it started: milliseconds of its clock, or one more than before.
    pub generation: u64,
    /// Grows five times a second while it runs, here with the last news of it.
    pub heartbeat: u32,
    /// Whether it is live, and not failed.
    pub live: bool,
    /// How surprising its silence is: the phi of the accrual failure detector, 0 or more.
    pub phi: f64,
    /// Since when it is live, or failed.
    pub since: Instant,
    /// When its last heartbeat came, from itself or through others.
    pub heartbeat_at: Instant,
    /// How many keys it has.
    pub keys: usize,
    /// Its name, if it has one. Nobody has checked that the name is its own.
    pub name: Option<MemberName>,
}

/// A key of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GossipItem {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Value,
    /// Grows with each change of any key of the member.
    pub version: u64,
    /// How long it is still there; none if it does not expire.
    pub expires_in: Option<Duration>,
}

/// What a machine has counted since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GossipCounters {
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Bytes of datagrams sent.
    pub bytes_sent: u64,
    /// Datagrams taken in.
    pub packets_received: u64,
    /// Bytes of datagrams taken in.
    pub bytes_received: u64,
    /// Datagrams that were not sent, since too many were.
    pub throttled: u64,
    /// Datagrams that do not read as messages.
    pub malformed: u64,
    /// Datagrams of other networks.
    pub other_network: u64,
    /// Datagrams of groups that were not joined.
    pub other_group: u64,
    /// Datagrams of addresses that have not proved themselves, and that could only be answered by a
    /// challenge.
    pub unproved: u64,
    /// Members that were left out: the group is full.
    pub members_left_out: u64,
    /// Addresses that others named and that were not asked, for too many are.
    pub candidates_left_out: u64,
    /// Keys of other members that were left out, since they pass a bound.
    pub keys_left_out: u64,
    /// How often this member took a higher generation, since others held a state of it that it does
    /// not know.
    pub generations_raised: u64,
}
