//! The statuses that occur, as files of GrapeClusters for other tools: `tests/gitops/statuses.json`.
//! A test gives them to Argo CD's interpreter and to kstatus.

use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::*;

/// The generation of each spec.
const GENERATION: i64 = 7;

/// The statuses by their names.
#[derive(Default)]
struct Statuses(Map<String, Value>);

impl Statuses {
    fn add(&mut self, name: &str, facts: &Facts<'_>) {
        self.add_status(name, &status(facts, None, Timestamp::UNIX_EPOCH));
    }

    fn add_status(&mut self, name: &str, status: &GrapeClusterStatus) {
        let object = GrapeCluster {
            metadata: ObjectMeta {
                name: Some("market".to_owned()),
                namespace: Some("trading".to_owned()),
                generation: Some(GENERATION),
                ..ObjectMeta::default()
            },
            spec: GrapeClusterSpec::default(),
            status: Some(status.clone()),
        };
        let mut object = json!(object);
        // What it wants does not matter to them.
        object.as_object_mut().unwrap().remove("spec");
        assert!(self.0.insert(name.to_owned(), object).is_none(), "{name} is there twice");
    }
}

fn statuses() -> Statuses {
    let mut all = Statuses::default();
    let (cluster, whole) = (valid(|_| {}), seen(&[&ALL]));
    let (two, parts) = (seen(&[&ALL[..2]]), seen(&[&ALL[..2], &ALL[2..]]));
    let paused = valid(|spec| spec.paused = true);
    let (settled, none) = (Phase::Settled, HealthSnapshot::default());
    let good = [pool("default", 3)];
    let with = |change: fn(&mut GrapePod)| {
        let mut changed = pool("default", 3);
        change(changed.grapes.get_mut(&2).unwrap());
        [changed]
    };
    let away = with(|grape| grape.ready = false);
    let failing = with(|grape| {
        grape.ready = false;
        grape.failing = Some("it ends with exit code 2: cannot bind".into());
    });
    let old = with(|grape| (grape.ready, grape.revision) = (false, "old".to_owned()));
    let mut few = pool("default", 3);
    few.grapes.remove(&2);
    let few = [few];

    // What the CustomResourceDefinition gives a new one.
    let new = GrapeClusterStatus { observed_generation: Some(-1), ..<_>::default() };
    all.add_status("The operator has not seen it yet", &new);
    let healthy = facts(&cluster, &good, &settled, well(&whole));
    all.add("All is well", &healthy);
    let before = Facts { generation: Some(GENERATION - 1), ..healthy };
    all.add("The operator has not seen the last change yet", &before);
    all.add("Grapes are added or removed", &facts(&cluster, &few, &settled, well(&two)));
    all.add("Grapes are starting", &facts(&cluster, &away, &settled, none));
    all.add("No Grape has answered the operator yet", &facts(&cluster, &good, &settled, none));
    all.add(
        "A Grape is not ready, and may become so",
        &facts(&cluster, &away, &settled, well(&two)),
    );
    all.add("A Grape does not start", &facts(&cluster, &failing, &settled, well(&two)));
    let rolling = Phase::Rolling(Wait::Ready(ALL[2].to_owned()));
    all.add("A change is rolled out", &facts(&cluster, &old, &rolling, well(&two)));
    let stopped = Phase::Stalled { pod: ALL[2].to_owned(), why: "no such image".to_owned() };
    all.add("The rollout has stopped", &facts(&cluster, &old, &stopped, well(&two)));
    let leaving = [pool("zone-1", 1)];
    let removing = facts(&cluster, &good, &settled, well(&whole));
    all.add("A pool is removed", &Facts { leaving: &leaving, ..removing });

    let refused = Error::Refused {
        kind: "StatefulSet".to_owned(),
        name: "market-default".to_owned(),
        message: "spec.template.spec.affinity: Required value".to_owned(),
    };
    let at_rest = || facts(&cluster, &good, &settled, well(&whole));
    all.add("The API server refuses an object", &Facts { trouble: Some(&refused), ..at_rest() });
    let blocked = [Blocked {
        set: "market-default".to_owned(),
        pod: ALL[2].to_owned(),
        why: "exceeded quota: few".to_owned(),
    }];
    let quota = facts(&cluster, &few, &settled, well(&two));
    all.add("The API server refuses a pod", &Facts { blocked: &blocked, ..quota });
    let quota = facts(&paused, &few, &settled, well(&two));
    all.add(
        "It is paused, and the API server refuses a pod",
        &Facts { blocked: &blocked, ..quota },
    );
    let bad = Invalid {
        field: "spec.replicas".to_owned(),
        problem: "0 is too small".to_owned(),
        expected: "a whole number from 1 to 1000".to_owned(),
    };
    let known = status(&before, None, Timestamp::UNIX_EPOCH);
    let now = Timestamp::UNIX_EPOCH;
    all.add_status(
        "The spec cannot be used",
        &invalid(&[bad], Some(&known), Some(GENERATION), now),
    );

    all.add(
        "Groups of Grapes do not know each other",
        &facts(&cluster, &good, &settled, well(&parts)),
    );
    let lost_at = names(ALL[2]);
    let lost = HealthSnapshot { success: Some(0.5), lost_at: &lost_at, ..well(&whole) };
    all.add("Test lookups fail", &facts(&cluster, &good, &settled, lost));
    all.add("It is paused", &facts(&paused, &good, &settled, well(&whole)));
    all.add("It is paused, and a Grape is not ready", &facts(&paused, &away, &settled, well(&two)));
    all
}

#[test]
fn the_statuses_that_other_tools_are_tested_with_are_those_that_occur() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/gitops/statuses.json");
    let wanted = format!("{:#}\n", Value::Object(statuses().0));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, wanted).unwrap();
        return;
    }
    assert!(
        std::fs::read_to_string(path).unwrap_or_default() == wanted,
        "tests/gitops/statuses.json is stale. Write it anew: UPDATE_DOCS=true cargo test -p \
         grape-operator --lib gitops"
    );
}
