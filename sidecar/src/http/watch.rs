//! `GET /watch?name=…`: a name's peers as server-sent events, those of now and then each change.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use grape_engine::MAX_NAME;
use hyper::{Response, StatusCode};

use super::connection::Activity;
use super::events::{self, parameter};
use super::handler::{Answer, text};
use super::{Api, verbs};

/// Answers with the events of the name in the query.
pub(crate) fn answer(
    api: &Api,
    connection: &Arc<Activity>,
    query: Option<&str>,
) -> Response<Answer> {
    let Some(name) = query.and_then(|query| parameter(query, "name")).filter(|n| !n.is_empty())
    else {
        return text(StatusCode::BAD_REQUEST, "Name a service, as in /watch?name=rpc_test\n");
    };
    if name.len() > MAX_NAME {
        let why = format!("The name has {} bytes, and may have {MAX_NAME}\n", name.len());
        return text(StatusCode::BAD_REQUEST, why);
    }
    let peers = stream::unfold(api.dht.watch(&name), |mut watch| async move {
        let peers = watch.next().await?;
        Some((event(&peers), watch))
    });
    events::answer(api, connection, peers)
}

fn event(peers: &[SocketAddr]) -> Bytes {
    let mut event = b"event: peers\ndata: ".to_vec();
    event.extend_from_slice(&verbs::peers(peers));
    event.extend_from_slice(b"\n\n");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_one_line_of_json() {
        let peers = ["1.2.3.4:7001".parse().unwrap(), "[::1]:80".parse().unwrap()];
        assert_eq!(event(&peers), "event: peers\ndata: [\"1.2.3.4:7001\",\"[::1]:80\"]\n\n");
    }
}
