//! Which refusals of Grapes are told in events: each cause once, and again while its count rises.
//! Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use grape::services::Refusal;

/// Most causes of one pod that are remembered. Further ones wait until one of these is forgotten: a
/// service that makes up names makes no events without end.
const MAX_CAUSES: usize = 8;

/// How often a cause is told again, at most, while its count rises. An event that is told again
/// within six minutes is the same one, with a higher count.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// When a cause is forgotten that was not seen again.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// A refusal that is to be told, and the pod whose Grape refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// The pod's name, as the look had it.
    pub pod: String,
    /// What was refused.
    pub refusal: Refusal,
}

/// What was told of refusals, and what is to be.
#[derive(Debug, Default)]
pub struct Refused {
    pods: BTreeMap<String, Vec<Known>>,
    news: Vec<News>,
}

/// A cause that was told.
#[derive(Debug)]
struct Known {
    refusal: Refusal,
    told: Instant,
    seen: Instant,
}

impl Refused {
    /// Takes in what a look found, by the pods' names.
    pub fn note(&mut self, found: BTreeMap<String, Vec<Refusal>>, now: Instant) {
        let ago = |then: Instant| now.saturating_duration_since(then);
        self.pods.retain(|_, causes| {
            causes.retain(|known| ago(known.seen) < FORGOTTEN);
            !causes.is_empty()
        });
        for (pod, refusals) in found {
            let causes = self.pods.entry(pod.clone()).or_default();
            for refusal in refusals {
                let same = |known: &&mut Known| {
                    let cause =
                        |it: &Refusal| (it.verb.clone(), it.name.clone(), it.reason.clone());
                    cause(&known.refusal) == cause(&refusal)
                };
                let has_room = causes.len() < MAX_CAUSES;
                match causes.iter_mut().find(same) {
                    Some(known) => {
                        known.seen = now;
                        // Lower, it is that of a Grape that was started again.
                        if known.refusal.count == refusal.count || ago(known.told) < AGAIN {
                            continue;
                        }
                        known.told = now;
                        known.refusal = refusal.clone();
                    }
                    None if has_room => {
                        causes.push(Known { refusal: refusal.clone(), told: now, seen: now });
                    }
                    None => continue,
                }
                self.news.push(News { pod: pod.clone(), refusal });
            }
        }
    }

    /// What is to be told now; nothing of it is returned again.
    pub fn take(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }
}

#[cfg(test)]
mod tests {
    use grape::clock;

    use super::*;

    fn refusal(name: &str, count: u64) -> Refusal {
        Refusal {
            verb: "announce".to_owned(),
            name: name.to_owned(),
            reason: "the port is a text".to_owned(),
            hint: "send the port as a number".to_owned(),
            count,
        }
    }

    fn news(refused: &mut Refused, found: &[(&str, &str, u64)], now: Instant) -> Vec<String> {
        let mut by_pod: BTreeMap<String, Vec<Refusal>> = BTreeMap::new();
        for (pod, name, count) in found {
            by_pod.entry((*pod).to_owned()).or_default().push(refusal(name, *count));
        }
        refused.note(by_pod, now);
        let told = |News { pod, refusal }| format!("{pod} {} {}", refusal.name, refusal.count);
        refused.take().into_iter().map(told).collect()
    }

    #[test]
    fn a_cause_is_told_once_and_again_while_its_count_rises() {
        let mut refused = Refused::default();
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(news(&mut refused, &[("a", "svc", 1)], at(0)), ["a svc 1"]);
        assert_eq!(news(&mut refused, &[("a", "svc", 9)], at(10)), [""; 0], "not so soon");
        assert_eq!(news(&mut refused, &[("b", "svc", 1)], at(20)), ["b svc 1"], "another pod");
        assert_eq!(news(&mut refused, &[("a", "svc", 30)], at(300)), ["a svc 30"]);
        assert_eq!(news(&mut refused, &[("a", "svc", 30)], at(700)), [""; 0], "it stays");
        assert_eq!(news(&mut refused, &[("a", "svc", 2)], at(800)), ["a svc 2"], "a new Grape");
        assert_eq!(news(&mut refused, &[], at(5000)), [""; 0]);
        assert!(refused.pods.is_empty(), "what is not seen any more is forgotten");
    }

    #[test]
    fn a_service_that_makes_up_names_is_told_of_a_few_times() {
        let mut refused = Refused::default();
        let start = clock::now();
        let told: usize = (0..100)
            .map(|look: u64| {
                let name = format!("svc-{look}");
                news(&mut refused, &[("a", &name, 1)], start + Duration::from_secs(look)).len()
            })
            .sum();
        assert_eq!(told, MAX_CAUSES);
    }
}
