//! Announces, withdrawals and items on their way to the nodes that are to hold them.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mainline::Id;

use super::{Service, holders};
use crate::addresses::unspecified;
use crate::closest::Closest;
use crate::errors::Errand;
use crate::failure_detector::NOBODY_ELSE;
use crate::item::Item;
use crate::krpc::{self, Method, Put, SignedFields};
use crate::routing::Routing;
use crate::rpc::Purpose;
use crate::{Operation, Outcome, PutError, Withdrawn};

/// How often an announce or a withdrawal is sent to a node that does not answer.
const TRIES: u8 = 4;

/// An IP at which a service is reached, and whether the other address family is preferred.
pub(crate) type Reach = (Option<IpAddr>, bool);

/// What is to be stored, or taken back.
#[derive(Debug)]
pub(crate) enum Payload {
    Announce {
        service: Service,
        until: Instant,
        ttl: Duration,
        /// It goes to one of the nodes that are to hold it, and not to the others.
        to_one: bool,
    },
    Withdrawal {
        service: Service,
    },
    Item {
        item: Box<Item>,
        cas: Option<i64>,
    },
    /// This node ends.
    Leave {
        port: u16,
    },
}

impl Payload {
    /// Whether only nodes of our kind understand it.
    fn is_extension(&self) -> bool {
        matches!(self, Self::Withdrawal { .. } | Self::Leave { .. })
    }

    /// The query for the node at an address. `reach` says where a service is reached: see
    /// `Engine::reach`.
    fn method<'a>(
        &'a self,
        to: &SocketAddr,
        token: &'a [u8],
        reach: impl Fn(u16) -> Reach,
    ) -> Method<'a> {
        match self {
            Self::Announce { service: (name, port), ttl, .. } => {
                let (ip, alt) = reach(*port);
                Method::AnnouncePeer {
                    info_hash: name.as_ref().into(),
                    port: Some(*port),
                    token: token.into(),
                    ttl: Some(*ttl),
                    ip,
                    alt,
                }
            }
            Self::Withdrawal { service: (name, port) } => Method::WithdrawPeer {
                info_hash: name.as_ref().into(),
                port: *port,
                token: token.into(),
                ip: reach(*port).0,
            },
            Self::Item { item, cas } => Method::Put(Box::new(Put {
                token: token.into(),
                value: item.encoded().into(),
                signed: item.signed().map(|signed| SignedFields {
                    key: signed.key.as_slice().into(),
                    signature: signed.signature.as_slice().into(),
                    seq: signed.seq,
                    salt: signed.salt.as_slice().into(),
                }),
                cas: *cas,
            })),
            // An unspecified address stands for us: which one others see is not always known.
            Self::Leave { port } => {
                Method::Dead { addr: unspecified(to, *port), depth: NOBODY_ELSE }
            }
        }
    }
}

/// One payload on its way to several nodes.
#[derive(Debug)]
pub(crate) struct ActiveStore {
    payload: Payload,
    /// The nodes were found by a lookup just now.
    looked_up: bool,
    operation: Option<Operation>,
    nodes: Vec<Closest>,
    /// How often the payload was sent to each node.
    tries: Vec<u8>,
    /// Transactions that somebody waits for.
    waited_for: Vec<u32>,
    /// Queries that are out, waited for or not.
    out: usize,
    confirmed: Vec<SocketAddr>,
    refusal: Option<(i64, String)>,
    settled: bool,
}

/// A node that the payload is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// Its place among the nodes of the store.
    pub(crate) at: usize,
    /// The query has a timeout: its silence is noted.
    pub(crate) has_timeout: bool,
    /// The store waits for its answer.
    pub(crate) waited_for: bool,
}

/// How a store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nodes are waited for.
    Waits,
    /// It has settled just now: its outcome is to be reported.
    Settles,
    /// It had settled before.
    Settled,
}

impl ActiveStore {
    /// `looked_up` says that the nodes were found by a lookup just now. Send to each of
    /// [`ActiveStore::recipients`].
    pub(crate) fn new(
        payload: Payload,
        looked_up: bool,
        nodes: Vec<Closest>,
        operation: Option<Operation>,
    ) -> Self {
        Self {
            payload,
            looked_up,
            operation,
            out: nodes.len(),
            tries: vec![1; nodes.len()],
            nodes,
            waited_for: Vec::new(),
            confirmed: Vec::new(),
            refusal: None,
            settled: false,
        }
    }

    pub(crate) fn payload(&self) -> &Payload {
        &self.payload
    }

    pub(crate) fn nodes(&self) -> &[Closest] {
        &self.nodes
    }

    pub(crate) fn confirmed(&self) -> &[SocketAddr] {
        &self.confirmed
    }

    pub(crate) fn operation(&self) -> Option<Operation> {
        self.operation
    }

