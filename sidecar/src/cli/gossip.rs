//! `grape gossip`: the members of a group, their keys and events.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::args::{Format, GossipCommand, PeerState, To};
use super::client::{self, Answered};
use super::output::{Failure, Output};
use crate::http::WATCH_HEARTBEAT;
use crate::printable;

/// Largest line of an event; a Grape sends far less.
const MAX_LINE: usize = 1 << 20;
/// How long a Grape may send nothing: see [`super::watch`].
const SILENCE: Duration = WATCH_HEARTBEAT.saturating_mul(4);

/// Does what the subcommand says; false when there is no such key, or no member.
pub(crate) async fn run(command: GossipCommand, output: &mut Output) -> Result<bool, Failure> {
    match command {
        GossipCommand::Peers { group, state, to } => peers(&group, state, &to, output).await,
        GossipCommand::Get { group, key, peer, to } => {
            get(&path_of(&group, peer, key.as_deref()), &to, output).await
        }
        GossipCommand::Set { group, key, value, json, expires, to } => {
            let value = if json { value } else { Value::from(value).to_string() };
            let mut path = path_of(&group, None, Some(&key));
            if let Some(expires) = &expires {
                path = format!("{path}?expires={}", encoded(expires));
            }
            set(&path, value, &to, output).await
        }
        GossipCommand::Unset { group, key, to } => {
            unset(&path_of(&group, None, Some(&key)), &to, output).await
        }
        GossipCommand::Watch { group, to } => watch(&group, &to, output).await,
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The path of a member's key, or of all of them.
fn path_of(group: &str, peer: Option<SocketAddr>, key: Option<&str>) -> String {
    let peer = peer.map(|peer| format!("/peers/{peer}")).unwrap_or_default();
    let key = key.map(|key| format!("/{}", encoded(key))).unwrap_or_default();
    format!("/gossip/{}{peer}/state{key}", encoded(group))
}

async fn peers(
    group: &str,
    state: PeerState,
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let state = match state {
        PeerState::Live => "live",
        PeerState::Dead => "dead",
        PeerState::All => "all",
    };
    let path = format!("/gossip/{}/peers?state={state}", encoded(group));
    let answer = accepted(client::call(&to.url(), Method::GET, &path, String::new()).await?)?;
    if to.output == Format::Json {
        output.json(&answer)?;
        return Ok(answer != "[]");
    }
    let peers: Vec<Value> = serde_json::from_str(&answer).unwrap_or_default();
    if peers.is_empty() {
        output.complain(&format!("the group {} has no such member", printable::line(group)));
    }
    for peer in &peers {
        let text = |field: &str| match &peer[field] {
            Value::String(text) => printable::line(text),
            other => other.to_string(),
        };
        let [address, state, since] = ["address", "state", "sinceSeconds"].map(text);
        let pod = peer["pod"].as_str().map(|pod| format!("\t{}", printable::line(pod)));
        output.line(&format!("{address}\t{state} for {since} s{}", pod.unwrap_or_default()))?;
    }
    Ok(!peers.is_empty())
}

async fn get(path: &str, to: &To, output: &mut Output) -> Result<bool, Failure> {
    let answer = client::call(&to.url(), Method::GET, path, String::new()).await?;
    output.json(&accepted(answer)?)?;
    Ok(true)
}

async fn set(path: &str, value: String, to: &To, output: &mut Output) -> Result<bool, Failure> {
    let answer = accepted(client::call(&to.url(), Method::PUT, path, value).await?)?;
    match to.output {
        Format::Json => output.json(&answer)?,
        Format::Text => output.line("set")?,
    }
    Ok(true)
}

async fn unset(path: &str, to: &To, output: &mut Output) -> Result<bool, Failure> {
    accepted(client::call(&to.url(), Method::DELETE, path, String::new()).await?)?;
    match to.output {
        Format::Json => output.json(&json!({ "unset": true }).to_string())?,
        Format::Text => output.line("unset")?,
    }
    Ok(true)
}

/// The body of an answer, unless the Grape refused.
fn accepted(answer: Answered) -> Result<String, Failure> {
    let Answered { status, body } = answer;
    match status {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(body),
        _ => Err(Failure::Refused(printable::line(body.trim()))),
    }
}

/// Shows each event as it comes: a line with its name and its data.
async fn watch(group: &str, to: &To, output: &mut Output) -> Result<bool, Failure> {
    let path = format!("/gossip/{}/events", encoded(group));
    let mut body = client::stream(&to.url(), &path).await?.into_body();
    let (mut buffer, mut name) = (Vec::new(), String::new());
    while let Ok(Some(Ok(frame))) = timeout(SILENCE, body.frame()).await {
        buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(event) = line.trim_end().strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.trim_end().strip_prefix("data: ") {
                show(&name, data, to.output, output)?;
            }
        }
        if buffer.len() > MAX_LINE {
            break;
        }
    }
    Err(Failure::Refused("the watch was ended: the Grape stopped or is unreachable".to_owned()))
}

fn show(name: &str, data: &str, format: Format, output: &mut Output) -> Result<(), Failure> {
    match format {
        Format::Text => {
            output.line(&format!("{}\t{}", printable::line(name), printable::line(data)))
        }
        Format::Json => {
            let data: Value = serde_json::from_str(data).unwrap_or_default();
            output.json(&json!({ "event": name, "data": data }).to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_keys_are_encoded_in_paths() {
        let peer = Some(([10, 0, 0, 7], 20001).into());
        assert_eq!(
            path_of("a/b", peer, Some("load now")),
            "/gossip/a%2Fb/peers/10.0.0.7:20001/state/load%20now"
        );
        assert_eq!(path_of("w", None, None), "/gossip/w/state");
    }
}
