//! Lookups that are timed one by one.

use anyhow::{Context, Result, ensure};
use grape_tests::grape::Grape;
use grape_tests::http::{Connection, Request};
use grape_tests::results::Row;
use serde_json::json;
use tokio::time::Instant;

use crate::Both;
use crate::plan::Plan;

/// p50 and p99, in milliseconds.
type Times = [f64; 2];

/// First lookups of names that were announced at another Grape.
///
/// # Errors
/// When an answer is wrong.
pub async fn announced_elsewhere(both: &Both, plan: Plan) -> Result<[Row; 2]> {
    let names: Vec<String> = (0..plan.lookups).map(|n| format!("elsewhere:{n}")).collect();
    let mut times = [[0.0; 2]; 2];
    for (network, times) in [&both.npm, &both.ours].into_iter().zip(&mut times) {
        for name in &names {
            let holders = network.grapes[0].announce(name, 7002).await?;
            ensure!(holders == 2, "{holders} Grapes hold {name}");
        }
        *times = lookups(&network.grapes[1], &names, r#"["127.0.0.1:7002"]"#).await?;
    }
    let [p50, p99] = rows(times);
    Ok([
        Row::at_most("lookup of a name announced elsewhere, first time, p50", p50, "ms", 1.0),
        Row::at_most("lookup of a name announced elsewhere, first time, p99", p99, "ms", 3.0),
    ])
}

/// Lookups of new names, from the moment that one Grape of three is killed.
///
/// # Errors
/// When an answer is wrong.
pub async fn after_a_death(both: Both, plan: Plan) -> Result<[Row; 1]> {
    let mut times = [[0.0; 2]; 2];
    let networks = [(both.npm, plan.npm_lookups), (both.ours, plan.lookups)];
    for ((mut network, count), times) in networks.into_iter().zip(&mut times) {
        let names: Vec<String> = (0..count).map(|n| format!("after:{n}")).collect();
        network.grapes.pop().context("three Grapes")?.process().kill().await?;
        *times = lookups(&network.grapes[0], &names, "[]").await?;
    }
    let [_, p99] = rows(times);
    Ok([Row::at_most(
        "one of three killed: lookup of a new name from then on, p99",
        p99,
        "ms",
        5.0,
    )])
}

/// The figures of each kind, for each figure.
fn rows([npm, ours]: [Times; 2]) -> [[f64; 2]; 2] {
    [[npm[0], ours[0]], [npm[1], ours[1]]]
}

/// Looks names up one after the other, on one connection.
async fn lookups(grape: &Grape, names: &[String], right: &str) -> Result<Times> {
    let mut connection = Connection::open(grape.api()).await?;
    let mut times = Vec::new();
    for name in names {
        let body = json!({ "rid": "a-request", "data": name }).to_string();
        let request = Request::post("/lookup", body).bytes();
        let began = Instant::now();
        connection.send(&request).await?;
        let reply = connection.reply(false).await?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
        ensure!(reply.body == right, "{grape}: lookup of {name} answered {reply:?}");
    }
    times.sort_by(f64::total_cmp);
    Ok([times[times.len() / 2], times[times.len() * 99 / 100]])
}
