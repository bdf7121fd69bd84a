//! KRPC: the messages of the DHT, as bencode, both ways (BEP 5, BEP 32, BEP 44), with Grape's ways.
//!
//! Grapes put the raw service name into `info_hash`, so that names and targets are byte strings of
//! any length here, and so are transaction ids. Messages are read as npm's Grapes read them, with a
//! dictionary's keys in any order, the last of two that are the same; they are written in order.
//!
//! Extensions, which other implementations ignore:
//!
//! | where | what | says |
//! |---|---|---|
//! | answer to `get_peers` | `ttl` | for each peer how long it is valid, 3 bytes of milliseconds |
//! | | `dp` | the DHT port of the node that announced it: 2 bytes for all peers, or for each; 0 where it is not known |
//! | | `by` | for each of the first peers the addresses of all nodes that announced it, compact, where `dp` cannot say them: several nodes, or one at another IP. An IP of zeros is the answerer's own |
//! | | `alt` | a bit for each peer, the highest of a byte first: the same service is announced over the other address family, which is preferred |
//! | `announce_peer` | `ttl` | how long the peer is valid, in milliseconds |
//! | | `alt` | 1: as in the answer |
//! | | `ip` | the service is reached at this IP of the query's address family, 4 or 16 bytes, and not at the one that the query comes from |
//! | answer to a read-only `find_node` | `nodes` | the answerer, too: it may have been found through a load balancer |
//! | `withdraw_peer` | a query | the sender announces the peer no more; others may go on |
//! | | `ip` | as in `announce_peer` |
//! | `ping` | `watch` | 1: notify the others if I fall silent; 0: no more |
//! | answer to `ping` | `watch` | 1: I will |
//! | `dead` | a query | the node at `addr` is silent; pass this on to the `depth`-th subtree and deeper |
//! | `withdrawn` | a query | the peer `addr` of `info_hash` was withdrawn; pass this on as above |
//! | `forgotten` | a query | I had marked you dead, and dropped your announces |
//! | every message | `vn` | the sender's network, beside `v`: 8 bytes, see [`Message::network`] |
//!
//! Who knows them says so by BEP 5's `v`, which is [`VERSION`].

mod bencode;
mod compact;
mod decode;
mod encode;
mod fields;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mainline::Id;

pub use bencode::{read_value, value_depth};
pub use compact::{NODE_V4, NODE_V6, PEER_V4, PEER_V6};
pub use decode::{Malformed, decode};
pub use encode::{EncodeError, encode};

/// Codes of KRPC errors (BEP 5, BEP 44).
pub mod code {
    /// A malformed packet, an invalid argument, or a bad token.
    pub const PROTOCOL: i64 = 203;
    /// A method that is not known.
    pub const METHOD_UNKNOWN: i64 = 204;
    /// A compare-and-set that did not match.
    pub const CAS_MISMATCH: i64 = 301;
    /// A sequence number that is not greater than the stored one.
    pub const SEQ_TOO_LOW: i64 = 302;
}

/// What we say in `v` (BEP 5): a Grape of this kind, and the version of its extensions. Nobody has
/// registered the first two bytes in BEP 20.
pub const VERSION: [u8; 4] = *b"Gp01";

/// A network on the wire: the first 8 bytes of the SHA-1 of its name. It is short, since every
/// message has it. It proves nothing: anyone who knows the name can send it.
pub type NetworkTag = [u8; 8];

/// Bytes that `vn` takes in a message.
pub const NETWORK_TAG_FIELD: usize = 14;

/// Longest time to live that `ttl` in an answer can say: 24 bits of milliseconds.
pub const MAX_TTL: Duration = Duration::from_millis(0x00ff_ffff);

/// Most announcers that are sent for one peer.
pub const MAX_ANNOUNCERS: usize = 8;

/// Another node: its id and where it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contact {
    /// The node's id.
    pub id: Id,
    /// Its UDP address.
    pub addr: SocketAddr,
}

