//! Resident memory of Grapes in a group.

use anyhow::{Context, Result, ensure};
use grape_tests::http::{self, Request};
use grape_tests::kernel;
use grape_tests::network;
use grape_tests::results::{Goal, Row};
use grape_tests::wait;
use serde_json::Value;

use crate::plan::Plan;

/// Keys of each member.
const KEYS: usize = 10;

/// The memory of a Grape that sees all keys of all members.
///
/// # Errors
/// When a Grape does not start, or does not see all.
pub(crate) async fn measure(plan: Plan) -> Result<Row> {
    let mut grapes = network::crowd(plan.resident).await?;
    for grape in &grapes {
        for key in 0..KEYS {
            let path = format!("/gossip/bench/state/key-{key}");
            let set = Request::post(&path, r#"{"jobs": 3}"#).method("PUT");
            let status = http::send(grape.api(), &set).await?.status;
            ensure!(status == 200, "{path}: {status}");
        }
    }
    let mut sizes = Vec::new();
    for grape in &mut grapes {
        wait::until(&format!("{grape} sees all keys"), async || {
            let request = Request::get("/gossip/bench/peers?state=live");
            let page = http::send(grape.api(), &request).await?;
            let peers: Vec<Value> = serde_json::from_str(&page.body)?;
            let full = peers.iter().filter(|peer| peer["keys"] == KEYS).count();
            ensure!(full == plan.resident - 1, "{full} members with all keys");
            Ok(())
        })
        .await?;
        let pid = grape.process().pid().context("a Grape has ended")?;
        sizes.push(kernel::resident(pid)? / f64::from(1 << 20));
    }
    sizes.sort_by(f64::total_cmp);
    Ok(Row::alone(
        format!("gossip, {} members with {KEYS} keys each: memory of a Grape", plan.resident),
        sizes[sizes.len() / 2],
        "MB",
        Goal::AtMost(9.0),
    ))
}
