//! Which changes of a status wait until every Grape was asked.

use super::*;

#[test]
fn another_value_of_ready_or_partitioned_is_another_verdict() {
    let (cluster, pools, topology) = (valid(|_| {}), [pool("default", 3)], seen(&[&ALL]));
    let of = |snapshot, before: Option<&GrapeClusterStatus>, at| {
        let facts = facts(&cluster, &pools, &Phase::Settled, snapshot);
        status(&facts, before, Timestamp::from_second(at).unwrap())
    };
    let healthy = of(well(&topology), None, 0);
    assert!(changes_verdict(&healthy, None));
    let band = Some(P95Band::of(Duration::from_secs(1)));
    let slower = of(HealthSnapshot { band, ..well(&topology) }, Some(&healthy), 1);
    assert_ne!(slower, healthy);
    assert!(!changes_verdict(&slower, Some(&healthy)), "only the lookups are slower");
    let failing = of(HealthSnapshot { success: Some(0.5), ..well(&topology) }, Some(&healthy), 1);
    assert!(changes_verdict(&failing, Some(&healthy)), "it is not ready");
    let apart = seen(&[&ALL[..2], &ALL[2..]]);
    let apart = of(well(&apart), Some(&failing), 2);
    assert!(changes_verdict(&apart, Some(&failing)), "it is partitioned, and was not ready before");
    assert!(!changes_verdict(&apart, Some(&apart)));
}
