//! Our queries under way: to which node each was sent and what for, how long its answer may take,
//! and how many strangers are asked at a time.
//!
//! | file | concern |
//! |---|---|
//! | `transactions.rs` | queries that are out, by their transaction ids |
//! | `round_trip.rs` | measured round trips, and the timeouts that follow from them |

mod round_trip;
mod transactions;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ahash::RandomState;
use lru::LruCache;
use rand::Rng;

use crate::Bound;

pub(crate) use round_trip::RoundTrip;
use transactions::Transactions;
pub(crate) use transactions::{Pending, Purpose};

/// Most strangers that are asked at a time. Beyond it the oldest is given up, so that strangers
/// that never answer do not keep others out.
const MAX_STRANGERS: usize = 1024;

/// Who answered is believed to be where its datagrams come from for this long, as with tokens.
const PROVEN_FOR: Duration = Duration::from_secs(600);
/// Most addresses of which this is remembered.
const MAX_PROVEN: usize = 4096;

/// The queries that are out.
#[derive(Debug)]
pub(crate) struct Rpc {
    transactions: Transactions,
    /// Of all nodes together: what is expected of one that was never asked.
    round_trip: Option<RoundTrip>,
    /// Nodes that have to answer a ping before they are added, each with the ping's transaction.
    strangers: LruCache<SocketAddr, u32>,
    /// Addresses that answered, and when they last did.
    proven: LruCache<SocketAddr, Instant, RandomState>,
}

impl Rpc {
    pub(crate) fn new() -> Self {
        // Unbounded with a bound of our own, so that an empty one takes no memory.
        let strangers = LruCache::unbounded();
        Self {
            transactions: Transactions::default(),
            round_trip: None,
            strangers,
            proven: LruCache::unbounded_with_hasher(RandomState::new()),
        }
    }

    /// Addresses that answered lately, and strangers that are pinged.
    pub(crate) fn bounds(&self) -> [Bound; 2] {
        let proven = Bound { used: self.proven.len(), most: MAX_PROVEN };
        [proven, Bound { used: self.strangers.len(), most: MAX_STRANGERS }]
    }

    /// A query is sent. Returns its transaction id.
    pub(crate) fn open(&mut self, pending: Pending, rng: &mut impl Rng) -> u32 {
        let stranger = (pending.purpose == Purpose::Newcomer).then_some(pending.to);
        let transaction = self.transactions.open(pending, rng);
        if let Some(addr) = stranger {
            self.strangers.put(addr, transaction);
            if self.strangers.len() > MAX_STRANGERS
                && let Some((_, oldest)) = self.strangers.pop_lru()
            {
                self.transactions.close(oldest);
            }
        }
        transaction
    }

    /// Whether a stranger at this address was pinged, and may still answer.
    pub(crate) fn asks_stranger(&self, addr: &SocketAddr) -> bool {
        self.strangers.contains(addr)
    }

    /// The query that an answer from this address is for. It is closed.
    pub(crate) fn answered(
        &mut self,
        transaction: &[u8],
        from: SocketAddr,
        now: Instant,
    ) -> Option<Pending> {
        let pending = self.transactions.answered(transaction, from)?;
        self.proven.put(from, now);
        if self.proven.len() > MAX_PROVEN {
            self.proven.pop_lru();
        }
        self.closed(Some(pending))
    }

    /// Whether what comes from this address is not forged: it answered a query lately.
    pub(crate) fn is_proven(&self, addr: &SocketAddr, now: Instant) -> bool {
        let answered = self.proven.peek(addr);
        answered.is_some_and(|at| now.saturating_duration_since(*at) < PROVEN_FOR)
    }

    /// Whether so many addresses answered lately.
    pub(crate) fn has_proven(&self, count: usize, now: Instant) -> bool {
        // The one that answered last is the first.
        let last = self.proven.iter().nth(count.saturating_sub(1));
        last.is_some_and(|(addr, _)| self.is_proven(addr, now))
    }

