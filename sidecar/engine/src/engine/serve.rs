//! Answers to other nodes. Each datagram stays under the path MTU, but for a BEP 44 value that is
//! as long as the protocol allows.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Engine;
use crate::MAX_NAME;
use crate::addresses::{AddressRefusal, means_the_same_to, with_port};
use crate::distance::target_of;
use crate::item::{Item, Signed};
use crate::krpc::{
    Body, Contact, Method, NETWORK_TAG_FIELD, NODE_V4, NODE_V6, PEER_V4, PEER_V6, Peer, Put, Query,
    Response, SignedFields, Want, code,
};
use crate::peer_record::Announcer;
use crate::routing::K;
use crate::storage::TooManyClaims;

/// Bytes that fit a datagram on any path that we may meet, without the 14 that name a network: the
/// least that IPv6 asks of a path leaves 1232.
const MTU: usize = 1200;
const _: () = assert!(MTU + NETWORK_TAG_FIELD <= 1232);
/// Bytes of an answer around its peers and nodes, but for the transaction id: the dictionaries,
/// our id and version, a token, the heads of the lists, and one DHT port for all peers.
const FRAME: usize = 96;
/// Bytes of the heads of `nodes` and `nodes6`.
const NODES_FRAME: usize = 25;
/// Bytes of an IPv4 peer in an answer: its address as a string of 6, and its time to live.
const EACH_V4: usize = 2 + PEER_V4 + 3;
/// Bytes of an IPv6 peer in an answer.
const EACH_V6: usize = 3 + PEER_V6 + 3;

/// Bytes of a peer's DHT port in an answer where they differ, and more of the head of the list.
const NODE_PORT: usize = 2;
const NODE_PORTS_FRAME: usize = 2;

/// Bytes of what signs a value: key, signature and `seq`.
const SIGNED: usize = 140;

/// Most of its own addresses that a node sends.
const OWN_ADDRESSES: usize = 4;
/// Bytes of the head of the list of announcers, and of each string in it.
const ANNOUNCERS_FRAME: usize = 6;
const EACH_NAMED: usize = 4;
/// Bytes of the head of the bits about the other address family.
const ALT_FRAME: usize = 8;

