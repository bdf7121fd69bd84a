//! A reader that has gone, as `head` has in `grape-operator crd | head`, is no error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use rstest::rstest;

/// Runs the command with a standard output that has no reader.
fn unread(args: &[&str]) -> Output {
    let (reader, stdout) = std::io::pipe().unwrap();
    drop(reader);
    // An API server that does not exist.
    let mut kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let yaml = "{apiVersion: v1, kind: Config, current-context: a, \
                clusters: [{name: a, cluster: {server: \"http://127.0.0.1:1\"}}], \
                contexts: [{name: a, context: {cluster: a, user: a}}], users: [{name: a, user: {}}]}";
    kubeconfig.write_all(yaml.as_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_grape-operator"));
    command.args(args).env_clear().env("KUBECONFIG", kubeconfig.path());
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[rstest]
#[case(&["crd"], 0)]
#[case(&["--help"], 0)]
#[case(&["--version"], 0)]
#[case(&["local", "--help"], 0)]
#[case(&["run", "--help"], 0)]
// What it has found is its exit code.
#[case(&["check", "--operator=http://127.0.0.1:1", "--timeout=1ms"], 1)]
fn a_reader_that_has_gone_is_no_error(#[case] args: &[&str], #[case] code: i32) {
    let output = unread(args);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(code));
}
