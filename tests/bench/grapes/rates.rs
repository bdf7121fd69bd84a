//! The cases under load.

use anyhow::Result;
use grape_tests::results::{Goal, Row};
use serde_json::json;

use crate::load::{self, Case, Server};
use crate::plan::Plan;
use crate::{Both, alone, bare};

/// One hot name, asked by as many connections as a busy host has.
const HOT: Case = Case { name: "hot", connections: 64 };

/// What 16 connections ask, as the table calls it and as `load.lua` does, and how many times npm's
/// rate is wanted.
const OTHERS: [(&str, &str, f64); 5] = [
    ("lookup, a new name each, 16 connections", "lookup", 5.0),
    ("announce, one name, 16 connections", "announce_hot", 5.0),
    ("announce, a new name each, 16 connections", "announce", 5.0),
    ("put, a new value each, 16 connections", "put", 5.0),
    ("get, held locally, 16 connections", "get", 3.0),
];

/// Rates of npm's Grape and ours, in interleaved rounds; and of the hot name beside a bare server
/// that answers the same bytes.
///
/// # Errors
/// When an answer is wrong.
pub async fn measure(both: &mut Both, plan: Plan) -> Result<Vec<Row>> {
    for grape in both.asked() {
        grape.announce("hot", 7001).await?;
    }
    let npm = &mut both.npm.grapes[0];
    let npm = Server::of("npm", npm.api(), npm.process())?;
    let ours = &mut both.ours.grapes[0];
    let ours = Server::of("ours", ours.api(), ours.process())?;
    let (process, api) = bare::start(ours.api).await?;
    let bare = Server::of("bare hyper", api, &process)?;

    let [of_npm, of_ours, of_bare] =
        load::rates([(npm, HOT), (ours, HOT), (bare, HOT)], plan).await?;
    drop(process);
    let mut rows = vec![
        row("lookup, one hot name, 64 connections", of_npm, of_ours, 4.5),
        alone(
            "… as a share of a bare hyper server's".to_owned(),
            of_ours / of_bare * 100.0,
            "%",
            Goal::AtLeast(85.0),
        ),
    ];
    for (title, name, times) in OTHERS {
        for grape in both.asked() {
            // Again before each case: others may have pushed it out.
            grape.put(json!({ "v": "hello" })).await?;
        }
        let case = Case { name, connections: 16 };
        let [of_npm, of_ours] = load::rates([(npm, case), (ours, case)], plan).await?;
        rows.push(row(title, of_npm, of_ours, times));
    }
    Ok(rows)
}

fn row(title: &str, npm: f64, ours: f64, times: f64) -> Row {
    Row {
        case: title.to_owned(),
        npm: Some(npm),
        ours,
        unit: "/s".to_owned(),
        goal: Goal::TimesNpm(times),
    }
}
