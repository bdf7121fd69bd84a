//! Events in any order.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

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

    /// If each change is applied, the announced services are at any time exactly those that are not
    /// held back.
    #[test]
    fn changes_add_up(events in events()) {
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
