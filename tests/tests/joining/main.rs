//! How a Grape finds the others: through names that resolve slowly, among addresses of which most
//! are dead, behind a load balancer; and which nodes it accepts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod balancer;
mod left;
mod name_server;
mod names;
mod networks;
mod seeds;
mod shared_addresses;
mod silent;
mod vanished;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use grape_tests::grape::Seat;
use grape_tests::http::{self, Request};
use grape_tests::process::Process;
use grape_tests::{our_grape, wait};
use tokio::process::Command;
use tokio::time::Instant;

/// A Grape of ours that was started and not waited for.
struct Joiner {
    process: Process,
    seat: Seat,
    started: Instant,
}

impl Joiner {
    /// Starts one that joins through `bootstrap`, as on its command line.
    fn start(seat: Seat, bootstrap: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(our_grape::binary().unwrap());
        command.args(["-b", "127.0.0.1", "--dp", &seat.dht.number().to_string()]);
        command.args(["--aph", &seat.api.number().to_string(), "--bn", bootstrap]).args(flags);
        let process = Process::start("the Grape that joins", &mut command).unwrap();
        Self { process, seat, started: Instant::now() }
    }

    fn api(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.seat.api.number()))
    }

    /// Whether `/readyz` says so.
    async fn is_ready(&self) -> Result<bool> {
        Ok(http::send(self.api(), &Request::get("/readyz")).await?.status == 200)
    }

    /// Waits until it knows another node and is ready; how long after its start that was.
    async fn joined(&self, within: Duration) -> Duration {
        let joined = wait::until_within(within, "it has joined", async || {
            let nodes = our_grape::nodes(self.api()).await?;
            ensure!(nodes > 0, "it knows nobody");
            ensure!(self.is_ready().await?, "it is not ready");
            anyhow::Ok(())
        });
        joined.await.unwrap_or_else(|error| panic!("{error:#}\n{}", self.process.shown()));
        self.started.elapsed()
    }
}
