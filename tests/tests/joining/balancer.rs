//! A load balancer for UDP, as a ClusterIP is one: a single address, behind which are several.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// A load balancer that runs until it is dropped.
pub(super) struct Balancer {
    pub(super) addr: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// `choose` gets the sender and how many datagrams it has sent, and returns where the datagram
    /// goes. Answers come from the balancer's own address.
    pub(super) async fn start(
        choose: impl Fn(SocketAddr, usize) -> SocketAddr + Send + 'static,
    ) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let addr = front.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut answers = JoinSet::new();
            let mut flows: HashMap<(SocketAddr, SocketAddr), Arc<UdpSocket>> = HashMap::new();
            let mut sent: HashMap<SocketAddr, usize> = HashMap::new();
            let mut buffer = [0; 2048];
            while let Ok((length, client)) = front.recv_from(&mut buffer).await {
                let before = sent.entry(client).or_default();
                let backend = choose(client, *before);
                *before += 1;
                if let Entry::Vacant(flow) = flows.entry((client, backend)) {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    back.connect(backend).await.unwrap();
                    flow.insert(Arc::clone(&back));
                    let front = Arc::clone(&front);
                    answers.spawn(async move {
                        let mut buffer = [0; 2048];
                        loop {
                            // The target may not listen for a moment.
                            if let Ok(length) = back.recv(&mut buffer).await {
                                let _ = front.send_to(&buffer[..length], client).await;
                            }
                        }
                    });
                }
                let _ = flows[&(client, backend)].send(&buffer[..length]).await;
            }
        });
        Self { addr, _tasks: tasks }
    }
}