    /// The query's time is over. It is closed.
    pub(crate) fn timed_out(&mut self, transaction: u32) -> Option<Pending> {
        let pending = self.transactions.close(transaction);
        self.closed(pending)
    }

    fn closed(&mut self, pending: Option<Pending>) -> Option<Pending> {
        if let Some(Pending { to, purpose: Purpose::Newcomer, .. }) = &pending {
            self.strangers.pop(to);
        }
        pending
    }

    /// A query that is out.
    pub(crate) fn pending(&self, transaction: u32) -> Option<&Pending> {
        self.transactions.get(transaction)
    }

    /// An answer came after this time.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = Some(RoundTrip::measure(self.round_trip, round_trip));
    }

    /// How long the answer of a node may take before others need not wait for it. `node` is its own
    /// round trip, if it was measured.
    pub(crate) fn timeout(&self, node: Option<RoundTrip>) -> Duration {
        RoundTrip::timeout(node.or(self.round_trip))
    }

    /// The same, but at least this long, and just as long where nothing was measured yet.
    pub(crate) fn timeout_of_at_least(&self, least: Duration, node: Option<RoundTrip>) -> Duration {
        match node.or(self.round_trip) {
            None => least,
            known => RoundTrip::timeout(known).max(least),
        }
    }

    /// Gives back room that a burst took.
    pub(crate) fn shrink(&mut self) {
        self.transactions.shrink();
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn ping(n: u16) -> Pending {
        let to = SocketAddr::from(([10, 0, 0, 1], n));
        Pending { to, id: None, sent: crate::clock::now(), purpose: Purpose::Newcomer }
    }

    #[test]
    fn a_stranger_may_be_asked_again_once_its_query_is_closed() {
        let (mut rpc, mut rng) = (Rpc::new(), StdRng::seed_from_u64(1));
        let (answers, silent) = (ping(1), ping(2));
        let answered = rpc.open(answers.clone(), &mut rng);
        let timed_out = rpc.open(silent.clone(), &mut rng);
        assert!(rpc.asks_stranger(&answers.to) && rpc.asks_stranger(&silent.to));
        let now = crate::clock::now();
        assert!(rpc.answered(&answered.to_be_bytes(), silent.to, now).is_none(), "not from there");
        assert!(!rpc.is_proven(&silent.to, now));
        assert!(rpc.answered(&answered.to_be_bytes(), answers.to, now).is_some());
        assert!(rpc.has_proven(1, now) && !rpc.has_proven(2, now));
        assert!(!rpc.has_proven(1, now + PROVEN_FOR));
        assert!(rpc.is_proven(&answers.to, now) && !rpc.is_proven(&answers.to, now + PROVEN_FOR));
        assert!(rpc.timed_out(timed_out).is_some());
        assert!(!rpc.asks_stranger(&answers.to) && !rpc.asks_stranger(&silent.to));
    }

    #[test]
    fn strangers_that_never_answer_make_room() {
        let (mut rpc, mut rng) = (Rpc::new(), StdRng::seed_from_u64(1));
        let first = rpc.open(ping(1), &mut rng);
        for n in 2..=MAX_STRANGERS + 1 {
            rpc.open(ping(u16::try_from(n).unwrap()), &mut rng);
        }
        assert!(rpc.pending(first).is_none());
        assert!(!rpc.asks_stranger(&ping(1).to) && rpc.asks_stranger(&ping(2).to));
    }

    #[test]
    fn a_node_that_was_never_asked_is_expected_to_be_like_the_others() {
        let mut rpc = Rpc::new();
        let least = Duration::from_millis(300);
        assert_eq!(rpc.timeout_of_at_least(least, None), least);
        rpc.measured(Duration::from_millis(200));
        assert!(rpc.timeout(None) > least);
        assert_eq!(rpc.timeout_of_at_least(least, None), rpc.timeout(None));
        let near = Some(RoundTrip::measure(None, Duration::from_millis(1)));
        assert!(rpc.timeout(near) < Duration::from_millis(200));
        assert_eq!(rpc.timeout_of_at_least(least, near), least);
    }
}
