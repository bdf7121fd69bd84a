//! Which pod without its Grape, or with a former image that does not start, is evicted next, so
//! that its controller recreates it. Pure.
//!
//! Services must not suffer from it: one pod at a time, and the next one only when the successor is
//! ready with its Grape; only of a controller whose other pods are all well; and no pod whose dry
//! run has not shown that it would come back with its Grape (see [`evict`](super::evict)).
//!
//! It ends. Each pod is evicted at most once. If the successor came without its Grape, did not
//! come, or did not become ready within ten minutes, the repair of this controller failed: no pod
//! of it is evicted until none of them lacks its Grape. The status keeps the names of these
//! controllers, so that an operator that starts does not try them again; if the status has as many
//! names as it can hold, nothing is evicted at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use grape_cluster::limits;
use jiff::{SignedDuration, Timestamp};

use super::member::Member;
use super::pod::{Maker, ServicePod};

/// How old a pod has to be: a pod created while the webhook restarts may not be the only one, and a
/// controller may still be creating others.
const MIN_AGE: SignedDuration = SignedDuration::from_secs(30);
/// How long the successor of an evicted pod may take to be ready.
const REPLACEMENT_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);
/// How soon an eviction that a PodDisruptionBudget forbids is tried again: budgets of others are
/// not watched.
const FORBIDDEN_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// How soon another pod is tried after one whose successor would have no Grape.
const ASIDE_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// How soon another pod is tried after one that was gone: until then the watch has reported it.
const GONE_PAUSE: SignedDuration = SignedDuration::from_secs(1);

/// The repairs of one cluster, and their results.
#[derive(Debug, Default)]
pub struct Repair {
    /// Whether the last status was read.
    resumed: bool,
    under_way: Option<UnderWay>,
    /// Controllers whose repair failed, as texts.
    failed_attempts: BTreeSet<String>,
    /// Tried pods that still lack their Grape, by uid.
    tried: BTreeMap<String, Trial>,
    /// When the next pod may be tried.
    not_before: Option<Timestamp>,
}

#[derive(Debug)]
struct UnderWay {
    pod: String,
    title: String,
    maker: Maker,
    /// The uids of all pods of that controller at the eviction: any other pod came since.
    known: BTreeSet<String>,
    since: Timestamp,
}

#[derive(Debug)]
struct Trial {
    title: String,
    at: Timestamp,
    result: Tried,
}

/// The result of trying to evict a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The pod terminates.
    Evicted,
    /// The pod is gone, or another pod has its name.
    Gone,
    /// A PodDisruptionBudget does not allow it now.
    Forbidden,
    /// The successor would have no Grape, or would not come; or the API server cannot say. A phrase
    /// that follows the pod's name.
    Aside(String),
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Nothing, until something changes.
    Rest,
    /// Nothing for this long, unless something changes.
    Wait(Duration),
    /// Try to evict this pod.
    Evict(Arc<ServicePod>),
}

/// The progress that the status shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairProgress {
    /// The evicted pod whose successor is awaited.
    pub under_way: Option<String>,
    /// Pods that are left alone, with the cause.
    pub aside: Vec<String>,
    /// Controllers whose repair failed.
    pub failed_attempts: Vec<String>,
}

impl Repair {
    /// Continues from the failed repairs that the last status names.
    pub fn resume(&mut self, failed_attempts: &[String]) {
        if !self.resumed {
            self.resumed = true;
            self.failed_attempts.extend(failed_attempts.iter().cloned());
        }
    }

    /// What to do next for the `pods` of the cluster, terminating ones among them; and the
    /// controllers whose repair has just failed.
    pub fn next(&mut self, pods: &[Member], now: Timestamp) -> (Step, Vec<Maker>) {
        let mut failed = Vec::new();
        if let Some(under_way) = self.under_way.take() {
            match under_way.stands(pods, now) {
                Stands::Waits(time) => {
                    self.under_way = Some(under_way);
                    return (time.map_or(Step::Rest, Step::Wait), failed);
                }
                Stands::Well => {}
                Stands::Failed => failed.push(under_way.maker),
            }
        }
        self.failed_attempts.extend(failed.iter().map(Maker::to_string));
        let bare = || pods.iter().filter(|it| it.is_to_be_made_anew()).map(|it| &it.pod);
        let makers: BTreeSet<_> =
            bare().filter_map(|pod| Some(pod.maker.as_ref()?.to_string())).collect();
        self.failed_attempts.retain(|maker| makers.contains(maker));
        let uids: BTreeSet<_> = bare().map(|pod| &*pod.uid).collect();
        self.tried.retain(|uid, _| uids.contains(&**uid));
        (self.choose(pods, now), failed)
    }

    /// Takes note of the result of trying to evict a pod, one of `pods`.
    pub fn tried(&mut self, pod: &ServicePod, result: Tried, pods: &[Member], now: Timestamp) {
        let pause = match &result {
            Tried::Forbidden => FORBIDDEN_PAUSE,
            Tried::Aside(_) => ASIDE_PAUSE,
            Tried::Gone => GONE_PAUSE,
            Tried::Evicted => SignedDuration::ZERO,
        };
        self.not_before = now.checked_add(pause).ok();
        match (&result, &pod.maker) {
            (Tried::Evicted, Some(maker)) => {
                let own = made_by(pods, maker);
                self.under_way = Some(UnderWay {
                    pod: pod.uid.clone(),
                    title: pod.title(),
                    maker: maker.clone(),
                    known: own.map(|it| it.uid.clone()).collect(),
                    since: now,
                });
            }
            _ => {
                let trial = Trial { title: pod.title(), at: now, result };
                self.tried.insert(pod.uid.clone(), trial);
            }
        }
    }

