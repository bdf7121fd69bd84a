//! Every message, with none, one, two and many of each thing that it counts or lists.

use super::*;
use crate::controller::blocked::Blocked;

const COUNTS: [usize; 4] = [0, 1, 2, 9];

/// What no sentence has: a list of nothing, a mark after another one, a word in the wrong number.
const BROKEN: [&str; 19] = [
    ": .",
    ": ,",
    ": ;",
    " .",
    " ,",
    "  ",
    "..",
    ",.",
    ";.",
    "()",
    "[]",
    "\"\"",
    " 1 pods run ",
    "1 run ",
    "1 of these were",
    "1 Grapes ",
    "All 1 ",
    "(s)",
    "Grapes is",
];

fn check(facts: &Facts<'_>, what: &str) {
    for it in status(facts, None, Timestamp::UNIX_EPOCH).conditions {
        let text = &it.message;
        // "1 of 3 Grapes are ready" is right.
        let counted = text.replace(" of 1 Grapes ", " of the one Grape ");
        let broken: Vec<_> = BROKEN.iter().filter(|broken| counted.contains(**broken)).collect();
        assert!(broken.is_empty(), "{what}: {}: {text:?} has {broken:?}", it.type_);
        let begins = text.starts_with("spec.") || !text.starts_with(char::is_lowercase);
        assert!(begins && text.ends_with('.'), "{what}: {}: {text}", it.type_);
    }
}

fn pods(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("web/a-{at}")).collect()
}

fn why(count: usize) -> Vec<String> {
    pods(count).into_iter().map(|pod| format!("{pod}: it ends with exit code 1")).collect()
}

fn size(count: usize) -> i32 {
    i32::try_from(count).unwrap()
}

/// A pool of which so many are unready, failing or missing.
fn lacking(wanted: usize, lacking: usize, kind: &str) -> Pool {
    let mut pool = pool("default", size(wanted));
    for at in 0..size(lacking) {
        if kind == "missing" {
            pool.grapes.remove(&at);
            continue;
        }
        let grape = pool.grapes.get_mut(&at).unwrap();
        grape.ready = false;
        grape.failing = (kind == "failing").then(|| "it is not scheduled".into());
    }
    pool
}

#[test]
fn of_grapes() {
    let pod = "market-default-0".to_owned();
    let phases = [
        Phase::Settled,
        Phase::Rolling(Wait::Observed),
        Phase::Rolling(Wait::Ready(pod.clone())),
        Phase::Rolling(Wait::Lookups(pod.clone())),
        Phase::Stalled { pod: pod.clone(), why: "it does not".to_owned() },
    ];
    let set = "market-default".to_owned();
    let blocked = [Blocked { set, pod, why: "exceeded quota".to_owned() }];
    for wanted in COUNTS.into_iter().filter(|wanted| *wanted > 0) {
        let names: Vec<_> = (0..wanted).map(|at| format!("market-default-{at}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let together = seen(&[&names]);
        let running = valid(|spec| spec.replicas = size(wanted));
        let paused = ValidatedCluster { paused: true, ..running.clone() };
        for lack in COUNTS.into_iter().filter(|lack| *lack <= wanted) {
            for kind in ["unready", "failing", "missing"] {
                let pools = [lacking(wanted, lack, kind)];
                for phase in &phases {
                    for cluster in [&running, &paused] {
                        let facts = facts(cluster, &pools, phase, well(&together));
                        let what = format!("{lack} of {wanted} {kind}, {phase:?}");
                        check(&facts, &what);
                        let unseen = Facts {
                            snapshot: HealthSnapshot::default(),
                            blocked: &blocked,
                            ..facts
                        };
                        check(&unseen, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn of_what_was_seen() {
    let (cluster, pools) = (valid(|spec| spec.replicas = 9), [pool("default", 9)]);
    let names: Vec<_> = (0..9).map(|at| format!("market-default-{at}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for count in COUNTS {
        let (disconnected, others) = names.split_at(count);
        let mut groups: Vec<_> = disconnected.chunks(1).collect();
        groups.extend((!others.is_empty()).then_some(others));
        let (topology, lost_at) = (seen(&groups), pods(count));
        let success = if count == 0 { 1.0 } else { 0.5 };
        let snapshot =
            HealthSnapshot { success: Some(success), lost_at: &lost_at, ..well(&topology) };
        check(
            &facts(&cluster, &pools, &Phase::Settled, snapshot),
            &format!("{count} disconnected"),
        );
        let together = seen(&[&names]);
        let snapshot = HealthSnapshot { topology: Some(&together), ..snapshot };
        check(&facts(&cluster, &pools, &Phase::Settled, snapshot), &format!("{count} lost"));
    }
}

#[test]
fn of_services() {
    let topology = seen(&[&ALL]);
    let (cluster, pools) = (valid(|_| {}), [pool("default", 3)]);
    for count in COUNTS.into_iter().filter(|count| *count > 0) {
        let counts = Counts { pods: count, ready: count, ..Counts::default() };
        let bare = |lack: Lack| Counts {
            missing: pods(count),
            lacks: BTreeMap::from([(lack, pods(count))]),
            refused: why(count),
            ..counts.clone()
        };
        let progress =
            RepairProgress { under_way: None, aside: why(count), failed_attempts: pods(count) };
        let begun = RepairProgress { under_way: Some("web/a-0".to_owned()), ..progress.clone() };
        let disconnected = Connectivity { disconnected: pods(count), ..Connectivity::default() };
        let silent = Connectivity { silent: pods(count), ..Connectivity::default() };
        let unresolved = Connectivity { unresolved: pods(count), ..Connectivity::default() };
        let all = [
            services(counts.clone()),
            services(Counts { outdated: count, ..counts.clone() }),
            services(Counts { failing: why(count), ..counts.clone() }),
            services(Counts { failing: why(count), stuck: count, ..counts.clone() }),
            services(Counts { left_out: pods(count), ..counts.clone() }),
            services(Counts { left_out: pods(count), ..Counts::default() }),
            services(bare(Lack::Missed)),
            services(bare(Lack::NoWebhook)),
            Services { repair: Some(progress), ..services(bare(Lack::Missed)) },
            Services { repair: Some(begun), ..services(bare(Lack::Missed)) },
            Services { connectivity: disconnected, ..services(counts.clone()) },
            Services { connectivity: silent, ..services(counts.clone()) },
            Services { connectivity: unresolved, ..services(counts.clone()) },
        ];
        for services in &all {
            let facts = facts(&cluster, &pools, &Phase::Settled, well(&topology));
            check(&Facts { services: Some(services), ..facts }, &format!("{services:?}"));
        }
    }
}
