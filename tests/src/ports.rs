//! Ports that no other test has: tests run in parallel, in one process and in several.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// Below the range from which the system takes ports for outgoing connections.
const FIRST: u16 = 20000;
const COUNT: u16 = 12000;

/// A port that is this test's until it is dropped, for UDP and for TCP.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // The lock ends with the file's handle, also when the process is killed.
    _lock: File,
}

impl Port {
    /// Takes a port that is free on all addresses and that no other test has.
    ///
    /// # Errors
    /// When there is none.
    pub fn take() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Processes start at different places, so that they seldom meet.
        let start = std::process::id().wrapping_mul(97);
        let locks = directory()?;
        for _ in 0..COUNT {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let number = FIRST + u16::try_from(offset % u32::from(COUNT))?;
            let lock = File::create(locks.join(number.to_string()))?;
            match lock.try_lock() {
                Ok(()) if is_free(number) => return Ok(Self { number, _lock: lock }),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        bail!("none of the ports {FIRST} to {} is free", FIRST + COUNT - 1)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }
}

fn directory() -> Result<PathBuf> {
    let path = std::env::temp_dir().join("grape-tests-ports");
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

fn is_free(number: u16) -> bool {
    let all = (Ipv4Addr::UNSPECIFIED, number);
    UdpSocket::bind(all).is_ok() && TcpListener::bind(all).is_ok()
}
