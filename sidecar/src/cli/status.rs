//! `grape status`: how a Grape does, for a person to read.

use std::net::SocketAddr;

use grape_engine::Announced;
use serde_json::{Map, Value, json};

use crate::http::StatusPage;
use crate::printable;
use crate::services::{HeldBack, Refusal};

use super::args::{Format, To};
use super::client;
use super::output::{Failure, Output};

/// Most entries of a list in the summary; `-o json` shows all.
const SHOWN: usize = 20;

/// The width that is counted on, whether a terminal shows it or a pipe carries it on.
const TERMINAL: usize = 80;

/// The widest key that the others' texts are moved aside for: an IPv6 address with its port fits.
const WIDEST_KEY: usize = 40;

/// Shows the status, or of these names the peers alone; false when a name has none.
pub(crate) async fn status(
    names: &[String],
    to: &To,
    output: &mut Output,
) -> Result<bool, Failure> {
    if names.is_empty() && to.output == Format::Json {
        let body = client::page(&to.url(), "/status").await?;
        output.json(String::from_utf8_lossy(&body).trim_end())?;
        return Ok(true);
    }
    let page = client::status(&to.url()).await?;
    if names.is_empty() {
        output.line(summary(&page).trim_end())?;
        return Ok(true);
    }
    let mut shown = Map::new();
    for name in names {
        let peers = page.node.peers.get(name).map_or(&[][..], Vec::as_slice);
        if peers.is_empty() {
            let name = printable::line(name);
            output.complain(&format!(
                "no peers of {name} are held here; `grape lookup {name}` asks the other Grapes"
            ));
        } else if to.output == Format::Text {
            output.line(&format!("{}\t{}", printable::line(name), list(peers)))?;
        }
        shown.insert(name.clone(), json!(peers));
    }
    let all = shown.values().all(|peers| peers.as_array().is_some_and(|peers| !peers.is_empty()));
    if to.output == Format::Json {
        output.json(&Value::Object(shown).to_string())?;
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
    lines.extend(node.network.as_ref().map(|name| format!("network    {}", printable::line(name))));
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
        (neighbour.address.to_string(), format!("{round_trip}{silent}"))
    });
    section(&mut lines, &format!("{} known", count(node.nodes, "other Grape")), neighbours);
    let others = node.other_networks.iter().map(|at| (at.to_string(), "refused".to_owned()));
    section(&mut lines, "Grapes of other networks, heard in the last minute", others);
    let announced = node.announced.iter().map(|service| {
        let Announced { name, port, stored_at } = service;
        (name.clone(), format!("port {port}, held by {}", count(*stored_at, "other Grape")))
    });
    section(&mut lines, "announced here", announced);
    let held_back = page.held_back.iter().map(|service| {
        let HeldBack { name, port, reason } = service;
        (name.clone(), format!("port {port}: {reason}"))
    });
    section(&mut lines, "held back", held_back);
    let refusals = page.refusals.iter().map(|refusal| {
        let Refusal { verb, name, reason, hint, count } = refusal;
        (name.clone(), format!("{verb}, {}: {reason}; {hint}", times(*count)))
    });
    section(&mut lines, "refused", refusals);
    let unresolved = page.unresolved.iter().map(|it| (it.name.clone(), it.reason.clone()));
    section(&mut lines, "bootstrap names that do not resolve", unresolved);
    let unanswered = page.unanswered.iter().map(|it| (it.name.clone(), list(&it.addresses)));
    section(&mut lines, "bootstrap names at whose UDP addresses no Grape answers", unanswered);
    let names = node.peers.iter().map(|(name, peers)| (name.clone(), list(peers)));
    section(&mut lines, "peers by name", names);
    let errors = node.errors.iter().map(|error| (String::new(), error.clone()));
    section(&mut lines, "last errors", errors);
    lines.join("\n")
}

/// A heading, and its entries in two columns; nothing when there are none.
fn section(
    lines: &mut Vec<String>,
    heading: &str,
    entries: impl ExactSizeIterator<Item = (String, String)>,
) {
    let more = entries.len().saturating_sub(SHOWN);
    if entries.len() > 0 {
        lines.push(format!("{heading}:"));
    }
    let entries =
        entries.take(SHOWN).map(|(key, text)| (printable::line(&key), printable::line(&text)));
    lines.extend(columns(&entries.collect::<Vec<_>>()));
    if more > 0 {
        lines.push(format!("  … and {more} more (-o json shows all)"));
    }
}

