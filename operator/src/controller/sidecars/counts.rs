//! How many pods of services a cluster has, and the state of the Grapes in them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use grape_cluster::status::InjectedStatus;

use super::lack::Lack;
use super::member::Member;

/// The pods of services of one cluster, without those that terminate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of pods.
    pub pods: usize,
    /// Pods whose Grape runs.
    pub ready: usize,
    /// Pods whose Grape has another image than a new pod would get.
    pub outdated: usize,
    /// Pods whose Grape does not start, as `NAMESPACE/NAME` with the cause, in order.
    pub failing: Vec<String>,
    /// How many of these would get another image as new pods.
    pub stuck: usize,
    /// Pods that have a Grape although the cluster does not admit their namespace any more, as
    /// `NAMESPACE/NAME`, in order. They count nowhere else: anybody may write such a pod.
    pub left_out: Vec<String>,
    /// Pods without their Grape, as `NAMESPACE/NAME`, in order.
    pub missing: Vec<String>,
    /// The same pods by cause.
    pub lacks: BTreeMap<Lack, Vec<String>>,
    /// Those of them that would be refused as new pods, each with the cause.
    pub refused: Vec<String>,
}

impl Counts {
    /// Counts pods; new pods would get a Grape of `image`.
    pub fn of(members: &[Member], image: &str) -> Self {
        let mut counts = Self::default();
        for member in members.iter().filter(|member| !member.pod.leaving) {
            let Member { pod, refused, lack, is_stuck, is_left_out } = member;
            if *is_left_out {
                counts.left_out.push(pod.title());
                continue;
            }
            counts.pods += 1;
            match pod.sidecar() {
                Some(grape) => {
                    counts.ready += usize::from(grape.ready);
                    let why = grape.failing.as_ref();
                    counts.failing.extend(why.map(|why| format!("{}: {why}", pod.title())));
                    counts.stuck += usize::from(*is_stuck);
                    counts.outdated += usize::from(grape.is_outdated(image));
                }
                None => {
                    let title = pod.title();
                    counts.refused.extend(refused.as_ref().map(|why| format!("{title}: {why}")));
                    if let Some(lack) = lack {
                        counts.lacks.entry(*lack).or_default().push(title.clone());
                    }
                    counts.missing.push(title);
                }
            }
        }
        counts.failing.sort_unstable();
        counts.left_out.sort_unstable();
        counts.missing.sort_unstable();
        counts.lacks.values_mut().for_each(|pods| pods.sort_unstable());
        counts.refused.sort_unstable();
        counts
    }

    /// Those of `pods` without their Grape, by cause.
    pub fn by_lack(&self, pods: &[String]) -> BTreeMap<Lack, Vec<String>> {
        let pods: BTreeSet<&String> = pods.iter().collect();
        let among =
            |all: &Vec<String>| all.iter().filter(|it| pods.contains(it)).cloned().collect();
        let of = self.lacks.iter().map(|(lack, all)| (*lack, among(all)));
        of.filter(|(_, some): &(_, Vec<_>)| !some.is_empty()).collect()
    }
}

/// The pods without their sidecar that have an event.
#[derive(Debug, Default)]
pub struct ReportedPods(Option<BTreeSet<String>>);

impl ReportedPods {
    /// Takes note of the pods that are `missing` a sidecar; returns which of them need an event.
    /// After a start, pods that the last status names have theirs already. If that status cannot
    /// name all, all have theirs as long as there are no more than before.
    pub fn unreported(
        &mut self,
        missing: &[String],
        before: Option<&InjectedStatus>,
    ) -> Vec<String> {
        let reported = self.0.take().unwrap_or_else(|| {
            let Some(before) = before else { return BTreeSet::new() };
            let count = usize::try_from(before.missing).unwrap_or_default();
            let is_cut = before.missing_named.len() < count && missing.len() <= count;
            let reported = if is_cut { missing } else { &before.missing_named };
            reported.iter().cloned().collect()
        });
        let unreported = missing.iter().filter(|name| !reported.contains(*name)).cloned().collect();
        // A later pod of the same name without its Grape is another pod.
        self.0 = Some(missing.iter().cloned().collect());
        unreported
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn each_pod_is_told_of_once() {
        let mut reported = ReportedPods::default();
        for (missing, unreported) in
            [("a b", "a b"), ("a b", ""), ("b c", "c"), ("", ""), ("b", "b"), ("b", "")]
        {
            assert_eq!(reported.unreported(&names(missing), None), names(unreported), "{missing}");
        }
    }

    #[rstest]
    #[case::nobody_was_told_of(0, "", "a b", "a b")]
    #[case::all_were_named(2, "a b", "a b c", "c")]
    #[case::more_than_were_named(3, "a b", "a b c", "")]
    #[case::and_still_more(3, "a b", "a b c d", "c d")]
    fn an_operator_that_starts_goes_on(
        #[case] missing: i32,
        #[case] named: &str,
        #[case] now: &str,
        #[case] unreported: &str,
    ) {
        let before =
            InjectedStatus { missing, missing_named: names(named), ..InjectedStatus::default() };
        assert_eq!(
            ReportedPods::default().unreported(&names(now), Some(&before)),
            names(unreported)
        );
    }
}
