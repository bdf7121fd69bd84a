//! Environment variables that hold no setting.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use rstest::rstest;

use crate::command::{command, texts};
use crate::grapes::alone;

/// `grape` in a network of its own, in which every port is free. Needs `unshare` and `ip`.
fn apart(variables: &[(&str, &str)]) -> Child {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "sh", "-c"]);
    unshare.args(["ip link set lo up && exec \"$0\"", env!("CARGO_BIN_EXE_grape")]);
    unshare.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    unshare.envs(variables.iter().copied()).stdin(Stdio::null()).stderr(Stdio::piped());
    unshare.spawn().unwrap()
}

/// What it logs until it is ready, or ends.
fn log_until_ready(mut child: Child) -> String {
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains(" ready ") && log.read_line(&mut told).unwrap() > 0 {}
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

/// The variables that `--help` names.
fn variables(args: &[&str]) -> Vec<String> {
    let help = texts(&command(args).output().unwrap()).0;
    let named = help.split("[env:").skip(1);
    named.map(|rest| rest.trim_start().split_once('=').unwrap().0.to_owned()).collect()
}

#[rstest]
#[test]
fn an_empty_variable_is_as_one_that_is_not_set(#[values("", " ", "\t\n")] empty: &str) {
    let all = variables(&["--help"]);
    assert!(all.len() >= 20 && all.contains(&"GRAPE_BIND".to_owned()), "{all:?}");
    let all: Vec<_> = all.iter().map(|name| (name.as_str(), empty)).collect();
    let log = log_until_ready(apart(&all));
    assert!(log.contains(" ready "), "{log}");
    assert!(
        log.contains("API at http://0.0.0.0:30001") || log.contains("API at http://[::]:30001")
    );
    assert!(log.contains("DHT at udp 0.0.0.0:20001"), "{log}");
}

#[tokio::test]
async fn an_empty_variable_is_none_for_the_commands_that_ask_a_grape() {
    let grape = alone().await;
    let all = variables(&["status", "--help"]);
    assert_eq!(all, ["GRAPE_URL", "GRAPE_API_PORT"]);
    let port = grape.api_addr().port().to_string();
    let mut status = command(&["status", "--api_port", &port]);
    status.envs(all.iter().map(|name| (name, "")));
    let output = tokio::task::spawn_blocking(move || status.output().unwrap()).await.unwrap();
    let (stdout, stderr) = texts(&output);
    assert!(stdout.contains("is ready") && stderr.is_empty(), "{stdout}{stderr}");
}

#[rstest]
#[case("GRAPE_API_PORT", "sctp://10.96.0.7:30001")]
#[case("GRAPE_API_PORT", "TCP://[fd00::7]:30001")]
#[case("GRAPE_DHT_PORT", "udp://10.96.0.7:20001")]
#[case("GRAPE_DHT_PORT", "quic+x://10.96.0.7:20001")]
#[test]
fn the_link_to_a_kubernetes_service_is_ignored_and_logged(
    #[case] variable: &str,
    #[case] value: &str,
) {
    let log = log_until_ready(apart(&[(variable, value)]));
    assert!(log.contains(" ready "), "{log}");
    assert!(log.contains(&format!("{variable}={value} is ignored")), "{log}");
}

#[test]
fn the_link_to_a_kubernetes_service_is_no_setting_on_the_command_line() {
    let output = command(&["--api_port", "tcp://10.96.0.7:30001"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(texts(&output).1.contains("a port is a number from 0 to 65535"));
}

#[test]
fn a_command_that_asks_a_grape_says_that_it_ignores_a_link() {
    let mut status = command(&["status", "--grape", "http://127.0.0.1:1"]);
    let output = status.env("GRAPE_API_PORT", "sctp://10.96.0.7:30001").output().unwrap();
    let stderr = texts(&output).1;
    assert!(stderr.contains("grape: GRAPE_API_PORT=sctp://10.96.0.7:30001 is ignored"), "{stderr}");
    assert!(stderr.contains("no Grape answers"), "{stderr}");
}

#[rstest]
#[case(&[], "GRAPE_API_PORT", "abc", "a port is a number from 0 to 65535")]
#[case(&[], "GRAPE_CHECK_ANNOUNCED", "maybe", "expected true or false")]
#[case(&["status"], "GRAPE_API_PORT", "abc", "a port is a number from 0 to 65535")]
#[case(&[], "GRAPE_DHT_PEER_MAX_AGE", "120s", "a number of milliseconds is wanted")]
#[case(&[], "GRAPE_LOG", "verbose", "is no level")]
#[case(&["status"], "GRAPE_URL", "foo:bar", "such as http://127.0.0.1:30001")]
#[test]
fn an_error_names_the_variable_of_a_wrong_value(
    #[case] args: &[&str],
    #[case] variable: &str,
    #[case] value: &str,
    #[case] right: &str,
) {
    let output = command(args).env(variable, value).output().unwrap();
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let named = format!("the environment variable {variable}");
    assert!(stderr.contains(right) && stderr.contains(&named), "{stderr}");
}

#[test]
fn a_wrong_value_of_a_flag_is_not_the_variables() {
    let mut wrong = command(&["--api_port", "abc"]);
    let (_, stderr) = texts(&wrong.env("GRAPE_API_PORT", "30001").output().unwrap());
    assert!(stderr.contains("--api_port") && !stderr.contains("environment"), "{stderr}");
}
