//! Addresses that other nodes send: each is checked here once.

use std::net::SocketAddr;

use super::Engine;
use crate::addresses::{self, AddressRefusal};
use crate::krpc::Peer;

impl Engine {
    /// The canonical form of an address that the node at `source` sent. Impossible ones are
    /// counted.
    ///
    /// # Errors
    /// Why nobody can be there.
    pub(super) fn admit(
        &mut self,
        addr: SocketAddr,
        source: &SocketAddr,
    ) -> Result<SocketAddr, AddressRefusal> {
        let admitted = addresses::admit(addr, source, self.own.all());
        if let Err(refusal) = admitted {
            self.stats.addresses_refused[refusal.index()] += 1;
        }
        admitted
    }

    /// A peer that the node at `source` returned, in canonical form, without impossible announcers;
    /// `None` if the peer's address is impossible.
    pub(super) fn admit_peer(&mut self, peer: &Peer, source: &SocketAddr) -> Option<Peer> {
        let addr = self.admit(peer.addr, source).ok()?;
        let announcers = peer.announcers.iter().filter_map(|by| {
            // An unspecified address stands for the source itself.
            if by.ip().is_unspecified() { Some(*by) } else { self.admit(*by, source).ok() }
        });
        let announcers = announcers.collect();
        Some(Peer { addr, announcers, ..*peer })
    }
}
