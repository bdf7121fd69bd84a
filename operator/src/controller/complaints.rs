//! Which complaints of Grapes become events: each cause once, and again while its count rises.
//! Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::observe::complaint::Complaint;

/// Most causes of one pod that are remembered. Further ones wait until one of these is forgotten,
/// so that a service that invents names does not cause events without end.
const MAX_CAUSES: usize = 8;

/// How often a cause is published again, at most, while its count rises. Within six minutes
/// Kubernetes takes the second event for the first one, with a higher count.
const REPEAT_AFTER: Duration = Duration::from_secs(5 * 60);

/// When a cause that was not seen again is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);

/// A complaint to publish, and the pod whose Grape has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewComplaint {
    /// The pod's name, as the round had it.
    pub pod: String,
    /// The complaint.
    pub complaint: Complaint,
}

/// The published complaints, and those to publish.
#[derive(Debug, Default)]
pub struct Complaints {
    pods: BTreeMap<String, Vec<KnownComplaint>>,
    new: Vec<NewComplaint>,
}

/// A published cause.
#[derive(Debug)]
struct KnownComplaint {
    complaint: Complaint,
    published: Instant,
    seen: Instant,
}

impl Complaints {
    /// Takes the complaints of a round, by the pods' names.
    pub fn note(&mut self, found: BTreeMap<String, Vec<Complaint>>, now: Instant) {
        let ago = |then: Instant| now.saturating_duration_since(then);
        self.pods.retain(|_, causes| {
            causes.retain(|known| ago(known.seen) < FORGET_AFTER);
            !causes.is_empty()
        });
        for (pod, complaints) in found {
            let causes = self.pods.entry(pod.clone()).or_default();
            for complaint in complaints {
                let has_room = causes.len() < MAX_CAUSES;
                match causes.iter_mut().find(|known| known.complaint.is_like(&complaint)) {
                    Some(known) => {
                        known.seen = now;
                        // A lower count is that of a restarted Grape.
                        let is_known = known.complaint.count() == complaint.count();
                        if is_known || ago(known.published) < REPEAT_AFTER {
                            continue;
                        }
                        known.published = now;
                        known.complaint = complaint.clone();
                    }
                    None if has_room => {
                        causes.push(KnownComplaint {
                            complaint: complaint.clone(),
                            published: now,
                            seen: now,
                        });
                    }
                    None => continue,
                }
                self.new.push(NewComplaint { pod: pod.clone(), complaint });
            }
        }
    }

    /// The complaints to publish now; none of them is returned again.
    pub fn take(&mut self) -> Vec<NewComplaint> {
        std::mem::take(&mut self.new)
    }
}

#[cfg(test)]
mod tests {
    use grape::clock;
    use grape::services::{HeldBack, Refusal};

    use super::*;

    fn refusal(name: &str, count: u64) -> Complaint {
        Complaint::Refused(Refusal {
            verb: "announce".to_owned(),
            name: name.to_owned(),
            reason: "the port is a text".to_owned(),
            hint: "send the port as a number".to_owned(),
            count,
        })
    }

    fn new(complaints: &mut Complaints, found: &[(&str, &str, u64)], now: Instant) -> Vec<String> {
        let mut by_pod: BTreeMap<String, Vec<Complaint>> = BTreeMap::new();
        for (pod, name, count) in found {
            by_pod.entry((*pod).to_owned()).or_default().push(refusal(name, *count));
        }
        complaints.note(by_pod, now);
        let published = |NewComplaint { pod, complaint }| match complaint {
            Complaint::Refused(it) => format!("{pod} {} {}", it.name, it.count),
            Complaint::HeldBack(it) => format!("{pod} {} held back", it.name),
        };
        complaints.take().into_iter().map(published).collect()
    }

    #[test]
    fn a_cause_is_published_once_and_again_while_its_count_rises() {
        let mut complaints = Complaints::default();
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(new(&mut complaints, &[("a", "svc", 1)], at(0)), ["a svc 1"]);
        assert_eq!(new(&mut complaints, &[("a", "svc", 9)], at(10)), [""; 0], "not so soon");
        assert_eq!(new(&mut complaints, &[("b", "svc", 1)], at(20)), ["b svc 1"], "another pod");
        assert_eq!(new(&mut complaints, &[("a", "svc", 30)], at(300)), ["a svc 30"]);
        assert_eq!(new(&mut complaints, &[("a", "svc", 30)], at(700)), [""; 0], "it stays");
        assert_eq!(new(&mut complaints, &[("a", "svc", 2)], at(800)), ["a svc 2"], "a new Grape");
        assert_eq!(new(&mut complaints, &[], at(5000)), [""; 0]);
        assert!(complaints.pods.is_empty(), "what is not seen any more is forgotten");
    }

    #[test]
    fn a_service_that_makes_up_names_causes_few_events() {
        let mut complaints = Complaints::default();
        let start = clock::now();
        let published: usize = (0..100)
            .map(|look: u64| {
                let name = format!("svc-{look}");
                new(&mut complaints, &[("a", &name, 1)], start + Duration::from_secs(look)).len()
            })
            .sum();
        assert_eq!(published, MAX_CAUSES);
    }

    #[test]
    fn a_service_that_is_held_back_causes_one_event() {
        let mut complaints = Complaints::default();
        let start = clock::now();
        let held = |reason: &str| {
            let (name, reason) = ("svc".to_owned(), reason.to_owned());
            Complaint::HeldBack(HeldBack { name, port: 1337, reason })
        };
        let mut look = |seconds, reason| {
            let found = BTreeMap::from([("a".to_owned(), vec![held(reason), refusal("svc", 1)])]);
            complaints.note(found, start + Duration::from_secs(seconds));
            complaints.take().len()
        };
        assert_eq!([look(0, "refuses"), look(10, "refuses"), look(1000, "refuses")], [2, 0, 0]);
        assert_eq!(look(1010, "answers 503"), 1, "another reason");
    }
}
