//! Environment variables that hold no setting, as `grape-operator` meets them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

/// `grape-operator` where nothing is set that it reads, and no Kubernetes is configured.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grape-operator"));
    let home = tempfile::tempdir().unwrap();
    command.args(args).env_clear().env("HOME", home.path()).stdin(Stdio::null());
    command
}

fn stderr(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// The variables that `--help` names.
fn variables(subcommand: &str) -> Vec<String> {
    let help = command(&[subcommand, "--help"]).output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let named = help.split("[env:").skip(1);
    named.map(|rest| rest.trim_start().split_once('=').unwrap().0.to_owned()).collect()
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    for (subcommand, flags, count, goes_on_to) in [
        ("run", &["--admin-bind=127.0.0.1:0"][..], 17, "no Kubernetes is configured"),
        ("check", &["--operator=http://127.0.0.1:1"], 2, "no access to an API server"),
        ("local", &["--file=/no/such/file"], 1, "cannot be read"),
    ] {
        let all = variables(subcommand);
        assert!(all.len() >= count, "{subcommand}: {all:?}");
        let args: Vec<_> = [subcommand].into_iter().chain(flags.iter().copied()).collect();
        let unset = stderr(&mut command(&args));
        assert!(unset.contains(goes_on_to), "{unset}");
        for empty in ["", " "] {
            let set = all.iter().map(|name| (name.as_str(), empty)).chain([("KUBECONFIG", "")]);
            let told = stderr(command(&args).envs(set));
            assert!(told.contains(goes_on_to), "{subcommand}: {told}");
        }
    }
}
