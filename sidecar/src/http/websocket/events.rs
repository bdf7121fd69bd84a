//! Events over a WebSocket: each is a text, and what the client sends is ignored.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, interval_at};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_util::sync::CancellationToken;

use super::super::Api;
use super::super::events::{Crowded, HEARTBEAT, Place};
use super::{STOPS, breach, close, open, send};

/// Most bytes of a message of a client.
const MAX_MESSAGE: usize = 1024;

/// The events that a WebSocket is for.
pub(crate) struct Feed {
    texts: Pin<Box<dyn Stream<Item = String> + Send>>,
    _place: Place,
}

impl Feed {
    /// Events for one more client.
    ///
    /// # Errors
    /// There are too many clients.
    pub(super) fn new(
        api: &Api,
        texts: impl Stream<Item = String> + Send + 'static,
    ) -> Result<Self, Crowded> {
        Ok(Self { _place: Place::take(api)?, texts: Box::pin(texts) })
    }

    /// Sends them until either side closes the WebSocket. A client that answers no ping is gone.
    pub(super) async fn serve(mut self, upgrade: OnUpgrade, stop: &CancellationToken) {
        let Some(socket) = open(upgrade, MAX_MESSAGE).await else { return };
        let (mut sink, mut stream) = socket.split();
        let mut ping = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let mut heard = true;
        let goodbye = loop {
            tokio::select! {
                () = stop.cancelled() => break STOPS,
                _ = ping.tick() => {
                    if !std::mem::take(&mut heard)
                        || !send(&mut sink, Message::Ping(Bytes::new())).await
                    {
                        return;
                    }
                }
                // Pings are answered, and a close returned, as the stream is read on.
                message = stream.next() => match message {
                    Some(Ok(_)) => heard = true,
                    Some(Err(error)) => match breach(&error) {
                        Some(breach) => break breach,
                        None => return,
                    },
                    None => return,
                },
                text = self.texts.next() => {
                    let Some(text) = text else { break STOPS };
                    if !send(&mut sink, Message::text(text)).await {
                        return;
                    }
                }
            }
        };
        close(sink, stream, goodbye).await;
    }
}
