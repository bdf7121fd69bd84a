//! The register, through tables and through whatever may happen in any order.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rstest::rstest;

use super::facts::{GRACE, Reason};
use super::health::Outcome;
use super::register::{Changes, MAX_PORTS, Register, Service, Settings};

const AGE: Duration = Duration::from_secs(120);

fn service(name: &str, port: u16) -> Service {
    (name.as_bytes().into(), port)
}

fn checked(max_services: usize) -> Register {
    aged(max_services, AGE)
}

fn aged(max_services: usize, max_age: Duration) -> Register {
    Register::new(Settings { check_announced: true, max_services, max_age, ..Settings::default() })
}

fn declared(services: &[Service], conditions: usize) -> Register {
    Register::new(Settings {
        declared: services.to_vec(),
        conditions,
        check_announced: true,
        max_services: 10,
        max_age: AGE,
    })
}

/// What other Grapes know of the services here, as one that does what the register wants tells them.
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
    fn pass(&mut self, seconds: u64, outcome: impl Fn(u16) -> Outcome) {
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
    #[values(Outcome::Yes, Outcome::No, Outcome::Undecided)] port: Outcome,
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
        seen.pass(1, |_| Outcome::Yes);
        assert!(seen.is_found(&one));
    }
    let most = 3600 / usize::try_from(age / 3).unwrap() + 1;
    assert!(seen.told <= most, "stored {} times, not {most} at most", seen.told);
    seen.pass(2, |_| Outcome::No);
    assert!(!seen.is_found(&one), "its port refused twice");
}

#[rstest]
#[case::never_answered(Outcome::No)]
#[case::cannot_be_tried(Outcome::Undecided)]
fn a_service_whose_port_never_answered_is_found_for_four_minutes(
    #[case] port: Outcome,
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
    seen.pass(1000, |_| Outcome::Yes);
    seen.pass(239, |_| Outcome::Undecided);
    assert!(seen.is_found(&one));
    seen.pass(2, |_| Outcome::Undecided);
    assert!(!seen.is_found(&one));
}

#[rstest]
fn an_age_that_is_configured_short_holds_exactly(
    #[values(Outcome::Yes, Outcome::No)] port: Outcome,
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
    seen.pass(10, |_| Outcome::Yes);
    for _ in 0..announces {
        seen.announced(&other);
        seen.announced(&alias);
        seen.pass(10, |_| Outcome::Yes);
    }
    seen.pass(229 - 10 * announces as u64, |_| Outcome::Yes);
    assert!(seen.is_found(&one), "for four minutes it may be another name of the same service");
    seen.pass(2, |_| Outcome::Yes);
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
        seen.pass(1, |_| Outcome::Yes);
        most = most.max(seen.told - before);
        assert!(services.iter().all(|one| seen.is_found(one)));
    }
    assert!(most <= 5000 / 20 + 1, "{most} in a second");
}

#[test]
fn who_dies_comes_back_and_says_so_is_found_again() {
    let mut seen = Seen::new(AGE);
    let [says, silent] = [("says", 1), ("silent", 2)].map(|(name, port)| service(name, port));
    seen.announced(&says);
    seen.announced(&silent);
    seen.pass(500, |_| Outcome::Yes);
    seen.pass(2, |_| Outcome::No);
    assert!(!seen.is_found(&says) && !seen.is_found(&silent));
    seen.announced(&says);
    assert!(!seen.is_found(&says), "its port still refuses");
    seen.pass(1, |_| Outcome::Yes);
    assert!(seen.is_found(&says));
    assert!(!seen.is_found(&silent), "what answers there may be another");
    seen.pass(1000, |_| Outcome::Yes);
    assert!(seen.is_found(&says) && !seen.is_found(&silent));
}

#[test]
fn a_service_that_withdraws_itself_is_not_announced_again() {
    let mut seen = Seen::new(AGE);
    let one = service("one", 1);
    seen.announced(&one);
    seen.pass(100, |_| Outcome::Yes);
    seen.register.withdrew(&one, seen.now);
    seen.until.clear();
    seen.pass(500, |_| Outcome::Yes);
    assert!(!seen.is_found(&one));
}