/// A refusal's code and message.
type Refusal = (i64, &'static str);

impl Engine {
    /// How many bytes the answer to a query of this length may have, where it may not be whole: see
    /// `unproven.rs`. What comes from loopback is not forged.
    pub(super) fn most_bytes(
        &mut self,
        from: SocketAddr,
        method: &Method<'_>,
        length: usize,
        now: Instant,
    ) -> Option<usize> {
        let is_long = matches!(
            method,
            Method::FindNode { .. } | Method::GetPeers { .. } | Method::Get { .. }
        );
        let proved = !is_long || from.ip().is_loopback() || self.rpc.is_proven(&from, now);
        if proved { None } else { self.unproven.most(from.ip(), length, now) }
    }

    /// The answer to a query, of at most so many bytes. `ours` says that a Grape of our kind asks.
    pub(super) fn answer(
        &mut self,
        from: SocketAddr,
        transaction_id: &[u8],
        query: &Query<'_>,
        ours: bool,
        most: Option<usize>,
        now: Instant,
    ) -> Body<'static> {
        let length = transaction_id.len();
        let whole = most.unwrap_or(MTU).min(MTU);
        let room = whole.saturating_sub(FRAME + length + usize::from(length > 9));
        let want = family_or(query.want, from);
        let answered = match &query.method {
            Method::Ping { watch } => {
                let asks = watch.zip(query.sender).filter(|_| !query.read_only);
                let watch = asks.is_some_and(|(watch, id)| {
                    self.on_monitor_request(Contact { id, addr: from }, watch, ours, now)
                });
                Ok(Response { watch, ..Response::new(self.settings.id) })
            }
            Method::Dead { addr, .. } if addr.ip().is_unspecified() => {
                if let Some(id) = query.sender {
                    self.on_leaving(Contact { id, addr: from }, now);
                }
                Ok(Response::new(self.settings.id))
            }
            Method::Dead { addr, depth } => {
                if let Ok(addr) = self.admit(*addr, &from) {
                    self.on_dead(&from, addr, *depth, now);
                }
                Ok(Response::new(self.settings.id))
            }
            Method::Withdrawn { info_hash, addr, depth } => {
                if let Ok(addr) = self.admit(*addr, &from) {
                    self.on_withdrawn(&from, info_hash, addr, *depth, now);
                }
                Ok(Response::new(self.settings.id))
            }
            Method::Forgotten => {
                if let Some(id) = query.sender {
                    self.on_forgotten(&Contact { id, addr: from }, now);
                }
                Ok(Response::new(self.settings.id))
            }
            Method::FindNode { target } => {
                let mut response = self.on_find_node(from, target, want, room);
                if query.read_only && most.is_none() {
                    // It may have found us through an address that others share.
                    response.nodes.extend(self.own_contacts(from));
                }
                Ok(response)
            }
            Method::GetPeers { info_hash } | Method::AnnouncePeer { info_hash, .. }
                if info_hash.len() > MAX_NAME =>
            {
                Err((code::PROTOCOL, "`info_hash` is longer than 1024 bytes"))
            }
            Method::GetPeers { info_hash } => {
                Ok(self.on_get_peers(from, info_hash, want, room, now))
            }
            Method::AnnouncePeer { info_hash, port, token, ttl, ip, alt } => {
                let unclaimed = with_port(from, port.unwrap_or(from.port()));
                self.authorised(from, token, "cannot `announce_peer` with bad token", |engine| {
                    let refused = |why: AddressRefusal| (code::PROTOCOL, why.message());
                    engine.admit(unclaimed, &from).map_err(refused)?;
                    let addr = claimed(unclaimed, *ip)?;
                    engine.admit(addr, &from).map_err(refused)?;
                    let age = engine.settings.peer_max_age;
                    let until = now + ttl.unwrap_or(age).min(age);
                    engine.claim(from, addr.ip(), until, now)?;
                    let by = Announcer { addr: from, until, alt: *alt };
                    engine.storage.add_peer(info_hash, addr, by, &mut engine.rng);
                    if addr != unclaimed {
                        // It may have announced the same before it claimed another IP.
                        engine.storage.withdraw_peer(info_hash, &unclaimed, &from);
                    }
                    engine.subscriptions.touch(info_hash);
                    Ok(())
                })
            }
            Method::WithdrawPeer { info_hash, port, token, ip } => {
                self.authorised(from, token, "cannot `withdraw_peer` with bad token", |engine| {
                    let addr = claimed(with_port(from, *port), *ip)?;
                    engine.peer_withdrawn(from, info_hash, addr, now);
                    Ok(())
                })
            }
            Method::Get { target, seq } => {
                Ok(self.on_get(from, target, *seq, want, room, most.is_none()))
            }
            Method::Put(put) => {
                self.authorised(from, &put.token, "cannot `put` with bad token", |engine| {
                    engine.on_put(put, from.ip())
                })
            }
            Method::Unknown { .. } => Err((code::METHOD_UNKNOWN, "Method Unknown")),
            Method::Invalid { name, argument } => {
                let message = format!("`{name}` missing required `a.{argument}` field");
                return Body::Error { code: code::PROTOCOL, message: message.into() };
            }
        };
        match answered {
            Ok(response) => Body::Response(Box::new(response)),
            Err((code, message)) => Body::Error { code, message: message.into() },
        }
    }

    /// Does what needs a token, if it is ours.
    fn authorised(
        &mut self,
        from: SocketAddr,
        token: &[u8],
        refusal: &'static str,
        act: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<Response<'static>, Refusal> {
        if !self.storage.accepts_token(&from, token) {
            return Err((code::PROTOCOL, refusal));
        }
        act(self)?;
        Ok(Response::new(self.settings.id))
    }

    /// A node announces something until then, which is reached at this IP: its own, or one that it
    /// claims.
    fn claim(
        &mut self,
        from: SocketAddr,
        ip: IpAddr,
        until: Instant,
        now: Instant,
    ) -> Result<(), Refusal> {
        let claimed = self.storage.claim(from, ip, until, now);
        let claimed_another =
            claimed.map_err(|TooManyClaims| (code::PROTOCOL, "too many different `ip`"))?;
        if claimed_another {
            self.forget_announces(&from, false, now);
        }
        Ok(())
    }

    fn on_find_node(
        &mut self,
        from: SocketAddr,
        target: &[u8],
        want: Want,
        room: usize,
    ) -> Response<'static> {
        let nodes = self.closest_nodes(from, target, want, room);
        Response { nodes, ..Response::new(self.settings.id) }
    }

    /// This node itself, at addresses of the asker's family at which the asker may reach it.
    fn own_contacts(&self, from: SocketAddr) -> impl Iterator<Item = Contact> {
        let (id, all) = (self.settings.id, self.own.reachable_for(from));
        all.take(OWN_ADDRESSES).map(move |addr| Contact { id, addr })
    }

    /// Peers of the asker's address family, and the closest nodes in the room that is left. Where
    /// not all peers fit, each asker gets a random choice of them, so that a lookup, which asks
    /// several nodes, sees them all up to its limit.
    fn on_get_peers(
        &mut self,
        from: SocketAddr,
        name: &[u8],
        want: Want,
        room: usize,
        now: Instant,
    ) -> Response<'static> {
        let each = if from.is_ipv6() { EACH_V6 } else { EACH_V4 };
        let held = self.storage.peers(name, now);
        let chosen = held.map(|held| held.sample(room / each, &from, &mut self.rng));
        let chosen: Vec<_> = chosen
            .into_iter()
            .flatten()
            .map(|(addr, record)| {
                (record.tell(addr), record.until().saturating_duration_since(now))
            })
            .collect();
        let mut peers: Vec<_> = chosen
            .into_iter()
            .map(|(peer, ttl)| Peer { ttl: Some(ttl), ..self.tell_own(peer) })
            .collect();
        let room = room.saturating_sub(fit(&mut peers, each, room));
        let nodes = self.closest_nodes(from, name, want, room);
        Response { nodes, peers, token: self.token(from), ..Response::new(self.settings.id) }
    }

    /// A peer that our own node announced, as it is sent: if its IP is ours, the port alone says
    /// who announced it, which older Grapes understand.
    fn tell_own(&self, mut peer: Peer) -> Peer {
        let own = self.own.node(&peer.addr);
        let Some(at) = peer.announcers.iter().position(|by| *by == own) else { return peer };
        if let Some(seen) = self.own.node_beside(&peer.addr) {
            peer.node_port = peer.node_port.or(Some(seen.port()));
            match peer.announcers.len() {
                1 => peer.announcers.clear(),
                _ => peer.announcers[at] = seen,
            }
        }
        peer
    }

    fn on_get(
        &mut self,
        from: SocketAddr,
        target: &[u8],
        newer_than: Option<i64>,
        want: Want,
        room: usize,
        whole: bool,
    ) -> Response<'static> {
        let token = self.token(from);
        // A value is in an answer whole, or not at all.
        let fits = |item: &&Item| whole || item.encoded().len() + SIGNED <= room;
        let held = (target.len() == 20).then(|| self.storage.item(&target_of(target))).flatten();
        let held =
            held.filter(|item| item.seq().is_none_or(|seq| newer_than.is_none_or(|n| seq > n)));
        if let Some(item) = held.filter(fits) {
            // No nodes beside a value: the Node.js Grape would show them to its clients.
            let (value, signed) = (Some(item.encoded().to_vec().into()), item.signed().map(fields));
            return Response { value, signed, token, ..Response::new(self.settings.id) };
        }
        let nodes = self.closest_nodes(from, target, want, room);
        Response { nodes, token, ..Response::new(self.settings.id) }
    }

    fn on_put(&mut self, put: &Put<'_>, from: IpAddr) -> Result<(), Refusal> {
        let item = checked(put)?;
        self.storage
            .put_item(item, put.cas, Some(from))
            .map_err(|conflict| (conflict.code(), conflict.message()))
    }

    fn token(&self, from: SocketAddr) -> Option<std::borrow::Cow<'static, [u8]>> {
        Some(self.storage.token(&from).to_vec().into())
    }

    /// The closest nodes that were not silent repeatedly, as many as fit.
    fn closest_nodes(
        &self,
        from: SocketAddr,
        target: &[u8],
        want: Want,
        room: usize,
    ) -> Vec<Contact> {
        let leave_out = |addr: &SocketAddr| {
            *addr == from
                || self.routing.is_repeated_suspect(addr)
                || !means_the_same_to(&from, addr)
        };
        let target = target_of(target);
        let room = room.saturating_sub(NODES_FRAME);
        let room = if want.n4 && want.n6 { room / 2 } else { room };
        let mut nodes = Vec::new();
        if want.n4 {
            nodes = self.routing.closest(false, &target, K.min(room / NODE_V4), leave_out);
        }
        if want.n6 {
            nodes.extend(self.routing.closest(true, &target, K.min(room / NODE_V6), leave_out));
        }
        nodes
    }
}

