//! Addresses from outside of the network, such as from the operator, which sees more of it: each is
//! pinged once, and only a node that answers enters the routing table.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use crate::addresses::AddressRefusal;

/// An address that no node can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address {addr} is impossible: {}", why.reason())]
pub struct ImpossibleIntroduction {
    addr: SocketAddr,
    why: AddressRefusal,
}

impl Engine {
    /// Pings each of these addresses at which no node is known, and returns how many it pings. A
    /// node that answers, and is of this network, is a node like any other. `by` is the address
    /// that the introduction came from. An empty list means that there are no other nodes: a node
    /// that knows none is then the first of its network, and ready.
    ///
    /// # Errors
    /// When one of them is impossible. Then none is pinged.
    pub fn introduce(
        &mut self,
        addrs: &[SocketAddr],
        by: SocketAddr,
        now: Instant,
    ) -> Result<usize, ImpossibleIntroduction> {
        let admitted = |addr: &SocketAddr| {
            let refused = |why| ImpossibleIntroduction { addr: *addr, why };
            self.admit(*addr, &by).map_err(refused)
        };
        let addrs: Vec<_> = addrs.iter().map(admitted).collect::<Result<_, _>>()?;
        if addrs.is_empty() && self.routing.is_empty() {
            self.bootstrap.is_alone();
            self.joined(now);
        }
        let unknown: Vec<_> = addrs.into_iter().filter(|addr| !self.knows(addr)).collect();
        for addr in &unknown {
            self.ask_stranger(*addr, None, now);
        }
        Ok(unknown.len())
    }
}
