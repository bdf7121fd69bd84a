//! A way to an API server that fails as a test wants.
//!
//! It stands on loopback, speaks plain HTTP/1.1, and passes every call on as one who may do
//! everything. Watches flow through it event by event. Programs find it by its
//! [kubeconfig](Proxy::kubeconfig), kubectl too.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use grape_tests::kubernetes::proxy::{Refusal, Which};
//! use grape_tests::kubernetes::{ApiServer, Proxy};
//!
//! let server = ApiServer::start().await?;
//! let proxy = Proxy::start(&server).await?;
//! // Faults are scripted before what meets them, and add up.
//! proxy.refuse(Which::writes().nth(2), Refusal::Conflict);
//! let held = proxy.hold(Which::writes().to("/statefulsets"));
//! // … start the program with proxy.kubeconfig() …
//! let reached = held.reached().await?; // It is done, and the program does not know.
//! // … kill the program …
//! # drop(reached);
//! # Ok(())
//! # }
//! ```

mod forward;
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use self::forward::{Ends, Hook, Shared};
use self::script::{Fault, Script};
use super::{ApiServer, access};
use crate::ports::Port;
use crate::wait::DEADLINE;

pub use self::script::{Call, Refusal, Which};

/// A proxy in front of an API server. It ends with its test.
pub struct Proxy {
    // It has threads of its own, so that a test that waits for a kubectl does not stop it. None
    // once it ends.
    runtime: Option<Runtime>,
    serving: tokio::sync::Mutex<Option<Serving>>,
    shared: Arc<Shared>,
    port: Port,
    kubeconfig: PathBuf,
    _folder: TempDir,
}

struct Serving {
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<()>,
}

impl Proxy {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn start(server: &ApiServer) -> Result<Self> {
        let port = Port::take()?;
        let folder = tempfile::Builder::new().prefix("grape-proxy-").tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        fs::write(&kubeconfig, kubeconfig_of(&port)?)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // A client is of the runtime where it was made.
        let upstream = server.kubeconfig().to_owned();
        let connected = async move { access::client_without_retry(&upstream).await };
        let client = runtime.spawn(connected).await??;
        let script = Mutex::new(Script::new());
        let shared = Arc::new(Shared { client, calls: Mutex::default(), script });
        let proxy = Self {
            runtime: Some(runtime),
            serving: tokio::sync::Mutex::default(),
            shared,
            port,
            kubeconfig,
            _folder: folder,
        };
        proxy.mend().await?;
        Ok(proxy)
    }

    /// A kubeconfig that leads to it, without credentials.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client through it, which tries nothing again: it meets each refusal itself.
    ///
    /// # Errors
    /// When none can be made.
    pub async fn client(&self) -> Result<Client> {
        access::client_without_retry(&self.kubeconfig).await
    }

    /// All calls up to now, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of them that were to change something, refused ones too.
    pub fn writes(&self) -> Vec<Call> {
        self.calls().into_iter().filter(Call::is_write).collect()
    }

    /// Forgets the calls up to now.
    pub fn forget_calls(&self) {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Refuses calls: they do not reach the API server.
    pub fn refuse(&self, which: Which, refusal: Refusal) {
        self.script(which, Fault::Refuse(refusal));
    }

    /// Holds calls up for some time before they are passed on.
    pub fn delay(&self, which: Which, time: Duration) {
        self.script(which, Fault::Delay(time));
    }

    /// Holds back the API server's answer to the first such call, until what is returned is
    /// dropped: what was asked for has been done, and the client does not know. Of a watch, all
    /// events are held back.
    pub fn hold(&self, which: Which) -> Held {
        let (reached, release) = self.wait_for(which, Fault::Hold);
        Held { reached, release }
    }

    /// Completes when the first such call has been answered, and the answer has gone to the client.
    /// A refused call does not count, and a watch counts when it ends.
    pub fn answered(&self, which: Which) -> Answered {
        let (reached, _) = self.wait_for(which, Fault::Tell);
        Answered(reached)
    }

    /// Drops all faults: what comes is passed on.
    pub fn clear(&self) {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Drops all connections, and has new ones refused until [`Proxy::mend`]. What reached the API
    /// server before may be done nevertheless.
    ///
    /// # Errors
    /// When the proxy itself has failed.
    pub async fn cut(&self) -> Result<()> {
        if let Some(Serving { stop, stopped }) = self.serving.lock().await.take() {
            // It may have ended by itself, which the next line shows.
            let _ = stop.send(());
            stopped.await?;
        }
        Ok(())
    }

    /// Undoes [`Proxy::cut`]. Without effect where nothing is cut.
    ///
    /// # Errors
    /// When its port is no longer free.
    pub async fn mend(&self) -> Result<()> {
        let mut serving = self.serving.lock().await;
        let runtime = self.runtime.as_ref().context("the proxy is at its end")?;
        if serving.is_none() {
            let (stop, stopping) = oneshot::channel();
            let address = ("127.0.0.1", self.port.number());
            let listener = runtime.spawn(TcpListener::bind(address)).await??;
            let stopped = runtime.spawn(serve(listener, Arc::clone(&self.shared), stopping));
            *serving = Some(Serving { stop, stopped });
        }
        Ok(())
    }

    fn script(&self, which: Which, fault: Fault<Hook>) {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner).add(which, fault);
    }

    fn wait_for(
        &self,
        which: Which,
        fault: impl Fn(Hook) -> Fault<Hook>,
    ) -> (oneshot::Receiver<Call>, oneshot::Sender<()>) {
        let (reached, told) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.script(which, fault(Arc::new(Mutex::new(Some(Ends { reached, released })))));
        (told, release)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // One cannot wait for it within another.
            runtime.shutdown_background();
        }
    }
}

/// A call whose answer is to be held back. Dropping it lets the answer go.
#[derive(Debug)]
pub struct Held {
    reached: oneshot::Receiver<Call>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the API server has answered it.
    ///
    /// # Errors
    /// When there is no such call within [`DEADLINE`].
    pub async fn reached(self) -> Result<Reached> {
        let call = first(self.reached).await?;
        Ok(Reached { call, _release: self.release })
    }
}

/// A call whose answer is held back. Dropping it lets the answer go.
#[derive(Debug)]
pub struct Reached {
    /// The call.
    pub call: Call,
    _release: oneshot::Sender<()>,
}

/// A call to be answered.
#[derive(Debug)]
pub struct Answered(oneshot::Receiver<Call>);

impl Answered {
    /// Waits until its answer has gone to the client.
    ///
    /// # Errors
    /// When there is no such call within [`DEADLINE`].
    pub async fn call(self) -> Result<Call> {
        first(self.0).await
    }
}

async fn first(call: oneshot::Receiver<Call>) -> Result<Call> {
    let waited = timeout(DEADLINE, call).await.context("there was no such call")?;
    waited.context("its fault is no longer in the script")
}

fn kubeconfig_of(port: &Port) -> Result<String> {
    let server = format!("http://127.0.0.1:{}", port.number());
    // JSON is YAML.
    Ok(serde_json::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "anybody", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "anybody"}}],
        "current-context": "proxy",
    }))?)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopping: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopping => break,
        };
        let Ok((stream, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // Events are small, and one waits for each.
            stream.set_nodelay(true)?;
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { shared.answer(request).await }
            });
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
            anyhow::Ok(())
        });
    }
    drop(listener);
    connections.shutdown().await;
}