/// One datagram.
///
/// ```
/// use grape_engine::krpc::{Body, Message, Method, Query, VERSION, Want, decode, encode};
///
/// let ping = Message {
///     transaction_id: b"aa".as_slice().into(),
///     version: Some(VERSION),
///     network: None,
///     body: Body::Query(Query {
///         sender: Some([7; 20].into()),
///         read_only: false,
///         want: Want::default(),
///         method: Method::Ping { watch: None },
///     }),
/// };
/// let datagram = encode(&ping).unwrap();
/// assert_eq!(decode(&datagram).unwrap(), ping);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    /// Chosen by the asker, any length, echoed by the answerer.
    pub transaction_id: Cow<'a, [u8]>,
    /// The sender's program, where it says so in four bytes.
    pub version: Option<[u8; 4]>,
    /// The network that the sender belongs to, where it names one (extension). Who names none is of
    /// any network: npm's Grapes, older ones of ours, and those without `--network`.
    pub network: Option<NetworkTag>,
    /// What the datagram says.
    pub body: Body<'a>,
}

impl Message<'_> {
    /// Whether a Grape of our kind sent it, of any version.
    pub fn is_ours(&self) -> bool {
        self.version.is_some_and(|version| version[..2] == VERSION[..2])
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'a> {
    /// A question (`y` = `q`).
    Query(Query<'a>),
    /// An answer (`y` = `r`).
    Response(Box<Response<'a>>),
    /// A refusal (`y` = `e`).
    Error {
        /// One of [`code`], or another.
        code: i64,
        /// For people.
        message: Cow<'a, str>,
    },
}

/// A question with who asks it.
#[derive(Debug, Clone, PartialEq)]
pub struct Query<'a> {
    /// The asking node; none when it named itself in no way that we know.
    pub sender: Option<Id>,
    /// The asker answers no queries itself (BEP 43).
    pub read_only: bool,
    /// Which kinds of nodes the asker wants (BEP 32).
    pub want: Want,
    /// The question.
    pub method: Method<'a>,
}

/// Which kinds of nodes an asker wants (BEP 32); neither means those of the address family that
/// the query came over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// IPv4 nodes.
    pub n4: bool,
    /// IPv6 nodes.
    pub n6: bool,
}

/// The questions that nodes ask each other.
#[derive(Debug, Clone, PartialEq)]
pub enum Method<'a> {
    /// Are you there?
    Ping {
        /// Notify the others if I fall silent, or no longer do so (extension).
        watch: Option<bool>,
    },
    /// Which nodes do you know that are closest to `target`?
    FindNode {
        /// A node id, as a rule.
        target: Cow<'a, [u8]>,
    },
    /// Who announced this name?
    GetPeers {
        /// The name.
        info_hash: Cow<'a, [u8]>,
    },
    /// I serve this name.
    AnnouncePeer {
        /// The name.
        info_hash: Cow<'a, [u8]>,
        /// The service's port; none means the port that the query came from (`implied_port`).
        port: Option<u16>,
        /// From the answer to `get_peers`.
        token: Cow<'a, [u8]>,
        /// How long the peer is valid (extension); by default as long as the answerer keeps any.
        ttl: Option<Duration>,
        /// The IP at which the service is reached (extension); the query's own when none.
        ip: Option<IpAddr>,
        /// The service is announced over the other address family too, and is rather to be reached
        /// there (extension).
        alt: bool,
    },
    /// I serve this name no more (extension).
    WithdrawPeer {
        /// The name.
        info_hash: Cow<'a, [u8]>,
        /// The service's port.
        port: u16,
        /// From the answer to `get_peers`.
        token: Cow<'a, [u8]>,
        /// As that of [`Method::AnnouncePeer`].
        ip: Option<IpAddr>,
    },
    /// What is stored under `target`? (BEP 44)
    Get {
        /// The item's id.
        target: Cow<'a, [u8]>,
        /// Answer with the value only if it is newer than this.
        seq: Option<i64>,
    },
    /// Store this. (BEP 44)
    Put(Box<Put<'a>>),
    /// A node is silent (extension).
    Dead {
        /// Its address.
        addr: SocketAddr,
        /// Pass it on to nodes whose ids share this many leading bits with yours, or more.
        depth: u8,
    },
    /// A peer was withdrawn (extension).
    Withdrawn {
        /// The name.
        info_hash: Cow<'a, [u8]>,
        /// The peer.
        addr: SocketAddr,
        /// As that of [`Method::Dead`].
        depth: u8,
    },
    /// I had marked you dead, and dropped your announces (extension).
    Forgotten,
    /// A method that we do not know.
    Unknown {
        /// Its name.
        name: Cow<'a, [u8]>,
    },
    /// A method that we know, with arguments that are missing or of the wrong kind.
    Invalid {
        /// The method's name.
        name: &'static str,
        /// The argument at fault.
        argument: &'static str,
    },
}

