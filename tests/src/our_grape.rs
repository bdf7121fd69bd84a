//! How our Grape is started: the real command, with the flags of npm's.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::binaries;
use crate::grape::{Options, Seat};
use crate::http::{self, Request};
use crate::process::Process;
use crate::wait;

/// Starts one, and waits for nothing.
///
/// # Errors
/// When the binary is missing, or cannot be started.
pub fn spawn(seat: &Seat, options: &Options) -> Result<Process> {
    let mut command = Command::new(binary()?);
    let mut bootstrap: Vec<String> =
        options.bootstrap.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    bootstrap.extend(options.bootstrap_at.iter().cloned());
    if !options.unbound {
        command.args(["-b", "127.0.0.1"]);
    }
    command.args(["--dp", &seat.dht.number().to_string()]);
    command.args(["--aph", &seat.api.number().to_string()]);
    command.args(["--bn", &bootstrap.join(",")]);
    if let Some(age) = options.peer_max_age {
        command.args(["--dpa", &age.as_millis().to_string()]);
    }
    command.args(&options.flags);
    Process::start(name(seat), &mut command)
}

fn name(seat: &Seat) -> String {
    format!("our Grape at DHT port {}", seat.dht.number())
}

/// Starts one, and waits until its API answers. Returns its process and its node id.
///
/// # Errors
/// When it does not start.
pub async fn start(seat: &Seat, options: &Options) -> Result<(Process, String)> {
    let mut process = spawn(seat, options)?;
    let name = name(seat);
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, seat.api.number()));
    let what = format!("{name} answers /healthz");
    let healthy = wait::until(&what, async || {
        if let Some(ended) = process.has_ended()? {
            // Not worth the deadline: it will never answer.
            return Ok(Err(ended));
        }
        let reply = http::send(api, &Request::get("/healthz")).await?;
        ensure!(reply.status == 200, "{reply:?}");
        anyhow::Ok(Ok(()))
    });
    match healthy.await {
        Ok(Ok(())) => {}
        Ok(Err(ended)) => bail!("{name} ended: {ended}\n{}", process.shown()),
        Err(error) => return Err(error.context(process.shown())),
    }
    let id = status(api).await?["id"].as_str().map(str::to_owned);
    Ok((process, id.context("/status tells the node's id")?))
}

/// Its `/status`.
///
/// # Errors
/// When the Grape does not say.
pub async fn status(api: SocketAddr) -> Result<Value> {
    http::send(api, &Request::get("/status")).await?.json()
}

/// How many other nodes its routing table holds.
///
/// # Errors
/// When the Grape does not say.
pub async fn nodes(api: SocketAddr) -> Result<u64> {
    let status = status(api).await?;
    status["nodes"].as_u64().with_context(|| format!("/status tells no nodes: {status}"))
}

/// The binary: `GRAPE_BIN`, else what was built beside the test that runs.
///
/// # Errors
/// When it has not been built.
pub fn binary() -> Result<PathBuf> {
    binaries::find("grape", "GRAPE_BIN")
}
