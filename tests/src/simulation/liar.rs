//! What datagrams of nodes are that lie: the rest of what such a node does is as of any other.

use std::net::SocketAddr;

use grape_engine::krpc::{self, Body, Contact, Peer};
use mainline::Id;

/// How a node lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lie {
    /// It asks, and answers nothing.
    Silence,
    /// It answers with no peers.
    NoPeers,
    /// These are its peers of every name.
    Peers(Vec<SocketAddr>),
    /// These are the nodes that it knows.
    Nodes(Vec<Contact>),
    /// It claims the id of another node.
    Id(Id),
}

impl Lie {
    /// The datagram that the liar sends in place of an honest one; `None` if it sends none.
    pub(super) fn told(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        let mut message = krpc::decode(datagram).ok()?;
        match (&mut message.body, self) {
            (Body::Response(_), Self::Silence) => return None,
            (Body::Response(answer), Self::Id(id)) => answer.id = *id,
            (Body::Query(query), Self::Id(id)) => query.sender = query.sender.map(|_| *id),
            (Body::Response(answer), Self::NoPeers) => answer.peers.clear(),
            // Answers to `get_peers` have a token.
            (Body::Response(answer), Self::Peers(peers)) if answer.token.is_some() => {
                answer.peers = peers.iter().copied().map(Peer::new).collect();
            }
            (Body::Response(answer), Self::Nodes(nodes)) => answer.nodes.clone_from(nodes),
            _ => {}
        }
        krpc::encode(&message).ok()
    }
}
