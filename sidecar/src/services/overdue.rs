//! Services that have been held back for so long that people should know. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::facts::Reason;
use super::register::Service;

/// A service may take so long to start, or to start again.
const OVERDUE_AFTER: Duration = Duration::from_secs(30);

/// What was held back when it was last looked.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    since: HashMap<Service, Held>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    since: Instant,
    reason: Reason,
    is_told: bool,
}

impl Held {
    fn is_overdue(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= OVERDUE_AFTER
    }
}

impl Overdue {
    /// Takes in all that is held back at `now`. Returns what is overdue since this look.
    pub(super) fn look<'a>(
        &mut self,
        held_back: impl Iterator<Item = (&'a Service, Reason)>,
        now: Instant,
    ) -> Vec<(Service, Reason)> {
        let mut before = std::mem::take(&mut self.since);
        let mut news = Vec::new();
        for (service, reason) in held_back.filter(|(_, reason)| is_amiss(*reason)) {
            let known = before.remove(service);
            let mut held = Held { since: now, reason, is_told: false };
            if let Some(known) = known {
                held = Held { reason, ..known };
            }
            if held.is_overdue(now) && !held.is_told {
                held.is_told = true;
                news.push((service.clone(), reason));
            }
            self.since.insert(service.clone(), held);
        }
        news
    }

    /// What is overdue at `now`, by name and port.
    pub(super) fn list(&self, now: Instant) -> Vec<(&Service, Reason)> {
        let overdue = self.since.iter().filter(|(_, held)| held.is_overdue(now));
        let mut list: Vec<_> = overdue.map(|(service, held)| (service, held.reason)).collect();
        list.sort_unstable_by_key(|(service, _)| *service);
        list
    }
}

/// Whether it is not what somebody asked for.
fn is_amiss(reason: Reason) -> bool {
    match reason {
        Reason::PortRefuses | Reason::PortSilent | Reason::NotReady(_) => true,
        Reason::Withdrew | Reason::Drained | Reason::TakenOver => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::clock;

    fn service(name: &str) -> Service {
        (name.as_bytes().into(), 7001)
    }

    fn look(overdue: &mut Overdue, held: &[(&str, Reason)], now: Instant) -> Vec<String> {
        let held: Vec<_> = held.iter().map(|(name, reason)| (service(name), *reason)).collect();
        let held = held.iter().map(|(service, reason)| (service, *reason));
        let news = overdue.look(held, now).into_iter();
        news.map(|((name, _), _)| String::from_utf8_lossy(&name).into_owned()).collect()
    }

    #[rstest]
    #[case(Reason::PortRefuses)]
    #[case(Reason::PortSilent)]
    #[case(Reason::NotReady(0))]
    fn a_service_held_back_for_half_a_minute_is_reported_once(#[case] reason: Reason) {
        let (mut overdue, start) = (Overdue::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let told: Vec<u64> = (0..100)
            .filter(|second| !look(&mut overdue, &[("a", reason)], at(*second)).is_empty())
            .collect();
        assert_eq!(told, [30]);
        assert_eq!(overdue.list(at(100)), [(&service("a"), reason)]);
        assert_eq!(look(&mut overdue, &[], at(101)), [""; 0]);
        assert!(overdue.list(at(200)).is_empty() && overdue.since.is_empty());
    }

    #[test]
    fn another_reason_is_the_same_wait() {
        let (mut overdue, start) = (Overdue::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(look(&mut overdue, &[("a", Reason::PortSilent)], at(0)), [""; 0]);
        assert_eq!(look(&mut overdue, &[("a", Reason::NotReady(1))], at(30)), ["a"]);
        assert_eq!(overdue.list(at(30)), [(&service("a"), Reason::NotReady(1))]);
    }

    #[rstest]
    #[case(Reason::Withdrew)]
    #[case(Reason::Drained)]
    #[case(Reason::TakenOver)]
    fn a_service_held_back_on_request_is_not_reported(#[case] reason: Reason) {
        let (mut overdue, start) = (Overdue::default(), clock::now());
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert_eq!(look(&mut overdue, &[("a", reason)], now), [""; 0]);
            assert!(overdue.list(now).is_empty());
        }
    }
}