/// Tries a port as letters tell: yes, no, undecided. Returns the changes after the last.
fn tried(register: &mut Register, port: u16, tries: &str, now: Instant) -> Changes {
    let mut changes = Changes::default();
    for letter in tries.chars() {
        register.tried(port, outcome(letter), now);
        changes = register.changes(now);
    }
    changes
}

fn outcome(letter: char) -> Outcome {
    match letter {
        'y' => Outcome::Yes,
        'n' => Outcome::No,
        _ => Outcome::Undecided,
    }
}

fn announce(services: &[Service]) -> Changes {
    Changes { announce: services.to_vec(), ..Changes::default() }
}

fn withdraw(service: Service, reason: Reason) -> Changes {
    Changes { withdraw: vec![(service, reason)], ..Changes::default() }
}

fn reasons(register: &Register, now: Instant) -> Vec<Reason> {
    register.held_back(now).map(|(_, reason)| reason).collect()
}

#[rstest]
#[case::never_answered("nnnn", false)]
#[case::never_decided("uuuu", false)]
#[case::refused_once("yn", false)]
#[case::refused_now_and_then("ynynyn", false)]
#[case::busy_in_between("ynun", false)]
#[case::too_busy_to_answer("yuuuu", false)]
#[case::gone("ynn", true)]
fn a_service_that_announced_itself(#[case] tries: &str, #[case] withdrawn: bool) {
    let now = crate::clock::now();
    let mut register = checked(10);
    let one = service("one", 1);
    assert!(register.announced(&one, now));
    assert_eq!(register.ports_due(now), [1]);
    let changes = tried(&mut register, 1, tries, now);
    let expected = withdraw(one.clone(), Reason::PortRefuses);
    assert_eq!(changes, if withdrawn { expected } else { Changes::default() });
    assert_eq!(register.is_free(&one), !withdrawn);
    assert_eq!(register.announced(&one, now), !withdrawn);
    assert_eq!(reasons(&register, now).is_empty(), !withdrawn);
}

#[test]
fn who_announced_itself_meanwhile_is_back_when_its_port_is() {
    let now = crate::clock::now();
    let mut register = checked(10);
    let [back, silent, elsewhere] =
        [("back", 1), ("silent", 1), ("elsewhere", 2)].map(|(name, port)| service(name, port));
    for one in [&back, &silent, &elsewhere] {
        assert!(register.announced(one, now));
    }
    tried(&mut register, 2, "y", now);
    let changes = tried(&mut register, 1, "ynn", now);
    let gone: HashSet<Service> = changes.withdraw.into_iter().map(|(one, _)| one).collect();
    assert_eq!(gone, HashSet::from([back.clone(), silent.clone()]), "both, and no other");
    assert!(!register.announced(&back, now), "held back");
    assert_eq!(tried(&mut register, 1, "nu", now), Changes::default());
    assert_eq!(tried(&mut register, 1, "y", now), announce(std::slice::from_ref(&back)));
    assert!(
        register.is_free(&back) && !register.is_free(&silent),
        "it may be another that answers"
    );
    assert!(register.announced(&silent, now));
    assert_eq!(reasons(&register, now), []);
}

#[test]
fn without_the_flag_nothing_is_tried() {
    let now = crate::clock::now();
    let mut register =
        Register::new(Settings { max_age: AGE, max_services: 10, ..Settings::default() });
    assert!(register.announced(&service("one", 1), now));
    assert!(register.ports_due(now).is_empty() && register.conditions_due().is_empty());
}

#[test]
fn a_service_is_forgotten_with_its_age_and_its_port_with_it() {
    let now = crate::clock::now();
    let mut register = checked(10);
    let one = service("one", 1);
    register.announced(&one, now);
    tried(&mut register, 1, "ynn", now);
    let later = now + GRACE;
    assert_eq!(reasons(&register, later - Duration::from_millis(1)), [Reason::PortRefuses]);
    assert_eq!(reasons(&register, later), []);
    assert!(register.ports_due(later).is_empty());
    assert_eq!(register.changes(later), Changes::default(), "it was withdrawn already");
    assert!(register.announced(&one, later), "what its port did before is no longer known");
}

