//! What is done every second: old peers go, silent nodes are asked, the table is refreshed.

use std::time::{Duration, Instant};

use super::Engine;
use crate::lookup::{OnComplete, Target};
use crate::routing::K;

/// How often upkeep is due.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
impl Engine {
    pub(super) fn upkeep(&mut self, now: Instant) {
        self.storage.expire(&mut self.rng, now);
        self.lookups.expire(now);
        self.publish.expire(now);
        self.failure_detector.expire(now);
        self.other_networks.expire(now);
        self.settle_readiness(now);
        self.shrink();
        self.look_again(now);
        self.heartbeat(now);
        self.ask_for_the_dead(1, now);
        self.keep_alive(now);
        self.keep_diverse(now);
        self.refresh(now);
        self.refresh_subscribed(now);
    }

    /// Pings the suspects, and the nodes that have sent nothing for a while.
    fn keep_alive(&mut self, now: Instant) {
        for contact in self.routing.to_keep_alive(now) {
            self.ping(contact, now);
        }
    }

    /// In a network of more than 2 k nodes, those beyond the most of their address or network lose their
    /// places: in a smaller one they take none from others.
    fn keep_diverse(&mut self, now: Instant) {
        let strict = self.rpc.has_proven(2 * K + 1, now);
        if strict != self.routing.diversity().is_strict() {
            for contact in self.routing.set_strict(strict) {
                self.remove(&contact, now);
            }
        }
    }

    /// Looks up our own id, and a random one, so that the table follows the network.
    fn refresh(&mut self, now: Instant) {
        let own = Target::Node(self.settings.id);
        let refresh = self.routing.due_refresh(now);
        if refresh.own {
            self.start_lookup(own.clone(), OnComplete::Refresh, now);
        }
        if refresh.whole {
            self.start_lookup(own, OnComplete::Refresh, now);
            let anywhere = self.random_id();
            self.start_lookup(Target::Node(anywhere), OnComplete::Refresh, now);
        }
    }
}
