//! How many announces are sent again to nodes that say that they dropped them: anyone can say so, as
//! often as it likes.

use std::net::IpAddr;
use std::time::Instant;

use crate::rate_limiter::{HostLimiter, RateLimiter};

/// How many go at once, and each second in the long run: to or from one host, and all hosts.
struct Rates {
    host: (u32, u32),
    all: (u32, u32),
}

/// Messages that say so: for each, all own announces are looked through.
const HEARD: Rates = Rates { host: (32, 8), all: (256, 64) };
/// Announces that are sent again. Each of the k closest to a name may have dropped it.
const SENT: Rates = Rates { host: (256, 50), all: (5120, 200) };

/// What is left of one of them.
#[derive(Debug)]
struct Budget {
    all: RateLimiter,
    each: HostLimiter,
}

impl Budget {
    fn of(rates: &Rates, now: Instant) -> Self {
        let ((host_burst, host_rate), (burst, rate)) = (rates.host, rates.all);
        Self {
            all: RateLimiter::of(burst, rate, now),
            each: HostLimiter::of(host_burst, host_rate),
        }
    }

    fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        // This host's own Grapes are many, as in local mode.
        (ip.is_loopback() || self.each.take(ip, now)) && self.all.take(now)
    }
}

/// What is left of both.
#[derive(Debug)]
pub(super) struct Allowance {
    heard: Budget,
    sent: Budget,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: Budget::of(&HEARD, now), sent: Budget::of(&SENT, now) }
    }

    /// Whether a node at this address is listened to now.
    pub(super) fn hear(&mut self, ip: IpAddr, now: Instant) -> bool {
        self.heard.take(ip, now)
    }

    /// Whether an announce may be sent again to a node at this address now.
    pub(super) fn send(&mut self, ip: IpAddr, now: Instant) -> bool {
        self.sent.take(ip, now)
    }
}
