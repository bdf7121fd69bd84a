//! From where a service was announced, and who may withdraw it. A program on this host speaks for all of
//! it. One elsewhere, which reaches the API over the network, takes back only what it announced itself.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses elsewhere that are remembered for a service. One that finds no place announces like the
/// others, and its announce lapses.
const MAX_ELSEWHERE: usize = 8;

/// What a withdrawal comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nobody else announces the service: it is withdrawn.
    Last,
    /// Somebody else announces it too: it stays.
    Shared,
    /// Who asks has not announced it here.
    None,
}

/// Who announced a service, and when last.
#[derive(Debug, Default)]
pub(super) struct Announcers {
    here: Option<Instant>,
    elsewhere: Vec<(IpAddr, Instant)>,
}

impl Announcers {
    /// It was announced from this address, without a zone and not of IPv4 in IPv6.
    pub(super) fn add(&mut self, from: IpAddr, now: Instant) {
        if from.is_loopback() {
            self.here = Some(now);
        } else if let Some(known) = self.elsewhere.iter_mut().find(|(addr, _)| *addr == from) {
            known.1 = now;
        } else if self.elsewhere.len() < MAX_ELSEWHERE {
            self.elsewhere.push((from, now));
        }
    }

    /// It is withdrawn from this address. An announce counts for `max_age`.
    pub(super) fn withdraw(&mut self, from: IpAddr, max_age: Duration, now: Instant) -> Claim {
        if from.is_loopback() {
            return Claim::Last;
        }
        let before = self.elsewhere.len();
        self.elsewhere.retain(|(addr, _)| *addr != from);
        if self.elsewhere.len() == before {
            return Claim::None;
        }
        let is_valid = |at: &Instant| now.saturating_duration_since(*at) < max_age;
        self.elsewhere.retain(|(_, at)| is_valid(at));
        self.here = self.here.filter(is_valid);
        if self.here.is_some() || !self.elsewhere.is_empty() { Claim::Shared } else { Claim::Last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(120);
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn elsewhere(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn who_announced_it_alone_withdraws_it() {
        let now = crate::clock::now();
        let mut by = Announcers::default();
        by.add(elsewhere(1), now);
        assert_eq!(by.withdraw(elsewhere(2), AGE, now), Claim::None);
        assert_eq!(by.withdraw(elsewhere(1), AGE, now), Claim::Last);
        assert_eq!(by.withdraw(elsewhere(1), AGE, now), Claim::None, "once");
    }

    #[test]
    fn it_stays_until_the_last_has_withdrawn_it_or_lapsed() {
        let now = crate::clock::now();
        let mut by = Announcers::default();
        by.add(HERE, now);
        by.add(elsewhere(1), now);
        assert_eq!(by.withdraw(elsewhere(1), AGE, now), Claim::Shared);
        by.add(elsewhere(1), now + AGE / 2);
        by.add(elsewhere(2), now + AGE / 2);
        assert_eq!(by.withdraw(elsewhere(1), AGE, now + AGE), Claim::Shared);
        assert_eq!(by.withdraw(elsewhere(2), AGE, now + AGE), Claim::Last, "ours has lapsed");
    }

    #[test]
    fn this_host_speaks_for_all() {
        let now = crate::clock::now();
        let mut by = Announcers::default();
        by.add(elsewhere(1), now);
        assert_eq!(by.withdraw(HERE, AGE, now), Claim::Last);
        assert_eq!(Announcers::default().withdraw(HERE, AGE, now), Claim::Last);
    }

    #[test]
    fn many_announcers_take_no_more_room() {
        let now = crate::clock::now();
        let mut by = Announcers::default();
        (0..200).for_each(|n| by.add(elsewhere(n), now));
        assert_eq!(by.elsewhere.len(), MAX_ELSEWHERE);
        assert_eq!(by.withdraw(elsewhere(199), AGE, now), Claim::None);
        assert_eq!(by.withdraw(elsewhere(0), AGE, now), Claim::Shared);
    }
}
