use std::collections::BTreeMap;

use super::*;
use crate::observe::canary::{Probe, ProbeResult};
use crate::observe::sidecars::SidecarConnection;
use crate::observe::topology::View;

/// A look at two Grapes that see each other, or not.
fn observation(together: bool) -> Observation {
    let addresses = ["10.0.0.1:1", "10.0.0.2:1"].map(|address| address.parse().unwrap());
    let view = |own: usize| View {
        name: format!("market-default-{own}"),
        address: addresses[own],
        live: Ok(if together { vec![addresses[1 - own]] } else { Vec::new() }),
    };
    Observation {
        complaints: BTreeMap::new(),
        at: grape::clock::now(),
        topology: Topology::of(&[view(0), view(1)]),
        answers: BTreeMap::new(),
        probes: Vec::new(),
        sidecars: BTreeMap::new(),
        unresolved: BTreeSet::new(),
        outside: BTreeMap::new(),
        other_networks: BTreeSet::new(),
        is_whole: true,
        known: <_>::default(),
    }
}

#[test]
fn a_sidecar_is_reported_when_it_is_odd_twice_in_a_row() {
    let now = grape::clock::now();
    let mut observations = Observations::default();
    let gone = || SidecarConnection::Silent(crate::observe::call::CallError::Refused);
    let mut reported = |sidecars: [Option<SidecarConnection>; 2]| {
        let named = ["web/a", "web/b"].into_iter().zip(sidecars);
        let sidecars = named.filter_map(|(name, connection)| Some((name.to_owned(), connection?)));
        observations.take(Observation { sidecars: sidecars.collect(), ..observation(true) }, now);
        let Connectivity { disconnected, silent, .. } = observations.connectivity();
        (disconnected.join(" "), silent.join(" "))
    };
    let is = |disconnected: &str, silent: &str| (disconnected.to_owned(), silent.to_owned());
    assert_eq!(reported([Some(SidecarConnection::Disconnected), Some(gone())]), is("", ""));
    assert_eq!(reported([None, Some(gone())]), is("", "web/b"), "the other was not asked");
    assert_eq!(reported([Some(SidecarConnection::Disconnected), None]), is("web/a", "web/b"));
    assert_eq!(reported([None, Some(SidecarConnection::Disconnected)]), is("web/a web/b", ""));
    assert_eq!(reported([Some(SidecarConnection::Joined), None]), is("web/b", ""));
    assert_eq!(reported([Some(SidecarConnection::Disconnected), None]), is("web/b", ""));

    let present = BTreeSet::from(["web/a", "web/c"]);
    assert_eq!(observations.odd_sidecars(&present), BTreeSet::from(["web/a".to_owned()]));
    assert_eq!(observations.connectivity(), Connectivity::default());
}

#[test]
fn a_seed_is_reported_while_it_does_not_resolve() {
    let now = grape::clock::now();
    let mut observations = Observations::default();
    let mut reported = |connection: SidecarConnection, unresolved: bool| {
        let sidecars = BTreeMap::from([("web/a".to_owned(), connection)]);
        let unresolved = unresolved.then(|| "web/a".to_owned()).into_iter().collect();
        observations.take(Observation { sidecars, unresolved, ..observation(true) }, now);
        let Connectivity { disconnected, unresolved, .. } = observations.connectivity();
        (disconnected.len(), unresolved.len())
    };
    assert_eq!(reported(SidecarConnection::Disconnected, true), (0, 0), "it may only have started");
    assert_eq!(reported(SidecarConnection::Disconnected, true), (1, 1));
    assert_eq!(reported(SidecarConnection::Joined, true), (0, 1), "somebody else led it there");
    assert_eq!(reported(SidecarConnection::Joined, false), (0, 0));
}

