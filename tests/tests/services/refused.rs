//! A service whose requests are refused with an answer that its client takes for success.

use anyhow::ensure;
use grape_tests::{our_grape, programs, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::network;

/// A port as text, as a program reads it from its environment: Link takes the refusal for success.
#[tokio::test]
async fn a_port_announced_as_text_is_reported_where_people_look() {
    let mut grapes = network(&[], &[], None).await;
    let mut announced = Vec::new();
    for _ in 0..2 {
        let argument =
            json!({ "grape": grapes[0].url(), "port": "1337", "name": "svc", "listens": false });
        let mut process = programs::node("svc", "announcer.js", &argument).unwrap();
        announced.push(programs::event(&mut process, "announced").await.unwrap());
    }
    for told in announced {
        assert_eq!(told["error"], Value::Null, "Link takes it for success");
    }
    let reason = "the port is a text";
    let hint = r#"send the port as a number: ["svc", 1337]"#;
    let page = our_grape::status(grapes[0].api()).await.unwrap();
    let refusal = json!({
        "verb": "announce", "name": "svc", "reason": reason, "hint": hint, "count": 2,
    });
    assert_eq!(page["refusals"], json!([refusal]));
    let output = Command::new(our_grape::binary().unwrap())
        .arg("status")
        .env("GRAPE_URL", grapes[0].url())
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("svc announce, 2 times: {reason}; {hint}")), "{shown}");
    let process = grapes[0].process();
    let logged = wait::until("the log tells of it", async || {
        let told = process.errors().into_iter().filter(|line| line.contains(reason));
        let told: Vec<_> = told.collect();
        ensure!(!told.is_empty(), "nothing yet");
        Ok(told)
    });
    let logged = logged.await.unwrap();
    assert!(logged.len() == 1 && logged[0].contains("WARN"), "{logged:?}");
}
