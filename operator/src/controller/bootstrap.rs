//! Bootstrap names that lead a cluster's Grapes to no other, once they have done so for a while. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::observe::outside::{Trouble, Troubles};

/// How long a name leads to no Grape before it is told. A Grape asks again after 20 s: one datagram that is
/// lost is no trouble.
const LASTING: Duration = Duration::from_secs(25);

/// A bootstrap name that leads to no Grape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadEnd {
    /// Why.
    pub trouble: Trouble,
    /// The pods whose Grapes tell so; empty where all do.
    pub alone: BTreeSet<String>,
}

/// The bootstrap names that lead to no Grape, as `HOST:PORT`.
pub type DeadEnds = BTreeMap<String, DeadEnd>;

/// What was told of bootstrap names, look by look.
#[derive(Debug, Default)]
pub struct Bootstrap {
    /// By name and pod: the trouble, in the words in which it was told first, and since when.
    troubles: BTreeMap<(String, String), (Trouble, Instant)>,
    /// Those that have lasted; none while that cannot be told yet.
    lasting: Option<DeadEnds>,
}

impl Bootstrap {
    /// Takes in what was told in a look that ended at `now`. A look at which no Grape answered tells
    /// nothing.
    pub fn take(&mut self, told: &Troubles, now: Instant) {
        if told.is_empty() {
            return;
        }
        let mut before = std::mem::take(&mut self.troubles);
        for (pod, names) in told {
            for (name, trouble) in names {
                let key = (name.clone(), pod.clone());
                let known = before.remove(&key).filter(|(known, _)| known.is_like(trouble));
                self.troubles.insert(key, known.unwrap_or_else(|| (trouble.clone(), now)));
            }
        }
        let mut lasting = DeadEnds::new();
        for ((name, pod), (trouble, since)) in &self.troubles {
            if now.saturating_duration_since(*since) >= LASTING {
                let dead_end = lasting.entry(name.clone()).or_insert_with(|| DeadEnd {
                    trouble: trouble.clone(),
                    alone: BTreeSet::new(),
                });
                dead_end.alone.insert(pod.clone());
            }
        }
        for dead_end in lasting.values_mut() {
            if dead_end.alone.len() == told.len() {
                dead_end.alone.clear();
            }
        }
        // Before anything is known, what may turn out to be trouble is not told to be well.
        if self.lasting.is_some() || self.troubles.is_empty() || !lasting.is_empty() {
            self.lasting = Some(lasting);
        }
    }

    /// Those that have lasted; none while that cannot be told yet.
    pub fn dead_ends(&self) -> Option<&DeadEnds> {
        self.lasting.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of these Grapes tells of the name `old:1`.
    fn told(grapes: &[Option<&str>]) -> Troubles {
        let told = grapes.iter().enumerate().map(|(number, reason)| {
            let trouble =
                |reason: &&str| ("old:1".to_owned(), Trouble::Unresolved((*reason).to_owned()));
            (format!("market-{number}"), reason.iter().map(trouble).collect())
        });
        told.collect()
    }

    /// Looks each 5 s, for so many seconds; and what is told then.
    fn after(bootstrap: &mut Bootstrap, told: &Troubles, seconds: u64, now: &mut Instant) {
        for _ in 0..seconds / 5 {
            bootstrap.take(told, *now);
            *now += Duration::from_secs(5);
        }
    }

    #[test]
    fn a_name_that_leads_nowhere_is_told_after_a_while() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(&mut bootstrap, &told(&[Some("no such name"), Some("no such name")]), 25, &mut now);
        assert_eq!(bootstrap.dead_ends(), None, "it is not known yet");
        after(&mut bootstrap, &told(&[Some("other words"), Some("no such name")]), 5, &mut now);
        let trouble = Trouble::Unresolved("no such name".to_owned());
        let wanted = DeadEnd { trouble, alone: BTreeSet::new() };
        assert_eq!(bootstrap.dead_ends(), Some(&[("old:1".to_owned(), wanted)].into()));
        after(&mut bootstrap, &told(&[None, None]), 5, &mut now);
        assert_eq!(bootstrap.dead_ends(), Some(&DeadEnds::new()), "over at once");
    }

    #[test]
    fn a_moment_is_no_trouble() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        for _ in 0..10 {
            after(&mut bootstrap, &told(&[None]), 5, &mut now);
            after(&mut bootstrap, &told(&[Some("lost")]), 20, &mut now);
            assert_eq!(bootstrap.dead_ends(), Some(&DeadEnds::new()));
        }
    }

    #[test]
    fn a_grape_that_is_alone_with_it_is_named() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(&mut bootstrap, &told(&[None, Some("no such name")]), 60, &mut now);
        let dead_ends = bootstrap.dead_ends().unwrap();
        assert_eq!(dead_ends["old:1"].alone, ["market-1".to_owned()].into());
    }

    #[test]
    fn a_look_that_reached_nobody_changes_nothing() {
        let (mut bootstrap, mut now) = (Bootstrap::default(), grape::clock::now());
        after(&mut bootstrap, &Troubles::new(), 60, &mut now);
        assert_eq!(bootstrap.dead_ends(), None);
        after(&mut bootstrap, &told(&[Some("no such name")]), 15, &mut now);
        after(&mut bootstrap, &Troubles::new(), 10, &mut now);
        after(&mut bootstrap, &told(&[Some("no such name")]), 5, &mut now);
        assert_eq!(bootstrap.dead_ends().map(DeadEnds::len), Some(1));
    }
}
