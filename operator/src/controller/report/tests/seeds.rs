//! Names by which a cluster's own Grapes join, and which do not resolve in their pods.

use super::*;

const SEED: &str = "market.trading.svc:20001";

/// The condition `Ready`, as its status and message.
fn ready(facts: &Facts<'_>) -> (String, String) {
    let status = status(facts, None, Timestamp::UNIX_EPOCH);
    let ready = status.conditions.into_iter().find(|it| it.type_ == types::READY).unwrap();
    (ready.status, ready.message)
}

#[test]
fn the_name_of_the_service_is_reported_while_it_does_not_resolve() {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let told = |name: &str, trouble: Trouble, alone: &[&str]| {
        let alone = alone.iter().map(|pod| (*pod).to_owned()).collect();
        let dead_ends: DeadEnds = [(name.to_owned(), DeadEnd { trouble, alone })].into();
        let snapshot = HealthSnapshot { dead_ends: Some(&dead_ends), ..well(&topology) };
        ready(&facts(&cluster, &pools, &Phase::Settled, snapshot))
    };
    let unresolved = || Trouble::Unresolved("Try again".to_owned());
    let of_all = "All 3 Grapes are ready and connected, and lookups succeed. But the name by which \
                  the Grapes find each other does not resolve in their pods: \
                  market.trading.svc:20001: Try again. The operator introduces the Grapes to each \
                  other, so they work until it is away. Check dnsPolicy and dnsConfig in \
                  spec.template, and the name servers.";
    assert_eq!(told(SEED, unresolved(), &[]), ("True".to_owned(), of_all.to_owned()));
    let (_, of_one) = told(SEED, unresolved(), &["market-default-1"]);
    assert!(of_one.contains(" does not resolve in market-default-1: market."), "{of_one}");
    let well = "All 3 Grapes are ready and connected, and lookups succeed.";
    assert_eq!(told("other:1", unresolved(), &[]).1, well, "it is another name");
    // Whoever answers at the Service's address is a Grape of the cluster, or none yet.
    assert_eq!(told(SEED, Trouble::Unanswered(Vec::new()), &[]).1, well);
}

#[test]
fn a_grape_that_is_not_ready_is_reported_with_the_name_that_does_not_resolve() {
    let (cluster, mut pools) = (valid(|spec| spec.replicas = 1), [pool("default", 1)]);
    pools[0].grapes.get_mut(&0).unwrap().ready = false;
    let seed =
        UnresolvedSeed { name: "old.prod:20001".to_owned(), reason: "no such name".to_owned() };
    let unresolved = [("market-default-0".to_owned(), seed)].into();
    let facts = Facts {
        unresolved: &unresolved,
        ..facts(&cluster, &pools, &Phase::Settled, HealthSnapshot::default())
    };
    let message = "0 of 1 Grapes are ready; not ready: market-default-0: the name old.prod:20001 \
                   does not resolve there: no such name.";
    assert_eq!(ready(&facts), ("False".to_owned(), message.to_owned()));
}
