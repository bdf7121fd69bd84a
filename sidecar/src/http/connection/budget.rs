//! One budget of bytes over all connections of a Grape: what was read of requests, and of messages,
//! that have not come whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grape_engine::Bound;

/// Bytes that all unfinished requests may take up together, unless a single one may take more.
const BYTES: usize = 4 << 20;

/// What an unfinished request costs beside its own bytes: its connection's buffers, as long as hyper makes
/// them.
pub(super) const BUFFERS: usize = 16 << 10;

/// The bytes that are left.
#[derive(Clone)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
    most: usize,
}

impl Budget {
    /// One that has room for several bodies of `largest` bytes.
    pub(crate) fn new(largest: usize) -> Self {
        let most = BYTES.max(largest.saturating_mul(4));
        Self { left: Arc::new(AtomicUsize::new(most)), most }
    }

    /// Bytes that are held, and how many may be.
    pub(crate) fn bound(&self) -> Bound {
        Bound { used: self.most - self.left.load(Ordering::Relaxed), most: self.most }
    }

    /// Nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }
}

/// The part that one connection has taken; it is given back when dropped.
pub(super) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Share {
    /// Takes, or gives back, until the share is `bytes`. False when so much is not left: the share
    /// is as it was.
    pub(super) fn set(&mut self, bytes: usize) -> bool {
        let left = &self.budget.left;
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let take = |left: usize| left.checked_sub(more);
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return false;
            }
        } else if bytes < self.bytes {
            left.fetch_add(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_bytes_may_be_taken_again() {
        let budget = Budget::new(8192);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.set(BYTES - 100) && other.set(100) && one.set(BYTES - 100));
        assert!(!other.set(101));
        assert!(one.set(BYTES - 101) && other.set(101));
        drop(one);
        assert!(other.set(BYTES) && !other.set(BYTES + 1));
    }

    #[test]
    fn large_bodies_have_room() {
        assert!(Budget::new(BYTES).share().set(BYTES + 1));
        assert!(Budget::new(usize::MAX).share().set(1));
    }
}
