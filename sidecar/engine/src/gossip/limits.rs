//! What a machine holds and sends at most, and what it says to a caller that wants more.

use std::time::{Duration, Instant};

/// Most groups of a machine.
pub const MAX_GROUPS: usize = 16;
/// Most bytes of a group's name.
pub const MAX_GROUP_NAME: usize = 128;
/// Most members of a group, this one among them.
pub const MAX_MEMBERS: usize = 1000;
/// Most keys of a member.
pub const MAX_KEYS: usize = 256;
/// Most bytes of a key.
pub const MAX_KEY: usize = 128;
/// Most bytes of a value.
pub const MAX_GOSSIP_VALUE: usize = 4096;
/// Most bytes of all keys and values of a member.
pub const MAX_STATE: usize = 8192;
/// Most bytes that the members of all groups of a machine take.
pub const MAX_MEMORY: usize = 24 << 20;
/// Most bytes of a datagram.
pub const MAX_DATAGRAM: usize = 1200;

/// Bytes a second that a machine sends in the long run …
const BYTES: u32 = 256 << 10;
/// … and datagrams a second. Twice as much may be sent at once.
const PACKETS: u32 = 1000;
/// After this long without a datagram, as much may be sent as ever.
const LONGEST_REFILL: Duration = Duration::from_secs(2);
/// A part of both that only answers and probes may use: without them others would take a busy
/// member for a dead one.
const RESERVED: u32 = 4;

/// Why a group was not joined, or a key not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GossipError {
    /// The group's name is empty, too long, or has control characters.
    #[error(
        "a group's name has 1 to {MAX_GROUP_NAME} bytes and no control characters, as in workers"
    )]
    GroupName,
    /// There are as many groups as there may be.
    #[error("a Grape is in {MAX_GROUPS} groups at most: leave one of them first")]
    Groups,
    /// The group was not joined.
    #[error("this Grape is not in the group: join it first")]
    NotJoined,
    /// The key is empty or too long.
    #[error("a key has 1 to {MAX_KEY} bytes, and this one has {0}")]
    Key(usize),
    /// The value is too long.
    #[error(
        "a value has {MAX_GOSSIP_VALUE} bytes at most, and this one has {0}: keep it elsewhere, and share where"
    )]
    Value(usize),
    /// There are as many keys as there may be.
    #[error("a member has {MAX_KEYS} keys at most: unset one that is not needed")]
    Keys,
    /// All keys and values together are too long.
    #[error(
        "the keys and values of a member have {MAX_STATE} bytes at most, and would have {0}: unset what is not needed"
    )]
    State(usize),
    /// What the machine holds of all groups is too much already.
    #[error("all groups of a Grape have {MAX_MEMORY} bytes at most: leave a group")]
    Memory,
}

/// Whether a text can name a group.
///
/// # Errors
/// [`GossipError::GroupName`].
pub fn check_group_name(name: &str) -> Result<(), GossipError> {
    let fits = (1..=MAX_GROUP_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(GossipError::GroupName) }
}

/// Whether a key and a value are short enough, each by itself.
///
/// # Errors
/// The bound that one of them passes.
pub(super) fn check_lengths(key: &str, value: &[u8]) -> Result<(), GossipError> {
    if !(1..=MAX_KEY).contains(&key.len()) {
        return Err(GossipError::Key(key.len()));
    }
    if value.len() > MAX_GOSSIP_VALUE {
        return Err(GossipError::Value(value.len()));
    }
    Ok(())
}

/// How important a datagram is when few may still be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// It shows that this member lives, or asks another whether it does.
    Life,
    /// It carries state, which can come later.
    State,
}

/// What may still be sent, in bytes and datagrams: two token buckets.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u32,
    packets: u32,
    refilled: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { bytes: 2 * BYTES, packets: 2 * PACKETS, refilled: now }
    }

    /// Whether so many bytes of state may be sent.
    pub(super) fn has_bytes(&mut self, bytes: usize, now: Instant) -> bool {
        self.refill(now);
        self.bytes >= u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(BYTES / RESERVED)
    }

    /// Takes a datagram of so many bytes, if it may be sent.
    pub(super) fn take(&mut self, bytes: usize, priority: Priority, now: Instant) -> bool {
        self.refill(now);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let (kept_bytes, kept_packets) = match priority {
            Priority::Life => (0, 0),
            Priority::State => (BYTES / RESERVED, PACKETS / RESERVED),
        };
        let fits = self.bytes >= bytes.saturating_add(kept_bytes) && self.packets > kept_packets;
        if fits {
            self.bytes -= bytes;
            self.packets -= 1;
        }
        fits
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled).min(LONGEST_REFILL);
        let millis = u32::try_from(passed.as_millis()).unwrap_or(0);
        // What is left of a millisecond counts the next time.
        let left = passed.saturating_sub(Duration::from_millis(millis.into()));
        self.refilled = now.checked_sub(left).unwrap_or(now).max(self.refilled);
        let refill = |left: u32, a_second: u32| (left + a_second / 1000 * millis).min(2 * a_second);
        self.bytes = refill(self.bytes, BYTES);
        self.packets = refill(self.packets, PACKETS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_still_answers_probes() {
        let now = crate::clock::now();
        let mut budget = Budget::new(now);
        let mut sent =
            |priority, now| (0..10_000).filter(|_| budget.take(60, priority, now)).count();
        let state = sent(Priority::State, now);
        assert!((1500..2000).contains(&state), "{state} of 2,000 packets");
        assert_eq!(sent(Priority::Life, now), 2000 - state);
        assert_eq!(sent(Priority::Life, now), 0);
        assert_eq!(sent(Priority::Life, now + Duration::from_millis(500)), 500);
        assert_eq!(sent(Priority::Life, now + Duration::from_secs(1000)), 2000);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let now = crate::clock::now();
        let mut budget = Budget::new(now);
        let sent = (0..10_000).filter(|_| budget.take(1200, Priority::Life, now)).count();
        assert_eq!(sent, (2 * BYTES) as usize / 1200);
    }

    #[test]
    fn errors_name_the_bound_and_what_would_be_right() {
        assert_eq!(
            GossipError::Key(200).to_string(),
            "a key has 1 to 128 bytes, and this one has 200"
        );
        assert!(GossipError::State(9000).to_string().contains("8192 bytes at most"));
        assert_eq!(check_group_name("workers"), Ok(()));
        assert_eq!(check_group_name(&"x".repeat(129)), Err(GossipError::GroupName));
        assert_eq!(check_group_name("a\nb"), Err(GossipError::GroupName));
    }
}
