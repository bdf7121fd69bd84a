//! `examples/grapevine.js`: programs written for npm's `grapevine` run on our Grapes.
//!
//! The ports of the original's programs are fixed, so each test has a network of its own.
//!
//! | file | |
//! |---|---|
//! | `readme.rs` | the program of the original's README, its `require` line changed |
//! | `simulations.rs` | the original's simulations, the same |
//! | `original_tests.rs` | the original's tests of its public class, the same |
//! | `peers.rs` | members that come, go and come back, with the events at the others |
//! | `mirror.rs`, `mirror.test.js` | the copy of a group that a Gossiper keeps |
//! | `away.rs` | a Grape that is cut off, restarted or killed while a Gossiper uses it |

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod away;
mod mirror;
mod original_tests;
mod peers;
mod readme;
mod simulations;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use grape_tests::gossipers::{self, Module};
use grape_tests::namespace;
use grape_tests::process::Process;
use grape_tests::programs;
use grape_tests::wait;
use serde_json::{Value, json};

/// Runs the body of the test of this name in a network of its own.
fn alone(test: &str, body: impl Future<Output = ()>) {
    // They cannot be installed in there.
    grape_tests::peers::directory().unwrap();
    namespace::run(test, body);
}

/// One Gossiper, as a process.
struct Gossiper {
    process: Process,
    name: String,
}

impl Gossiper {
    /// Starts one with a Grape of its own at this port. The one at 7000 is the others' seed.
    async fn at(port: u16) -> Self {
        let seeds: &[_] = if port == 7000 { &[] } else { &["127.0.0.1:7000"] };
        let options = json!({ "port": port, "seeds": seeds });
        Self::started(gossipers::gossiper(Module::Ours, &options, None).unwrap()).await
    }

    /// Starts one that uses the Grape at this URL.
    async fn of(url: &str) -> Self {
        let options = json!({ "port": 7000 });
        Self::started(gossipers::gossiper(Module::Ours, &options, Some(url)).unwrap()).await
    }

    async fn started(mut process: Process) -> Self {
        let started = programs::event(&mut process, "started").await.unwrap();
        Self { process, name: started["name"].as_str().unwrap().to_owned() }
    }

    async fn tell(&mut self, command: Value) {
        self.process.say(&command.to_string()).await.unwrap();
    }

    /// Sets a key until so many milliseconds from now, or for ever.
    async fn set(&mut self, key: &str, value: Value, expires_in: Option<u64>) {
        self.tell(json!({ "do": "set", "key": key, "value": value, "expiresIn": expires_in }))
            .await;
    }

    async fn event(&mut self, kind: &str) -> Value {
        programs::event(&mut self.process, kind).await.unwrap()
    }

    async fn shown(&mut self) -> Result<Value> {
        self.process.say(r#"{"do": "show"}"#).await?;
        programs::event(&mut self.process, "shown").await
    }

    /// Waits until it has just these members, and their keys, itself among them.
    async fn has(&mut self, live: &[&str], dead: &[&str], states: &[(&str, Value)]) {
        let states: BTreeMap<_, _> = states.iter().cloned().collect();
        let wanted = json!({ "event": "shown", "live": live, "dead": dead, "states": states });
        let what = format!("{} has these members and keys", self.name);
        wait::until(&what, async || {
            let shown = self.shown().await?;
            ensure!(shown == wanted, "{shown}, not {wanted}");
            Ok(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.process.shown()));
    }

    /// Ends it as its program would, and returns all events of a kind that were not asked for yet.
    async fn left_over(&mut self, kind: &str) -> Vec<Value> {
        self.process.close_input();
        programs::events_until_end(&mut self.process, kind).await.unwrap()
    }
}
