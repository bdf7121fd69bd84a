//! The program of the original's README: a seed, 20 peers, and one that sets a key.

use std::net::SocketAddr;

use anyhow::ensure;
use grape_tests::gossipers::{self, Module, Program};
use grape_tests::http::{self, Request};
use grape_tests::process::Process;
use grape_tests::{binaries, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::alone;

/// What each of the 20 peers prints, once.
const LINE: &str = "peer 127.0.0.1:9999 set somekey to somevalue";

/// The program, as the original's README has it, its `require` line changed.
fn program(module: Module) -> String {
    let readme = gossipers::original("README.md").unwrap();
    let (_, usage) = readme.split_once("### Usage").unwrap();
    let (usage, _) = usage.split_once("### API").unwrap();
    let lines = usage.lines().filter_map(|line| line.strip_prefix("    "));
    gossipers::changed(&lines.collect::<Vec<_>>().join("\n"), module).unwrap()
}

fn start(module: Module, grapes: Option<&str>) -> Program {
    let mut command = Command::new("node");
    command.envs(grapes.map(|urls| ("GRAPE_URL", urls)));
    Program::start("the README's program", &program(module), &mut command).unwrap()
}

/// Waits until all 20 peers have printed the line.
async fn printed(program: &mut Program) {
    for number in 1..=20 {
        let what = format!("line {number} of {LINE:?}");
        program.process.next(&what, |line| (line == LINE).then_some(())).await.unwrap();
    }
}

/// Ends it: it has printed nothing else.
async fn ended(mut program: Program) {
    program.process.signal("TERM").await.unwrap();
    program.process.ended().await.unwrap();
    let more = program.process.next("more lines", |line| Some(line.to_owned())).await;
    more.expect_err("each peer prints one line");
}

#[test]
fn the_original_prints_a_line_for_each_peer() {
    alone("readme::the_original_prints_a_line_for_each_peer", async {
        let mut program = start(Module::Npm, None);
        printed(&mut program).await;
        ended(program).await;
    });
}

#[test]
fn each_gossiper_starts_a_grape_of_its_own() {
    alone("readme::each_gossiper_starts_a_grape_of_its_own", async {
        let mut program = start(Module::Ours, None);
        printed(&mut program).await;
        ended(program).await;
    });
}

#[test]
fn local_mode_has_a_grape_for_each_gossiper() {
    alone("readme::local_mode_has_a_grape_for_each_gossiper", async {
        let dht_ports: Vec<_> = (9000..=9020).chain([9999]).map(|port| port.to_string()).collect();
        let mut command =
            Command::new(binaries::find("grape-operator", "GRAPE_OPERATOR_BIN").unwrap());
        command.args(["local", "--replicas=22", "--dht-ports", &dht_ports.join(",")]);
        let mut grapes = Process::start("local mode", &mut command).unwrap();
        let running = |line: &str| line.contains("Ctrl-C stops the cluster").then_some(());
        grapes.next("all 22 Grapes", running).await.unwrap();

        let apis: Vec<SocketAddr> =
            (30001..=30022).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let urls: Vec<_> = apis.iter().map(|api| format!("http://{api}")).collect();
        let mut program = start(Module::Ours, Some(&urls.join(",")));
        printed(&mut program).await;
        for api in &apis[..21] {
            wait::until("the key has expired", async || {
                let path = "/gossip/grapevine/peers/127.0.0.1:9999/state";
                let state = http::send(*api, &Request::get(path)).await?.json()?;
                ensure!(state == json!({}), "{state}");
                anyhow::Ok(())
            })
            .await
            .unwrap();
        }
        let peers = http::send(apis[0], &Request::get("/gossip/grapevine/peers?state=live")).await;
        let peers: Value = peers.unwrap().json().unwrap();
        assert_eq!(peers.as_array().unwrap().len(), 21, "{peers}");
        ended(program).await;
    });
}
