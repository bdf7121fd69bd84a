//! Groups of Grapes whose members share small state: the engine's gossip on the DHT's UDP port.
//!
//! A Grape is in no group unless it is asked to be, and then pays nothing for them.
//!
//! | file | concern |
//! |---|---|
//! | `discovery.rs` | finds the members of a group: by its name in the DHT, and at seeds |
//! | `event_log.rs` | the last events of each group; pure |

mod discovery;
mod event_log;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grape_engine::Bound;
use grape_engine::gossip::{
    Gossip, GossipCounters, GossipError, GossipItem, GossipPeer, MAX_MEMORY,
};
use tokio::sync::{Notify, watch};

use crate::config::{Config, HostPort};
use crate::dht::Dht;

#[cfg(test)]
pub(crate) use event_log::LoggedEvent;
pub(crate) use event_log::{EventLog, News};

/// The groups of a Grape. Clones are one.
#[derive(Clone)]
pub struct Groups {
    dht: Dht,
    seeds: Arc<[HostPort]>,
    /// How long an announce of a group's name is valid.
    peer_max_age: Duration,
    joined: Arc<Notify>,
}

impl Groups {
    /// The groups of this configuration, on the DHT's node.
    ///
    /// # Errors
    /// A group's name is invalid, or there are too many groups.
    pub(crate) fn new(dht: Dht, config: &Config) -> Result<Self, GossipError> {
        let groups = Self {
            dht,
            seeds: config.gossip_seeds.clone().into(),
            peer_max_age: config.peer_max_age,
            joined: Arc::default(),
        };
        config.gossip.iter().try_for_each(|group| groups.join(group))?;
        Ok(groups)
    }

    /// Finds members of all groups, now and later. Never ends.
    pub(crate) async fn keep(&self) {
        discovery::keep(self).await;
    }

    /// Joins a group, unless this Grape is in it.
    ///
    /// # Errors
    /// The name is invalid, or there are too many groups.
    pub fn join(&self, group: &str) -> Result<(), GossipError> {
        if self.has(group) {
            return Ok(());
        }
        self.dht.gossip(|gossip, now| gossip.join(group, [], now))?;
        self.joined.notify_one();
        Ok(())
    }

    /// Whether this Grape is in a group.
    pub fn has(&self, group: &str) -> bool {
        let has = |gossip: &Gossip| gossip.groups().any(|joined| joined == group);
        self.dht.gossip_if_any(|gossip, _| has(gossip)).unwrap_or_default()
    }

    /// The names of the groups.
    pub fn names(&self) -> Vec<String> {
        let names = |gossip: &Gossip| gossip.groups().map(str::to_owned).collect();
        self.dht.gossip_if_any(|gossip, _| names(gossip)).unwrap_or_default()
    }

    /// Sets a key of this member.
    ///
    /// # Errors
    /// A bound would be passed, or the Grape is not in the group.
    pub fn set(
        &self,
        group: &str,
        key: &str,
        value: &[u8],
        expires_in: Option<Duration>,
    ) -> Result<u64, GossipError> {
        self.dht.gossip(|gossip, now| {
            let expires_at = expires_in.map(|left| now.checked_add(left).unwrap_or(now));
            gossip.set(group, key, value.into(), expires_at, now)
        })
    }

    /// Unsets a key of this member. Returns whether it was set.
    ///
    /// # Errors
    /// The Grape is not in the group.
    pub fn unset(&self, group: &str, key: &str) -> Result<bool, GossipError> {
        self.dht
            .gossip_if_any(|gossip, now| gossip.unset(group, key, now))
            .unwrap_or(Err(GossipError::NotJoined))
    }

    /// The other members of a group, with the present time; none if the Grape is not in it.
    pub fn peers(&self, group: &str) -> Option<(Vec<GossipPeer>, Instant)> {
        self.dht.gossip_if_any(|gossip, now| Some((gossip.peers(group, now)?, now))).flatten()
    }

    /// The value of a key at each other member that has set it.
    pub(crate) fn values(&self, group: &str, key: &str) -> HashMap<SocketAddr, Arc<[u8]>> {
        let values = self.dht.gossip_if_any(|gossip, _| gossip.values(group, key)).flatten();
        values.into_iter().flatten().collect()
    }

    /// The keys of a member, or of this one; none if the group or the member is not known.
    pub fn state(&self, group: &str, peer: Option<SocketAddr>) -> Option<Vec<GossipItem>> {
        self.dht.gossip_if_any(|gossip, now| gossip.state(group, peer, now)).flatten()
    }

    /// This member's generation in a group.
    pub fn generation(&self, group: &str) -> Option<u64> {
        self.dht.gossip_if_any(|gossip, _| gossip.generation(group)).flatten()
    }

    /// How many groups there are, and what their gossip has counted.
    pub(crate) fn counters(&self) -> (usize, GossipCounters) {
        let counted = |gossip: &Gossip| (gossip.groups().count(), gossip.counters());
        self.dht.gossip_if_any(|gossip, _| counted(gossip)).unwrap_or_default()
    }

    /// Bytes of the states of all members, and how many there may be.
    pub(crate) fn memory(&self) -> Bound {
        let none = Bound { used: 0, most: MAX_MEMORY };
        self.dht.gossip_if_any(|gossip, _| gossip.memory()).unwrap_or(none)
    }

    /// The events of a group after this number.
    pub(crate) fn events(&self, group: &str, since: u64) -> News {
        self.dht.gossip_events(group, since)
    }

    /// The number of the last event of any group, followed.
    pub(crate) fn last_event(&self) -> watch::Receiver<u64> {
        self.dht.last_gossip_event()
    }
}
