//! What is done every second: old peers go, silent nodes are asked, the table is refreshed.

use std::time::{Duration, Instant};

use super::active_lookup::{OnComplete, Target};
use super::engine::Engine;
use super::lookup_cache::Age;

/// How often upkeep is due.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// No node is asked more often than this whether it is there …
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// … and each further node adds this, so that the rate of questions is the same however many
/// nodes there are.
const KEEP_ALIVE_EACH: Duration = Duration::from_millis(500);

/// After a node found the others it looks once more: those that joined at the same moment were
/// told of to nobody before they had answered. It looks, too, after it found one at an address that
/// it was told, however many those are meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What upkeep remembers.
#[derive(Debug)]
pub(super) struct Upkeep {
    refreshed: Instant,
    /// When the node looks once more who is there, after it found the others.
    looks_again: Option<Instant>,
}

impl Upkeep {
    pub(super) fn new(now: Instant) -> Self {
        Self { refreshed: now, looks_again: None }
    }

    /// The node knows somebody through whom it may find others.
    pub(super) fn joined(&mut self, now: Instant) {
        self.looks_again.get_or_insert(now + LOOK_AGAIN);
    }
}

impl Engine {
    pub(super) fn upkeep(&mut self, now: Instant) {
        self.tokens.rotate(&mut self.rng, now);
        self.peers.expire(now);
        self.claims.expire(now);
        self.lookup_cache.expire(now);
        self.announces.expire(now);
        self.dead_nodes.expire(now);
        self.unconfirmed_deaths.expire(self.settings.peer_max_age, now);
        self.gossip.expire(now);
        self.leavers.expire(now);
        self.other_networks.expire(now);
        self.settle_readiness(now);
        self.shrink();
        self.look_again(now);
        self.heartbeat(now);
        self.ask_for_the_dead(1, now);
        self.keep_alive(now);
        self.refresh(now);
        self.refresh_subscribed(now);
    }

    /// Asks the nodes that were not heard for a while, and the suspects, whether they are there.
    fn keep_alive(&mut self, now: Instant) {
        let nodes = u32::try_from(self.nodes()).unwrap_or(u32::MAX);
        let silence = KEEP_ALIVE.max(KEEP_ALIVE_EACH.saturating_mul(nodes));
        let ask: Vec<_> = self
            .v4
            .nodes()
            .chain(self.v6.nodes())
            .filter(|node| {
                if self.suspects.contains(&node.contact.addr) {
                    self.suspects.may_ask(&node.contact.addr, now)
                } else {
                    now.duration_since(node.heard) >= silence
                }
            })
            .map(|node| node.contact)
            .collect();
        for contact in ask {
            self.ping(contact, now);
        }
    }

    /// Looks up our own id, and a random one, so that the table follows the network.
    fn refresh(&mut self, now: Instant) {
        if self.upkeep.looks_again.is_some_and(|at| at <= now) {
            self.upkeep.looks_again = None;
            self.start_lookup(Target::Node(self.settings.id), OnComplete::Refresh, now);
        }
        if now.duration_since(self.upkeep.refreshed) < self.settings.node_liveness {
            return;
        }
        self.upkeep.refreshed = now;
        if self.nodes() > 0 {
            self.start_lookup(Target::Node(self.settings.id), OnComplete::Refresh, now);
            let anywhere = self.random_id();
            self.start_lookup(Target::Node(anywhere), OnComplete::Refresh, now);
        }
    }

    /// Names that somebody follows are looked up again before they go stale.
    fn refresh_subscribed(&mut self, now: Instant) {
        for name in self.subscriptions.names() {
            if self.lookup_cache.age(&name, now) != Age::Fresh {
                self.start_lookup(Target::Peers(name.clone()), OnComplete::Refresh, now);
            }
            // Time alone can end a peer.
            self.subscriptions.touch(&name);
        }
    }
}
