//! What each try of a port or a condition changes.

use std::collections::HashSet;

use rstest::rstest;

use super::*;

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
fn a_service_that_announced_itself_meanwhile_is_back_when_its_port_is() {
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
    let mut register = Register::new(RegisterConfig {
        max_age: AGE,
        max_services: 10,
        ..RegisterConfig::default()
    });
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
fn memory_and_tries_are_bounded() {
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
            register.tried(port, ProbeOutcome::Yes, now + Duration::from_secs(round));
            tried.insert(port);
        }
    }
    assert_eq!(tried.len(), 1000, "each has its turn");
    register.tried(7, ProbeOutcome::No, now + AGE);
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
fn a_declared_service_waits_for_its_port_and_each_condition() {
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
fn the_flag_takes_precedence_over_the_services_own_announces() {
    let now = crate::clock::now();
    let one = service("one", 1);
    let mut register = declared(std::slice::from_ref(&one), 1);
    assert!(!register.announced(&one, now), "its port has not answered");
    tried(&mut register, 1, "y", now);
    register.asked(0, ProbeOutcome::Yes);
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
