//! Streams of events, until one side ends them: how many there may be, and server-sent events as the
//! body of an answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use percent_encoding::percent_decode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, interval_at};
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::metrics::Open;

use super::Api;
use super::connection::{Activity, Busy};
use super::handler::{Answer, text};

/// Most streams of events of a Grape at a time.
pub(crate) const MAX_STREAMS: usize = 1024;

/// How often a comment is sent, so that both sides notice when the other is gone.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// The place of one stream among those that a Grape serves, until it is dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: Open,
}

impl Place {
    /// A place for one more stream.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn take(api: &Api) -> Result<Self, Crowded> {
        let permit = Arc::clone(&api.watches).try_acquire_owned().map_err(|_| Crowded)?;
        Ok(Self { _permit: permit, _open: api.metrics.watch() })
    }
}

/// There are as many streams as a Grape serves.
pub(crate) struct Crowded;

impl Crowded {
    /// The answer for the client.
    pub(crate) fn answer(self) -> Response<Answer> {
        let why = format!("{MAX_STREAMS} watches are open, the most that a Grape serves\n");
        text(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

/// The body of an answer.
pub(crate) struct Events {
    events: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    heartbeat: Interval,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    _open: (Place, Busy),
}

/// Answers with these events, each as it is sent.
pub(super) fn answer(
    api: &Api,
    connection: &Arc<Activity>,
    events: impl Stream<Item = Bytes> + Send + 'static,
) -> Response<Answer> {
    let place = match Place::take(api) {
        Ok(place) => place,
        Err(crowded) => return crowded.answer(),
    };
    let events = Events {
        events: Box::pin(events),
        heartbeat: interval_at(Instant::now() + HEARTBEAT, HEARTBEAT),
        stop: Box::pin(api.stop.clone().cancelled_owned()),
        _open: (place, connection.busy()),
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
        if let Poll::Ready(event) = self.events.as_mut().poll_next(context) {
            return Poll::Ready(event.map(Frame::data));
        }
        self.heartbeat
            .poll_tick(context)
            .map(|_| Some(Frame::data(Bytes::from_static(b": still here\n\n"))))
    }
}

/// The first value of a query's parameter, decoded. It need not be text.
pub(super) fn parameter(query: &str, name: &str) -> Option<Vec<u8>> {
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
    fn parameters_are_decoded(#[case] query: &str, #[case] name: Option<&str>) {
        assert_eq!(parameter(query, "name").as_deref(), name.map(str::as_bytes));
    }
}
