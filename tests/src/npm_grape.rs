//! How npm's Grape is started: in code, by `peers/grape.js`, so that its documented defaults hold
//! (its command loses them) and it can check signatures (its command cannot).

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::grape::{Options, Seat};
use crate::process::Process;
use crate::programs;

/// Starts one, and waits for nothing.
///
/// # Errors
/// When Node.js or the packages cannot be had.
pub fn spawn(seat: &Seat, options: &Options) -> Result<Process> {
    let bootstrap: Vec<String> =
        options.bootstrap.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut given = json!({
        "host": if options.unbound { Value::Null } else { Value::from("127.0.0.1") },
        "dht_port": seat.dht.number(),
        "api_port": seat.api.number(),
        "dht_bootstrap": bootstrap,
        "verify": true,
    });
    if let Some(age) = options.peer_max_age {
        given["dht_peer_maxAge"] = json!(u64::try_from(age.as_millis())?);
    }
    let name = format!("npm's Grape at DHT port {}", seat.dht.number());
    programs::node(&name, "grape.js", &json!([given]))
}

/// Starts one, and waits until it listens. Returns its process and its node id.
///
/// # Errors
/// When it does not start.
pub async fn start(seat: &Seat, options: &Options) -> Result<(Process, String)> {
    let mut process = spawn(seat, options)?;
    let started = programs::event(&mut process, "listening").await?;
    let id = started["grapes"][0]["id"].as_str().map(str::to_owned);
    Ok((process, id.with_context(|| format!("it told {started}"))?))
}

/// How many other nodes its routing table holds.
///
/// # Errors
/// When the Grape does not say.
pub async fn nodes(process: &mut Process) -> Result<u64> {
    process.say(&Value::from("nodes").to_string()).await?;
    let told = programs::event(process, "nodes").await?;
    told["counts"][0].as_u64().with_context(|| format!("it told {told}"))
}
