//! Which Grapes the operator asks itself, given what one of them says of the others. Pure.
//!
//! The cluster's own Grapes form the group `grapecluster`, in which each keeps an entry:
//! [`ClusterEntry`]. The operator makes the same entry of each status page that it reads. As long as a
//! Grape's entry in the group is that of the page that was read last, the page would say the same
//! again. So nothing of a group's view gets into an observation: it decides only who is asked.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use grape::cluster_entry::{ClusterEntry, MAX_BYTES};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Target;
use super::ask::GrapeReport;

/// Fewest Grapes of a cluster for which a view saves a request: one Grape is asked for its view and
/// for its own status.
const ENOUGH_GRAPES: usize = 3;
/// An entry is too old when the last heartbeat of its member came longer ago than this, in seconds.
const MAX_AGE: u64 = 10;
/// Most members of a view that are read: as many as a group has.
const MAX_MEMBERS: usize = 1000;

/// The reports of Grapes that answered the operator itself, by their pods' names.
#[derive(Debug, Clone, Default)]
pub struct KnownGrapes(BTreeMap<String, KnownGrape>);

#[derive(Debug, Clone)]
struct KnownGrape {
    target: Target,
    report: Arc<GrapeReport>,
}

impl KnownGrapes {
    /// Whether a group's view of these Grapes saves requests.
    pub fn are_enough(&self) -> bool {
        self.0.len() >= ENOUGH_GRAPES
    }

    /// Reports of this many Grapes.
    #[cfg(test)]
    pub(crate) fn some(count: usize) -> Self {
        let mut some = Self::default();
        for name in 0..count {
            let target = Target { name: name.to_string(), ..tests::target() };
            some.insert(target, tests::report(tests::entry()));
        }
        some
    }

    pub(super) fn insert(&mut self, target: Target, report: Arc<GrapeReport>) {
        self.0.insert(target.name.clone(), KnownGrape { target, report });
    }

    /// The report of a Grape, if it is still where it was asked.
    pub(super) fn report(&self, target: &Target) -> Option<&Arc<GrapeReport>> {
        let known = self.0.get(&target.name)?;
        (known.target == *target).then_some(&known.report)
    }
}

/// What one Grape says of the other members of the cluster's group, by their addresses.
#[derive(Debug, Default)]
pub(super) struct GroupView(HashMap<SocketAddr, Member>);

/// What it says of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    is_live: bool,
    /// How long ago its last heartbeat came, in seconds.
    age: u64,
    /// Its entry; none if it has none, or what it has is no entry.
    entry: Option<ClusterEntry>,
}

/// A member as a Grape shows it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    address: SocketAddr,
    state: &'a str,
    heartbeat_seconds: u64,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl GroupView {
    /// Reads the page of a Grape.
    ///
    /// # Errors
    /// It is not a list of members.
    pub(super) fn read(page: &[u8]) -> Result<Self, serde_json::Error> {
        let members: Vec<Page<'_>> = serde_json::from_slice(page)?;
        let members = members.into_iter().take(MAX_MEMBERS).map(|page| {
            let value = page.value.map(RawValue::get).filter(|json| json.len() <= MAX_BYTES);
            let entry = value.and_then(|json| serde_json::from_str(json).ok());
            let is_live = page.state == "live";
            (page.address, Member { is_live, age: page.heartbeat_seconds, entry })
        });
        Ok(Self(members.collect()))
    }
}

/// Why a Grape is asked itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It has not answered the operator since it is where it is.
    New,
    /// It has no entry at the address of its pod.
    Missing,
    /// It is dead for the others, or they have not heard of it for a while.
    Old,
    /// Its entry is not the one of its last answer.
    Disagrees,
    /// It reports problems, and these are looked at in each round.
    Problems,
}

/// Why the Grape at a target is asked itself; none if its last report still holds.
fn reason(target: &Target, known: &KnownGrapes, view: &GroupView) -> Option<Reason> {
    let Some(last) = known.report(target).map(|report| &report.entry) else {
        return Some(Reason::New);
    };
    // What others say of addresses that no pod of the cluster has, is not looked at.
    let member = view.0.get(&target.dht());
    let Some((member, entry)) = member.and_then(|it| Some((it, it.entry.as_ref()?))) else {
        return Some(Reason::Missing);
    };
    if !member.is_live || member.age > MAX_AGE {
        return Some(Reason::Old);
    }
    if entry != last {
        return Some(Reason::Disagrees);
    }
    (last.problems > 0).then_some(Reason::Problems)
}

/// The last report of the Grape at a target, if it need not be asked.
pub(super) fn spared<'a>(
    target: &Target,
    known: &'a KnownGrapes,
    view: &GroupView,
) -> Option<&'a Arc<GrapeReport>> {
    match reason(target, known, view) {
        Some(reason) => {
            tracing::trace!(pod = target.name, ?reason, "a Grape is asked itself");
            None
        }
        None => known.report(target),
    }
}

