//! The original's own tests, from its package: all of `gossiper.real.test.js`, and of
//! `gossiper.test.js` the one that uses the public class alone. The others set fields of the
//! original's classes, or test its transport; `secure.real.test.js` is skipped in the original, too.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::gossipers::{self, Module, Program};
use grape_tests::{peers, wait};
use serde_json::Value;
use tokio::process::Command;

use crate::alone;

/// The tests wait for two minutes altogether.
const DEADLINE: Duration = Duration::from_secs(900);

/// The titles of the tests in a file that pass, of those with `title` in theirs; none may fail.
async fn passed(file: &str, title: &str) -> Vec<String> {
    let text = gossipers::original(file).unwrap();
    let package = gossipers::package().unwrap();
    let text = gossipers::changed(&text, Module::Ours).unwrap();
    let text = text.replace("'../lib/", &format!("'{}/lib/", package.display()));
    let mut command = Command::new("node");
    let mocha = peers::directory().unwrap().join("node_modules/mocha/bin/mocha.js");
    let patient = peers::directory().unwrap().join("patient.js");
    command.arg(mocha).arg("--require").arg(patient);
    command.args(["--reporter", "json-stream", "--grep", title]);
    let mut program = Program::start(file, &text, &mut command).unwrap();
    let ended = wait::until_within(DEADLINE, "the tests end", async || {
        let ended = program.process.has_ended()?;
        ensure!(ended.is_some(), "{}", program.process.shown());
        Ok(ended)
    });
    let ended = ended.await.unwrap();
    assert!(ended.unwrap().success(), "{}", program.process.shown());
    let mut titles = Vec::new();
    let title = |line: &str| {
        let (kind, test): (String, Value) = serde_json::from_str(line).ok()?;
        (kind == "pass").then(|| test["title"].as_str().map(str::to_owned)).flatten()
    };
    while let Ok(title) = program.process.next("a test", title).await {
        titles.push(title);
    }
    titles
}

#[test]
fn tests_with_several_gossipers_pass() {
    alone("original_tests::tests_with_several_gossipers_pass", async {
        let expected = [
            "discovers new peers",
            "propagates keys and values between peers",
            "expires keys with ttl throughout the network",
            "knows when peers die or come back alive",
            "randomly gossips with peers",
            "emits an update event when peers propogate data",
        ];
        assert_eq!(passed("test/gossiper.real.test.js", "").await, expected);
    });
}

#[test]
fn the_test_of_local_state_passes() {
    alone("original_tests::the_test_of_local_state_passes", async {
        let title = "has local state";
        assert_eq!(passed("test/gossiper.test.js", title).await, [title]);
    });
}
