//! Runs the engine: datagrams and time in, effects out.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grape_engine::gossip::{GOSSIP_FIRST_BYTE, MemberName};
use grape_engine::{Answer, Effect, Engine, Name, NetworkName, Operation, Outcome};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::gossip::GossipNode;
use super::neighbours::Neighbours;
use super::segmentation_offload::{Outgoing, Receiver};
use super::sockets::Sockets;
use super::sources::{Route, Sources, is_link_local};
use crate::config::Config;

/// Datagrams that are read at a time before others have their turn.
const BATCH: usize = 64;

/// How often the addresses of this host are read: they change while it runs (DHCP, a VPN, a laptop
/// that moves).
const READ_ADDRESSES: Duration = Duration::from_secs(2);

/// The peers of a followed name; none before they are known.
pub(super) type Followed = watch::Sender<Option<Vec<SocketAddr>>>;

/// What the handle and the driver share.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) sockets: Sockets,
    pub(super) ready: watch::Sender<bool>,
    /// There are other nodes on both address families.
    pub(super) both_families: AtomicBool,
    /// There is something for the driver to do: datagrams to send, or an earlier tick.
    wanted: Notify,
}

pub(super) struct State {
    pub(super) engine: Engine,
    /// None before the node joins a group.
    pub(super) gossip: Option<Box<GossipNode>>,
    pub(super) network: Option<NetworkName>,
    pub(super) pod_name: Option<MemberName>,
    waiting: HashMap<Operation, oneshot::Sender<Outcome>>,
    pub(super) followed: HashMap<Name, Followed>,
    /// Datagrams to be sent.
    outbox: Vec<Outgoing>,
    sources: Sources,
    /// Show which of our addresses others see: over IPv4, and over IPv6.
    routes: [Option<Route>; 2],
    /// Until when the driver sleeps.
    sleeps_until: Option<Instant>,
}

impl Shared {
    pub(super) fn new(engine: Engine, config: &Config, sockets: Sockets) -> Self {
        let ready = watch::Sender::new(engine.is_ready());
        let state = State {
            engine,
            gossip: None,
            network: config.network.clone(),
            pod_name: config.pod_name.clone(),
            waiting: HashMap::new(),
            followed: HashMap::new(),
            outbox: Vec::new(),
            sources: Sources::new(),
            routes: [None, None],
            sleeps_until: None,
        };
        let both_families = AtomicBool::new(false);
        Self { state: Mutex::new(state), sockets, ready, both_families, wanted: Notify::new() }
    }

    /// The engine is never left half-changed: it does not panic, and if it did, serving on is
    /// better than to panic in every task.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the engine, and all that it wants done for it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Engine, Instant) -> T) -> T {
        self.with_state(|state, now| act(&mut state.engine, now))
    }

    /// Datagrams are sent together, once the tasks that are ready have had their turn: so each
    /// receiver is woken once, and not for each datagram.
    pub(super) fn with_state<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state, crate::clock::now());
        self.settle(&mut state);
        let earlier = match (state.next_timeout(), state.sleeps_until) {
            (Some(next), Some(sleeps_until)) => next < sleeps_until,
            _ => false,
        };
        if earlier || !state.outbox.is_empty() {
            self.wanted.notify_one();
        }
        result
    }

    /// Starts an operation: its answer from memory, or where it will come.
    pub(super) fn start<T>(
        &self,
        start: impl FnOnce(&mut Engine, Instant) -> Answer<T>,
    ) -> Result<T, oneshot::Receiver<Outcome>> {
        self.with_state(|state, now| match start(&mut state.engine, now) {
            Answer::Now(answer) => Ok(answer),
            Answer::Later(operation) => {
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert(operation, sender);
                Err(receiver)
            }
        })
    }

    fn settle(&self, state: &mut State) {
        while let Some(effect) = state.engine.poll_effect() {
            match effect {
                Effect::Send { to, datagram } => state.outbox.push((to, datagram)),
                Effect::Done { operation, outcome } => {
                    // Who asked may be gone.
                    let _ = state.waiting.remove(&operation).map(|waiter| waiter.send(outcome));
                }
                Effect::Changed { name, peers } => {
                    if let Some(followed) = state.followed.get(&name) {
                        followed.send_replace(Some(peers));
                    }
                }
                Effect::FoundBy(addr) => tracing::info!("joined by {addr}"),
                Effect::Neighbour(addr) => {
                    let source = self.sockets.source_towards(addr);
                    let route = source.map(|source| Route::new(addr, source));
                    state.routes[usize::from(addr.is_ipv6())] = route;
                    // If the other node knows us by another address, it returns that address.
                    let known = state.sources.towards(&addr).filter(|ip| !is_link_local(ip));
                    if let Some(ip) = known.or(source) {
                        state.change_address(|engine, now| engine.set_external(ip, now));
                    }
                }
            }
        }
        if let Some(gossip) = &mut state.gossip {
            gossip.settle(&state.engine, self.sockets.addr().port(), &mut state.outbox);
        }
        self.both_families.store(state.engine.has_both_families(), Ordering::Relaxed);
        if state.engine.is_ready() {
            self.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
        }
    }

    /// Sends what is to be sent.
    fn flush(&self, state: &mut State) {
        self.sockets.send(&mut state.outbox, &mut state.sources);
    }

    /// The driver's own turn.
    fn drive<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state, crate::clock::now());
        self.settle(&mut state);
        result
    }
}

