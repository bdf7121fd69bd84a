//! What one candidate does about a Lease, decided from what it has seen of it. Pure: the time is
//! an argument, and nothing is read or written.
//!
//! The clocks of other machines are never trusted. The times in a Lease are for people; what counts
//! is how long ago, by this machine's clock, the record last changed.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::timings::Timings;

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease: nothing is known of it.
    Look,
    /// Write [`Candidate::claim`]: the Lease has no holder.
    Acquire,
    /// Write [`Candidate::claim`]: it is held, and to be held on.
    Renew,
    /// Nothing, until this time or until the Lease changes.
    Wait {
        /// When to ask again.
        until: Instant,
    },
    /// What was led is led no more.
    Lost(Loss),
}

/// Why a leader is none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It was not renewed in time.
    #[error("the lease was not renewed within {0:?} (--renew-deadline)")]
    Expired(Duration),
    /// Somebody else holds it; another process of the same name is somebody else, too.
    #[error("the lease is held by {0}")]
    Taken(String),
    /// Somebody took the holder out of it.
    #[error("the lease has no holder any more")]
    Emptied,
}

/// One candidate of an election.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    timings: Timings,
    seen: Option<ObservedLease>,
    term: Option<Term>,
    /// No write or read before this time.
    next_try: Instant,
}

/// The Lease as last observed.
#[derive(Debug)]
struct ObservedLease {
    record: Option<LeaseSpec>,
    /// When others may take it, if it does not change before.
    free_at: Instant,
}

/// Leadership, as last written.
#[derive(Debug)]
struct Term {
    record: LeaseSpec,
    until: Instant,
}

impl Candidate {
    /// A candidate that has seen nothing. No two that run may have the same identity.
    pub fn new(identity: String, timings: Timings, now: Instant) -> Self {
        Self { identity, timings, seen: None, term: None, next_try: now }
    }

    /// Takes in the Lease as it was seen just now; `None` when there is none.
    pub fn observe(&mut self, record: Option<&LeaseSpec>, now: Instant) {
        let before = self.seen.take();
        if let Some(seen) = before.as_ref().filter(|seen| seen.record.as_ref() == record) {
            let free_at = seen.free_at;
            self.seen = Some(ObservedLease { record: record.cloned(), free_at });
            return;
        }
        // The holder of a deleted Lease may not know of it yet, and may lead for a while.
        let held = record.or(before.as_ref().and_then(|seen| seen.record.as_ref()));
        let free_at = now + held.map_or(Duration::ZERO, |record| self.runs(record));
        self.seen = Some(ObservedLease { record: record.cloned(), free_at });
        self.next_try = now;
    }

    /// What is to be done at `now`.
    pub fn step(&self, now: Instant) -> Step {
        let (due, end, step) = match (&self.seen, &self.term) {
            (_, Some(term)) => {
                if let Some(loss) = self.lost(term, now) {
                    return Step::Lost(loss);
                }
                (self.next_try, term.until, Step::Renew)
            }
            (None, None) => (self.next_try, self.next_try, Step::Look),
            (Some(seen), None) => {
                let due = self.next_try.max(seen.free_at);
                (due, due, Step::Acquire)
            }
        };
        if now >= due { step } else { Step::Wait { until: due.min(end) } }
    }

    /// What to write in order to acquire or to renew. `wall` is the time for people to read, in
    /// whole microseconds.
    pub fn claim(&self, wall: MicroTime) -> LeaseSpec {
        if let Some(term) = &self.term {
            return LeaseSpec { renew_time: Some(wall), ..term.record.clone() };
        }
        let before = self.seen.as_ref().and_then(|seen| seen.record.clone());
        let transitions = before.as_ref().map_or(0, |record| {
            let other = holder(record) != Some(&self.identity);
            record.lease_transitions.unwrap_or(0).saturating_add(i32::from(other))
        });
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(self.timings.lease_seconds()),
            // A new time also after this identity's own term: it distinguishes the terms of two
            // processes with the same name.
            acquire_time: Some(wall.clone()),
            renew_time: Some(wall),
            lease_transitions: Some(transitions),
            ..before.unwrap_or_default()
        }
    }

    /// A read or write begins: should it fail, the next one waits for the retry period.
    pub fn tries(&mut self, now: Instant) {
        self.next_try = now + self.timings.retry_period();
    }

    /// The claim was written; `record` is what the API server made of it, and `sent` the time
    /// before it was sent: others count from then at the earliest.
    pub fn wrote(&mut self, record: LeaseSpec, sent: Instant) {
        let free_at = sent + self.runs(&record);
        self.seen = Some(ObservedLease { record: Some(record.clone()), free_at });
        self.term = Some(Term { record, until: sent + self.timings.renew_deadline() });
    }

    /// Until when it leads without a further renewal; `None` when it does not lead.
    pub fn leads_until(&self) -> Option<Instant> {
        self.term.as_ref().map(|term| term.until)
    }

    /// Whether it leads, and this record would end or endanger that. A watch may show what was
    /// before: such a record has to be read again before it is observed.
    pub fn doubts(&self, record: Option<&LeaseSpec>) -> bool {
        self.term.as_ref().is_some_and(|term| !record.is_some_and(|record| continues(term, record)))
    }

    /// The other holder of the Lease, as last seen.
    pub fn waits_for(&self) -> Option<&str> {
        let record = self.seen.as_ref()?.record.as_ref()?;
        holder(record).filter(|holder| *holder != self.identity)
    }

    /// What to write in order to let go of the Lease; `None` when it is not held.
    pub fn release(&self, wall: MicroTime) -> Option<LeaseSpec> {
        let term = self.term.as_ref()?;
        let record = self.seen.as_ref()?.record.as_ref()?;
        continues(term, record).then(|| LeaseSpec {
            holder_identity: None,
            // What it says without a holder is nothing, but it has to be positive.
            lease_duration_seconds: Some(1),
            renew_time: Some(wall),
            ..record.clone()
        })
    }

    /// How long after its last change others leave this record alone.
    fn runs(&self, record: &LeaseSpec) -> Duration {
        // Its own of an earlier process, which has ended: there is no one to wait for.
        if holder(record).is_none_or(|holder| holder == self.identity) {
            return Duration::ZERO;
        }
        let seconds = record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(self.timings.lease_duration(), Duration::from_secs)
    }

    fn lost(&self, term: &Term, now: Instant) -> Option<Loss> {
        if now >= term.until {
            return Some(Loss::Expired(self.timings.renew_deadline()));
        }
        // A deleted Lease is made again: no other candidate takes it at once.
        let record = self.seen.as_ref()?.record.as_ref()?;
        if continues(term, record) {
            return None;
        }
        Some(holder(record).map_or(Loss::Emptied, |holder| Loss::Taken(holder.to_owned())))
    }
}

fn holder(record: &LeaseSpec) -> Option<&str> {
    record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

/// Whether a record is of this term.
fn continues(term: &Term, record: &LeaseSpec) -> bool {
    holder(record) == holder(&term.record) && record.acquire_time == term.record.acquire_time
}

#[cfg(test)]
mod tests;