/// The place of the Grape whose view is read in a round: each in turn. It is asked for its status too,
/// so that each Grape answers for itself now and then, whatever the others say.
pub(super) fn reader(targets: usize, round: u64) -> Option<usize> {
    let place = round.checked_rem(u64::try_from(targets).ok()?)?;
    usize::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::ask::Answer;

    pub(super) fn target() -> Target {
        Target {
            name: "market-default-0".to_owned(),
            ip: [10, 0, 0, 1].into(),
            api_port: 30001,
            admin_port: 9091,
            dht_port: 20001,
            ready: true,
        }
    }

    pub(super) fn entry() -> ClusterEntry {
        ClusterEntry {
            version: "1.2.3".to_owned(),
            id: "a".repeat(40),
            ready: true,
            draining: false,
            nodes: 2,
            knows: "0123456789abcdef".to_owned(),
            problems: 0,
        }
    }

    pub(super) fn report(entry: ClusterEntry) -> Arc<GrapeReport> {
        let ClusterEntry { version, id, ready, draining, nodes, .. } = entry.clone();
        Arc::new(GrapeReport {
            entry,
            answer: Answer { version, id, ready, draining, nodes },
            live: Vec::new(),
            other_networks: Vec::new(),
            complaints: Vec::new(),
            troubles: BTreeMap::new(),
        })
    }

    fn known(entry: ClusterEntry) -> KnownGrapes {
        let mut known = KnownGrapes::default();
        known.insert(target(), report(entry));
        known
    }

    /// The page of a Grape that says this of the member of the target.
    fn view(change: impl FnOnce(&mut Value)) -> GroupView {
        let mut page = json!([{
            "address": "10.0.0.1:20001", "generation": 7, "state": "live", "phi": 0.1,
            "sinceSeconds": 1000, "heartbeatSeconds": 0, "keys": 1, "value": entry(),
        }]);
        change(&mut page[0]);
        GroupView::read(page.to_string().as_bytes()).unwrap()
    }

    #[rstest]
    #[case::agrees(None, json!(null), None)]
    #[case::of_another_pod(Some("/address"), json!("10.0.0.9:20001"), Some(Reason::Missing))]
    #[case::of_another_port(Some("/address"), json!("10.0.0.1:20002"), Some(Reason::Missing))]
    #[case::without_entry(Some("/value"), json!(null), Some(Reason::Missing))]
    #[case::no_entry(Some("/value"), json!({"ready": true}), Some(Reason::Missing))]
    #[case::too_long(Some("/value/version"), json!("1".repeat(1024)), Some(Reason::Missing))]
    #[case::dead(Some("/state"), json!("dead"), Some(Reason::Old))]
    #[case::fresh_enough(Some("/heartbeatSeconds"), json!(10), None)]
    #[case::old(Some("/heartbeatSeconds"), json!(11), Some(Reason::Old))]
    #[case::other_version(Some("/value/version"), json!("1.2.4"), Some(Reason::Disagrees))]
    #[case::restarted(Some("/value/id"), json!("b".repeat(40)), Some(Reason::Disagrees))]
    #[case::not_ready(Some("/value/ready"), json!(false), Some(Reason::Disagrees))]
    #[case::draining(Some("/value/draining"), json!(true), Some(Reason::Disagrees))]
    #[case::more_nodes(Some("/value/nodes"), json!(3), Some(Reason::Disagrees))]
    #[case::knows_others(Some("/value/knows"), json!("f"), Some(Reason::Disagrees))]
    #[case::has_problems(Some("/value/problems"), json!(1), Some(Reason::Disagrees))]
    fn a_grape_is_asked_when_the_view_gives_a_reason(
        #[case] place: Option<&str>,
        #[case] value: Value,
        #[case] expected: Option<Reason>,
    ) {
        let view = view(|member| {
            if let Some(place) = place {
                *member.pointer_mut(place).unwrap() = value;
            }
        });
        assert_eq!(reason(&target(), &known(entry()), &view), expected);
    }

    #[test]
    fn a_grape_that_has_not_answered_where_it_is_now_is_asked() {
        let view = view(|_| {});
        let reason = |target: &Target, known: &KnownGrapes| reason(target, known, &view);
        assert_eq!(reason(&target(), &KnownGrapes::default()), Some(Reason::New));
        let moved = Target { admin_port: 9092, ..target() };
        assert_eq!(reason(&moved, &known(entry())), Some(Reason::New));
        let other = Target { name: "market-default-1".to_owned(), ..target() };
        assert_eq!(reason(&other, &known(entry())), Some(Reason::New));
    }

    #[test]
    fn a_grape_with_problems_is_asked_in_each_round() {
        let odd = ClusterEntry { problems: 1, ..entry() };
        let view = view(|member| member["value"]["problems"] = json!(1));
        assert_eq!(reason(&target(), &known(odd), &view), Some(Reason::Problems));
    }

    #[test]
    fn a_view_of_nobody_leaves_all_to_be_asked() {
        let view = GroupView::read(b"[]").unwrap();
        assert_eq!(reason(&target(), &known(entry()), &view), Some(Reason::Missing));
        for foreign in [&b"{}"[..], b"[1]", b"", b"[{\"address\": \"market\"}]"] {
            assert!(GroupView::read(foreign).is_err());
        }
    }

    #[test]
    fn no_more_members_are_read_than_a_group_has() {
        let member = |n: usize| {
            json!({"address": format!("10.1.{}.{}:1", n / 250, n % 250), "state": "live",
                "heartbeatSeconds": 0})
        };
        let page = Value::from((0..2000).map(member).collect::<Vec<_>>()).to_string();
        assert_eq!(GroupView::read(page.as_bytes()).unwrap().0.len(), MAX_MEMBERS);
    }

    #[test]
    fn the_view_is_read_of_each_grape_in_turn() {
        assert_eq!(reader(0, 7), None);
        assert_eq!([0, 1, 2, 3].map(|round| reader(3, round)), [0, 1, 2, 0].map(Some));
        assert_eq!(reader(1000, u64::MAX), Some(615));
    }
}
