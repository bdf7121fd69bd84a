//! `grape status`: how a Grape does, for a person to read.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::engine::Announced;
use crate::http::StatusPage;

use super::args::{Format, To};
use super::client::{self, ClientError};
use super::output::{Failure, Output, printable};

/// Most lines of a list in the summary; `-o json` shows all.
const SHOWN: usize = 20;

/// Shows the status, or of these names the peers alone; false when a name has none.
pub(crate) async fn status(
    names: &[String],
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    let body = client::page(&to.grape, "/status").await?;
    if names.is_empty() && to.output == Format::Json {
        output.line(String::from_utf8_lossy(&body).trim_end())?;
        return Ok(true);
    }
    let page: StatusPage = serde_json::from_slice(&body).map_err(|error| ClientError::Foreign {
        url: to.grape.clone(),
        answer: error.to_string(),
    })?;
    if names.is_empty() {
        output.line(summary(&page).trim_end())?;
        return Ok(true);
    }
    let mut shown = Map::new();
    for name in names {
        let peers = page.node.peers.get(name).map_or(&[][..], Vec::as_slice);
        if peers.is_empty() {
            let name = printable(name);
            output.complain(&format!(
                "no peers of {name} are held here; `grape lookup {name}` asks the other Grapes"
            ));
        } else if to.output == Format::Text {
            output.line(&format!("{}\t{}", printable(name), list(peers)))?;
        }
        shown.insert(name.clone(), json!(peers));
    }
    let all = shown.values().all(|peers| peers.as_array().is_some_and(|peers| !peers.is_empty()));
    if to.output == Format::Json {
        output.line(&Value::Object(shown).to_string())?;
    }
    Ok(all)
}

fn summary(page: &StatusPage) -> String {
    let node = &page.node;
    let state = match (node.draining, node.ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "joining",
    };
    let mut lines = vec![
        format!("Grape {} is {state}, up {}", page.version, uptime(page.uptime_seconds)),
        format!("id         {}", node.id),
        format!("api        http://{}", page.api_address),
    ];
    lines.extend(page.admin_address.map(|address| format!("admin      http://{address}")));
    lines.push(format!("dht        udp {}", page.dht_address));
    lines.extend(node.advertised.map(|ip| format!("seen as    {ip}")));
    lines.push(format!(
        "holds      {}, {}, {}",
        count(node.names_held, "name"),
        count(node.items_held, "item"),
        count(node.lookups_kept, "lookup")
    ));
    let neighbours = node.neighbours.iter().map(|neighbour| {
        let round_trip = neighbour
            .round_trip_us
            .map_or("not asked yet".to_owned(), |us| format!("{}.{:03} ms", us / 1000, us % 1000));
        let silent = if neighbour.suspect { ", silent" } else { "" };
        format!("{}\t{round_trip}{silent}", neighbour.address)
    });
    section(&mut lines, &format!("{} known", count(node.nodes, "other Grape")), neighbours);
    let announced = node.announced.iter().map(|service| {
        let Announced { name, port, stored_at } = service;
        format!("{}\tport {port}, held by {}", printable(name), count(*stored_at, "other Grape"))
    });
    section(&mut lines, "announced here", announced);
    let names = node.peers.iter();
    let names = names.map(|(name, peers)| format!("{}\t{}", printable(name), list(peers)));
    section(&mut lines, "peers by name", names);
    section(&mut lines, "last errors", node.errors.iter().map(|error| printable(error)));
    lines.join("\n")
}

/// A heading and its lines; nothing when there are none.
fn section(lines: &mut Vec<String>, heading: &str, entries: impl ExactSizeIterator<Item = String>) {
    let more = entries.len().saturating_sub(SHOWN);
    if entries.len() > 0 {
        lines.push(format!("{heading}:"));
    }
    lines.extend(entries.take(SHOWN).map(|entry| format!("  {entry}")));
    if more > 0 {
        lines.push(format!("  … and {more} more (-o json shows all)"));
    }
}

fn list(peers: &[SocketAddr]) -> String {
    peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

fn uptime(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::engine::{Neighbour, Status};

    use super::*;

    #[rstest]
    #[case(59, "59 s")]
    #[case(61, "1 min 1 s")]
    #[case(3660, "1 h 1 min")]
    #[case(90_000, "1 d 1 h")]
    fn uptimes(#[case] seconds: u64, #[case] text: &str) {
        assert_eq!(uptime(seconds), text);
    }

    #[test]
    fn a_summary_reads_well() {
        let peers: Vec<SocketAddr> = vec!["10.0.0.1:7001".parse().unwrap()];
        let page = StatusPage {
            version: "1.2.3".to_owned(),
            uptime_seconds: 75,
            api_address: "127.0.0.1:30001".parse().unwrap(),
            admin_address: None,
            dht_address: "0.0.0.0:20001".parse().unwrap(),
            node: Status {
                id: "ab".repeat(20),
                ready: true,
                draining: false,
                advertised: Some("10.0.0.9".parse().unwrap()),
                nodes: 1,
                neighbours: vec![Neighbour {
                    id: "cd".repeat(20),
                    address: "10.0.0.2:20001".parse().unwrap(),
                    round_trip_us: Some(1230),
                    suspect: true,
                }],
                names_held: 25,
                items_held: 0,
                lookups_kept: 2,
                announced: vec![Announced {
                    name: "rpc_test".to_owned(),
                    port: 7001,
                    stored_at: 1,
                }],
                peers: (0..25).map(|n| (format!("name{n:02}"), peers.clone())).collect(),
                errors: vec!["no\u{1b}".to_owned()],
            },
        };
        let summary = summary(&page);
        for line in [
            "Grape 1.2.3 is ready, up 1 min 15 s",
            "api        http://127.0.0.1:30001",
            "seen as    10.0.0.9",
            "holds      25 names, 0 items, 2 lookups",
            "1 other Grape known:",
            "  10.0.0.2:20001\t1.230 ms, silent",
            "  rpc_test\tport 7001, held by 1 other Grape",
            "  name00\t10.0.0.1:7001",
            "  … and 5 more (-o json shows all)",
            "  no\\u{1b}",
        ] {
            assert!(summary.lines().any(|shown| shown == line), "{line} is missing in\n{summary}");
        }
    }
}
