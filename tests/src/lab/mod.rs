//! Grapes at addresses of their own, in a network namespace, and honest use of them while something
//! goes wrong. `tests/hostile/run` and `tests/soak/run` make the namespace.

mod client;
mod honest;
mod latencies;
mod memory;
mod page;

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

pub use client::{Client, TIME_OUT};
pub use honest::{Honest, Seen};
pub use latencies::Latencies;
pub use memory::Memory;
pub use page::Page;

use crate::http::{self, Request};
use crate::process::Process;
use crate::{our_grape, wait};

/// Where a Grape is, and how it is started.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its DHT's address.
    pub dht: SocketAddr,
    /// Where this process reaches its API, which listens on all addresses.
    pub api: SocketAddr,
    /// DHT addresses of the Grapes that it joins through.
    pub bootstrap: Vec<SocketAddr>,
    /// More flags.
    pub flags: Vec<String>,
}

/// A Grape that runs, and is killed when dropped.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Process,
    /// Where it is.
    pub place: Place,
    /// Its node id, 40 hex digits.
    pub id: String,
}

impl Server {
    /// Starts a Grape here, and waits until its API answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(place: Place) -> Result<Self> {
        let command = Command::new(binary()?);
        Self::start_by(command, place).await
    }

    /// The same, by a command that may run in another namespace.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_by(mut command: Command, place: Place) -> Result<Self> {
        let bootstrap: Vec<String> = place.bootstrap.iter().map(ToString::to_string).collect();
        command.args(["--dht-bind", &place.dht.ip().to_string()]);
        command.args(["--dp", &place.dht.port().to_string()]);
        command.args(["--aph", &place.api.port().to_string()]);
        command.args(["--bn", &bootstrap.join(",")]).args(&place.flags);
        let name = format!("the Grape at {}", place.dht);
        let mut process = Process::start(&name, &mut command)?;
        let what = format!("{name} answers");
        let answers = wait::until(&what, async || {
            if let Some(ended) = process.has_ended()? {
                return Ok(Err(ended));
            }
            our_grape::status(place.api).await.map(Ok)
        });
        match answers.await {
            Ok(Ok(status)) => {
                let id = status["id"].as_str().context("/status tells the node's id")?.to_owned();
                Ok(Self { process, place, id })
            }
            Ok(Err(ended)) => bail!("{name} ended: {ended}\n{}", process.shown()),
            Err(error) => Err(error.context(process.shown())),
        }
    }

    /// Its process's id.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.process.pid().with_context(|| format!("the Grape at {} has ended", self.place.dht))
    }

    /// A client of its API.
    pub fn client(&self) -> Client {
        Client::new(self.place.api)
    }

    /// Its page of metrics.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn page(&self) -> Result<Page> {
        let reply = http::send(self.place.api, &Request::get("/metrics")).await?;
        ensure!(reply.status == 200, "{reply:?}");
        Ok(Page(reply.body))
    }
}

/// Starts Grapes, of which the others join through the first, and waits until each knows all.
///
/// # Errors
/// When one does not start, or they do not find each other.
pub async fn network(places: Vec<Place>) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for place in places {
        servers.push(Server::start(place).await?);
    }
    know_each_other(&servers).await?;
    Ok(servers)
}

/// Waits until each knows all others.
///
/// # Errors
/// When one does not within a minute.
pub async fn know_each_other(servers: &[Server]) -> Result<()> {
    for server in servers {
        wait::until(&format!("the Grape at {} knows the others", server.place.dht), async || {
            let nodes = our_grape::nodes(server.place.api).await?;
            ensure!(nodes + 1 >= servers.len() as u64, "it knows {nodes}");
            anyhow::Ok(())
        })
        .await?;
    }
    Ok(())
}

/// The program: that of the release, where it was built.
///
/// # Errors
/// When it has not been built.
pub fn binary() -> Result<std::path::PathBuf> {
    our_grape::binary()
}
