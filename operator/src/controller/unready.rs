//! What keeps Grapes that run from being ready, as they report it themselves. Pure.

use std::collections::BTreeSet;

use crate::observe::seeds::UnresolvedSeeds;

/// The names that do not resolve in the pods of Grapes that are not ready.
#[derive(Debug, Clone, Default)]
pub struct Unready {
    seeds: UnresolvedSeeds,
}

impl Unready {
    /// Takes the reports of Grapes. Returns whether there is something new to tell: a reason in
    /// other words is not.
    pub fn take(&mut self, mut reported: UnresolvedSeeds) -> bool {
        for (pod, seed) in &mut reported {
            let before = self.seeds.get(pod).filter(|before| before.name == seed.name);
            if let Some(before) = before {
                seed.reason.clone_from(&before.reason);
            }
        }
        let is_new = self.seeds != reported;
        self.seeds = reported;
        is_new
    }

    /// Forgets all Grapes but those in these pods.
    pub fn keep(&mut self, pods: &BTreeSet<&str>) {
        self.seeds.retain(|pod, _| pods.contains(&**pod));
    }

    /// The names, by pod.
    pub fn seeds(&self) -> &UnresolvedSeeds {
        &self.seeds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::seeds::UnresolvedSeed;

    fn reports(reports: &[(&str, &str, &str)]) -> UnresolvedSeeds {
        let seed = |(pod, name, reason): &(&str, &str, &str)| {
            let (name, reason) = ((*name).to_owned(), (*reason).to_owned());
            ((*pod).to_owned(), UnresolvedSeed { name, reason })
        };
        reports.iter().map(seed).collect()
    }

    #[test]
    fn a_reason_keeps_its_first_words() {
        let mut unready = Unready::default();
        assert!(unready.take(reports(&[("a", "old:1", "no answer")])));
        assert!(!unready.take(reports(&[("a", "old:1", "try again")])));
        assert_eq!(unready.seeds()["a"].reason, "no answer");
        assert!(unready.take(reports(&[("a", "new:1", "try again")])), "it is another name");
        assert_eq!(unready.seeds()["a"].reason, "try again");
    }

    #[test]
    fn grapes_that_became_ready_are_forgotten() {
        let mut unready = Unready::default();
        unready.take(reports(&[("a", "old:1", "no answer"), ("b", "old:1", "no answer")]));
        unready.keep(&["b"].into());
        assert_eq!(unready.seeds().keys().collect::<Vec<_>>(), ["b"]);
        assert!(unready.take(UnresolvedSeeds::new()), "it resolves");
        assert!(!unready.take(UnresolvedSeeds::new()));
    }
}
