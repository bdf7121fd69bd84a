//! Addresses that other nodes send: each is checked here once.

use std::net::SocketAddr;

use super::Engine;
use crate::addresses::{self, AddressRefusal};
use crate::krpc::Peer;

impl Engine {
    /// The canonical form of an address that the node at `teller` sent. Impossible ones are
    /// counted.
    ///
    /// # Errors
    /// Why nobody can be there.
    pub(super) fn told(
        &mut self,
        addr: SocketAddr,
        teller: &SocketAddr,
    ) -> Result<SocketAddr, AddressRefusal> {
        let told = addresses::told(addr, teller, self.own.all());
        if let Err(refusal) = told {
            self.stats.addresses_refused[refusal.index()] += 1;
        }
        told
    }

    /// A peer that the node at `teller` returned, in canonical form, without impossible announcers;
    /// `None` if the peer's address is impossible.
    pub(super) fn received_peer(&mut self, peer: &Peer, teller: &SocketAddr) -> Option<Peer> {
        let addr = self.told(peer.addr, teller).ok()?;
        let announcers = peer.announcers.iter().filter_map(|by| {
            // An unspecified address stands for the teller itself.
            if by.ip().is_unspecified() { Some(*by) } else { self.told(*by, teller).ok() }
        });
        let announcers = announcers.collect();
        Some(Peer { addr, announcers, ..*peer })
    }
}
