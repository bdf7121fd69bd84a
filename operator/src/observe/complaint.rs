//! What the author of the service beside a Grape should know. Pure.

use grape::services::{HeldBack, Refusal};

/// What the author of the service beside a Grape should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// A request of it is refused, which it may take for success.
    Refused(Refusal),
    /// It has not been announced for a while.
    HeldBack(HeldBack),
}

impl Complaint {
    /// Whether it has the same cause, however often it occurred.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(one), Self::Refused(other)) => {
                (&one.verb, &one.name, &one.reason) == (&other.verb, &other.name, &other.reason)
            }
            (Self::HeldBack(one), Self::HeldBack(other)) => one == other,
            _ => false,
        }
    }

    /// How often it occurred, since the Grape's start.
    pub fn count(&self) -> u64 {
        match self {
            Self::Refused(refusal) => refusal.count,
            Self::HeldBack(_) => 1,
        }
    }
}
