//! The cases under load.

use anyhow::Result;
use grape_tests::results::{Goal, Row};
use serde_json::json;

use crate::load::{self, Case, Median, Server};
use crate::plan::Plan;
use crate::{Both, bare};

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
        load::medians([(npm, HOT), (ours, HOT), (bare, HOT)], plan).await?;
    drop(process);
    let share = |of_what: &str, share: f64| {
        let case = format!("… as a share of a bare hyper server's, by {of_what}");
        Row::alone(case, share * 100.0, "%", Goal::AtLeast(85.0))
    };
    let mut rows = vec![
        row("lookup, one hot name, 64 connections", of_npm, of_ours, 4.5),
        share("rate", of_ours.rate / of_bare.rate),
        share("CPU time of an answer", of_bare.cpu / of_ours.cpu),
    ];
    for (title, name, times) in OTHERS {
        for grape in both.asked() {
            // Again before each case: others may have pushed it out.
            grape.put(json!({ "v": "hello" })).await?;
        }
        let case = Case { name, connections: 16 };
        let [of_npm, of_ours] = load::medians([(npm, case), (ours, case)], plan).await?;
        rows.push(row(title, of_npm, of_ours, times));
    }
    Ok(rows)
}

fn row(title: &str, npm: Median, ours: Median, times: f64) -> Row {
    Row {
        case: title.to_owned(),
        npm: Some(npm.rate),
        ours: ours.rate,
        unit: "/s".to_owned(),
        goal: Goal::TimesNpm(times),
    }
}
