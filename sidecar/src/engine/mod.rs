//! The node as a state machine, without I/O: packets and time go in, effects come out.

mod item;
mod status;

pub use item::{Item, ItemError, MAX_SALT, MAX_VALUE, Signed, Value};
pub use status::{Announced, MAX_LISTED, Neighbour, QUERY_METHODS, Stats, Status};

use mainline::Id;

/// An item that a `get` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The node that answered; this node itself for an item held here.
    pub from: Id,
    /// The write token that came with the answer; none for an item held here.
    pub token: Option<Vec<u8>>,
    /// The item, checked.
    pub item: Item,
}

/// Why a `put` stored nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Every node that answered refused: the code and message are BEP 44's, as in
    /// `301 CAS mismatch, re-read and try again`.
    #[error("{code} {message}")]
    Refused {
        /// 301 compare-and-set, 302 sequence number, 205 to 207 an unfit item, 203 protocol.
        code: i64,
        /// The first refusing node's message.
        message: String,
    },
    /// Nodes were asked, and none answered.
    #[error("All queries failed")]
    Unanswered,
}
