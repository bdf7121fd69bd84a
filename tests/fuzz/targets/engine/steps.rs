//! What happens to a node: made of libFuzzer's bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arbitrary::Arbitrary;
use grape_engine::MAX_NAME;
use mainline::Id;

/// One life of a node.
#[derive(Debug, Arbitrary)]
pub struct Life {
    pub node: NodeSettings,
    pub steps: Vec<Step>,
}

/// What the node is made with.
#[derive(Debug, Arbitrary)]
pub struct NodeSettings {
    /// Most names and most items, less 1.
    pub capacity: u8,
    pub bound_to_all: bool,
    pub names_its_network: bool,
    pub awaits_seeds: bool,
    pub advertises: bool,
}

/// One thing that happens.
#[derive(Debug, Arbitrary)]
pub enum Step {
    /// Bytes come in.
    Raw {
        from: Place,
        bytes: Vec<u8>,
    },
    /// A query comes in.
    Query {
        from: Place,
        query: Query,
    },
    /// A node that was asked answers: the one asked last but `nth`.
    Answer {
        nth: u8,
        answer: Answer,
    },
    /// It answers with an error.
    Error {
        nth: u8,
        code: u16,
    },
    /// Time passes, in milliseconds. Timers go off at their times.
    Wait(u16),
    /// Time passes, in seconds. Timers go off late, all together.
    Sleep(u8),
    Operation(Operation),
}

/// A query of another node.
#[derive(Debug, Arbitrary)]
pub struct Query {
    pub sender: Option<Ident>,
    pub read_only: bool,
    pub both_families: bool,
    pub of_our_kind: bool,
    pub names_network: bool,
    /// Bytes of the transaction id.
    pub transaction: u8,
    pub method: Method,
    /// A byte at a place is another one.
    pub damage: Option<(u16, u8)>,
}

/// What it asks.
#[derive(Debug, Arbitrary)]
pub enum Method {
    Ping {
        watch: Option<bool>,
    },
    FindNode {
        target: Ident,
    },
    GetPeers {
        name: Name,
    },
    Announce {
        name: Name,
        port: Option<u8>,
        forged: bool,
        ttl: Option<u32>,
        ip: Option<Place>,
        alt: bool,
    },
    Withdraw {
        name: Name,
        port: u8,
        forged: bool,
        ip: Option<Place>,
    },
    Get {
        item: Choice,
        seq: Option<i64>,
    },
    Put {
        item: Choice,
        forged: bool,
        cas: Option<i8>,
    },
    Dead {
        addr: Place,
        depth: u8,
    },
    Withdrawn {
        name: Name,
        addr: Place,
        depth: u8,
    },
    Forgotten,
    Unknown(u8),
}

/// What a node answers.
#[derive(Debug, Arbitrary)]
pub struct Answer {
    /// The id that it claims; its own where there is none.
    pub id: Option<Ident>,
    pub nodes: Vec<(Ident, Place)>,
    pub peers: Vec<Peer>,
    /// Bytes of the write token.
    pub token: Option<u8>,
    pub item: Option<Choice>,
    pub watch: bool,
    pub of_our_kind: bool,
    pub names_network: bool,
}

/// A peer in an answer.
#[derive(Debug, Arbitrary)]
pub struct Peer {
    pub addr: Place,
    pub ttl: Option<u16>,
    pub node_port: Option<u8>,
    pub announcers: Vec<Place>,
    pub alt: bool,
}

/// What a service, or the program around the node, wants.
#[derive(Debug, Arbitrary)]
pub enum Operation {
    Lookup(Name),
    Announce(Name, u8),
    Withdraw(Name, u8),
    Put(Choice, Option<i8>),
    Get(Choice, bool),
    Subscribe(Name),
    Unsubscribe(Name),
    Join(Vec<Place>, bool),
    AskSeedsAgain(Vec<Place>, bool),
    Introduce(Vec<Place>),
    SetHostAddresses(Vec<Place>),
    SetExternal(Place),
    MoveTo(Place),
    Drain,
    Leave,
}

/// An item, by its number.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Choice(pub u8);

/// An address, by its number.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Place(pub u8);

impl Place {
    /// Mostly hosts of one network; some addresses that mean more, or nothing.
    pub fn addr(self) -> SocketAddr {
        let n = self.0;
        let ip: IpAddr = match n {
            0..128 => Ipv4Addr::new(10, 0, 0, n).into(),
            128..192 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n.into()).into(),
            192..208 => Ipv6Addr::new(0x2a00, 0, 0, u16::from(n) % 4, 0, 0, 0, n.into()).into(),
            208..224 => Ipv4Addr::LOCALHOST.into(),
            224..232 => Ipv4Addr::new(10, 0, 0, n).to_ipv6_mapped().into(),
            232..240 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n.into()).into(),
            240..244 => Ipv4Addr::new(224, 0, 0, n).into(),
            244..248 => Ipv4Addr::new(0, 0, 0, n % 2).into(),
            248..250 => Ipv4Addr::BROADCAST.into(),
            250..252 => Ipv6Addr::LOCALHOST.into(),
            252..254 => Ipv6Addr::UNSPECIFIED.into(),
            254..=255 => Ipv4Addr::new(10, 0, 0, 1).into(),
        };
        let port = match n {
            208..224 => 20001 + u16::from(n) % 4,
            254 => 0,
            255 => 1,
            _ => 20001,
        };
        SocketAddr::new(ip, port)
    }
}

/// A node's id, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub struct Ident(pub u8);

impl Ident {
    /// 0 is the node's own. Every other one begins with its number, and ends near the node's.
    pub fn id(self) -> Id {
        let mut bytes = [0; 20];
        bytes[0] = self.0;
        Id::from(bytes)
    }
}

/// A service's name, by its number.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Name(pub u8);

impl Name {
    pub fn bytes(self) -> Vec<u8> {
        match self.0 {
            n @ 0..252 => vec![b'a' + n % 32; 1 + usize::from(n / 32)],
            252 => Vec::new(),
            253 => vec![b'x'; MAX_NAME],
            254 => vec![b'x'; MAX_NAME + 1],
            255 => Ident(0).id().as_bytes().to_vec(),
        }
    }
}
