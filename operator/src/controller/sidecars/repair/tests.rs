//! Evictions, one after the other, and their end.

use rstest::rstest;
use serde_json::json;

use super::*;

const START: i64 = 1_767_225_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

/// A pod, as `OWNER UID STATE…`: without its Grape, or `grape`, `stuck`, `ready`, `leaving`, `young`,
/// `refused`.
fn pod(text: &str) -> Member {
    let words: Vec<_> = text.split_whitespace().collect();
    let is = |word: &str| words[2..].contains(&word);
    let owner = words[0].split_once('/').map(|(kind, name)| {
        json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": name, "controller": true}])
    });
    let mut metadata = json!({
        "namespace": "web",
        "name": words[1],
        "uid": words[1],
        "labels": {"grenache.dev/cluster": "market"},
        "creationTimestamp": at(if is("young") { 0 } else { -3600 }).to_string(),
        "ownerReferences": owner,
    });
    let mut spec = json!({"containers": []});
    if is("grape") || is("stuck") || is("ready") {
        metadata["labels"]["grenache.dev/grape"] = "injected".into();
        spec["initContainers"] = json!([{"name": "grape", "restartPolicy": "Always"}]);
    }
    if is("leaving") {
        metadata["deletionTimestamp"] = at(0).to_string().into();
    }
    let ready = if is("ready") { "True" } else { "False" };
    let status = json!({"conditions": [{"type": "Ready", "status": ready}]});
    let pod = json!({"metadata": metadata, "spec": spec, "status": status});
    let pod = ServicePod::of(serde_json::from_value(pod).unwrap(), &BTreeMap::new()).unwrap();
    let refused = is("refused").then(|| "no".to_owned());
    Member { pod: Arc::new(pod), refused, lack: None, is_stuck: is("stuck"), is_left_out: false }
}

fn pods(texts: &[&str]) -> Vec<Member> {
    texts.iter().map(|text| pod(text)).collect()
}

/// What is done next, in words.
fn next(repair: &mut Repair, texts: &[&str], seconds: i64) -> String {
    let (step, failed) = repair.next(&pods(texts), at(seconds));
    let step = match step {
        Step::Rest => "rest".to_owned(),
        Step::Wait(time) => format!("wait {}", time.as_secs()),
        Step::Evict(pod) => format!("evict {}", pod.name),
    };
    failed.into_iter().fold(step, |step, maker| format!("{step}, in vain {maker}"))
}

fn tried(repair: &mut Repair, uid: &str, result: Tried, texts: &[&str], seconds: i64) {
    let all = pods(texts);
    let pod = all.iter().find(|it| it.pod.uid == uid).unwrap();
    repair.tried(&pod.pod, result, &all, at(seconds));
}

#[rstest]
#[case::nobody(&[], "rest")]
#[case::all_well(&["ReplicaSet/a 1 ready", "ReplicaSet/a 2 grape"], "rest")]
#[case::one(&["ReplicaSet/a 1 ready", "ReplicaSet/a 2"], "evict 2")]
#[case::the_first_of_two(&["ReplicaSet/a 2", "ReplicaSet/a 1"], "evict 1")]
#[case::no_controller(&["- 1"], "rest")]
#[case::of_a_job(&["Job/a 1"], "rest")]
#[case::on_its_way_out(&["ReplicaSet/a 1 leaving"], "rest")]
#[case::would_be_refused(&["ReplicaSet/a 1 refused"], "rest")]
#[case::too_young(&["ReplicaSet/a 1 young"], "wait 20")]
#[case::another_one_leaves(&["ReplicaSet/a 1", "ReplicaSet/a 2 ready leaving"], "rest")]
#[case::another_one_is_not_ready(&["ReplicaSet/a 1", "ReplicaSet/a 2 grape"], "rest")]
#[case::its_grape_does_not_start(&["ReplicaSet/a 1 ready", "ReplicaSet/a 2 stuck"], "evict 2")]
#[case::that_is_of_another_controller(&["ReplicaSet/a 1", "ReplicaSet/b 2 grape"], "evict 1")]
fn who_is_evicted(#[case] texts: &[&str], #[case] expected: &str) {
    assert_eq!(next(&mut Repair::default(), texts, 10), expected);
}

