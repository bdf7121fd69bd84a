//! The most memory that processes had resident.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::kernel;

const PAUSE: Duration = Duration::from_millis(50);

/// Samples memory until it is dropped.
#[derive(Debug)]
pub struct Memory {
    most: Arc<AtomicU64>,
    sampling: AbortHandle,
}

impl Memory {
    /// Of these processes, twenty times a second. One that has ended is passed over.
    pub fn of(pids: Vec<u32>) -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&most);
        let sampling = tokio::spawn(async move {
            loop {
                for pid in &pids {
                    if let Ok(bytes) = kernel::resident(*pid) {
                        seen.fetch_max(bytes as u64, Ordering::Relaxed);
                    }
                }
                sleep(PAUSE).await;
            }
        });
        Self { most, sampling: sampling.abort_handle() }
    }

    /// The most bytes that one of them had.
    pub fn most(&self) -> f64 {
        self.most.load(Ordering::Relaxed) as f64
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.sampling.abort();
    }
}