    /// What the store is for.
    pub(crate) fn errand(&self) -> Errand<'_> {
        match &self.payload {
            Payload::Announce { service: (name, _), .. } => Errand::Announce(name),
            Payload::Withdrawal { service: (name, _) } => Errand::Withdraw(name),
            Payload::Item { item, .. } => Errand::Put(item.id()),
            Payload::Leave { .. } => Errand::Leave,
        }
    }

    /// What its queries are for, where this is the store's number.
    pub(crate) fn purpose(&self, number: u64) -> Purpose {
        if self.payload.is_extension() {
            Purpose::Extension(number)
        } else {
            Purpose::Store(number)
        }
    }

    /// The first recipients: all nodes. Those that were silent just now are not waited for.
    pub(crate) fn recipients(&self, routing: &Routing) -> Vec<Recipient> {
        let good = |addr: &SocketAddr| match &self.payload {
            // A node that leaves cannot send again later to those that are silent just now.
            Payload::Leave { .. } => true,
            Payload::Withdrawal { .. } => !routing.is_repeated_suspect(addr),
            Payload::Announce { .. } | Payload::Item { .. } => !routing.is_suspect(addr),
        };
        let recipient = |(at, node): (usize, &Closest)| {
            let waited_for = good(&node.contact.addr);
            Recipient { at, has_timeout: waited_for || self.payload.is_extension(), waited_for }
        };
        self.nodes.iter().enumerate().map(recipient).collect()
    }

    /// The query for one of its nodes. `reach` says where a service is reached.
    pub(crate) fn method(&self, at: usize, reach: impl Fn(u16) -> Reach) -> Method<'_> {
        let Closest { contact, token, .. } = &self.nodes[at];
        self.payload.method(&contact.addr, token, reach)
    }

    /// The payload was sent to a node, by this query.
    pub(crate) fn sent(&mut self, recipient: Recipient, transaction: u32) {
        if recipient.waited_for {
            self.waited_for.push(transaction);
        }
    }

    /// The node at an address confirmed. Returns it, with the service that it holds now.
    pub(crate) fn answered(&mut self, addr: SocketAddr) -> Option<(Service, Closest)> {
        self.confirmed.push(addr);
        self.out -= 1;
        let Payload::Announce { service, .. } = &self.payload else { return None };
        let node = self.nodes.iter().find(|node| node.contact.addr == addr)?;
        Some((service.clone(), node.clone()))
    }

    /// A node refused, or did not answer.
    pub(crate) fn failed(&mut self, refusal: Option<(i64, &str)>) {
        self.out -= 1;
        if let Some((code, message)) = refusal {
            // A refusal of the item (3xx) says more than a refusal by the node.
            let is_of_item = |code: i64| (300..400).contains(&code);
            if self
                .refusal
                .as_ref()
                .is_none_or(|(known, _)| is_of_item(code) && !is_of_item(*known))
            {
                self.refusal = Some((code, message.to_owned()));
            }
        }
    }

    /// The answer of the node at an address takes too long. Returns the node if the payload is to
    /// be sent once more: the packet, or its answer, may have been lost. A withdrawal is waited for
    /// as long as it is repeated: a node that leaves cannot repeat it later.
    pub(crate) fn slow(
        &mut self,
        transaction: u32,
        addr: &SocketAddr,
        is_announced: impl Fn(&Service) -> bool,
        routing: &Routing,
    ) -> Option<Recipient> {
        let waited_for = self.waited_for.contains(&transaction);
        self.waited_for.retain(|waited_for| *waited_for != transaction);
        let at = self.nodes.iter().position(|node| node.contact.addr == *addr)?;
        let withdraws = match &self.payload {
            // Stored twice, a compare-and-set would not match.
            Payload::Item { .. } => return None,
            Payload::Leave { .. } => true,
            Payload::Announce { service, .. } | Payload::Withdrawal { service } => {
                let withdraws = matches!(self.payload, Payload::Withdrawal { .. });
                // It may be the other way round by now.
                if withdraws == is_announced(service) {
                    return None;
                }
                withdraws
            }
        };
        // The Node.js Grape knows no withdrawal.
        let node = routing.node(&self.nodes[at].contact);
        let deaf = withdraws && node.is_some_and(|node| !node.ours);
        if deaf || self.tries[at] >= TRIES || self.confirmed.contains(addr) {
            return None;
        }
        self.tries[at] += 1;
        self.out += 1;
        Some(Recipient { at, has_timeout: true, waited_for: withdraws && waited_for })
    }

    /// How it stands by now. `is_open` says which queries are out.
    pub(crate) fn progress(&mut self, is_open: impl Fn(u32) -> bool) -> Progress {
        self.waited_for.retain(|transaction| is_open(*transaction));
        // The Node.js Grape never confirms a withdrawal, and never will.
        let enough = !self.confirmed.is_empty() || self.payload.is_extension();
        let settles = self.waited_for.is_empty() && (enough || self.out == 0);
        if self.settled {
            return Progress::Settled;
        }
        self.settled = settles;
        if settles { Progress::Settles } else { Progress::Waits }
    }

    /// Whether no query is out any more.
    pub(crate) fn is_over(&self) -> bool {
        self.out == 0
    }

    /// How many different nodes confirmed.
    fn held_by(&self) -> usize {
        let confirmed = |node: &&Closest| self.confirmed.contains(&node.contact.addr);
        holders::count(self.nodes.iter().filter(confirmed).map(|node| node.contact.id))
    }

    /// Whether tokens of an earlier time were used, and not all nodes confirmed: others are to be
    /// looked for.
    pub(crate) fn lacks_holders(&self) -> bool {
        !self.looked_up && self.out == 0 && self.held_by() < holders::count(ids(&self.nodes))
    }

    /// Whether every node refused a token of an earlier time: that is no last word, for a lookup
    /// brings new ones.
    pub(crate) fn has_old_tokens(&self) -> bool {
        let refused = matches!(self.refusal, Some((code, _)) if code == krpc::code::PROTOCOL);
        !self.looked_up && refused && self.confirmed.is_empty()
    }

    /// What it came to.
    pub(crate) fn outcome(&self) -> Outcome {
        match &self.payload {
            Payload::Announce { .. } | Payload::Leave { .. } => Outcome::Confirmed(self.held_by()),
            Payload::Withdrawal { .. } => Outcome::Withdrawn(Withdrawn::Here(self.held_by())),
            Payload::Item { item, .. } => {
                Outcome::Put(match (&self.refusal, self.confirmed.is_empty()) {
                    (_, false) => Ok(item.id()),
                    (Some((code, message)), true) => {
                        Err(PutError::Refused { code: *code, message: message.clone() })
                    }
                    (None, true) => Err(PutError::Unanswered),
                })
            }
        }
    }
}

