//! The programs for arm64, under qemu where this machine has another processor.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use grape_tests::grape::Seat;
use grape_tests::http::{self, Request};
use grape_tests::process::Process;
use grape_tests::wait;
use serde_json::Value;

use super::{VERSION, binary, said};

/// A command line that runs a program for arm64.
fn words(program: &str) -> Vec<String> {
    let program = binary(program, "arm64").to_str().unwrap().to_owned();
    if cfg!(target_arch = "aarch64") {
        return vec![program];
    }
    let emulator = "qemu-aarch64-static";
    let found = Command::new(emulator).arg("--version").output();
    assert!(
        found.is_ok(),
        "{emulator} is missing. Install it: apt-get install -y --no-install-recommends qemu-user-static"
    );
    vec![emulator.to_owned(), program]
}

fn command(program: &str) -> Command {
    let words = words(program);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

#[test]
fn both_programs_tell_their_version() {
    for program in ["grape", "grape-operator"] {
        assert_eq!(said(command(program).arg("--version")), format!("{program} {VERSION}\n"));
    }
    let definition = said(command("grape-operator").arg("crd"));
    assert!(definition.contains("kind: CustomResourceDefinition"), "{definition}");
}

/// Each is asked by the command `grape` for arm64 too.
#[tokio::test]
async fn three_grapes_find_each_other() {
    let words = words("grape");
    let seats = [(); 3].map(|()| Seat::take().unwrap());
    let others: Vec<_> =
        seats.iter().map(|seat| format!("127.0.0.1:{}", seat.dht.number())).collect();
    let mut running = Vec::new();
    for seat in &seats {
        let mut grape = tokio::process::Command::new(&words[0]);
        grape.args(&words[1..]).args(["-b", "127.0.0.1", "--bn", &others.join(",")]);
        grape.args(["--dp", &seat.dht.number().to_string()]);
        grape.args(["--aph", &seat.api.number().to_string()]);
        running.push(Process::start("the Grape for arm64", &mut grape).unwrap());
    }
    for seat in &seats {
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, seat.api.number()));
        let settled = wait::until("a Grape for arm64 knows both others", async || {
            let status: Value = http::send(api, &Request::get("/status")).await?.json()?;
            anyhow::ensure!(status["nodes"] == 2, "{status}");
            anyhow::Ok(())
        });
        settled.await.unwrap();
    }
    let ask = |seat: &Seat, arguments: &[&str]| {
        let port = seat.api.number().to_string();
        said(command("grape").args(arguments).args(["--aph", &port]))
    };
    let announced = ask(&seats[0], &["announce", "rpc_test", "1337"]);
    assert!(announced.contains("held by 2 other Grapes"), "{announced}");
    assert_eq!(ask(&seats[2], &["lookup", "rpc_test"]), "127.0.0.1:1337\n");
}
