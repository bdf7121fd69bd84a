//! A node that speaks KRPC, and answers what its attack wants.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use grape_engine::krpc::{Body, Message, Method, Query, Response, VERSION, Want, decode, encode};
use mainline::Id;
use rand::RngExt;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Duration, timeout};

/// What a node answers to a query; `None` is silence.
pub(crate) type Behaviour =
    dyn Fn(&Method<'_>, SocketAddr, Id) -> Option<Response<'static>> + Send + Sync;

/// What is of use in an answer.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) token: Vec<u8>,
}

type Waiting = Mutex<HashMap<Vec<u8>, oneshot::Sender<Result<Told, String>>>>;

/// A node, which ends when it is dropped.
pub(crate) struct Node {
    pub(crate) id: Id,
    socket: Arc<UdpSocket>,
    waiting: Arc<Waiting>,
    /// Datagrams that it sent, answers too.
    pub(crate) sent: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers as a node does that knows nobody, and takes whatever it is given.
pub(crate) fn polite(method: &Method<'_>, _: SocketAddr, own: Id) -> Option<Response<'static>> {
    let mut response = Response::new(own);
    if matches!(method, Method::GetPeers { .. } | Method::Get { .. }) {
        response.token = Some(b"token".as_slice().into());
    }
    Some(response)
}

/// Says nothing.
pub(crate) fn silent(_: &Method<'_>, _: SocketAddr, _: Id) -> Option<Response<'static>> {
    None
}

/// A random id.
pub(crate) fn random_id() -> Id {
    Id::from(rand::rng().random::<[u8; 20]>())
}

/// The place of a name in the network: its first 20 bytes, of which the last so many are random.
pub(crate) fn id_near(name: &str, random: usize) -> Id {
    let mut id = [0; 20];
    for (to, from) in id.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    rand::rng().fill(&mut id[20 - random..]);
    Id::from(id)
}

/// The datagram of a query.
pub(crate) fn query(transaction: &[u8], sender: Id, method: Method<'_>) -> Result<Vec<u8>> {
    let query = Query { sender: Some(sender), read_only: false, want: Want::default(), method };
    let message = Message {
        transaction_id: transaction.into(),
        version: Some(VERSION),
        network: None,
        body: Body::Query(query),
    };
    Ok(encode(&message)?)
}

impl Node {
    /// A node at this address.
    pub(crate) async fn start(addr: SocketAddr, id: Id, behaviour: Arc<Behaviour>) -> Result<Self> {
        let socket = UdpSocket::bind(addr).await.with_context(|| addr.to_string())?;
        let (socket, waiting) = (Arc::new(socket), Arc::<Waiting>::default());
        let sent = Arc::<AtomicU64>::default();
        let serving =
            serve(Arc::clone(&socket), id, behaviour, Arc::clone(&waiting), Arc::clone(&sent));
        let task = tokio::spawn(serving).abort_handle();
        Ok(Self { id, socket, waiting, sent, task })
    }

    /// One that knows nobody.
    pub(crate) async fn polite(addr: SocketAddr, id: Id) -> Result<Self> {
        Self::start(addr, id, Arc::new(polite)).await
    }

    /// Sends a query, and waits for nothing.
    pub(crate) async fn tell(&self, to: SocketAddr, method: Method<'_>) -> Result<()> {
        let transaction: [u8; 4] = rand::rng().random();
        self.send(&query(&transaction, self.id, method)?, to).await
    }

    async fn send(&self, datagram: &[u8], to: SocketAddr) -> Result<()> {
        // A buffer that is full for a moment drops it, as a network would.
        let _ = self.socket.send_to(datagram, to).await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Makes itself known: whoever gets a query pings its sender, and takes it in once it answers.
    pub(crate) async fn greet(&self, others: &[SocketAddr]) -> Result<()> {
        for to in others {
            let target = self.id.as_bytes().to_vec().into();
            self.tell(*to, Method::Ping { watch: None }).await?;
            self.tell(*to, Method::FindNode { target }).await?;
        }
        Ok(())
    }

    fn wait_for(&self, transaction: &[u8], answer: oneshot::Sender<Result<Told, String>>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(transaction.to_vec(), answer);
    }

    /// Asks, and waits for the answer; three times, if need be.
    pub(crate) async fn ask(&self, to: SocketAddr, method: Method<'_>) -> Result<Told> {
        for _ in 0..3 {
            let transaction: [u8; 4] = rand::rng().random();
            let (answer, answered) = oneshot::channel();
            self.wait_for(&transaction, answer);
            self.send(&query(&transaction, self.id, method.clone())?, to).await?;
            if let Ok(answer) = timeout(Duration::from_millis(700), answered).await {
                return answer?.map_err(anyhow::Error::msg);
            }
        }
        bail!("{to} does not answer {}", String::from_utf8_lossy(method.name()))
    }

    /// A write token.
    pub(crate) async fn token(&self, to: SocketAddr, name: &[u8]) -> Result<Vec<u8>> {
        Ok(self.ask(to, Method::GetPeers { info_hash: name.into() }).await?.token)
    }

    /// Announces a service at a node.
    pub(crate) async fn announce(&self, to: SocketAddr, name: &[u8], port: u16) -> Result<()> {
        let token = self.token(to, name).await?;
        self.ask(to, announce(name, port, &token)).await.map(drop)
    }
}

/// An announce with a token.
pub(crate) fn announce<'a>(name: &'a [u8], port: u16, token: &'a [u8]) -> Method<'a> {
    let (info_hash, token) = (name.into(), token.into());
    Method::AnnouncePeer { info_hash, port: Some(port), token, ttl: None, ip: None, alt: false }
}

async fn serve(
    socket: Arc<UdpSocket>,
    own: Id,
    behaviour: Arc<Behaviour>,
    waiting: Arc<Waiting>,
    sent: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // An ICMP error of another destination.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(message) = decode(&buffer[..length]) else { continue };
        let transaction = message.transaction_id.to_vec();
        let told = match message.body {
            Body::Query(query) => {
                let Some(response) = behaviour(&query.method, from, own) else { continue };
                let body = Body::Response(Box::new(response));
                let version = Some(VERSION);
                let transaction_id = transaction.into();
                let answer = Message { transaction_id, version, network: None, body };
                if let Ok(datagram) = encode(&answer) {
                    let _ = socket.send_to(&datagram, from).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                continue;
            }
            Body::Response(response) => {
                Ok(Told { token: response.token.map(|token| token.to_vec()).unwrap_or_default() })
            }
            Body::Error { code, message } => Err(format!("{code} {message}")),
        };
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = waiting.remove(&transaction) {
            let _ = answer.send(told);
        }
    }
}
