//! Bootstrap names by which a cluster's Grapes have reached no other Grape for a while. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::observe::outside::{BootstrapReport, Outside, Trouble};

/// How long no Grape is reached by a name before it is reported. A Grape asks again after 20 s, so
/// that one lost datagram is no problem.
const LASTING: Duration = Duration::from_secs(25);

/// A bootstrap name by which no Grape is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEnd {
    /// The cause.
    pub trouble: Trouble,
    /// The pods whose Grapes report it; empty if all do.
    pub alone: BTreeSet<String>,
}

/// The bootstrap names by which no Grape is reached, as `HOST:PORT`.
pub type DeadEnds = BTreeMap<String, DeadEnd>;

/// A name with a problem.
#[derive(Debug, Clone)]
struct Ongoing {
    /// In the words of the first report.
    trouble: Trouble,
    since: Instant,
    /// Whether the same Grape had no problem before.
    was_well: bool,
}

/// The reports about bootstrap names, round by round.
#[derive(Debug, Clone, Default)]
pub struct Bootstrap {
    /// By name and pod.
    troubles: BTreeMap<(String, String), Ongoing>,
    /// The ids of the Grapes that answered last, by pod.
    asked: BTreeMap<String, String>,
    /// The problems that have lasted; none while that is not known yet.
    lasting: Option<DeadEnds>,
}

impl Bootstrap {
    /// Takes the reports of a round that ended at `now`. A round in which no Grape answered says
    /// nothing.
    pub fn take(&mut self, reports: &Outside, now: Instant) {
        if reports.is_empty() {
            return;
        }
        let mut before = std::mem::take(&mut self.troubles);
        for (pod, BootstrapReport { id, troubles }) in reports {
            let is_known = self.asked.get(pod) == Some(id);
            for (name, trouble) in troubles {
                let key = (name.clone(), pod.clone());
                let known = before.remove(&key);
                let was_well = known.as_ref().map_or(is_known, |known| known.was_well);
                let known = known.filter(|known| known.trouble.is_like(trouble));
                let anew = || Ongoing { trouble: trouble.clone(), since: now, was_well };
                self.troubles.insert(key, known.unwrap_or_else(anew));
            }
        }
        self.asked = reports.iter().map(|(pod, report)| (pod.clone(), report.id.clone())).collect();
        let (mut lasting, mut is_open) = (DeadEnds::new(), false);
        for ((name, pod), Ongoing { trouble, since, was_well }) in &self.troubles {
            if now.saturating_duration_since(*since) >= LASTING {
                let dead_end = lasting.entry(name.clone()).or_insert_with(|| DeadEnd {
                    trouble: trouble.clone(),
                    alone: BTreeSet::new(),
                });
                dead_end.alone.insert(pod.clone());
            } else {
                is_open |= !was_well;
            }
        }
        for dead_end in lasting.values_mut() {
            if dead_end.alone.len() == reports.len() {
                dead_end.alone.clear();
            }
        }
        // A name that never worked is not reported as working while its problem is young.
        self.lasting = Some(lasting).filter(|lasting| !is_open || !lasting.is_empty());
    }

    /// The problems that have lasted; none while that is not known yet.
    pub fn dead_ends(&self) -> Option<&DeadEnds> {
        self.lasting.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reports of these Grapes about the name `old:1`.
    fn reports(grapes: &[Option<&str>]) -> Outside {
        let reports = grapes.iter().enumerate().map(|(number, reason)| {
            let trouble =
                |reason: &&str| ("old:1".to_owned(), Trouble::Unresolved((*reason).to_owned()));
            let troubles = reason.iter().map(trouble).collect();
            (format!("market-{number}"), BootstrapReport { id: "first".to_owned(), troubles })
        });
        reports.collect()
    }

    /// A round each 5 s, for this many seconds; returns the report after the last one.
    fn after(bootstrap: &mut Bootstrap, reports: &Outside, seconds: u64, now: &mut Instant) {
        for _ in 0..seconds / 5 {
            bootstrap.take(reports, *now);
            *now += Duration::from_secs(5);
        }
    }

    #[test]
    fn a_name_that_leads_to_no_grape_is_reported_after_a_while() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(
            &mut bootstrap,
            &reports(&[Some("no such name"), Some("no such name")]),
            25,
            &mut now,
        );
        assert_eq!(bootstrap.dead_ends(), None, "it is not known yet");
        after(&mut bootstrap, &reports(&[Some("other words"), Some("no such name")]), 5, &mut now);
        let trouble = Trouble::Unresolved("no such name".to_owned());
        let wanted = DeadEnd { trouble, alone: BTreeSet::new() };
        assert_eq!(bootstrap.dead_ends(), Some(&[("old:1".to_owned(), wanted)].into()));
        after(&mut bootstrap, &reports(&[None, None]), 5, &mut now);
        assert_eq!(bootstrap.dead_ends(), Some(&DeadEnds::new()), "over at once");
    }

    #[test]
    fn a_moment_is_no_trouble() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        for _ in 0..10 {
            after(&mut bootstrap, &reports(&[None]), 5, &mut now);
            after(&mut bootstrap, &reports(&[Some("lost")]), 20, &mut now);
            assert_eq!(bootstrap.dead_ends(), Some(&DeadEnds::new()));
        }
    }

    #[test]
    fn a_grape_that_is_alone_with_it_is_named() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(&mut bootstrap, &reports(&[None, Some("no such name")]), 60, &mut now);
        let dead_ends = bootstrap.dead_ends().unwrap();
        assert_eq!(dead_ends["old:1"].alone, ["market-1".to_owned()].into());
    }

    #[test]
    fn a_probe_that_no_grape_answered_changes_nothing() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(&mut bootstrap, &Outside::new(), 60, &mut now);
        assert_eq!(bootstrap.dead_ends(), None);
        after(&mut bootstrap, &reports(&[Some("no such name")]), 15, &mut now);
        after(&mut bootstrap, &Outside::new(), 10, &mut now);
        after(&mut bootstrap, &reports(&[Some("no such name")]), 5, &mut now);
        assert_eq!(bootstrap.dead_ends().map(DeadEnds::len), Some(1));
    }

    #[test]
    fn a_new_name_that_leads_to_no_grape_is_never_reported_as_working() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(&mut bootstrap, &reports(&[None]), 60, &mut now);
        assert_eq!(bootstrap.dead_ends(), Some(&DeadEnds::new()));
        // It is replaced by one that has the name.
        let mut reports = reports(&[Some("no such name")]);
        reports.values_mut().for_each(|report| report.id = "second".to_owned());
        after(&mut bootstrap, &reports, 25, &mut now);
        assert_eq!(bootstrap.dead_ends(), None);
        after(&mut bootstrap, &reports, 5, &mut now);
        assert_eq!(bootstrap.dead_ends().map(DeadEnds::len), Some(1));
    }
}