impl Method<'_> {
    /// The method's name on the wire.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Ping { .. } => b"ping",
            Self::FindNode { .. } => b"find_node",
            Self::GetPeers { .. } => b"get_peers",
            Self::AnnouncePeer { .. } => b"announce_peer",
            Self::WithdrawPeer { .. } => b"withdraw_peer",
            Self::Get { .. } => b"get",
            Self::Put(_) => b"put",
            Self::Dead { .. } => b"dead",
            Self::Withdrawn { .. } => b"withdrawn",
            Self::Forgotten => b"forgotten",
            Self::Unknown { name } => name,
            Self::Invalid { name, .. } => name.as_bytes(),
        }
    }
}

/// The arguments of `put` (BEP 44).
#[derive(Debug, Clone, PartialEq)]
pub struct Put<'a> {
    /// From the answer to `get`.
    pub token: Cow<'a, [u8]>,
    /// The value, as bencode: see [`read_value`].
    pub value: Cow<'a, [u8]>,
    /// Who signed it, for a mutable item.
    pub signed: Option<SignedFields<'a>>,
    /// The `seq` that the stored item must have.
    pub cas: Option<i64>,
}

/// What makes an item mutable, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFields<'a> {
    /// The ed25519 public key.
    pub key: Cow<'a, [u8]>,
    /// The signature.
    pub signature: Cow<'a, [u8]>,
    /// The version.
    pub seq: i64,
    /// The salt; empty for none, and never in an answer to `get`.
    pub salt: Cow<'a, [u8]>,
}

/// An answer. One shape for all methods, as on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct Response<'a> {
    /// The answering node.
    pub id: Id,
    /// Nodes closest to what was asked for.
    pub nodes: Vec<Contact>,
    /// Peers of the name.
    pub peers: Vec<Peer>,
    /// Lets the asker announce or put.
    pub token: Option<Cow<'a, [u8]>>,
    /// The stored value, as bencode: see [`read_value`].
    pub value: Option<Cow<'a, [u8]>>,
    /// Who signed it.
    pub signed: Option<SignedFields<'a>>,
    /// The answerer will notify the others if the asker falls silent (extension).
    pub watch: bool,
}

/// A peer in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where the service is.
    pub addr: SocketAddr,
    /// How long it is valid, if the answerer says so.
    pub ttl: Option<Duration>,
    /// The DHT port of the node that announced it, whose IP is the peer's, where the answerer says
    /// so; never 0.
    pub node_port: Option<u16>,
    /// All nodes that announced it, at most [`MAX_ANNOUNCERS`], of the peer's address family, where
    /// `node_port` cannot say who they are. An unspecified IP is the answerer's own.
    pub announcers: Vec<SocketAddr>,
    /// The service is announced over the other address family too, and is rather to be reached
    /// there.
    pub alt: bool,
}

impl Peer {
    /// A peer of which only the address is known.
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, ttl: None, node_port: None, announcers: Vec::new(), alt: false }
    }
}

impl Response<'_> {
    /// An answer that says only who answers.
    pub fn new(id: Id) -> Self {
        Self {
            id,
            nodes: Vec::new(),
            peers: Vec::new(),
            token: None,
            value: None,
            signed: None,
            watch: false,
        }
    }
}

#[cfg(test)]
mod tests;
