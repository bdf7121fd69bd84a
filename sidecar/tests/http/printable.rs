//! What the command `grape` prints of somebody's values.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use grape::lifecycle::Grape;
use nix::pty::{OpenptyResult, openpty};

use crate::command::{ask, command, texts};
use crate::grapes::alone;
use crate::raw::Raw;

/// Colours, a title of the window, the order of the line's letters; and what may stay.
const VALUE: &str = "red\u{1b}[31m\u{9b}31m\u{1b}]0;title\u{7}\u{202e}\ttab\nline";

/// A Grape that holds the value, and the value's hash.
async fn holding() -> (Grape, String) {
    let grape = alone().await;
    let body = serde_json::json!({ "data": { "v": VALUE } }).to_string();
    let stored = Raw::connect(grape.api_addr()).await.post("/put", &body).await;
    let hash = serde_json::from_str(&stored.body).unwrap();
    (grape, hash)
}

/// What the command prints into a pipe.
async fn piped(grape: &Grape, args: &[&str]) -> String {
    let output = ask(grape, args).await;
    assert!(output.status.success(), "{output:?}");
    texts(&output).0
}

#[tokio::test]
async fn a_program_gets_the_value_unchanged() {
    let (grape, hash) = holding().await;
    assert_eq!(piped(&grape, &["get", &hash]).await, format!("{VALUE}\n"));
}

#[tokio::test]
async fn json_has_control_characters_escaped() {
    let (grape, hash) = holding().await;
    let json = piped(&grape, &["get", &hash, "-o", "json"]).await;
    assert!(json.trim_end().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{json:?}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["v"], VALUE);
}

#[tokio::test]
async fn a_terminal_gets_control_characters_escaped() {
    let (grape, hash) = holding().await;
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let url = format!("http://{}", grape.api_addr());
    let mut get = command(&["get", &hash, "--grape", &url]);
    let mut child = get.stdout(Stdio::from(slave)).spawn().unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
    // Its side of the terminal is ours too.
    drop(get);
    let mut shown = Vec::new();
    // It ends by an error: the other side is closed.
    let _ = File::from(master).read_to_end(&mut shown);
    let shown = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
    let expected = "red\\u{1b}[31m\\u{9b}31m\\u{1b}]0;title\\u{7}\\u{202e}\ttab\nline\n";
    assert_eq!(shown, expected);
}
