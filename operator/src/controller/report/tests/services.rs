//! What people read of the Grapes in pods of services.

use super::*;

/// The status of a cluster whose own Grapes are well.
fn reported(
    services: Option<&Services>,
    previous: Option<&GrapeClusterStatus>,
    now: Timestamp,
) -> GrapeClusterStatus {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let well = facts(&cluster, &pools, &Phase::Settled, well(&topology));
    status(&Facts { services, ..well }, previous, now)
}

#[test]
fn pods_of_services_that_have_their_grapes() {
    let some = services(Counts { pods: 12, ready: 11, outdated: 3, ..Counts::default() });
    let first = reported(Some(&some), None, Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(lines(&first.conditions));
    assert_eq!(first.summary.sidecars, "11/12");
    insta::assert_yaml_snapshot!(first.injected);

    let later = reported(None, Some(&first), Timestamp::now());
    assert_eq!(later, first, "what was known stands");
    let gone = reported(Some(&Services::default()), Some(&first), Timestamp::now());
    assert_eq!((gone.injected, gone.conditions.len()), (None, 7));
    assert_eq!(gone.summary.sidecars, "-");
}

#[test]
fn pods_of_services_that_lack_their_grapes() {
    let some = services(Counts {
        pods: 12,
        ready: 6,
        missing: names("trading/a-1 trading/a-2 web/b-1 web/b-2 web/b-3 web/b-4"),
        lacks: BTreeMap::from([
            (Lack::OlderThanCluster, names("trading/a-1 trading/a-2")),
            (Lack::Missed, names("web/b-1 web/b-2 web/b-3 web/b-4")),
        ]),
        refused: vec!["web/b-1: a container is called \"grape\"".to_owned()],
        ..Counts::default()
    });
    let status = reported(Some(&some), None, Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(lines(&status.conditions));
    insta::assert_yaml_snapshot!(status.injected);
}

#[test]
fn pods_that_would_not_get_their_grape_either_are_not_to_be_deleted() {
    let missing = names("kube-system/a-1");
    let lacks = BTreeMap::from([(Lack::NamespaceLeftOut, missing.clone())]);
    let some = services(Counts { pods: 1, missing, lacks, ..Counts::default() });
    let status = reported(Some(&some), None, Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(lines(&status.conditions));
}

#[test]
fn pods_of_services_that_are_repaired() {
    let missing = names("web/a-1 web/b-1 web/c-1");
    let some = Services {
        repair: Some(RepairProgress {
            under_way: Some("web/a-0".to_owned()),
            aside: vec!["web/b-1 has no controller that would make it anew".to_owned()],
            failed_attempts: vec!["web/ReplicaSet c".to_owned()],
        }),
        ..services(Counts {
            pods: 4,
            ready: 1,
            lacks: BTreeMap::from([(Lack::Missed, missing.clone())]),
            missing,
            ..Counts::default()
        })
    };
    let status = reported(Some(&some), None, Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(lines(&status.conditions));
    insta::assert_yaml_snapshot!(status.injected);
}

#[test]
fn grapes_of_services_that_are_elsewhere() {
    let some = Services {
        connectivity: Connectivity {
            disconnected: names("web/a-1 web/a-2"),
            silent: names("web/c-1"),
            unresolved: names("web/a-2"),
        },
        ..services(Counts { pods: 4, ready: 4, ..Counts::default() })
    };
    let status = reported(Some(&some), None, Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(lines(&status.conditions));
}

/// It was led there by another way, and would not come back by itself.
#[test]
fn a_grape_of_a_service_that_is_joined_though_its_seed_does_not_resolve() {
    let some = Services {
        connectivity: Connectivity { unresolved: names("web/a-2"), ..Connectivity::default() },
        ..services(Counts { pods: 4, ready: 4, ..Counts::default() })
    };
    let status = reported(Some(&some), None, Timestamp::UNIX_EPOCH);
    insta::assert_snapshot!(lines(&status.conditions));
}