/// Leaves out peers at the end that do not fit, and puts peers first whose announcers are listed.
/// Returns the bytes that the others take in an answer, of which each takes this many at least.
fn fit(peers: &mut Vec<Peer>, each: usize, room: usize) -> usize {
    let ports_differ = peers.windows(2).any(|pair| pair[0].node_port != pair[1].node_port);
    let ports = if ports_differ { (NODE_PORTS_FRAME, NODE_PORT) } else { (0, 0) };
    let named = |peer: &Peer| !peer.announcers.is_empty();
    let names = if peers.iter().any(named) { ANNOUNCERS_FRAME } else { 0 };
    let alts =
        if peers.iter().any(|peer| peer.alt) { ALT_FRAME + peers.len().div_ceil(8) } else { 0 };
    let of_peer = |peer: &Peer| {
        let compact = if peer.addr.is_ipv6() { PEER_V6 } else { PEER_V4 };
        let names = if named(peer) { EACH_NAMED + compact * peer.announcers.len() } else { 0 };
        each + ports.1 + names
    };
    let mut bytes = ports.0 + names + alts + peers.iter().map(of_peer).sum::<usize>();
    while bytes > room
        && let Some(peer) = peers.pop()
    {
        bytes -= of_peer(&peer);
    }
    peers.sort_by_key(|peer| !named(peer));
    bytes
}