    /// The progress for the status.
    pub fn progress(&self, pods: &[Member]) -> RepairProgress {
        let tried = self.tried.values().filter_map(|trial| {
            let why = match &trial.result {
                Tried::Evicted | Tried::Gone => return None,
                Tried::Forbidden => "waits for its PodDisruptionBudget to allow its eviction",
                Tried::Aside(why) => why,
            };
            Some(format!("{} {why}", trial.title))
        });
        let alone = pods.iter().filter(|it| it.is_to_be_made_anew()).filter_map(|it| {
            let why = match &it.pod.maker {
                None => "has no controller that would create it again",
                Some(maker) if !maker.replaces() => {
                    "belongs to a controller that does not replace its pods"
                }
                Some(_) => return None,
            };
            Some(format!("{} {why}", it.pod.title()))
        });
        let mut aside: Vec<_> = tried.chain(alone).collect();
        aside.sort_unstable();
        RepairProgress {
            under_way: self.under_way.as_ref().map(|it| it.title.clone()),
            aside,
            failed_attempts: self.failed_attempts.iter().cloned().collect(),
        }
    }

    fn choose(&self, pods: &[Member], now: Timestamp) -> Step {
        if self.failed_attempts.len() >= limits::NAMED_LENGTH {
            return Step::Rest;
        }
        let mut soonest: Option<SignedDuration> = None;
        let mut candidates = Vec::new();
        for Member { pod, .. } in pods.iter().filter(|it| self.is_open(it, pods)) {
            let age = pod.made.map_or(MIN_AGE, |made| now.duration_since(made));
            if age >= MIN_AGE {
                candidates.push(pod);
            } else {
                let wait = MIN_AGE.saturating_sub(age);
                soonest = Some(soonest.map_or(wait, |soonest| soonest.min(wait)));
            }
        }
        // Pods that were never tried first, then the one that was tried longest ago.
        let last = |pod: &ServicePod| self.tried.get(&pod.uid).map(|trial| trial.at);
        candidates.sort_by_cached_key(|pod| (last(pod), pod.title()));
        match (candidates.first(), self.not_before.filter(|time| now < *time)) {
            (Some(_), Some(time)) => Step::Wait(positive(time.duration_since(now))),
            (Some(pod), None) => Step::Evict(Arc::clone(pod)),
            (None, _) => soonest.map_or(Step::Rest, |wait| Step::Wait(positive(wait))),
        }
    }

    /// Whether a pod may be evicted: its controller would recreate it, has nothing else under way,
    /// and its repair has not failed.
    fn is_open(&self, member: &Member, pods: &[Member]) -> bool {
        let maker = member.pod.maker.as_ref().filter(|maker| maker.replaces());
        let Some(maker) = maker.filter(|_| member.is_to_be_made_anew() && member.refused.is_none())
        else {
            return false;
        };
        let well = |of: &Member| of.is_to_be_made_anew() || (of.pod.ready && !of.pod.leaving);
        !self.failed_attempts.contains(&maker.to_string()) && members_of(pods, maker).all(well)
    }
}

/// The pods of a controller.
fn members_of<'a>(pods: &'a [Member], maker: &'a Maker) -> impl Iterator<Item = &'a Member> {
    pods.iter().filter(|member| member.pod.maker.as_ref() == Some(maker))
}

fn made_by<'a>(pods: &'a [Member], maker: &'a Maker) -> impl Iterator<Item = &'a ServicePod> {
    members_of(pods, maker).map(|member| &*member.pod)
}

/// The state of an eviction.
enum Stands {
    /// The successor is awaited, for this long at most.
    Waits(Option<Duration>),
    /// The successor has its Grape, and is ready.
    Well,
    Failed,
}

impl UnderWay {
    fn stands(&self, pods: &[Member], now: Timestamp) -> Stands {
        let left = REPLACEMENT_TIMEOUT.saturating_sub(now.duration_since(self.since));
        let is_late = left <= SignedDuration::ZERO;
        let waits = Stands::Waits(Some(positive(left)));
        let mut own = made_by(pods, &self.maker).peekable();
        if own.peek().is_none() && is_late {
            // The controller wants no more pods.
            return Stands::Well;
        }
        let (known, new): (Vec<_>, Vec<_>) = own.partition(|pod| self.known.contains(&pod.uid));
        match known.into_iter().find(|pod| pod.uid == self.pod) {
            // The evicted pod may take any time to end.
            Some(old) if old.leaving => return Stands::Waits(None),
            // The pod did not terminate, and can be tried again.
            Some(_) if is_late => return Stands::Well,
            Some(_) => return waits,
            None => {}
        }
        let has_come = !new.is_empty() && new.iter().all(|pod| pod.ready);
        if new.iter().any(|pod| pod.sidecar().is_none() && !pod.leaving) {
            Stands::Failed
        } else if has_come {
            Stands::Well
        } else if is_late {
            Stands::Failed
        } else {
            waits
        }
    }
}

fn positive(time: SignedDuration) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests;