#[test]
fn the_next_one_goes_when_the_new_one_is_ready() {
    let mut repair = Repair::default();
    let two = ["StatefulSet/a 1", "StatefulSet/a 2", "ReplicaSet/b 3"];
    assert_eq!(next(&mut repair, &two, 100), "evict 1");
    tried(&mut repair, "1", Tried::Evicted, &two, 100);
    for (texts, seconds, expected) in [
        (&two[..], 110, "wait 590"),
        (&["StatefulSet/a 1 leaving", two[1], two[2]], 110, "rest"),
        (&["StatefulSet/a 1 leaving", two[1], two[2]], 3000, "rest"),
        (&two[1..], 120, "wait 580"),
        (&["StatefulSet/a 4 grape", two[1], two[2]], 130, "wait 570"),
        (&["StatefulSet/a 4 ready", two[1], two[2]], 140, "evict 2"),
    ] {
        assert_eq!(next(&mut repair, texts, seconds), expected, "{texts:?} {seconds}");
    }
}

#[rstest]
#[case::without_its_grape(&["ReplicaSet/a 2", "ReplicaSet/a 3"], 10)]
#[case::not_ready(&["ReplicaSet/a 2", "ReplicaSet/a 3 grape"], 701)]
#[case::not_at_all(&["ReplicaSet/a 2"], 701)]
fn what_helped_nothing_is_not_done_again(#[case] after: &[&str], #[case] seconds: i64) {
    let mut repair = Repair::default();
    let before = ["ReplicaSet/a 1", "ReplicaSet/a 2"];
    tried(&mut repair, "1", Tried::Evicted, &before, 100);
    let now = 100 + seconds;
    assert_eq!(next(&mut repair, after, now), "rest, in vain web/ReplicaSet a");
    for later in [1, 1000, 1_000_000] {
        assert_eq!(next(&mut repair, after, now + later), "rest", "and told once");
    }
    assert_eq!(repair.progress(&pods(after)).failed_attempts, ["web/ReplicaSet a"]);
    // Another one goes on.
    assert_eq!(next(&mut repair, &[after, &["ReplicaSet/b 9"]].concat(), now), "evict 9");

    // So does an operator that starts.
    let mut other = Repair::default();
    other.resume(&["web/ReplicaSet a".to_owned()]);
    assert_eq!(next(&mut other, after, now), "rest");

    // It was mended by hand; later there is another one.
    assert_eq!(next(&mut repair, &["ReplicaSet/a 5 ready"], now), "rest");
    assert_eq!(next(&mut repair, &["ReplicaSet/a 6"], now), "evict 6");
}

#[test]
fn a_controller_that_wants_no_pods_any_more_is_not_waited_for() {
    let mut repair = Repair::default();
    tried(&mut repair, "1", Tried::Evicted, &["ReplicaSet/a 1"], 0);
    assert_eq!(next(&mut repair, &["ReplicaSet/b 2"], 1), "wait 599");
    assert_eq!(next(&mut repair, &["ReplicaSet/b 2"], 600), "evict 2");
}

#[test]
fn with_as_many_in_vain_as_can_be_told_nothing_is_evicted() {
    let mut repair = Repair::default();
    let names: Vec<_> =
        (0..limits::NAMED_LENGTH).map(|it| format!("ReplicaSet/a{it} {it}")).collect();
    let failed_attempts = (0..limits::NAMED_LENGTH).map(|it| format!("web/ReplicaSet a{it}"));
    repair.resume(&failed_attempts.collect::<Vec<_>>());
    let mut texts: Vec<_> = names.iter().map(|name| &**name).collect();
    texts.push("ReplicaSet/b 99");
    assert_eq!(next(&mut repair, &texts, 0), "rest");
    assert_eq!(next(&mut repair, &texts[1..], 0), "evict 99", "one of them is well");
}

#[test]
fn those_that_cannot_go_now_have_their_turn_and_are_told_of() {
    let mut repair = Repair::default();
    let texts = ["ReplicaSet/a 1", "ReplicaSet/b 2", "Job/c 3", "- 4"];
    tried(&mut repair, "1", Tried::Forbidden, &texts, 0);
    assert_eq!(next(&mut repair, &texts, 4), "wait 6");
    assert_eq!(next(&mut repair, &texts, 10), "evict 2");
    tried(&mut repair, "2", Tried::Aside("would come back alike".to_owned()), &texts, 10);
    assert_eq!(next(&mut repair, &texts, 20), "wait 50");
    assert_eq!(next(&mut repair, &texts, 70), "evict 1");
    let progress = repair.progress(&pods(&texts));
    assert_eq!(
        progress.aside,
        [
            "web/1 waits for its PodDisruptionBudget to allow its eviction",
            "web/2 would come back alike",
            "web/3 belongs to a controller that does not replace its pods",
            "web/4 has no controller that would create it again",
        ]
    );
    assert_eq!((progress.under_way, progress.failed_attempts), (None, Vec::new()));
    assert_eq!(repair.tried.len(), 2);
    next(&mut repair, &texts[1..], 70);
    assert_eq!(repair.tried.len(), 1, "one that is gone is forgotten");
}