/// Where a service is reached: at the IP that its announcer claims, or else where its announcer is.
///
/// # Errors
/// When the IP is of the other address family: nodes of that family get a datagram of their own.
fn claimed(addr: SocketAddr, ip: Option<IpAddr>) -> Result<SocketAddr, Refusal> {
    match ip.map(|ip| ip.to_canonical()) {
        None => Ok(addr),
        Some(ip) if ip == addr.ip() => Ok(addr),
        Some(ip) if ip.is_ipv4() == addr.is_ipv4() => Ok(SocketAddr::new(ip, addr.port())),
        Some(_) => Err((code::PROTOCOL, "`ip` is not of the address family of its sender")),
    }
}

/// Without a wish, nodes of the address family that the query came over (BEP 32).
fn family_or(want: Want, from: SocketAddr) -> Want {
    if want == Want::default() { Want { n4: from.is_ipv4(), n6: from.is_ipv6() } } else { want }
}

fn fields(signed: &Signed) -> SignedFields<'static> {
    SignedFields {
        key: signed.key.to_vec().into(),
        signature: signed.signature.to_vec().into(),
        seq: signed.seq,
        salt: Vec::new().into(),
    }
}

/// An item from the wire, checked as BEP 44 asks.
fn checked(put: &Put<'_>) -> Result<Item, Refusal> {
    let checked = match &put.signed {
        None => Item::immutable(put.value.to_vec()),
        Some(signed) => Item::from_fields(put.value.to_vec(), signed, &signed.salt),
    };
    checked.map_err(|error| (error.code(), error.message()))
}

#[cfg(test)]
mod tests;