#[test]
fn a_service_that_withdraws_itself_is_not_tried() {
    let now = crate::clock::now();
    let mut register = checked(10);
    let one = service("one", 1);
    register.announced(&one, now);
    register.withdrew(&one, now);
    assert!(register.ports_due(now).is_empty());
}

#[test]
fn what_is_remembered_and_tried_is_bounded() {
    let now = crate::clock::now();
    let mut register = checked(2000);
    for port in 1..=1000 {
        assert!(register.announced(&service("many", port), now));
        assert!(register.announced(&service("more", port), now));
    }
    let mut tried = HashSet::new();
    for round in 1..=4 {
        let ports = register.ports_due(now);
        assert_eq!(ports.len(), MAX_PORTS);
        for port in ports {
            register.tried(port, Outcome::Yes, now + Duration::from_secs(round));
            tried.insert(port);
        }
    }
    assert_eq!(tried.len(), 1000, "each has its turn");
    register.tried(7, Outcome::No, now + AGE);
    assert!(register.ports_due(now).contains(&7), "whether it has ended should be known soon");
    let mut register = checked(2);
    for port in 1..=3 {
        register.announced(&service("many", port), now);
    }
    let mut ports = register.ports_due(now);
    ports.sort_unstable();
    assert_eq!(ports, [2, 3], "the oldest made room");
}

#[test]
fn what_a_flag_declares_waits_for_its_port_and_each_condition() {
    let now = crate::clock::now();
    let one = service("one", 1);
    let mut register = declared(std::slice::from_ref(&one), 2);
    assert_eq!((register.ports_due(now), register.conditions_due()), (vec![1], 0..2));
    let mut step = |act: &dyn Fn(&mut Register), changes: Changes, held: &[Reason]| {
        act(&mut register);
        assert_eq!(register.changes(now), changes);
        assert_eq!(register.changes(now), Changes::default(), "once done, nothing is to be done");
        assert_eq!(reasons(&register, now), held);
        let again = if held.is_empty() { vec![one.clone()] } else { Vec::new() };
        assert_eq!(register.again(), again);
        assert_eq!(register.is_free(&one), held.is_empty());
    };
    let none = Changes::default;
    let asked = |place, letter| {
        move |r: &mut Register| {
            r.asked(place, outcome(letter));
        }
    };
    let port = |letter| {
        move |r: &mut Register| {
            r.tried(1, outcome(letter), now);
        }
    };
    step(&|_| {}, none(), &[Reason::PortSilent]);
    step(&asked(1, 'y'), none(), &[Reason::PortSilent]);
    step(&port('n'), none(), &[Reason::PortSilent]);
    step(&port('y'), none(), &[Reason::NotReady(0)]);
    step(&asked(0, 'n'), none(), &[Reason::NotReady(0)]);
    step(&asked(0, 'y'), announce(&[service("one", 1)]), &[]);
    step(&asked(1, 'n'), none(), &[]);
    let gone = |reason| withdraw(service("one", 1), reason);
    step(&asked(1, 'n'), gone(Reason::NotReady(1)), &[Reason::NotReady(1)]);
    step(&asked(1, 'y'), announce(&[service("one", 1)]), &[]);
    step(&port('n'), none(), &[]);
    step(&port('n'), gone(Reason::PortRefuses), &[Reason::PortRefuses]);
    step(&port('u'), none(), &[Reason::PortRefuses]);
    step(&port('y'), announce(&[service("one", 1)]), &[]);
}

#[test]
fn the_flag_goes_before_what_the_service_says_of_itself() {
    let now = crate::clock::now();
    let one = service("one", 1);
    let mut register = declared(std::slice::from_ref(&one), 1);
    assert!(!register.announced(&one, now), "its port has not answered");
    tried(&mut register, 1, "y", now);
    register.asked(0, Outcome::Yes);
    assert!(register.announced(&one, now));
    assert_eq!(register.changes(now), Changes::default(), "it is announced already");

    register.withdrew(&one, now);
    assert_eq!(register.changes(now), Changes::default());
    assert_eq!(reasons(&register, now), [Reason::Withdrew]);
    let later = now + Duration::from_secs(30);
    assert_eq!(register.changes(later), announce(std::slice::from_ref(&one)), "it is still there");
    register.withdrew(&one, later);
    assert!(register.announced(&one, later), "it says so");
}

