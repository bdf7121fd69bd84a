//! Unchanged Grenache services and clients, from npm, that find and call each other through our
//! Grapes. Each scenario also runs through npm's Grapes, as a control.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod exchange;
mod offers;
mod put_get;
mod python;
mod rpc;
mod signed;
mod websocket;
mod wrapper;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use grape_tests::grape::Grape;
use grape_tests::http::Request;
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::programs::{self, Talks};
use grape_tests::wait;
use serde_json::{Value, json};

/// Sets the key `load` of a Grape in the group `workers`.
async fn share(grape: &Grape, value: &str) {
    let put = Request::post("/gossip/workers/state/load", value).method("PUT");
    assert_eq!(grape.send(&put).await.unwrap().status, 200);
}

/// A program of a service, and the port that it was given.
struct Service {
    process: Process,
    port: Port,
}

impl Service {
    /// Starts a program with a port to listen at, and waits until its announces are taken.
    async fn start(name: &str, program: &str, grape: &Grape, more: Value) -> Self {
        let port = Port::take().unwrap();
        let mut argument = json!({ "grape": grape.url(), "port": port.number(), "name": name });
        for (field, value) in more.as_object().unwrap() {
            argument[field] = value.clone();
        }
        let mut process = programs::node(name, program, &argument).unwrap();
        programs::event(&mut process, "announced").await.unwrap();
        Self { process, port }
    }

    /// Where it is found.
    fn peer(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }
}

impl Talks for Service {
    async fn tell(&mut self, command: Value) -> Result<()> {
        self.process.say(&command.to_string()).await
    }

    async fn event(&mut self, kind: &str) -> Result<Value> {
        programs::event(&mut self.process, kind).await
    }
}

/// Waits until a Grape knows just these services under a name. Clients keep what they looked up
/// for ten seconds, so they may only start then.
async fn known(grape: &Grape, name: &str, services: &[Service]) {
    let wanted: BTreeSet<_> = services.iter().map(Service::peer).collect();
    wait::until(&format!("{grape} knows all of {name}"), async || {
        let found = grape.lookup(name).await?;
        ensure!(found == wanted, "{found:?}, not {wanted:?}");
        Ok(())
    })
    .await
    .unwrap();
}
