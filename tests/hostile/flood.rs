//! Datagrams as fast as a core sends, or at a rate.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;

use anyhow::{Context, Result};
use tokio::task::spawn_blocking;
use tokio::time::{Duration, Instant};

/// So many are sent between two looks at the clock, and at what was answered.
const BURST: u64 = 32;

/// How many datagrams are sent, from where, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Flood {
    /// A socket for each. Each sends to all addresses before the next one's turn.
    pub(crate) from: Vec<SocketAddr>,
    pub(crate) to: Vec<SocketAddr>,
    /// A second; as fast as a core sends, if none.
    pub(crate) rate: Option<u64>,
    pub(crate) time: Duration,
    /// In all.
    pub(crate) most: u64,
}

/// What was sent, and what came back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) answered: u64,
    pub(crate) answered_bytes: u64,
    pub(crate) seconds: f64,
}

impl Sent {
    /// Rate and time, for the table.
    pub(crate) fn dose(&self) -> String {
        let rate = self.packets as f64 / self.seconds;
        format!("{rate:.0}/s, {:.0} s", self.seconds)
    }
}

impl Flood {
    /// Sends what `make` makes of each number.
    pub(crate) async fn run(
        self,
        make: impl FnMut(u64) -> Result<Vec<u8>> + Send + 'static,
    ) -> Result<Sent> {
        spawn_blocking(move || self.send(make)).await?
    }

    fn send(self, mut make: impl FnMut(u64) -> Result<Vec<u8>>) -> Result<Sent> {
        let bind = |at: &SocketAddr| {
            let socket = UdpSocket::bind(at).with_context(|| at.to_string())?;
            socket.set_nonblocking(true)?;
            anyhow::Ok(socket)
        };
        let sockets = self.from.iter().map(bind).collect::<Result<Vec<_>>>()?;
        let begun = Instant::now();
        let mut sent = Sent::default();
        while sent.packets < self.most && begun.elapsed() < self.time {
            let due = match self.rate {
                Some(rate) => (begun.elapsed().as_secs_f64() * rate as f64) as u64 + 1,
                None => u64::MAX,
            };
            if sent.packets >= due {
                sleep(Duration::from_millis(1));
            }
            for _ in 0..BURST.min(due.saturating_sub(sent.packets)).min(self.most - sent.packets) {
                let datagram = make(sent.packets)?;
                let turn = sent.packets as usize;
                let to = self.to[turn % self.to.len()];
                let from = &sockets[turn / self.to.len() % sockets.len()];
                // A full buffer drops it, as a network would.
                let _ = from.send_to(&datagram, to);
                sent.packets += 1;
                sent.bytes += datagram.len() as u64;
            }
            sockets.iter().for_each(|socket| drain(socket, &mut sent));
        }
        sent.seconds = begun.elapsed().as_secs_f64();
        // What is on its way.
        sleep(Duration::from_millis(100));
        sockets.iter().for_each(|socket| drain(socket, &mut sent));
        Ok(sent)
    }
}

fn drain(socket: &UdpSocket, sent: &mut Sent) {
    let mut buffer = [0; 2048];
    while let Ok(length) = socket.recv(&mut buffer) {
        sent.answered += 1;
        sent.answered_bytes += length as u64;
    }
}
