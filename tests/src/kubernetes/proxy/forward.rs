//! One call through the proxy: recorded, tried, passed on.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::Result;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::{HeaderMap, Request, Response};
use kube::Client;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::script::{Call, Fault, Refusal, Script};

type Body = UnsyncBoxBody<Bytes, kube::Error>;

/// What a test and the calls of its proxy share.
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) calls: Mutex<Vec<Call>>,
    pub(super) script: Mutex<Script<Hook>>,
}

/// The two ends of a call that a test waits for, taken by the first call that meets it.
pub(super) type Hook = Arc<Mutex<Option<Ends>>>;

#[derive(Debug)]
pub(super) struct Ends {
    pub(super) reached: oneshot::Sender<Call>,
    pub(super) released: oneshot::Receiver<()>,
}

impl Shared {
    /// Answers a call. An error closes the connection.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let call = Call {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).ok(),
        };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        let faults = self.script.lock().unwrap_or_else(PoisonError::into_inner).faults(&call);

        let mut held = Vec::new();
        let mut told = Vec::new();
        for fault in faults {
            match fault {
                Fault::Refuse(refusal) => return refuse(refusal),
                Fault::Delay(time) => sleep(time).await,
                Fault::Hold(hook) => held.extend(take(&hook)),
                Fault::Tell(hook) => told.extend(take(&hook)),
            }
        }
        // Where it goes the client knows.
        parts.uri = parts.uri.path_and_query().map(|path| path.as_str()).unwrap_or("/").parse()?;
        for name in [HOST, CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        of_one_connection(&mut parts.headers);
        let request = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
        let (mut parts, body) = self.client.send(request).await?.into_parts();
        of_one_connection(&mut parts.headers);
        for ends in held {
            // A test that no longer waits for it holds nothing up.
            if ends.reached.send(call.clone()).is_ok() {
                let _ = ends.released.await;
            }
        }
        let told = told.into_iter().map(|ends| (ends.reached, call.clone())).collect();
        Ok(Response::from_parts(parts, ReportedBody { body, told }.boxed_unsync()))
    }
}

fn take(hook: &Hook) -> Option<Ends> {
    hook.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Takes out what is between two ends of a connection, and no matter of those behind them.
fn of_one_connection(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}

fn refuse(refusal: Refusal) -> Result<Response<Body>> {
    let body = Full::from(serde_json::to_vec(&refusal.status())?);
    let mut response =
        Response::builder().status(refusal.code()).header(CONTENT_TYPE, "application/json");
    if let Some(seconds) = refusal.retry_after() {
        response = response.header(RETRY_AFTER, seconds);
    }
    Ok(response.body(body.map_err(|never| match never {}).boxed_unsync())?)
}

/// An answer's body that reports when it has been read to its end.
struct ReportedBody {
    body: kube::client::Body,
    told: Vec<(oneshot::Sender<Call>, Call)>,
}

impl HttpBody for ReportedBody {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, kube::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ReportedBody {
    fn drop(&mut self) {
        for (told, call) in self.told.drain(..) {
            // The test may have stopped waiting.
            let _ = told.send(call);
        }
    }
}
