//! What datagrams of nodes are that know no extensions, as the Node.js Grape.

use grape_engine::krpc::{self, Body, Method, Peer};

/// Whether a datagram is no query that only Grapes of our kind know.
pub(super) fn is_plain(datagram: &[u8]) -> bool {
    let message = krpc::decode(datagram).map(|message| message.body);
    !matches!(
        message,
        Ok(Body::Query(query)) if matches!(
            query.method,
            Method::Dead { .. }
                | Method::Withdrawn { .. }
                | Method::Forgotten
                | Method::WithdrawPeer { .. }
        )
    )
}

/// A datagram without our extensions.
pub(super) fn plain(datagram: &[u8]) -> Vec<u8> {
    let Ok(mut message) = krpc::decode(datagram) else { return Vec::new() };
    message.version = None;
    message.network = None;
    match &mut message.body {
        Body::Response(response) => {
            response.watch = false;
            for peer in &mut response.peers {
                *peer = Peer::new(peer.addr);
            }
        }
        Body::Query(query) => match &mut query.method {
            Method::Ping { watch } => *watch = None,
            Method::AnnouncePeer { ttl, ip, alt, .. } => (*ttl, *ip, *alt) = (None, None, false),
            _ => {}
        },
        Body::Error { .. } => {}
    }
    krpc::encode(&message).unwrap_or_default()
}
