//! Our Grape with flags of its own, which may start again at its ports.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::ensure;
use grape_tests::grape::Seat;
use grape_tests::http::{self, Request};
use grape_tests::process::Process;
use grape_tests::{our_grape, wait};
use serde_json::{Value, json};
use tokio::process::Command;

pub(crate) struct Started {
    pub(crate) seat: Seat,
    pub(crate) process: Process,
}

impl Started {
    pub(crate) async fn at(seat: Seat, flags: &[&str]) -> Self {
        let mut command = Command::new(our_grape::binary().unwrap());
        command.args(["-b", "127.0.0.1", "--dp", &seat.dht.number().to_string()]);
        command.args(["--aph", &seat.api.number().to_string()]).args(flags);
        let name = format!("a Grape with {}", flags.join(" "));
        let grape = Self { process: Process::start(name, &mut command).unwrap(), seat };
        let healthy = wait::until("it answers", async || {
            let reply = http::send(grape.api(), &Request::get("/healthz")).await?;
            ensure!(reply.status == 200, "{reply:?}");
            anyhow::Ok(())
        });
        healthy.await.unwrap_or_else(|error| panic!("{error:#}\n{}", grape.process.shown()));
        grape
    }

    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::at(Seat::take().unwrap(), flags).await
    }

    pub(crate) fn api(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.seat.api.number()))
    }

    pub(crate) async fn call(&self, verb: &str, data: Value) -> anyhow::Result<Value> {
        let body = json!({ "rid": "test", "data": data }).to_string();
        http::send(self.api(), &Request::post(&format!("/{verb}"), body)).await?.json()
    }

    pub(crate) async fn lookup(&self, name: &str) -> anyhow::Result<BTreeSet<String>> {
        Ok(serde_json::from_value(self.call("lookup", json!(name)).await?)?)
    }

    /// Waits until a lookup shows just these.
    pub(crate) async fn shows(&self, name: &str, wanted: &[String]) {
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        let what = format!("the Grape at DHT port {} shows {wanted:?}", self.seat.dht.number());
        let shown = wait::until(&what, async || {
            let shown = self.lookup(name).await?;
            ensure!(shown == wanted, "{shown:?}");
            anyhow::Ok(())
        });
        shown.await.unwrap();
    }

    /// Waits until its routing table holds so many nodes of these address families.
    pub(crate) async fn knows(&self, v4: usize, v6: usize) {
        let what = format!("it knows {v4} nodes on IPv4 and {v6} on IPv6");
        let known = wait::until(&what, async || {
            let page = our_grape::status(self.api()).await?;
            let nodes = page["neighbours"].as_array().into_iter().flatten();
            let nodes: Vec<_> = nodes.filter_map(|node| node["address"].as_str()).collect();
            let ipv6 = nodes.iter().filter(|node| node.starts_with('[')).count();
            ensure!((nodes.len() - ipv6, ipv6) == (v4, v6), "{nodes:?}");
            anyhow::Ok(())
        });
        known.await.unwrap();
    }
}
