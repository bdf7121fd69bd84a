//! Which services of this host are reached over IPv6 alone.
//!
//! A service is announced over both address families where there are Grapes on both, and may listen
//! on one of them. Its port is tried before its first announce, and each second from then on. Where
//! there are Grapes on one family alone, nothing is tried.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::health::ProbeOutcome;
use super::{CONCURRENCY, EACH, probe};
use crate::dht::Dht;

/// Longest time that a first announce waits for a port: addresses of this host answer at once.
const PROBE_TIMEOUT: Duration = Duration::from_millis(100);

/// What is known of the ports at which services were announced.
pub(super) struct Families {
    dht: Dht,
    /// Whether each port answers over IPv6 alone.
    ports: Mutex<BTreeMap<u16, bool>>,
}

impl Families {
    pub(super) fn new(dht: Dht) -> Self {
        Self { dht, ports: Mutex::default() }
    }

    /// Tries a port of which nothing is known yet, before a service is announced there.
    pub(super) async fn look(&self, port: u16) {
        if !self.dht.has_both_families() || self.lock().contains_key(&port) {
            return;
        }
        // If it takes longer, the next second's try decides.
        if let Ok(alone) = timeout(PROBE_TIMEOUT, self.is_ipv6_alone(port)).await {
            self.learn([(port, alone)]);
        }
    }

    /// Tries the ports each second, as services come and go. Never ends.
    pub(super) async fn follow(&self) {
        let mut second = interval(EACH);
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            second.tick().await;
            if self.dht.has_both_families() {
                let ports = self.dht.announced_ports();
                self.lock().retain(|port, _| ports.contains(port));
                let tries = stream::iter(ports)
                    .map(async |port| (port, self.is_ipv6_alone(port).await))
                    .buffer_unordered(CONCURRENCY);
                self.learn(tries.collect::<Vec<_>>().await);
            }
        }
    }

    fn learn(&self, tried: impl IntoIterator<Item = (u16, bool)>) {
        let mut ports = self.lock();
        ports.extend(tried);
        let alone = ports.iter().filter(|(_, alone)| **alone).map(|(port, _)| *port).collect();
        self.dht.set_ipv6_ports(alone);
    }

    /// Whether a port refuses on IPv4 and answers on IPv6.
    async fn is_ipv6_alone(&self, port: u16) -> bool {
        let external = self.dht.external();
        let answers = async |loopback: IpAddr| {
            let external = external.iter().filter(|ip| ip.is_ipv4() == loopback.is_ipv4());
            let mut refused = true;
            for ip in std::iter::once(&loopback).chain(external) {
                match probe::port(&[*ip], port).await {
                    ProbeOutcome::Yes => return Some(true),
                    ProbeOutcome::No => {}
                    ProbeOutcome::Undecided => refused = false,
                }
            }
            refused.then_some(false)
        };
        answers(Ipv4Addr::LOCALHOST.into()).await == Some(false)
            && answers(Ipv6Addr::LOCALHOST.into()).await == Some(true)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, bool>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
