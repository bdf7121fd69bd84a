//! Addresses that somebody outside of the network names, who sees more of it than we do: each is
//! pinged once. What is believed is what answers.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use crate::addresses::AddressRefusal;

/// An address to which nobody can be introduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody can be at {addr}: {}", why.told())]
pub struct ImpossibleIntroduction {
    addr: SocketAddr,
    why: AddressRefusal,
}

impl Engine {
    /// Pings those of these addresses at which no node is known, each once, and returns how many
    /// that are: whoever answers, and is of this network, is a node like any other. `by` is where
    /// who names them is. No address at all means that there is nobody else: a node that knows
    /// nobody is the first of its network, and ready.
    ///
    /// # Errors
    /// When nobody can be at one of them. None is pinged then.
    pub fn introduce(
        &mut self,
        addrs: &[SocketAddr],
        by: SocketAddr,
        now: Instant,
    ) -> Result<usize, ImpossibleIntroduction> {
        let told = |addr: &SocketAddr| {
            let refused = |why| ImpossibleIntroduction { addr: *addr, why };
            self.told(*addr, &by).map_err(refused)
        };
        let addrs: Vec<_> = addrs.iter().map(told).collect::<Result<_, _>>()?;
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
