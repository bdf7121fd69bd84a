//! How long other Grapes find a service.

use std::collections::HashMap;

use rstest::rstest;

use super::*;

/// What other Grapes know of the services here, if each change of the register is applied.
struct Seen {
    register: Register,
    max_age: Duration,
    now: Instant,
    until: HashMap<Service, Instant>,
    told: usize,
}

impl Seen {
    fn new(max_age: Duration) -> Self {
        let (register, until) = (aged(5000, max_age), HashMap::new());
        Self { register, max_age, now: crate::clock::now(), until, told: 0 }
    }

    fn announced(&mut self, service: &Service) {
        if self.register.announced(service, self.now) {
            self.until.insert(service.clone(), self.now + self.max_age);
        }
    }

    /// Lets this many seconds pass, a round in each, in which every port answers as `outcome` has it.
    fn pass(&mut self, seconds: u64, outcome: impl Fn(u16) -> ProbeOutcome) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            for port in self.register.ports_due(self.now) {
                self.register.tried(port, outcome(port), self.now);
            }
            let changes = self.register.changes(self.now);
            for one in changes.announce {
                self.until.insert(one, self.now + self.max_age);
            }
            for (one, _) in changes.withdraw {
                self.until.remove(&one);
            }
            for renewal in self.register.renewals(self.now) {
                assert!(renewal.until <= self.now + self.max_age);
                self.until.insert(renewal.service, renewal.until);
                self.told += 1;
            }
        }
    }

    fn is_found(&self, service: &Service) -> bool {
        self.until.get(service).is_some_and(|until| *until > self.now)
    }
}

#[rstest]
fn a_service_that_announces_as_links_do_is_never_missing(
    #[values(10, 60, 120, 600)] age: u64,
    #[values(ProbeOutcome::Yes, ProbeOutcome::No, ProbeOutcome::Undecided)] port: ProbeOutcome,
) {
    let mut seen = Seen::new(Duration::from_secs(age));
    let one = service("one", 1);
    for announce in 0..200_u64 {
        seen.announced(&one);
        // Link's interval: 60 to 180 s.
        for _ in 0..60 + announce * 7919 % 121 {
            seen.pass(1, |_| port);
            assert!(seen.is_found(&one), "after {announce} announces");
        }
    }
}

#[rstest]
fn a_service_that_announced_once_is_found_while_its_port_answers(
    #[values(10, 60, 120, 600)] age: u64,
) {
    let mut seen = Seen::new(Duration::from_secs(age));
    let one = service("one", 1);
    seen.announced(&one);
    for _ in 0..3600 {
        seen.pass(1, |_| ProbeOutcome::Yes);
        assert!(seen.is_found(&one));
    }
    let most = 3600 / usize::try_from(age / 3).unwrap() + 1;
    assert!(seen.told <= most, "stored {} times, not {most} at most", seen.told);
    seen.pass(2, |_| ProbeOutcome::No);
    assert!(!seen.is_found(&one), "its port refused twice");
}

#[rstest]
#[case::never_answered(ProbeOutcome::No)]
#[case::cannot_be_tried(ProbeOutcome::Undecided)]
fn a_service_whose_port_never_answered_is_found_for_four_minutes(
    #[case] port: ProbeOutcome,
    #[values(10, 60, 120)] age: u64,
) {
    let mut seen = Seen::new(Duration::from_secs(age));
    let one = service("one", 1);
    seen.announced(&one);
    for second in 1..=600 {
        seen.pass(1, |_| port);
        assert_eq!(seen.is_found(&one), second < 240, "after {second} s");
    }
}

#[test]
fn a_service_that_hangs_is_found_for_four_minutes_after_its_port_last_answered() {
    let mut seen = Seen::new(AGE);
    let one = service("one", 1);
    seen.announced(&one);
    seen.pass(1000, |_| ProbeOutcome::Yes);
    seen.pass(239, |_| ProbeOutcome::Undecided);
    assert!(seen.is_found(&one));
    seen.pass(2, |_| ProbeOutcome::Undecided);
    assert!(!seen.is_found(&one));
}

#[rstest]
fn an_age_that_is_configured_short_holds_exactly(
    #[values(ProbeOutcome::Yes, ProbeOutcome::No)] port: ProbeOutcome,
) {
    let mut seen = Seen::new(Duration::from_secs(9));
    let one = service("one", 1);
    seen.announced(&one);
    seen.pass(8, |_| port);
    assert!(seen.is_found(&one));
    seen.pass(1, |_| port);
    assert!(!seen.is_found(&one));
    assert_eq!(seen.told, 0);
}

#[rstest]
#[case::one_that_announces_once(1, true)]
#[case::one_that_lives_there(2, false)]
fn another_service_at_the_port(#[case] announces: usize, #[case] stays: bool) {
    let mut seen = Seen::new(AGE);
    let [one, alias, other] = ["one", "alias", "other"].map(|name| service(name, 1));
    seen.announced(&one);
    seen.pass(10, |_| ProbeOutcome::Yes);
    for _ in 0..announces {
        seen.announced(&other);
        seen.announced(&alias);
        seen.pass(10, |_| ProbeOutcome::Yes);
    }
    seen.pass(229 - 10 * announces as u64, |_| ProbeOutcome::Yes);
    assert!(seen.is_found(&one), "for four minutes it may be another name of the same service");
    seen.pass(2, |_| ProbeOutcome::Yes);
    assert_eq!(seen.is_found(&one), stays);
    assert!(seen.is_found(&other) && seen.is_found(&alias));
}

#[test]
fn many_services_are_renewed_by_turns() {
    let mut seen = Seen::new(AGE);
    let services: Vec<Service> =
        (0..5000).map(|n| service(&format!("service {n}"), 1 + n % 300)).collect();
    for one in &services {
        seen.announced(one);
    }
    let mut most = 0;
    for _ in 0..300 {
        let before = seen.told;
        seen.pass(1, |_| ProbeOutcome::Yes);
        most = most.max(seen.told - before);
        assert!(services.iter().all(|one| seen.is_found(one)));
    }
    assert!(most <= 5000 / 20 + 1, "{most} in a second");
}

#[test]
fn a_service_that_dies_returns_and_announces_is_found_again() {
    let mut seen = Seen::new(AGE);
    let [says, silent] = [("says", 1), ("silent", 2)].map(|(name, port)| service(name, port));
    seen.announced(&says);
    seen.announced(&silent);
    seen.pass(500, |_| ProbeOutcome::Yes);
    seen.pass(2, |_| ProbeOutcome::No);
    assert!(!seen.is_found(&says) && !seen.is_found(&silent));
    seen.announced(&says);
    assert!(!seen.is_found(&says), "its port still refuses");
    seen.pass(1, |_| ProbeOutcome::Yes);
    assert!(seen.is_found(&says));
    assert!(!seen.is_found(&silent), "what answers there may be another");
    seen.pass(1000, |_| ProbeOutcome::Yes);
    assert!(seen.is_found(&says) && !seen.is_found(&silent));
}

#[test]
fn a_service_that_withdraws_itself_is_not_announced_again() {
    let mut seen = Seen::new(AGE);
    let one = service("one", 1);
    seen.announced(&one);
    seen.pass(100, |_| ProbeOutcome::Yes);
    seen.register.withdrew(&one, seen.now);
    seen.until.clear();
    seen.pass(500, |_| ProbeOutcome::Yes);
    assert!(!seen.is_found(&one));
}
