//! Which nodes are dead, and who is told: within seconds of a crash no lookup finds what the node
//! had announced.
//!
//! A node with announces asks two others to monitor it, and sends them heartbeats. When it falls
//! silent they probe it, and tell all nodes of its death. Nobody believes such a notice: each node
//! probes the dead one itself, if its death would change anything.
//!
//! | file | concern |
//! |---|---|
//! | `monitors.rs` | nodes that we ask to monitor us while we have announces |
//! | `monitored.rs` | nodes that asked us to |
//! | `probes.rs` | nodes that may be dead, and are asked |
//! | `rumors.rs` | notices of deaths and withdrawals, on their way to every node |
//! | `dead_nodes.rs` | the dead: what they announced is not believed; and whether they are back |
//! | `expiring_set.rs` | addresses, each with a time, in bounded memory |

mod dead_nodes;
mod expiring_set;
mod monitored;
mod monitors;
mod probes;
mod rumors;

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use mainline::Id;
use rand::Rng;

use crate::Bound;
use crate::krpc::Contact;
use crate::peer_record::PeerRecord;
use crate::routing::Routing;

use dead_nodes::DeadNodes;
pub(crate) use dead_nodes::OTHER_ADDRESS_TRIES;
use expiring_set::ExpiringSet;
use monitored::Monitored;
pub(crate) use monitored::TRIES as MONITORED_TRIES;
pub(crate) use monitors::Heartbeat;
use monitors::Monitors;
use probes::Probes;
pub(crate) use probes::{PROBE_TIMEOUT, Tell, Try};
use rumors::Rumors;
pub(crate) use rumors::{FAN_OUT, NOBODY_ELSE, RUMOR_TRIES, Rumor, SWEPT, Source, Topic, VERIFIED};

/// Where nodes are many, it takes minutes until each was asked whether it is there.
const LEAVING_REMEMBERED: Duration = Duration::from_secs(600);

/// What is known of deaths.
#[derive(Debug)]
pub(crate) struct FailureDetector {
    monitors: Monitors,
    monitored: Monitored,
    probes: Probes,
    rumors: Rumors,
    dead_nodes: DeadNodes,
    /// Deaths of nodes that we know nothing of, as others tell them: nobody can have us ask
    /// strangers.
    unconfirmed_deaths: ExpiringSet,
    /// Nodes that said they leave.
    leaving: ExpiringSet,
    peer_max_age: Duration,
}

/// A notice that is to be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spread {
    /// The buckets whose nodes are to be told.
    pub(crate) buckets: Range<u8>,
    /// Nobody told it before.
    pub(crate) is_news: bool,
}

impl FailureDetector {
    /// `peer_max_age` is how long an announce is believed.
    /// Nobody can guess `secret`: it decides who is asked to monitor us.
    pub(crate) fn new(peer_max_age: Duration, secret: Id, now: Instant) -> Self {
        Self {
            monitors: Monitors::new(secret),
            monitored: Monitored::default(),
            probes: Probes::default(),
            rumors: Rumors::new(now),
            dead_nodes: DeadNodes::new(peer_max_age),
            unconfirmed_deaths: ExpiringSet::default(),
            leaving: ExpiringSet::default(),
            peer_max_age,
        }
    }

    /// Monitored nodes, and nodes that are probed.
    pub(crate) fn bounds(&self) -> [Bound; 2] {
        [self.monitored.bound(), self.probes.bound()]
    }

