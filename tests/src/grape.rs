//! A running Grape, npm's or ours, and what a service asks of it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::http::{self, Reply, Request};
use crate::ports::Port;
use crate::process::Process;
use crate::{npm_grape, our_grape};

/// Which implementation a Grape is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// npm's `grenache-grape`.
    Npm,
    /// The binary `grape` of this workspace.
    Ours,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Npm => "npm's Grape",
            Self::Ours => "our Grape",
        })
    }
}

/// How a Grape is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// DHT ports of the Grapes, on 127.0.0.1, that it joins through.
    pub bootstrap: Vec<u16>,
    /// Others that it joins through, as HOST:PORT; of ours alone.
    pub bootstrap_at: Vec<String>,
    /// How long an announce is valid; two minutes when not given.
    pub peer_max_age: Option<Duration>,
    /// Started without `--bind`: the API is on all addresses, not on 127.0.0.1 alone.
    pub unbound: bool,
    /// More flags, of ours alone.
    pub flags: Vec<String>,
}

/// The two ports of a Grape.
#[derive(Debug)]
pub struct Seat {
    /// The DHT's.
    pub dht: Port,
    /// The HTTP API's.
    pub api: Port,
}

impl Seat {
    /// Takes two free ports.
    ///
    /// # Errors
    /// When there are none.
    pub fn take() -> Result<Self> {
        Ok(Self { dht: Port::take()?, api: Port::take()? })
    }
}

/// A Grape that runs, and is killed when dropped.
#[derive(Debug)]
pub struct Grape {
    kind: Kind,
    id: String,
    process: Process,
    seat: Seat,
}

impl Grape {
    /// Starts a Grape, on 127.0.0.1, and waits until its API answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(kind: Kind, seat: Seat, options: &Options) -> Result<Self> {
        let (process, id) = match kind {
            Kind::Npm => npm_grape::start(&seat, options).await?,
            Kind::Ours => our_grape::start(&seat, options).await?,
        };
        Ok(Self { kind, id, process, seat })
    }

    /// Ends it without a word, for another one to have its ports.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(mut self) -> Result<Seat> {
        self.process.kill().await?;
        Ok(self.seat)
    }

    /// Which implementation it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its node id, 40 hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The UDP port of its DHT.
    pub fn dht_port(&self) -> u16 {
        self.seat.dht.number()
    }

    /// Where its HTTP API listens.
    pub fn api(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.seat.api.number()))
    }

    /// The URL for a Grenache link.
    pub fn url(&self) -> String {
        format!("http://{}", self.api())
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: &Request) -> Result<Reply> {
        http::send(self.api(), request).await.with_context(|| self.to_string())
    }

    /// Calls a verb as Grenache's link does.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(&self, verb: &str, data: Value) -> Result<Reply> {
        let body = json!({ "rid": "a-request", "data": data }).to_string();
        self.send(&Request::post(&format!("/{verb}"), body)).await
    }

    /// The peers of a name, as `ip:port`.
    ///
    /// # Errors
    /// When the answer is no list of them.
    pub async fn lookup(&self, name: &str) -> Result<BTreeSet<String>> {
        let reply = self.call("lookup", json!(name)).await?;
        let peers: Vec<String> = serde_json::from_value(reply.json()?)
            .with_context(|| format!("{self}: lookup of {name:?} answered {reply:?}"))?;
        let set: BTreeSet<String> = peers.iter().cloned().collect();
        ensure!(set.len() == peers.len(), "{self}: a peer of {name:?} comes twice: {peers:?}");
        Ok(set)
    }

    /// Announces a name. Answers how many other nodes hold it.
    ///
    /// # Errors
    /// When the answer is no number.
    pub async fn announce(&self, name: &str, port: u16) -> Result<u64> {
        let reply = self.call("announce", json!([name, port])).await?;
        let nodes = reply.json()?.as_u64();
        nodes.with_context(|| format!("{self}: announce of {name:?} answered {reply:?}"))
    }

    /// Puts an item. Answers its id.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put(&self, item: Value) -> Result<String> {
        let reply = self.call("put", item).await?;
        let id = reply.json()?;
        match id.as_str() {
            Some(id) if is_id(id) => Ok(id.to_owned()),
            _ => bail!("{self}: put answered {reply:?}"),
        }
    }

    /// Gets an item; `None` when there is none.
    ///
    /// # Errors
    /// When the answer is neither an item nor empty.
    pub async fn get(&self, question: Value) -> Result<Option<Value>> {
        let reply = self.call("get", question).await?;
        ensure!(reply.status == 200, "{self}: get answered {reply:?}");
        if reply.body.is_empty() {
            return Ok(None);
        }
        let item = reply.json()?;
        ensure!(item.is_object(), "{self}: get answered {reply:?}");
        Ok(Some(item))
    }

    /// How many other nodes its routing table holds.
    ///
    /// # Errors
    /// When the Grape does not say.
    pub async fn nodes(&mut self) -> Result<u64> {
        match self.kind {
            Kind::Npm => npm_grape::nodes(&mut self.process).await,
            Kind::Ours => our_grape::nodes(self.api()).await,
        }
    }
}

impl fmt::Display for Grape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} (DHT {})", self.kind, self.api(), self.dht_port())
    }
}

/// Whether a text is 40 hex digits.
pub fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
