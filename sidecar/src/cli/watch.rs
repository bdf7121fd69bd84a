//! `grape watch`: follows a name's peers.

use std::collections::BTreeSet;
use std::time::Duration;

use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::args::{Format, To};
use super::client;
use super::output::{Failure, Output};
use crate::http::WATCH_HEARTBEAT;
use crate::printable;

/// Largest line of an event; a Grape sends far less.
const MAX_LINE: usize = 1 << 20;

/// How long a Grape may send nothing. It sends a comment with each heartbeat, so a longer silence is
/// a connection that somebody on the way has forgotten.
const SILENCE: Duration = WATCH_HEARTBEAT.saturating_mul(4);

/// Shows a name's peers as they come and go, until the Grape ends it.
pub(crate) async fn watch(name: &str, to: &To, output: &mut Output) -> Result<bool, Failure> {
    let path = format!("/watch?name={}", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let mut body = client::stream(&to.url(), &path).await?.into_body();
    let mut buffer = Vec::new();
    let mut known = BTreeSet::new();
    while let Ok(Some(Ok(frame))) = timeout(SILENCE, body.frame()).await {
        buffer.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            if let Some(peers) = String::from_utf8_lossy(&line).trim_end().strip_prefix("data: ") {
                show(peers, to.output, &mut known, output)?;
            }
        }
        if buffer.len() > MAX_LINE {
            break;
        }
    }
    Err(Failure::Refused("the watch was ended: the Grape stopped or is unreachable".to_owned()))
}

fn show(
    json: &str,
    format: Format,
    known: &mut BTreeSet<String>,
    output: &mut Output,
) -> Result<(), Failure> {
    if format == Format::Json {
        return output.json(json);
    }
    let peers: BTreeSet<String> = serde_json::from_str(json).unwrap_or_default();
    for gone in known.difference(&peers) {
        output.line(&format!("- {}", printable::line(gone)))?;
    }
    for come in peers.difference(known) {
        output.line(&format!("+ {}", printable::line(come)))?;
    }
    *known = peers;
    Ok(())
}
