//! The former failures of Grapes: a status stays while nothing but words changes. Pure.

use std::collections::BTreeMap;

use super::failing::Failing;
use super::rollout::Pool;

/// How the Grapes of a cluster failed in the last round.
#[derive(Debug, Default)]
pub struct PreviousFailures(BTreeMap<String, Failing>);

impl PreviousFailures {
    /// Gives Grapes that fail as before their former words; forgets those that are ready or gone.
    pub fn settle(&mut self, pools: &mut [Pool]) {
        let mut before = std::mem::take(&mut self.0);
        for grape in pools.iter_mut().flat_map(|pool| pool.grapes.values_mut()) {
            let known = before.remove(&grape.pod);
            let known = match (&grape.failing, known) {
                (Some(failing), Some(known)) if known.is_like(failing) => known,
                (Some(failing), _) => failing.clone(),
                // It may be about to fail again.
                (None, Some(known)) if !grape.ready => {
                    self.0.insert(grape.pod.clone(), known);
                    continue;
                }
                (None, _) => continue,
            };
            grape.failing = Some(known.clone());
            self.0.insert(grape.pod.clone(), known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::rollout::GrapePod;

    #[test]
    fn a_grape_that_fails_as_before_keeps_its_reason() {
        let mut known = PreviousFailures::default();
        let mut words = |failing: Option<(&str, Option<&str>)>, ready: bool| {
            let failing = failing.map(|(why, words)| Failing::new(why, words));
            let pod = "market-0".to_owned();
            let grape = GrapePod { pod, revision: String::new(), ready, leaving: false, failing };
            let mut pools = [Pool {
                name: String::new(),
                set_name: "market".to_owned(),
                desired: 1,
                set: None,
                grapes: BTreeMap::from([(0, grape)]),
                absent: BTreeMap::new(),
            }];
            known.settle(&mut pools);
            pools[0].grapes[&0].failing.as_ref().map(ToString::to_string).unwrap_or_default()
        };
        assert_eq!(words(Some(("it ends", Some("at 12:01"))), false), "it ends: at 12:01");
        assert_eq!(words(Some(("it ends", Some("at 13:59"))), false), "it ends: at 12:01");
        assert_eq!(words(Some(("it ends", None)), false), "it ends: at 12:01");
        assert_eq!(words(None, false), "", "it runs for a moment");
        assert_eq!(words(Some(("it ends", Some("at 14:00"))), false), "it ends: at 12:01");
        assert_eq!(words(Some(("it ends", Some("no port 80"))), false), "it ends: no port 80");
        assert_eq!(words(Some(("no image", None)), false), "no image");
        assert_eq!(words(Some(("no image", Some("not found"))), false), "no image: not found");
        assert_eq!(words(None, true), "");
        assert_eq!(words(Some(("no image", None)), false), "no image", "it was ready");
    }
}
