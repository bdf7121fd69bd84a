//! Bootstrap names that lead to no Grape.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use grape_operator::observe::Observer;
use grape_operator::observe::outside::Trouble;

use crate::targets::{DEADLINE, join, start_with, targets, until};

#[tokio::test]
async fn names_that_lead_to_no_grape_are_reported_with_the_reason() {
    let targets = targets(3);
    let _other = join(&targets[..1]).await;
    let nobody = targets[2].dht();
    let names = [targets[0].dht().to_string(), nobody.to_string(), "no.such.invalid:1".to_owned()];
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    let _grape = start_with(&targets[1], names).await;
    let observer = Observer::default();
    let told = async || {
        let seen = observer.observe(&targets[..2], &[], 0).await;
        assert_eq!(seen.outside[&targets[0].name].troubles, BTreeMap::new(), "it has no names");
        seen.outside[&targets[1].name].troubles.clone()
    };
    let begun = grape::clock::now();
    let mut last = told().await;
    while last.len() < 2 && begun.elapsed() < DEADLINE {
        last = told().await;
    }
    let addresses: Vec<SocketAddr> = vec![nobody];
    assert_eq!(last.get(&nobody.to_string()), Some(&Trouble::Unanswered(addresses)));
    let unresolved = last.get("no.such.invalid:1");
    assert!(matches!(unresolved, Some(Trouble::Unresolved(why)) if !why.is_empty()), "{last:?}");
    assert_eq!(last.len(), 2, "{last:?}");

    // Somebody comes to that address.
    let late = join(&targets[2..]).await;
    until("the name leads to a Grape", || late[0].status().nodes > 0).await;
    let mut last = told().await;
    while last.len() > 1 && begun.elapsed() < 2 * DEADLINE {
        last = told().await;
    }
    assert_eq!(last.into_keys().collect::<Vec<_>>(), ["no.such.invalid:1"]);
}
