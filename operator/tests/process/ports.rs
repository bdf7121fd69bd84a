//! Ports that no other test here has.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the system gives to outgoing connections, and to tests elsewhere.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;

/// A port for each API and each DHT of so many Grapes.
pub struct Ports {
    /// TCP ports of the APIs.
    pub api: Vec<u16>,
    /// UDP ports of the DHT, in ascending order.
    pub dht: Vec<u16>,
}

impl Ports {
    /// Takes ports that are free, each once in the life of this process.
    pub fn take(count: usize) -> Self {
        let mut dht: Vec<_> = (0..count).map(|_| one()).collect();
        dht.sort_unstable();
        Self { api: (0..count).map(|_| one()).collect(), dht }
    }

    /// The flags that give these ports to the command.
    pub fn flags(&self) -> Vec<String> {
        let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        vec![format!("--api-ports={}", list(&self.api)), format!("--dht-ports={}", list(&self.dht))]
    }
}

fn one() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes start at different places, so that two of them seldom meet.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    let mut candidates = std::iter::repeat_with(|| {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        FIRST + (start + offset) % COUNT
    });
    let free = |port: &u16| {
        UdpSocket::bind(("127.0.0.1", *port)).is_ok()
            && TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    candidates.by_ref().take(usize::from(COUNT)).find(free).unwrap()
}
