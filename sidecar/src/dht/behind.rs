//! Who else is behind an address that several nodes share, as a virtual IP or a load balancer is.
//!
//! A load balancer keeps datagrams of one flow together: what a node sends from its own port goes
//! where it went before, for as long as it goes on asking. From another port the choice is a new
//! one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use grape_engine::krpc::{self, Body, Contact, Message, Method, NetworkTag, Query, Want};
use mainline::Id;
use rand::RngExt;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long the answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// More bytes than an answer to `find_node` has.
const LONGEST: usize = 2048;

/// Asks the node behind `seed` once, from a port of its own at `ip`, for the nodes close to `own`,
/// as one of `network`. `None` when this node itself answered, or none.
///
/// # Errors
/// When the socket fails.
pub(super) async fn others(
    ip: IpAddr,
    seed: SocketAddr,
    own: Id,
    network: Option<NetworkTag>,
) -> io::Result<Option<Vec<Contact>>> {
    let socket = UdpSocket::bind(SocketAddr::new(ip, 0)).await?;
    // Answers of others are not for this socket.
    socket.connect(seed).await?;
    let transaction: [u8; 4] = rand::rng().random();
    socket.send(&question(&transaction, own, network)?).await?;
    let mut buffer = [0; LONGEST];
    let answer = async {
        loop {
            let length = socket.recv(&mut buffer).await?;
            if let Some(found) = read(&buffer[..length], &transaction, own) {
                return Ok(found);
            }
        }
    };
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Ok(None))
}

/// Read-only (BEP 43) and with an id of its own, so that no node keeps a port that is closed soon.
fn question(transaction: &[u8], own: Id, network: Option<NetworkTag>) -> io::Result<Vec<u8>> {
    let sender = Some(Id::from(rand::rng().random::<[u8; 20]>()));
    let method = Method::FindNode { target: own.as_bytes().as_slice().into() };
    let query = Query { sender, read_only: true, want: Want::default(), method };
    let message = Message {
        transaction_id: transaction.into(),
        version: Some(krpc::VERSION),
        network,
        body: Body::Query(query),
    };
    krpc::encode(&message).map_err(io::Error::other)
}

/// The nodes in an answer to this transaction; none within it when our own node gave it.
fn read(datagram: &[u8], transaction: &[u8], own: Id) -> Option<Option<Vec<Contact>>> {
    let message = krpc::decode(datagram).ok()?;
    match message.body {
        Body::Response(response) if *message.transaction_id == *transaction => {
            Some((response.id != own).then_some(response.nodes))
        }
        _ => None,
    }
}
