//! The subcommands that ask a verb once.

use std::io::{self, Read};

use grape_engine::MAX_VALUE;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::http::{NOWHERE, UNKNOWN};
use crate::printable;
use crate::services::Withdrawal;

use super::args::{Format, SigningArgs, To};
use super::client::{self, Said};
use super::keys::{self, Signing};
use super::output::{Failure, Output};

/// The most that is read of the standard input, in bytes: far more than can be stored.
const MAX_INPUT: u64 = 1 << 20;

/// Why a Grape may know of nothing that is elsewhere.
const ALONE: &str = " (this Grape has not joined any other)";

/// Where a Grape looks for others' announces, as the end of a sentence. npm's Grape does not say.
async fn whereabouts(to: &To) -> String {
    let Ok(page) = client::status(&to.url()).await else { return String::new() };
    let network = page.node.network.map(|it| format!(" in the network {}", printable::line(&it)));
    let known = match page.node.nodes {
        0 => ALONE.to_owned(),
        nodes => format!(" ({} known)", others(nodes as u64)),
    };
    network.unwrap_or_default() + &known
}

/// Shows the peers of each name; true when every one has some.
pub(crate) async fn lookup(
    names: &[String],
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let mut found = Map::new();
    for name in names {
        let said = client::ask(&to.url(), "lookup", &json!(name)).await?;
        let peers = match said.body {
            Some(Value::Array(peers)) => peers,
            _ => return Err(refused(said)),
        };
        if to.output == Format::Text {
            for peer in peers.iter().filter_map(Value::as_str) {
                match names {
                    [_] => output.line(&printable::line(peer))?,
                    _ => output.line(&format!(
                        "{}\t{}",
                        printable::line(name),
                        printable::line(peer)
                    ))?,
                }
            }
        }
        if peers.is_empty() {
            output.complain(&format!(
                "nobody announces {}{}",
                printable::line(name),
                whereabouts(to).await
            ));
        }
        found.insert(name.clone(), peers.into());
    }
    let all = found.values().all(|peers| peers.as_array().is_some_and(|peers| !peers.is_empty()));
    if to.output == Format::Json {
        output.json(&Value::Object(found).to_string())?;
    }
    Ok(all)
}

/// Announces a service.
pub(crate) async fn announce(
    name: &str,
    port: u16,
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let count = count(client::ask(&to.url(), "announce", &json!([name, port])).await?)?;
    // npm's Grape has no page to read.
    let page = if count == 0 { client::status(&to.url()).await.ok() } else { None };
    let held_back = page.iter().flat_map(|page| &page.held_back);
    let at =
        page.as_ref().map_or(port, |page| if port == 0 { page.dht_address.port() } else { port });
    if let Some(held) = held_back.into_iter().find(|held| held.name == name && held.port == at) {
        return Err(Failure::HeldBack(printable::line(&held.reason)));
    }
    match to.output {
        Format::Json => {
            output.json(&json!({ "name": name, "port": port, "holders": count }).to_string())?;
        }
        Format::Text => {
            let alone = if page.is_some_and(|page| page.node.nodes == 0) { ALONE } else { "" };
            output.line(&format!(
                "announced {} at {}, held by {}{alone}",
                printable::line(name),
                at_port(port),
                others(count)
            ))?;
        }
    }
    Ok(true)
}

/// Takes an announce back.
pub(crate) async fn withdraw(
    name: &str,
    port: u16,
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let said = client::ask(&to.url(), "withdraw", &json!([name, port])).await?;
    if let Some(at) = &said.announced_at {
        let what = format!("{} at {}", printable::line(name), at_port(port));
        return Err(Failure::NotAnnounced(match at.as_str() {
            NOWHERE => {
                format!("nothing to withdraw: nobody announces {what}{}", whereabouts(to).await)
            }
            UNKNOWN => format!("{what} was not announced at this Grape; withdraw it where it was"),
            at => format!(
                "{what} was not announced at this Grape; withdraw it at {} (the DHT address of \
                 the Grape that announces it)",
                printable::line(at)
            ),
        }));
    }
    let count = count(said)?;
    match to.output {
        Format::Json => {
            output.json(&json!({ "name": name, "port": port, "confirmed": count }).to_string())?;
        }
        Format::Text => output.line(&format!(
            "withdrew {} at {}, confirmed by {}",
            printable::line(name),
            at_port(port),
            others(count)
        ))?,
    }
    Ok(true)
}

