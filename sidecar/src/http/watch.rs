//! `GET /watch?name=…`: a name's peers as server-sent events, those of now and then each change.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::percent_decode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, interval_at};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::dht::Watch;
use crate::metrics::Open;

use super::connection::{Activity, Busy};
use super::handler::{Answer, text};
use super::{Api, verbs};

/// Most watches of a Grape at a time.
pub(crate) const MAX_WATCHES: usize = 1024;

/// How often a comment is sent, so that both sides notice when the other is gone.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

type NextPeers = Pin<Box<dyn Future<Output = (Watch, Option<Vec<std::net::SocketAddr>>)> + Send>>;

/// The events of one watch.
pub(crate) struct Events {
    peers: NextPeers,
    heartbeat: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    _open: (OwnedSemaphorePermit, Open, Busy),
}

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
    let Ok(permit) = Arc::clone(&api.watches).try_acquire_owned() else {
        let full = format!("{MAX_WATCHES} watches are open, the most that a Grape serves\n");
        return text(StatusCode::SERVICE_UNAVAILABLE, full);
    };
    let events = Events {
        peers: next(api.dht.watch(&name)),
        heartbeat: interval_at(Instant::now() + HEARTBEAT, HEARTBEAT),
        stop: Box::pin(api.stop.clone().cancelled_owned()),
        _open: (permit, api.metrics.watch(), connection.busy()),
    };
    let mut response = Response::new(Answer::Events(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Events {
    /// The next event; `None` when the Grape stops.
    pub(crate) fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if self.stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready((watch, peers)) = self.peers.as_mut().poll(context) {
            let Some(peers) = peers else { return Poll::Ready(None) };
            self.peers = next(watch);
            return Poll::Ready(Some(Frame::data(event(&peers))));
        }
        self.heartbeat
            .poll_tick(context)
            .map(|_| Some(Frame::data(Bytes::from_static(b": still here\n\n"))))
    }
}

fn next(mut watch: Watch) -> NextPeers {
    Box::pin(async move {
        let peers = watch.next().await;
        (watch, peers)
    })
}

fn event(peers: &[std::net::SocketAddr]) -> Bytes {
    let mut event = b"event: peers\ndata: ".to_vec();
    event.extend_from_slice(&verbs::peers(peers));
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The first value of a query's parameter, decoded. It need not be text.
fn parameter(query: &str, name: &str) -> Option<Vec<u8>> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let spaces: Vec<u8> =
            value.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
        (key == name).then(|| percent_decode(&spaces).collect())
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("name=rpc_test", Some("rpc_test"))]
    #[case("a=b&name=x%3Ay+z%2B&name=w", Some("x:y z+"))]
    #[case("name=%C3%A9%zz%", Some("é%zz%"))]
    #[case("name=", Some(""))]
    #[case("name", None)]
    #[case("names=x", None)]
    fn names_are_decoded(#[case] query: &str, #[case] name: Option<&str>) {
        assert_eq!(parameter(query, "name").as_deref(), name.map(str::as_bytes));
    }

    #[rstest]
    fn events_are_one_line_of_json() {
        let peers = ["1.2.3.4:7001".parse().unwrap(), "[::1]:80".parse().unwrap()];
        assert_eq!(event(&peers), "event: peers\ndata: [\"1.2.3.4:7001\",\"[::1]:80\"]\n\n");
    }
}