#[test]
fn after_a_drain_all_is_held_back_and_nothing_is_tried() {
    let now = crate::clock::now();
    let [flag, own, new] = [("flag", 1), ("own", 2), ("new", 3)].map(|(n, p)| service(n, p));
    let mut register = declared(std::slice::from_ref(&flag), 0);
    register.announced(&own, now);
    tried(&mut register, 1, "y", now);
    register.drain();
    assert_eq!(register.changes(now), Changes::default(), "the drain withdraws them itself");
    assert!(register.again().is_empty() && register.ports_due(now).is_empty());
    for one in [&flag, &own, &new] {
        assert!(!register.announced(one, now) && !register.is_free(one));
    }
    assert_eq!(tried(&mut register, 1, "nnyy", now), Changes::default());
    assert_eq!(reasons(&register, now), [Reason::Drained; 3]);
}

#[derive(Debug, Clone)]
enum Event {
    Announced(usize),
    Withdrew(usize),
    Port(u16, char),
    Condition(char),
    Passes(u64),
    Drained,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let letter = prop_oneof![Just('y'), Just('n'), Just('u')];
    let event = prop_oneof![
        8 => (0..SERVICES.len()).prop_map(Event::Announced),
        2 => (0..SERVICES.len()).prop_map(Event::Withdrew),
        16 => (1..4_u16, letter.clone()).prop_map(|(port, letter)| Event::Port(port, letter)),
        4 => letter.prop_map(Event::Condition),
        2 => (1..300_u64).prop_map(Event::Passes),
        1 => Just(Event::Drained),
    ];
    proptest::collection::vec(event, 1..80)
}

/// The first is declared by a flag.
const SERVICES: [(&str, u16); 5] = [("a", 1), ("b", 1), ("b", 2), ("c", 2), ("d", 3)];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever follows what the register says has, at any time, announced what is free and
    /// nothing that is held back.
    #[test]
    fn what_is_told_adds_up(events in events()) {
        let mut now = crate::clock::now();
        let services = SERVICES.map(|(name, port)| service(name, port));
        let mut register = declared(&services[..1], 1);
        let mut announced: HashSet<Service> = HashSet::new();
        let mut drained = false;
        for event in events {
            match event {
                Event::Announced(at) => {
                    if register.announced(&services[at], now) {
                        announced.insert(services[at].clone());
                    }
                }
                Event::Withdrew(at) => {
                    register.withdrew(&services[at], now);
                    announced.remove(&services[at]);
                }
                Event::Port(port, letter) => { register.tried(port, outcome(letter), now); },
                Event::Condition(letter) => { register.asked(0, outcome(letter)); },
                Event::Passes(seconds) => {
                    for _ in 0..seconds {
                        now += Duration::from_secs(1);
                        register.ports_due(now);
                        let changes = register.changes(now);
                        for (one, _) in &changes.withdraw {
                            prop_assert!(announced.remove(one), "{:?} was not announced", one);
                        }
                        prop_assert!(changes.announce.iter().all(|one| *one == services[0]));
                        announced.extend(changes.announce);
                        for renewal in register.renewals(now) {
                            prop_assert!(announced.contains(&renewal.service));
                        }
                    }
                    // Announces end with their age in the DHT too; a flag's are made again.
                    announced.retain(|one| *one == services[0] || register.is_free(one));
                }
                Event::Drained => {
                    register.drain();
                    announced.clear();
                    drained = true;
                }
            }
            let changes = register.changes(now);
            for one in changes.announce {
                prop_assert!(announced.insert(one.clone()), "{:?} was announced already", one);
            }
            for (one, _) in changes.withdraw {
                prop_assert!(announced.remove(&one), "{:?} was not announced", one);
            }
            prop_assert_eq!(register.changes(now), Changes::default());
            let held: HashSet<Service> =
                register.held_back(now).map(|(one, _)| one.clone()).collect();
            prop_assert!(held.is_disjoint(&announced), "{:?} and {:?}", held, announced);
            prop_assert!(held.contains(&services[0]) != announced.contains(&services[0]));
            prop_assert!(announced.iter().all(|one| register.is_free(one)));
            prop_assert!(!drained || announced.is_empty());
        }
    }
}
