//! What a candidate does about a Lease, decided from what it has seen of it. Pure: the time is an
//! argument, and nothing is read or written.
//!
//! Clocks of others do not count. The times in a Lease are for people; what counts is how long ago,
//! by the own clock, the record was last seen to change.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::timings::Timings;

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the Lease, which was not read yet.
    Look,
    /// Write [`Candidate::claim`]: the Lease has no holder.
    Acquire,
    /// Write [`Candidate::claim`]: this candidate holds the Lease, and renews it.
    Renew,
    /// Nothing, until this time or until the Lease changes.
    Wait {
        /// When to ask again.
        until: Instant,
    },
    /// Stop leading.
    Lost(Loss),
}

/// Why a leader stops leading.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The Lease was not renewed in time.
    #[error("the lease was not renewed within {0:?} (--renew-deadline)")]
    Expired(Duration),
    /// Another process holds the Lease, maybe one of the same identity.
    #[error("the lease is held by {0}")]
    Taken(String),
    /// Somebody removed the holder from the Lease.
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
    /// When others may take the Lease, if it does not change before.
    free_at: Instant,
}

/// Leadership, as last written.
#[derive(Debug)]
struct Term {
    record: LeaseSpec,
    until: Instant,
}

impl Candidate {
    /// A candidate that has seen nothing. No two running candidates may have the same identity.
    pub fn new(identity: String, timings: Timings, now: Instant) -> Self {
        Self { identity, timings, seen: None, term: None, next_try: now }
    }

    /// Takes the current Lease; `None` if there is none.
    pub fn observe(&mut self, record: Option<&LeaseSpec>, now: Instant) {
        let before = self.seen.take();
        if let Some(seen) = before.as_ref().filter(|seen| seen.record.as_ref() == record) {
            let free_at = seen.free_at;
            self.seen = Some(ObservedLease { record: record.cloned(), free_at });
            return;
        }
        // The holder of a deleted Lease may not have noticed yet, and leads on for a while.
        let held = record.or(before.as_ref().and_then(|seen| seen.record.as_ref()));
        let free_at = now + held.map_or(Duration::ZERO, |record| self.runs(record));
        self.seen = Some(ObservedLease { record: record.cloned(), free_at });
        self.next_try = now;
    }

    /// The next step at `now`.
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

    /// The record to write in order to acquire or to renew. `wall` is the time for people, in whole
    /// microseconds.
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
            // Also after the candidate's own earlier term: the number distinguishes it from the
            // term of another process of the same identity.
            acquire_time: Some(wall.clone()),
            renew_time: Some(wall),
            lease_transitions: Some(transitions),
            ..before.unwrap_or_default()
        }
    }

    /// A read or write begins: if it fails, the next one waits for the retry period.
    pub fn tries(&mut self, now: Instant) {
        self.next_try = now + self.timings.retry_period();
    }

    /// The claim was written. `record` is the Lease after the write; `sent` is the time before it
    /// was sent, from which others count at the earliest.
    pub fn wrote(&mut self, record: LeaseSpec, sent: Instant) {
        let free_at = sent + self.runs(&record);
        self.seen = Some(ObservedLease { record: Some(record.clone()), free_at });
        self.term = Some(Term { record, until: sent + self.timings.renew_deadline() });
    }

    /// Until when the candidate leads without a further renewal; `None` if it does not lead.
    pub fn leads_until(&self) -> Option<Instant> {
        self.term.as_ref().map(|term| term.until)
    }

    /// Whether the candidate leads, and this record would end or endanger that. A watch may deliver
    /// an old record, so such a record is read again before it counts.
    pub fn doubts(&self, record: Option<&LeaseSpec>) -> bool {
        self.term.as_ref().is_some_and(|term| !record.is_some_and(|record| continues(term, record)))
    }

    /// Which other process holds the Lease, as last seen.
    pub fn waits_for(&self) -> Option<&str> {
        let record = self.seen.as_ref()?.record.as_ref()?;
        holder(record).filter(|holder| *holder != self.identity)
    }

    /// The record to write in order to release the Lease; `None` if it is not held.
    pub fn release(&self, wall: MicroTime) -> Option<LeaseSpec> {
        let term = self.term.as_ref()?;
        let record = self.seen.as_ref()?.record.as_ref()?;
        continues(term, record).then(|| LeaseSpec {
            holder_identity: None,
            // Without a holder the duration means nothing, but it has to be positive.
            lease_duration_seconds: Some(1),
            renew_time: Some(wall),
            ..record.clone()
        })
    }

    /// How long after its last change others leave this record alone.
    fn runs(&self, record: &LeaseSpec) -> Duration {
        // The record of an earlier process of this identity, which has ended: nobody is waited for.
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
        // A deleted Lease is created again: no other candidate takes it at once.
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
