//! Datagrams to messages, and back: what is read is written as a datagram that says the same.

#![no_main]

use grape_engine::krpc::{self, Body, Message, Method, Want};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = krpc::decode(datagram) else { return };
    let written = krpc::encode(&message).expect("what was read can be written");
    let again = krpc::decode(&written).expect("what was written can be read");
    assert_eq!(as_written(again.clone()), as_written(message));
    let twice = krpc::encode(&again).expect("what was read can be written");
    assert_eq!(twice, written, "a message has one form");
});

/// A message without what cannot be written: see the arms.
fn as_written(mut message: Message<'_>) -> Message<'_> {
    match &mut message.body {
        Body::Query(query) => match &mut query.method {
            // Which argument is at fault; the others are not kept.
            Method::Invalid { argument, .. } => *argument = "",
            // A `put` asks for no nodes.
            Method::Put(_) => query.want = Want::default(),
            _ => {}
        },
        // `ttl` has a place for each peer, and no word for "not known".
        Body::Response(response) if response.peers.iter().any(|peer| peer.ttl.is_none()) => {
            response.peers.iter_mut().for_each(|peer| peer.ttl = None);
        }
        Body::Response(_) | Body::Error { .. } => {}
    }
    message
}