fn ids(nodes: &[Closest]) -> impl Iterator<Item = Id> {
    nodes.iter().map(|node| node.contact.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diversity::Diversity;

    fn node(n: u8, now: Instant) -> Closest {
        let addr = SocketAddr::from(([10, 0, 0, n], 1));
        let contact = krpc::Contact { id: Id::from([n; 20]), addr };
        Closest { contact, token: Box::from(b"t".as_slice()), token_since: now }
    }

    fn service() -> Service {
        (b"rpc_test".as_slice().into(), 1337)
    }

    /// An announce to nodes 1 and 2, by queries 1 and 2.
    fn announce(looked_up: bool, now: Instant) -> (ActiveStore, Routing) {
        let diversity = Diversity::default();
        let routing = Routing::new(Id::from([0xff; 20]), Duration::from_secs(300), diversity, now);
        let ttl = Duration::from_secs(120);
        let payload =
            Payload::Announce { service: service(), until: now + ttl, ttl, to_one: false };
        let nodes = vec![node(1, now), node(2, now)];
        let mut store = ActiveStore::new(payload, looked_up, nodes, None);
        for (recipient, transaction) in store.recipients(&routing).into_iter().zip(1..) {
            assert!(recipient.waited_for && recipient.has_timeout);
            store.sent(recipient, transaction);
        }
        (store, routing)
    }

    #[test]
    fn an_announce_settles_when_no_answer_is_waited_for() {
        let now = crate::clock::now();
        let (mut store, _) = announce(true, now);
        assert_eq!(store.progress(|_| true), Progress::Waits);
        assert_eq!(store.answered(node(1, now).contact.addr), Some((service(), node(1, now))));
        assert_eq!(store.progress(|transaction| transaction == 2), Progress::Waits);
        store.failed(None);
        assert_eq!(store.progress(|_| false), Progress::Settles);
        assert_eq!(store.progress(|_| false), Progress::Settled);
        assert_eq!(store.outcome(), Outcome::Confirmed(1));
        assert!(store.is_over());
    }

    #[test]
    fn a_store_is_sent_to_a_silent_node_again_without_waiting() {
        let now = crate::clock::now();
        let (mut store, routing) = announce(true, now);
        let silent = node(1, now).contact.addr;
        for _ in 1..TRIES {
            let again = store.slow(1, &silent, |_| true, &routing);
            let expected = Recipient { at: 0, has_timeout: true, waited_for: false };
            assert_eq!(again, Some(expected));
        }
        assert_eq!(store.slow(1, &silent, |_| true, &routing), None, "often enough");
        let withdrawn = store.slow(2, &node(2, now).contact.addr, |_| false, &routing);
        assert_eq!(withdrawn, None, "it is announced no more");
    }

    #[test]
    fn old_tokens_that_all_refuse_are_no_last_word() {
        let now = crate::clock::now();
        let refusal = Some((krpc::code::PROTOCOL, "bad token"));
        let (mut looked_up, _) = announce(true, now);
        looked_up.failed(refusal);
        assert!(!looked_up.has_old_tokens());
        let (mut known, _) = announce(false, now);
        known.failed(refusal);
        assert!(known.has_old_tokens());
        known.answered(node(2, now).contact.addr);
        assert!(!known.has_old_tokens() && known.lacks_holders());
    }
}
