//! What a node must keep to, whatever comes in: `docs/threat-model.md` has the numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use grape_engine::krpc::{self, Body};
use grape_engine::{Engine, canonical, host_of, impossible};

/// Most bytes of a datagram without a BEP 44 value: the least MTU of IPv6 without its headers.
const MTU: usize = 1232;
/// Most bytes of a value with what makes it mutable: key, signature, `seq`, salt and token.
const VALUE: usize = 1500;
/// Bytes of the ping by which a node has an asker prove its address.
const PING: usize = 100;
/// Most datagrams that one datagram may bring about.
const DATAGRAMS: usize = 128;
/// Whole answers each second: to one host, and to all.
const WHOLE: (u64, u64) = (3, 200);
/// Beyond those, an answer has at most so many times the bytes of its query.
const TIMES: usize = 3;
/// Peers that are kept for each name that may be.
const PEERS_OF_A_NAME: usize = 15;

/// What was sent to addresses that have answered nothing.
#[derive(Debug)]
pub struct Bounds {
    start: Instant,
    /// Those that have answered a query, at least once.
    answered: BTreeSet<SocketAddr>,
    /// How many answers to each host were whole.
    whole: BTreeMap<IpAddr, u64>,
    all: u64,
}

impl Bounds {
    pub fn new(start: Instant) -> Self {
        Self { start, answered: BTreeSet::new(), whole: BTreeMap::new(), all: 0 }
    }

    /// An address answers a query of the node.
    pub fn answers(&mut self, from: SocketAddr) {
        self.answered.insert(canonical(from));
    }

    /// A datagram came in, and these went out.
    pub fn datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        sent: &[(SocketAddr, Vec<u8>)],
        now: Instant,
    ) {
        assert!(sent.len() <= DATAGRAMS, "{} datagrams for one", sent.len());
        let from = canonical(from);
        if from.ip().is_loopback() || self.answered.contains(&from) {
            return;
        }
        let back = sent.iter().filter(|(to, _)| *to == from).map(|(_, sent)| sent);
        let (queries, answers): (Vec<_>, Vec<_>) = back.partition(|sent| is_query(sent));
        assert!(
            queries.len() <= 1 && answers.len() <= 1,
            "more than an answer and a ping to {from}"
        );
        let ping = queries.first().map_or(0, |query| query.len());
        assert!(ping <= PING, "{ping} bytes beside the answer");
        let Some(answer) = answers.first().map(|answer| answer.len()) else { return };
        if answer <= TIMES * datagram.len() {
            return;
        }
        let seconds = (now - self.start).as_secs() + 1;
        let whole = self.whole.entry(host_of(from.ip())).or_default();
        *whole += 1;
        self.all += 1;
        assert!(
            *whole <= WHOLE.0 * (seconds + 1) && self.all <= WHOLE.1 * (seconds + 1),
            "{whole} whole answers to {from}, {} to all in {seconds} s: the last of {answer} bytes \
             to {}",
            self.all,
            datagram.len(),
        );
    }

    /// Every datagram that is sent has an address, and fits a path.
    pub fn sent(to: SocketAddr, datagram: &[u8], longest_in: usize) {
        assert!(to.port() != 0 && impossible(to.ip()).is_none(), "sent to {to}");
        // The transaction id of a query comes back whole.
        let most = MTU.max(longest_in + 200).max(VALUE);
        assert!(datagram.len() <= most, "{} bytes to {to}", datagram.len());
    }

    /// What the node holds for others.
    pub fn held(engine: &Engine, max_names: usize, max_items: usize) {
        let stats = engine.stats();
        assert!(stats.names_held <= max_names, "{} names of {max_names}", stats.names_held);
        assert!(stats.items_held <= max_items, "{} items of {max_items}", stats.items_held);
        let most = PEERS_OF_A_NAME * max_names;
        assert!(stats.peers_held <= most, "{} peers of {most}", stats.peers_held);
        assert!(stats.announced <= max_names, "{} announces of {max_names}", stats.announced);
    }
}

fn is_query(datagram: &[u8]) -> bool {
    let message = krpc::decode(datagram).expect("what the node sends can be read");
    matches!(message.body, Body::Query(_))
}

/// How long an operation may take: a lookup, stores, and what is asked again.
pub const LONGEST_OPERATION: Duration = Duration::from_secs(120);