    /// Drops what is over. Due every second.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.dead_nodes.expire(now);
        self.unconfirmed_deaths.expire(self.peer_max_age, now);
        self.rumors.expire(now);
        self.leaving.expire(LEAVING_REMEMBERED, now);
    }

    /// A query came from this address, or from one that forges it. Returns whether the node there is
    /// to be asked whether it lives.
    pub(crate) fn asks(&mut self, addr: &SocketAddr, now: Instant) -> bool {
        self.probes.asks(addr);
        self.monitored.asks(addr, now)
    }

    /// A query of ours was answered from this address: whoever is there lives.
    pub(crate) fn answers(&mut self, addr: &SocketAddr, now: Instant) {
        self.probes.settle(addr);
        self.monitored.answers(addr, now);
    }

    /// Ends the questions to an address, which are answered otherwise. Returns who was to be told,
    /// if it was asked.
    pub(crate) fn settle_probe(&mut self, addr: &SocketAddr) -> Option<Tell> {
        self.probes.settle(addr)
    }

    /// What our monitors are to be told: that we are there, while we have announces. Due every
    /// second, and when there is a first announce.
    pub(crate) fn heartbeats(
        &mut self,
        announcing: bool,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        self.monitors.heartbeats(announcing, routing, now)
    }

    /// Nobody needs to monitor us any more.
    pub(crate) fn release_monitors(&mut self) -> Vec<Heartbeat> {
        self.monitors.release()
    }

    /// A heartbeat was answered: by a node that monitors us, or will not.
    pub(crate) fn heartbeat_answered(
        &mut self,
        addr: SocketAddr,
        monitors: bool,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        self.monitors.answered(addr, monitors, routing, now)
    }

    /// A heartbeat was not answered in time.
    pub(crate) fn heartbeat_missed(
        &mut self,
        addr: &SocketAddr,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        self.monitors.missed(addr, routing, now)
    }

    /// One that may be a monitor of ours is gone.
    pub(crate) fn monitor_lost(
        &mut self,
        addr: &SocketAddr,
        routing: &Routing,
        now: Instant,
    ) -> Vec<Heartbeat> {
        self.monitors.lost(addr, routing, now)
    }

    /// A node asks to be monitored. Returns whether it is. `ours` says that it is a Grape of our
    /// kind.
    pub(crate) fn monitor(
        &mut self,
        from: Contact,
        ours: bool,
        routing: &Routing,
        now: Instant,
    ) -> bool {
        self.monitored.add(from, ours, routing, now)
    }

    /// A node need not be monitored any more.
    pub(crate) fn stop_monitoring(&mut self, addr: &SocketAddr) {
        self.monitored.forget(addr);
    }

    /// When [`FailureDetector::take_silent`] has something to do. Told once, until it was called.
    pub(crate) fn next_check(&mut self) -> Option<Instant> {
        self.monitored.next_check()
    }

    /// The monitored nodes that were silent too long, to be probed. They are monitored no more.
    pub(crate) fn take_silent(&mut self, routing: &Routing, now: Instant) -> Vec<SocketAddr> {
        self.monitored.take_silent(routing, now)
    }

    /// A node is to be asked up to `tries` times whether it is there. Returns whether that begins
    /// now, with [`FailureDetector::next_try`].
    pub(crate) fn probe(&mut self, addr: SocketAddr, tries: u8, tell: Tell, now: Instant) -> bool {
        self.probes.begin(addr, tries, tell, now)
    }

    /// What is to be done about a node that is probed; nothing where it was heard, or has time
    /// still.
    pub(crate) fn next_try(
        &mut self,
        addr: &SocketAddr,
        timeout: Duration,
        now: Instant,
    ) -> Option<Try> {
        self.probes.next_try(addr, timeout, now)
    }

    /// A node says that it leaves.
    pub(crate) fn leaves(&mut self, addr: SocketAddr, now: Instant) {
        self.leaving.insert(addr, now);
    }

    /// Whether a node said that it leaves, and has answered nothing since.
    pub(crate) fn is_leaving(&self, addr: &SocketAddr) -> bool {
        self.leaving.contains(addr)
    }

    /// A node answered a query of ours: it does not leave.
    pub(crate) fn stays(&mut self, addr: &SocketAddr) {
        self.leaving.remove(addr);
    }

    /// The node at this address is dead.
    pub(crate) fn died(&mut self, addr: SocketAddr, now: Instant) {
        let left = self.leaving.remove(&addr);
        self.dead_nodes.insert(addr, !left, now);
        self.unconfirmed_deaths.remove(&addr);
        self.monitored.forget(&addr);
    }

    pub(crate) fn is_dead(&self, addr: &SocketAddr) -> bool {
        self.dead_nodes.contains(addr)
    }

    /// This address is one of our own now, or of a node that lives. Returns whether it was a dead
    /// one's.
    pub(crate) fn is_back(&mut self, addr: &SocketAddr) -> bool {
        self.dead_nodes.forget(addr)
    }

    /// When one comes back, so may the others: how many of them are to be asked at once.
    pub(crate) fn wave(&mut self, now: Instant) -> usize {
        self.dead_nodes.wave(now)
    }

    /// Nobody is to be asked for at this address.
    pub(crate) fn do_not_ask_for(&mut self, addr: &SocketAddr) {
        self.dead_nodes.do_not_ask_for(addr);
    }

    /// Some of the dead, to be asked whether they are back.
    pub(crate) fn some_dead(&self, count: usize, rng: &mut impl Rng) -> Vec<SocketAddr> {
        self.dead_nodes.some(count, rng)
    }

    /// The dead node that announced this peer, if no other did.
    pub(crate) fn dead_announcer(
        &self,
        peer: &SocketAddr,
        record: &PeerRecord,
        routing: &Routing,
        now: Instant,
    ) -> Option<SocketAddr> {
        let dead = self.dead_nodes.announcer(peer, record, now)?;
        (record.is_reported() || !routing.has_host(peer.ip())).then_some(dead)
    }

    /// Takes the dead out of those that announced a peer of which not all are dead. Returns one of
    /// them.
    pub(crate) fn strike_dead(
        &self,
        peer: &SocketAddr,
        record: &mut PeerRecord,
        now: Instant,
    ) -> Option<SocketAddr> {
        self.dead_nodes.strike(peer, record, now)
    }

    /// A node that we know nothing of is said to be dead.
    pub(crate) fn note_unconfirmed(&mut self, addr: SocketAddr, now: Instant) {
        self.unconfirmed_deaths.insert(addr, now);
    }

    /// A peer was found: the node that announced it, where that is said to be dead, to be probed
    /// now.
    pub(crate) fn take_unconfirmed(
        &mut self,
        peer: &SocketAddr,
        record: &PeerRecord,
    ) -> Option<SocketAddr> {
        let unconfirmed = &self.unconfirmed_deaths;
        let announcers = record.announcers(peer).map(|by| by.addr);
        let known = announcers.into_iter().find(|addr| unconfirmed.contains(addr));
        let any = || unconfirmed.of_host(peer.ip()).next().filter(|_| !record.is_reported());
        let addr = known.or_else(|| any().map(|(addr, _)| addr))?;
        self.unconfirmed_deaths.remove(&addr);
        Some(addr)
    }

    /// A notice is to be told from this depth on. None when it is a copy, or one too many.
    pub(crate) fn spread(
        &mut self,
        topic: &Topic,
        depth: u8,
        source: Source,
        now: Instant,
    ) -> Option<Spread> {
        let (buckets, is_news) = self.rumors.handle(topic, depth, source, now)?;
        Some(Spread { buckets, is_news })
    }

    /// Whether this was told lately.
    pub(crate) fn was_told(&self, topic: &Topic, now: Instant) -> bool {
        self.rumors.known(topic, now).is_some()
    }

    /// Whom a notice is told of those in a bucket.
    pub(crate) fn recipients(
        &self,
        topic: &Topic,
        bucket: u8,
        count: usize,
        routing: &Routing,
        rng: &mut impl Rng,
    ) -> Vec<Contact> {
        rumors::recipients(topic, bucket, count, routing, rng)
    }

    /// Where one died, others may have: some that are to be probed.
    pub(crate) fn sweep(
        &self,
        addr: &SocketAddr,
        routing: &Routing,
        rng: &mut impl Rng,
        now: Instant,
    ) -> Vec<SocketAddr> {
        rumors::sweep(addr, routing, rng, now)
    }

    /// Our address changed.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.monitors.moved(now);
    }
}