/// Withdraws all that was announced at a Grape of this host.
pub(crate) async fn drain(to: &To, output: &mut Output) -> Result<bool, Failure> {
    let said = client::ask(&to.url(), "drain", &Value::Null).await?;
    let Some(withdrawal) = said.body.as_ref().and_then(|body| Withdrawal::deserialize(body).ok())
    else {
        return Err(refused(said));
    };
    match to.output {
        Format::Json => output.json(&json!(withdrawal).to_string())?,
        Format::Text => {
            let withdrawn = match withdrawal.withdrawn {
                0 => "nothing was announced here".to_owned(),
                1 => "withdrew 1 service".to_owned(),
                count => format!("withdrew {count} services"),
            };
            output.line(&format!("{withdrawn}; what is announced from now on is held back"))?;
        }
    }
    if !withdrawal.complete {
        output.complain("not every other Grape has confirmed within the Grape's --drain-timeout");
    }
    Ok(true)
}

/// What is to be stored.
pub(crate) enum Stored {
    /// A text, or JSON.
    Value { text: String, is_json: bool },
    /// The whole data of the request.
    Data(String),
}

/// Stores a value: a text, JSON, or the data of a whole request.
pub(crate) async fn put(
    stored: Stored,
    signing: &SigningArgs,
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let data = match stored {
        Stored::Data(data) => parse("--data", &data)?,
        Stored::Value { text, is_json } => {
            let value = value(text, is_json)?;
            match &signing.key {
                None => json!({ "v": value }),
                Some(file) => {
                    let (key, salt) = (keys::read(file)?, &*signing.salt);
                    let how = Signing { key: &key, seq: signing.seq, salt };
                    keys::sign(&value, &how, to).await?
                }
            }
        }
    };
    let said = client::ask(&to.url(), "put", &data).await?;
    match &said.body {
        Some(Value::String(id)) if said.status.is_success() && is_hash(id) => {
            match to.output {
                Format::Text => output.line(id)?,
                Format::Json => {
                    let mut shown = json!({ "hash": id });
                    if signing.key.is_some() {
                        shown["seq"] = data["seq"].clone();
                    }
                    output.json(&shown.to_string())?;
                }
            }
            Ok(true)
        }
        _ if signing.seq.is_some() && said.status.is_redirection() => {
            let why = words(said);
            Err(Failure::Refused(format!("{why}; without --seq the next number is taken")))
        }
        _ => Err(refused(said)),
    }
}

/// Shows a stored value; false when there is none.
pub(crate) async fn get(
    hash: &str,
    salt: Option<&str>,
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let data = match salt {
        Some(salt) => json!({ "hash": hash, "salt": salt }),
        None => json!(hash),
    };
    let said = client::ask(&to.url(), "get", &data).await?;
    match &said.body {
        None => {
            output.complain(&match salt {
                Some(salt) => {
                    format!(
                        "nothing is stored under {hash} with the salt {:?}",
                        printable::line(salt)
                    )
                }
                None => format!(
                    "nothing is stored under {hash}; a value that was stored with a salt is found \
                     only with that --salt"
                ),
            });
            if to.output == Format::Json {
                output.line("null")?;
            }
            Ok(false)
        }
        Some(Value::Object(item)) => {
            match (to.output, item.get("v")) {
                (Format::Text, Some(Value::String(text))) => output.foreign(text)?,
                _ => output.json(&Value::Object(item.clone()).to_string())?,
            }
            Ok(true)
        }
        Some(_) => Err(refused(said)),
    }
}

/// The value that is meant; `-` for what is on the standard input.
fn value(text: String, is_json: bool) -> Result<Value, Failure> {
    let text = if text == "-" { standard_input()? } else { text };
    if is_json {
        return parse("the value", &text);
    }
    match text.len() {
        size if size > MAX_VALUE => Err(Failure::Usage(format!(
            "the value is {size} bytes; at most {MAX_VALUE} can be stored"
        ))),
        _ => Ok(json!(text)),
    }
}

fn parse(what: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Usage(format!("{what} is no JSON: {error}")))
}

/// All of the standard input, as a text, without the newline at its end.
fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .take(MAX_INPUT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Usage(format!("cannot read the standard input: {error}")))?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

fn at_port(port: u16) -> String {
    match port {
        0 => "the port of the Grape's DHT".to_owned(),
        port => format!("port {port}"),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn count(said: Said) -> Result<u64, Failure> {
    said.body.as_ref().and_then(Value::as_u64).ok_or_else(|| refused(said))
}

fn others(count: u64) -> String {
    match count {
        0 => "no other Grape".to_owned(),
        1 => "1 other Grape".to_owned(),
        _ => format!("{count} other Grapes"),
    }
}

fn refused(said: Said) -> Failure {
    Failure::Refused(words(said))
}

/// What a Grape said, for people.
fn words(said: Said) -> String {
    match said.body {
        Some(Value::String(text)) => printable::line(&text),
        Some(other) => printable::line(&other.to_string()),
        None => said.status.to_string(),
    }
}
