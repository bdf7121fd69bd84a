//! Signals that ask the command to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives Ctrl-C, SIGTERM and the closing of the terminal, from its creation on.
pub struct Stop {
    signals: [Signal; 3],
}

impl Stop {
    /// From here on the signals no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// The system refuses to deliver a signal.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            signals: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ],
        })
    }

    /// Completes with the next signal. Can be dropped and called again.
    pub async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
