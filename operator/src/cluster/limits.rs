//! The bounds of each field, once: the schema, the validation and its messages read them here.

use std::ops::RangeInclusive;
use std::time::Duration;

/// `spec.replicas`.
pub const REPLICAS: RangeInclusive<i32> = 1..=1000;
/// `spec.dht.port` and `spec.api.port`.
pub const PORT: RangeInclusive<i32> = 1..=65535;
/// `spec.dht.concurrency`.
pub const CONCURRENCY: RangeInclusive<i32> = 1..=1024;
/// `spec.dht.maxTables`.
pub const TABLES: RangeInclusive<i32> = 1..=1_000_000;
/// `spec.dht.maxValues`.
pub const VALUES: RangeInclusive<i32> = 1..=1_000_000;
/// `spec.api.maxPayloadSize`, in bytes: an announce of a long name fits in the least.
pub const PAYLOAD: RangeInclusive<i32> = 1024..=1_048_576;

/// `spec.dht.peerMaxAge` and `spec.dht.nodeLiveness`.
pub const AGE: Ages = Ages { least: "1s", most: "24h" };

/// Most entries of `spec.dht.bootstrap`.
pub const BOOTSTRAP_LENGTH: usize = 64;
/// Most characters of one of them: a DNS name has up to 253.
pub const HOST_PORT_LENGTH: usize = 260;
/// What one of them looks like.
pub const HOST_PORT_PATTERN: &str = r"^(\[[0-9A-Za-z:.%_-]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}$";
/// What the pattern cannot say, as CEL: the pattern lets 00000 and 99999 pass.
pub const HOST_PORT_RULE: &str = "self.all(address, \
     int(address.substring(address.lastIndexOf(':') + 1)) >= 1 && \
     int(address.substring(address.lastIndexOf(':') + 1)) <= 65535)";
/// What is said when that rule is broken.
pub const HOST_PORT_RULE_MESSAGE: &str = "each port is a number from 1 to 65535";
/// What would be right for one of them.
pub const HOST_PORT_EXPECTED: &str =
    "HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001";

/// The bounds of a duration, written as in a manifest.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    least: &'static str,
    most: &'static str,
}

impl Ages {
    /// The CEL rule that holds a field to these bounds.
    pub fn rule(&self) -> String {
        let Self { least, most } = self;
        format!("duration(self) >= duration('{least}') && duration(self) <= duration('{most}')")
    }

    /// What would be right.
    pub fn expected(&self) -> String {
        format!("a duration from {} to {}, as in 120s, 5m or 1h30m", self.least, self.most)
    }

    /// Whether `duration` is within the bounds, the bounds included.
    pub fn contains(&self, duration: Duration) -> bool {
        let bound = |text| super::duration::parse(text);
        bound(self.least).is_ok_and(|least| least <= duration)
            && bound(self.most).is_ok_and(|most| duration <= most)
    }
}

/// What would be right for a number within `range`.
pub fn expected_number(range: &RangeInclusive<i32>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}