impl State {
    /// When [`Self::handle_timeout`] has something to do next.
    fn next_timeout(&self) -> Option<Instant> {
        let gossip = self.gossip.as_ref().and_then(|gossip| gossip.machine.poll_timeout());
        self.engine.poll_timeout().into_iter().chain(gossip).min()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
        if let Some(gossip) = &mut self.gossip {
            gossip.machine.handle_timeout(now);
        }
    }

    /// The engine may give up an address of this host: nothing is sent from there then.
    fn change_address(&mut self, change: impl FnOnce(&mut Engine, Instant) -> Option<IpAddr>) {
        if let Some(given_up) = change(&mut self.engine, crate::clock::now()) {
            self.sources.give_up(given_up);
            tracing::info!(%given_up, "this host's address changed: announcing from its new one");
        }
    }

    /// When the route to the others leaves from another address and stays there, others see that
    /// address.
    fn follow_route(&mut self, sockets: &Sockets) {
        for family in 0..self.routes.len() {
            let Some(route) = &mut self.routes[family] else { continue };
            let source = sockets.source_towards(route.towards);
            if let Some(ip) = source.and_then(|source| route.seen(source)) {
                self.change_address(|engine, now| engine.move_to(ip, now));
            }
        }
    }
}

/// What keeps a node alive: see [`Driver::run`].
pub struct Driver {
    shared: Arc<Shared>,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs the node until this future is dropped.
    ///
    /// # Errors
    /// When a socket fails and cannot be used any more.
    pub async fn run(self) -> io::Result<()> {
        let shared = &*self.shared;
        let mut receiver = Receiver::new();
        let mut sockets = shared.sockets.each();
        let (first, second) = (sockets.next(), sockets.next());
        let mut read_addresses = interval(READ_ADDRESSES);
        read_addresses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut neighbours = Neighbours::default();
        let mut flooded = false;
        loop {
            let until = {
                let mut state = shared.lock();
                shared.flush(&mut state);
                state.sleeps_until = state.next_timeout();
                state.sleeps_until
            };
            // A socket that is always readable makes nobody wait: the API's tasks would have no turn.
            if std::mem::take(&mut flooded) {
                tokio::task::yield_now().await;
            }
            tokio::select! {
                readable = readable(first) => {
                    flooded = self.receive_shared(readable?, &mut receiver, &mut neighbours)?;
                }
                readable = readable(second) => {
                    flooded = self.receive_shared(readable?, &mut receiver, &mut neighbours)?;
                }
                ready = neighbours.ready() => {
                    for neighbour in ready {
                        neighbours.read(&neighbour, |socket| {
                            self.receive(socket, &mut receiver).map(|(more, _)| flooded |= more)
                        });
                    }
                }
                () = sleep_until(until) => shared.drive(State::handle_timeout),
                () = shared.wanted.notified() => {}
                _ = read_addresses.tick() => {
                    let addresses = shared.sockets.host_addresses();
                    shared.drive(|state, _| {
                        state.sources.set_host_addresses(&addresses);
                        state.engine.set_host_addresses(addresses);
                        state.follow_route(&shared.sockets);
                    });
                    self.set_neighbours(&mut neighbours);
                }
            }
        }
    }

    /// The same of a socket to which anybody sends.
    fn receive_shared(
        &self,
        socket: &UdpSocket,
        receiver: &mut Receiver,
        neighbours: &mut Neighbours,
    ) -> io::Result<bool> {
        let (more, dropped) = self.receive(socket, receiver)?;
        let is_ipv6 = socket.local_addr().is_ok_and(|local| local.is_ipv6());
        if dropped > 0 && neighbours.dropped(is_ipv6, dropped, crate::clock::now()) {
            tracing::info!(
                "datagrams come faster than they are read: neighbours have sockets of their own"
            );
            self.set_neighbours(neighbours);
        }
        Ok(more)
    }

    /// Neighbours have sockets of their own as long as strangers may shut them out.
    fn set_neighbours(&self, neighbours: &mut Neighbours) {
        let needed = neighbours.are_needed(crate::clock::now());
        let known = if needed { self.shared.lock().engine.neighbours() } else { Vec::new() };
        neighbours.set(&known, &self.shared.sockets);
    }

    /// Takes a batch of datagrams in. Returns whether it was a whole one, after which there may be more,
    /// and what the kernel has dropped of this socket so far.
    fn receive(&self, socket: &UdpSocket, receiver: &mut Receiver) -> io::Result<(bool, u32)> {
        self.shared.drive(|state, now| {
            let State { engine, gossip, sources, .. } = state;
            let mut left = BATCH;
            let received = receiver.receive(socket, |from, at, datagram| {
                if let Some(at) = at {
                    sources.reached(from, at);
                }
                match gossip {
                    Some(gossip) if datagram.first() == Some(&GOSSIP_FIRST_BYTE) => {
                        gossip.machine.handle_datagram(from, datagram, now);
                    }
                    _ => engine.handle_datagram(from, datagram, now),
                }
                left = left.saturating_sub(1);
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            received.map(|dropped| (left == 0, dropped))
        })
    }
}

async fn readable(socket: Option<&UdpSocket>) -> io::Result<&UdpSocket> {
    match socket {
        Some(socket) => socket.readable().await.map(|()| socket),
        None => std::future::pending().await,
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}
