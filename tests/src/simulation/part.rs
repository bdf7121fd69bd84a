//! Some of a network's nodes, and what happens to them. What they send to nodes of another part is
//! put aside until the parts exchange it.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use ahash::HashMap;
use grape_engine::{Effect, Engine, Operation, Outcome};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::events::{Arrival, Event, Events};
use super::liar::Lie;
use super::plain::{is_plain, plain};
use super::{PORT, World};

pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) ips: Vec<IpAddr>,
    plain: bool,
    lie: Option<Lie>,
    pub(super) alive: bool,
    ticks_at: Option<Instant>,
    /// It does nothing before then.
    pub(super) stalled_until: Option<Instant>,
    /// What the subscribers of names were notified of, in order.
    pub(super) told: Vec<(String, Vec<SocketAddr>)>,
}

impl Node {
    pub(super) fn new(engine: Engine, ips: Vec<IpAddr>, plain: bool, lie: Option<Lie>) -> Self {
        let (ticks_at, stalled_until) = (None, None);
        Self { engine, ips, plain, lie, alive: true, ticks_at, stalled_until, told: Vec::new() }
    }
}

/// A datagram, and when it arrives.
pub(super) type Mail = (Instant, Arrival);

/// Every so many-th node, from a number on.
pub(super) struct Part {
    number: usize,
    /// By their places in this part.
    pub(super) nodes: Vec<Node>,
    pub(super) events: Events,
    /// By a node's place.
    pub(super) outcomes: HashMap<(usize, Operation), (Instant, Outcome)>,
    pub(super) rng: StdRng,
    pub(super) sent: u64,
    pub(super) longest: usize,
    /// For each part, what its nodes are sent.
    pub(super) mail: Vec<Vec<Mail>>,
}

impl Part {
    /// Part `number` of so many, without nodes.
    pub(super) fn new(seed: u64, number: usize, parts: usize, now: Instant) -> Self {
        Self {
            number,
            nodes: Vec::new(),
            events: Events::new(now),
            outcomes: HashMap::default(),
            // The first part is the same for any number of parts.
            rng: StdRng::seed_from_u64(seed ^ (number as u64) << 32),
            sent: 0,
            longest: 0,
            mail: (0..parts).map(|_| Vec::new()).collect(),
        }
    }

    /// Does all that is due by `end`.
    pub(super) fn run(&mut self, world: &World, end: Instant) {
        while self.step(world, end).is_some() {}
    }

    /// Does the next thing, if it is due by `end`; when that was.
    pub(super) fn step(&mut self, world: &World, end: Instant) -> Option<Instant> {
        let (at, event) = self.events.pop(end)?;
        if let Some(later) = self.stalled(world, &event).filter(|until| *until > at) {
            if let Event::Ticks(place) = event {
                self.nodes[place as usize].ticks_at = Some(later);
            }
            self.events.push(later, event);
            return Some(at);
        }
        match event {
            Event::Ticks(place) => {
                let place = place as usize;
                // Where it is not due, it was set to an earlier time, and has passed since.
                if self.nodes[place].ticks_at == Some(at) {
                    self.nodes[place].ticks_at = None;
                    self.act(world, place, at, |engine, now| engine.handle_timeout(now));
                }
            }
            Event::Arrives(Arrival { from, to, datagram }) => {
                let node = world.by_ip.get(&to.ip()).filter(|_| to.port() == PORT);
                let place = node.map(|node| world.place(*node).1);
                let knows = |place: &usize| !self.nodes[*place].plain || is_plain(&datagram);
                if let Some(place) = place.filter(knows) {
                    self.act(world, place, at, |engine, now| {
                        engine.handle_datagram(from, &datagram, now)
                    });
                }
            }
        }
        Some(at)
    }

    /// Until when the node that this happens to does nothing.
    fn stalled(&self, world: &World, event: &Event) -> Option<Instant> {
        let place = match event {
            Event::Ticks(place) => *place as usize,
            Event::Arrives(arrival) => world.place(*world.by_ip.get(&arrival.to.ip())?).1,
        };
        self.nodes[place].stalled_until
    }

    /// Does something with the engine of the node at a place, and all that it wants done for it.
    pub(super) fn act<T>(
        &mut self,
        world: &World,
        place: usize,
        now: Instant,
        act: impl FnOnce(&mut Engine, Instant) -> T,
    ) -> Option<T> {
        if !self.nodes[place].alive {
            return None;
        }
        let result = act(&mut self.nodes[place].engine, now);
        while let Some(effect) = self.nodes[place].engine.poll_effect() {
            match effect {
                Effect::Send { to, datagram } => self.send(world, place, to, datagram, now),
                Effect::Done { operation, outcome } => {
                    self.outcomes.insert((place, operation), (now, outcome));
                }
                Effect::Changed { name, peers } => {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    self.nodes[place].told.push((name, peers));
                }
                Effect::FoundBy(_) => {}
                Effect::Neighbour(addr) => {
                    let node = &mut self.nodes[place];
                    let ip = node.ips.iter().find(|ip| ip.is_ipv6() == addr.is_ipv6()).copied();
                    if let Some(ip) = ip {
                        node.engine.set_external(ip, now);
                    }
                }
            }
        }
        if let Some(next) = self.nodes[place].engine.poll_timeout()
            && self.nodes[place].ticks_at.is_none_or(|at| next < at)
        {
            self.nodes[place].ticks_at = Some(next.max(now));
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            self.events.push(next.max(now), Event::Ticks(place));
        }
        Some(result)
    }

    fn send(
        &mut self,
        world: &World,
        place: usize,
        to: SocketAddr,
        datagram: Vec<u8>,
        now: Instant,
    ) {
        self.sent += 1;
        self.longest = self.longest.max(datagram.len());
        let node = &self.nodes[place];
        let datagram = match node.plain {
            true if !is_plain(&datagram) => return,
            true => plain(&datagram),
            false => datagram,
        };
        let told = match &node.lie {
            Some(lie) => lie.told(&datagram),
            None => Some(datagram),
        };
        let Some(datagram) = told else { return };
        let Some(ip) = node.ips.iter().find(|ip| ip.is_ipv4() == to.is_ipv4()) else { return };
        let from = SocketAddr::new(*ip, PORT);
        let other = world.by_ip.get(&to.ip()).copied();
        let own = place * world.parts + self.number;
        if let (Some(cut), Some(other)) = (&world.cut, other)
            && cut.get(own) != cut.get(other)
        {
            return;
        }
        if self.rng.random_bool(world.link.loss) {
            return;
        }
        // A datagram to no node may be counted in any part.
        let part = other.map_or(self.number, |other| world.place(other).0);
        if self.rng.random_bool(world.link.duplicates) {
            self.deliver(world, part, Arrival { from, to, datagram: datagram.clone() }, now);
        }
        self.deliver(world, part, Arrival { from, to, datagram }, now);
    }

    fn deliver(&mut self, world: &World, part: usize, arrival: Arrival, now: Instant) {
        let at = now + self.rng.random_range(world.link.latency.clone());
        if part == self.number {
            self.events.push(at, Event::Arrives(arrival));
        } else {
            self.mail[part].push((at, arrival));
        }
    }

    /// Takes what others have sent to its nodes.
    pub(super) fn take(&mut self, mail: &mut Vec<Mail>) {
        for (at, arrival) in mail.drain(..) {
            self.events.push(at, Event::Arrives(arrival));
        }
    }
}