#[test]
fn another_network_is_reported_when_it_is_seen_twice_in_a_row() {
    let now = grape::clock::now();
    let mut observations = Observations::default();
    let mut reported = |heard: &[&str]| {
        let other_networks = heard.iter().map(|at| at.parse().unwrap()).collect();
        observations.take(Observation { other_networks, ..observation(true) }, now);
        let reported =
            observations.snapshot().other_networks.unwrap().iter().map(ToString::to_string);
        reported.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(reported(&["10.0.0.1:1", "10.0.0.2:1"]), "");
    assert_eq!(reported(&["10.0.0.2:1", "10.0.0.3:1"]), "10.0.0.2:1");
    assert_eq!(reported(&[]), "");
}

#[test]
fn a_single_odd_topology_is_not_shown() {
    let mut observations = Observations::default();
    let partitions =
        |observations: &Observations| observations.shown.as_ref().map(|it| it.partitions.len());
    let now = grape::clock::now();
    for (together, shown) in [(true, 1), (false, 1), (true, 1), (false, 1), (false, 2), (true, 1)] {
        observations.take(observation(together), now);
        assert_eq!(partitions(&observations), Some(shown));
    }
}

#[test]
fn one_slow_canary_of_few_shows_no_other_band() {
    let now = grape::clock::now();
    let probe = |ms| Probe {
        announcer: String::new(),
        looker: String::new(),
        begun: now,
        result: ProbeResult::Found(Duration::from_millis(ms)),
    };
    let mut observations = Observations {
        band: Some(P95Band::of(Duration::from_millis(10))),
        ..Observations::default()
    };
    let limits = (0..20).map(|_| {
        observations.take(Observation { probes: vec![probe(40)], ..observation(true) }, now);
        observations.band.map(|band| band.limit().as_millis())
    });
    let limits: Vec<_> = limits.collect();
    assert_eq!(limits[..19], [Some(10); 19]);
    assert_eq!(limits[19], Some(50));
}

#[test]
fn a_probe_is_due_by_the_interval_and_soon_after_a_change() {
    let start = grape::clock::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let interval = Duration::from_secs(15);
    let mut observations = Observations::default();
    observations.lookups(1, start);
    assert_eq!(observations.due(interval, start), Due::Now(1));
    assert_eq!(observations.due(interval, at(1)), Due::Probing);
    assert_eq!(observations.due(interval, at(180)), Due::Now(2), "that one never ended");
    observations.take(Observation { at: at(200), ..observation(true) }, at(200));
    assert_eq!(observations.due(interval, at(201)), Due::In(Duration::from_secs(14)));
    assert_eq!(observations.lookups(2, at(202)), Lookups::NotYet);
    assert_eq!(observations.due(interval, at(203)), Due::Now(3), "other Grapes are ready");
}

#[test]
fn lookups_are_healthy_when_all_was_well_since_the_grapes_changed() {
    let start = grape::clock::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let probe = |begun| Probe {
        announcer: String::new(),
        looker: String::new(),
        begun,
        result: ProbeResult::Found(Duration::from_millis(1)),
    };
    let well = |begun| Observation { at: begun, probes: vec![probe(begun)], ..observation(true) };
    let mut observations = Observations::default();
    assert_eq!(observations.lookups(1, at(1)), Lookups::NotYet, "nothing was seen");
    observations.take(well(at(2)), at(2));
    assert_eq!(observations.lookups(1, at(3)), Lookups::Healthy);
    assert_eq!(observations.lookups(2, at(4)), Lookups::NotYet, "it was before the change");
    observations
        .take(Observation { at: at(5), probes: vec![probe(at(5))], ..observation(false) }, at(5));
    assert_eq!(observations.lookups(2, at(6)), Lookups::NotYet, "they do not see each other");
    observations.take(well(at(7)), at(7));
    assert_eq!(observations.lookups(2, at(8)), Lookups::Healthy);
}

#[test]
fn a_step_of_a_rollout_waits_until_every_grape_was_asked() {
    let start = grape::clock::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let well = |begun, is_whole| {
        let result = ProbeResult::Found(Duration::from_millis(1));
        let probe = Probe { announcer: String::new(), looker: String::new(), begun, result };
        Observation { at: begun, probes: vec![probe], is_whole, ..observation(true) }
    };
    let mut observations = Observations::default();
    assert!(!observations.rests_on_hints());
    observations.lookups(1, at(1));
    observations.take(well(at(2), true), at(2));
    assert_eq!(observations.lookups(1, at(3)), Lookups::Healthy);
    observations.take(well(at(4), false), at(4));
    assert!(observations.rests_on_hints());
    assert_eq!(observations.lookups(1, at(5)), Lookups::NotYet);
    observations.take(well(at(6), true), at(6));
    assert_eq!(observations.lookups(1, at(7)), Lookups::Healthy);
}

#[test]
fn all_grapes_are_asked_after_a_change_and_while_anything_is_odd() {
    let start = grape::clock::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let probed = |begun, together, grapes| {
        let known = Arc::new(KnownGrapes::some(grapes));
        Observation { at: begun, known, ..observation(together) }
    };
    let mut observations = Observations::default();
    observations.lookups(1, at(1));
    assert!(observations.known_grapes().is_none(), "nothing was seen");
    observations.take(probed(at(2), true, 2), at(2));
    assert!(observations.known_grapes().is_none(), "a view of two saves nothing");
    observations.take(probed(at(3), true, 3), at(3));
    assert!(observations.known_grapes().is_some());
    observations.take(probed(at(4), false, 3), at(4));
    assert!(observations.known_grapes().is_none(), "they do not know each other");
    observations.take(probed(at(5), true, 3), at(5));
    observations.lookups(2, at(6));
    assert!(observations.known_grapes().is_none(), "other Grapes are ready");
    observations.take(probed(at(7), true, 3), at(7));
    assert!(observations.known_grapes().is_some());
    observations.forget();
    assert!(observations.known_grapes().is_none());
}

#[test]
fn the_first_topology_is_shown_also_if_it_is_odd() {
    let mut observations = Observations::default();
    observations.take(observation(false), grape::clock::now());
    assert_eq!(observations.shown.unwrap().partitions.len(), 2);
}