/// Keys, and beside them their texts, broken between words where a line would be too long.
fn columns(entries: &[(String, String)]) -> Vec<String> {
    let widths = entries.iter().map(|(key, _)| key.chars().count());
    let width = widths.filter(|width| *width <= WIDEST_KEY).max().unwrap_or(0);
    let beside = if width > 0 { width + 4 } else { 2 };
    let mut lines = Vec::new();
    for (key, text) in entries {
        let mut line = format!("  {key}");
        let mut used = line.chars().count();
        // A key that is too wide has its line for itself.
        if used + 2 > beside && width > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        let mut gap = beside - used;
        for word in text.split(' ') {
            let needed = gap + word.chars().count();
            if used + needed > TERMINAL && used + gap > beside {
                lines.push(std::mem::take(&mut line));
                (used, gap) = (0, beside);
            }
            line.extend(std::iter::repeat_n(' ', gap));
            line.push_str(word);
            used += gap + word.chars().count();
            gap = 1;
        }
        lines.push(line);
    }
    lines
}

fn list(peers: &[SocketAddr]) -> String {
    peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn count(n: usize, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

fn times(n: u64) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
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
    use std::collections::BTreeMap;

    use grape_engine::{Neighbour, Status};
    use rstest::rstest;

    use crate::discovery::{Unanswered, Unresolved};

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
        let summary = summary(&page());
        insta::assert_snapshot!(summary);
        let widest = summary.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(TERMINAL), "{widest:?} columns");
    }

    #[test]
    fn a_grape_that_is_alone_has_little_to_say() {
        let alone = page();
        let node = Status {
            ready: false,
            draining: true,
            network: None,
            other_networks: Vec::new(),
            nodes: 0,
            neighbours: Vec::new(),
            announced: Vec::new(),
            peers: BTreeMap::new(),
            errors: Vec::new(),
            ..alone.node
        };
        insta::assert_snapshot!(summary(&StatusPage {
            held_back: Vec::new(),
            refusals: Vec::new(),
            unresolved: Vec::new(),
            unanswered: Vec::new(),
            node,
            ..alone
        }));
    }

    #[test]
    fn a_name_that_is_too_wide_has_its_line_for_itself() {
        let entries = [
            ("a".repeat(41), "its text".to_owned()),
            ("short".to_owned(), "b".repeat(100)),
            ("other".to_owned(), format!("{} {}", "c".repeat(60), "d".repeat(60))),
        ];
        insta::assert_snapshot!(columns(&entries).join("\n"));
    }

    fn page() -> StatusPage {
        let peer = |n: u8| SocketAddr::from(([10, 0, 0, n], 7001));
        let many = (0..25).map(|n| (format!("name{n:02}"), vec![peer(1)]));
        let crowded = ("crowded".to_owned(), (1..=9).map(peer).collect());
        StatusPage {
            version: "1.2.3".to_owned(),
            uptime_seconds: 75,
            api_address: "127.0.0.1:30001".parse().unwrap(),
            admin_address: Some("[::]:9091".parse().unwrap()),
            dht_address: "0.0.0.0:20001".parse().unwrap(),
            held_back: vec![
                HeldBack {
                    name: "common".to_owned(),
                    port: 1338,
                    reason: "10.0.0.9:1338 refuses connections".to_owned(),
                },
                HeldBack {
                    name: "rest:util:net".to_owned(),
                    port: 7070,
                    reason: "http://10.0.0.9:8080/healthz answers 503 Service Unavailable"
                        .to_owned(),
                },
            ],
            refusals: vec![Refusal {
                verb: "announce".to_owned(),
                name: "svc".to_owned(),
                reason: "the port is a text".to_owned(),
                hint: r#"send the port as a number: ["svc", 1337]"#.to_owned(),
                count: 17,
            }],
            unresolved: vec![Unresolved {
                name: "market.trading.svc:20001".to_owned(),
                reason: "failed to lookup address information: Name does not resolve".to_owned(),
            }],
            unanswered: vec![Unanswered {
                name: "old-grape.prod:30001".to_owned(),
                addresses: vec!["10.0.0.70:30001".parse().unwrap()],
            }],
            node: Status {
                id: "ab".repeat(20),
                ready: true,
                draining: false,
                advertised: Some("10.0.0.9".parse().unwrap()),
                network: Some("prod.market".to_owned()),
                other_networks: vec!["10.0.0.66:20001".parse().unwrap()],
                nodes: 2,
                neighbours: vec![
                    Neighbour {
                        id: "cd".repeat(20),
                        address: "10.0.0.2:20001".parse().unwrap(),
                        round_trip_us: Some(1230),
                        suspect: true,
                    },
                    Neighbour {
                        id: "ef".repeat(20),
                        address: "[fd00::10:2]:20001".parse().unwrap(),
                        round_trip_us: None,
                        suspect: false,
                    },
                ],
                names_held: 25,
                items_held: 0,
                lookups_kept: 2,
                announced: vec![Announced {
                    name: "rpc_test\u{7}".to_owned(),
                    port: 7001,
                    stored_at: 1,
                }],
                peers: many.chain([crowded]).collect(),
                errors: vec!["no\u{1b} message, ".to_owned() + &"and so on ".repeat(10)],
            },
        }
    }
}
