//! Addresses that other nodes tell of: each passes through here once.

use std::net::SocketAddr;

use super::Engine;
use crate::addresses::{self, AddressRefusal};
use crate::krpc::Peer;

impl Engine {
    /// The canonical form of an address that the node at `teller` names, to be kept, asked or
    /// shown. One at which nobody can be is counted.
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

    /// A peer that the node at `teller` tells of, in canonical form, with those of its announcers
    /// that can be; none where nobody can be at its address.
    pub(super) fn told_peer(&mut self, peer: &Peer, teller: &SocketAddr) -> Option<Peer> {
        let addr = self.told(peer.addr, teller).ok()?;
        let announcers = peer.announcers.iter().filter_map(|by| {
            // An unspecified address stands for the teller itself.
            if by.ip().is_unspecified() { Some(*by) } else { self.told(*by, teller).ok() }
        });
        let announcers = announcers.collect();
        Some(Peer { addr, announcers, ..*peer })
    }
}
