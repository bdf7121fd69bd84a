//! A reader that has gone, as `head` has in `grape lookup NAME | head`, is no error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::process::{Command, Output, Stdio};

use grape::config::Config;
use grape::lifecycle::Grape;
use tokio::task::spawn_blocking;

/// Runs the command with a standard output that has no reader.
fn unread(grape: u16, args: &[&str]) -> Output {
    let (reader, stdout) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_grape"));
    command.args(args).env_clear().env("GRAPE_API_PORT", grape.to_string());
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_gone_is_no_error() {
    let ip = Some(Ipv4Addr::LOCALHOST.into());
    let config = Config { bind: ip, api_port: 0, dht_bind: ip, dht_port: 0, ..Config::default() };
    let grape = Grape::start(config).await.unwrap();
    grape.dht().announce(b"rpc_test", 7001).await;
    let port = grape.api_addr().port();
    for args in [
        "--help",
        "--version",
        "lookup --help",
        "lookup rpc_test",
        "lookup rpc_test -o json",
        "watch rpc_test",
        "status",
        "status rpc_test",
        "announce rpc_test 7002",
        "withdraw rpc_test 7002",
        "put hello",
        "get e28910ea0adb94dd45ced75fbff3e135c01bc437",
        "drain",
    ] {
        let words: Vec<_> = args.split(' ').collect();
        let output = spawn_blocking(move || unread(port, &words)).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args}");
        assert_eq!(output.status.code(), Some(0), "{args}");
    }
}
