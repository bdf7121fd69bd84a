//! What is shown: a table, what to try next, joins and losses. Pure: values in, text out.

use std::fmt::Write;
use std::net::SocketAddr;

use comfy_table::{ContentArrangement, Table, presets};
use grape::config::HostPort;
use grape::lifecycle::Drained;
use grape::services::Refusal;

use super::changes::{Kind, MembershipChange};
use super::plan::Plan;

/// Most digits of an id that are shown: enough to distinguish Grapes.
const ID_DIGITS: usize = 8;

/// The ports of APIs that nearly every README of Grenache programs has.
const CUSTOMARY: [u16; 3] = [30001, 40001, 50001];

/// Most Grapes for which ports are listed in a line.
const MOST_LISTED: usize = 10;

/// What is said when a drain is cut short.
pub const AT_ONCE: &str = "Stopped at once; what was announced and not withdrawn ages out.\n";

/// How a table is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// With lines, for people in front of a terminal.
    Boxed,
    /// Columns apart by spaces, for files and pipes.
    Plain,
}

/// A Grape in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name, such as `market-0`.
    pub name: String,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Where its DHT listens.
    pub dht: SocketAddr,
    /// How many other Grapes it sees.
    pub neighbours: usize,
    /// Its id, 40 hex digits.
    pub id: String,
}

/// What was asked for, and does nothing here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Bootstrap addresses that are not on this machine.
    pub elsewhere: Vec<HostPort>,
    /// Fields of the spec that local mode does not use.
    pub unread: Vec<String>,
    /// Variables that are set, and that only `grape` reads.
    pub ignored: Vec<String>,
}

/// What is said before the Grapes start.
pub fn opening(plan: &Plan) -> String {
    let (grapes, cluster) = (count(plan.grapes.len(), "Grape"), &plan.cluster);
    let services = if plan.check_announced {
        "Each service that was announced is tried once a second: one that was killed disappears \
         from lookups within seconds."
    } else {
        "Services that were announced are not tried: one that was killed disappears from lookups \
         after spec.dht.peerMaxAge."
    };
    format!("Starting {grapes} of the cluster {cluster}.\n{services}\n")
}

/// A line for each kind of thing that does nothing here. Ends with an empty line.
pub fn notes(notes: &Notes) -> String {
    let Notes { elsewhere, unread, ignored } = notes;
    let mut text = String::new();
    for host in elsewhere {
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "note: spec.dht.bootstrap has {host}, which is not on this machine; it is left out, as \
             local Grapes keep to 127.0.0.1"
        );
    }
    if !unread.is_empty() {
        let fields = unread.join(", ");
        let _ = writeln!(text, "note: local mode does not read {fields}: it has no pods");
    }
    if !ignored.is_empty() {
        let variables = ignored.join(", ");
        let _ = writeln!(
            text,
            "note: local mode does not read the variables {variables}; its flags and the file have \
             what can be set: see grape-operator local --help"
        );
    }
    text + "\n"
}

/// What is said when so many Grapes begin to drain.
pub fn draining(grapes: usize) -> String {
    format!("\nDraining {}; Ctrl-C again stops at once.\n", count(grapes, "Grape"))
}

/// What came of the drain of each Grape, by its name.
pub fn drained(drained: &[(String, Drained)]) -> String {
    let mut text = String::new();
    for (name, Drained { withdrawn, cut_off, .. }) in drained {
        let _ = match withdrawn {
            Some(0) => Ok(()),
            Some(services) => {
                writeln!(text, "{name} has withdrawn {}.", count(*services, "service"))
            }
            None => writeln!(
                text,
                "{name} ran out of time to withdraw all of its services; the rest age out."
            ),
        };
        if *cut_off > 0 {
            let _ = writeln!(text, "{name} has cut off {}.", count(*cut_off, "connection"));
        }
    }
    text + "Stopped.\n"
}

/// The Grapes, a line each. Ends with a line break.
pub fn table(rows: &[Row], style: Style) -> String {
    let mut table = Table::new();
    table.load_style(match style {
        Style::Boxed => presets::UTF8_FULL_CONDENSED,
        Style::Plain => presets::NOTHING,
    });
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["GRAPE", "API", "DHT", "NEIGHBOURS", "ID"]);
    for Row { name, api, dht, neighbours, id } in rows {
        table.add_row([
            name.clone(),
            url(*api),
            dht.to_string(),
            neighbours.to_string(),
            id.chars().take(ID_DIGITS).collect(),
        ]);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// Commands that work as they stand, for a cluster whose Grapes these are.
pub fn next_steps(rows: &[Row]) -> String {
    let [first, rest @ ..] = rows else { return String::new() };
    let mut text = String::from("Announce a service at port 1337 through one Grape");
    // The lookup goes through another Grape, if there is one: that is what the DHT is for.
    let (place, other) = match rest.first() {
        Some(second) => (", and find it through another", second),
        None => (", and find it", first),
    };
    let announce = r#"curl -d '{"rid":1,"data":["rpc_test",1337]}'"#;
    let lookup = r#"curl -d '{"rid":2,"data":"rpc_test"}'"#;
    let _ = writeln!(text, "{place}:\n");
    let _ = writeln!(text, "  {announce} {}/announce", url(first.api));
    let _ = writeln!(text, "  {lookup} {}/lookup\n", url(other.api));
    let _ = writeln!(text, "In Node.js:\n");
    let _ = writeln!(text, "  const Link = require('grenache-nodejs-link')");
    let _ = writeln!(text, "  const link = new Link({{ grape: '{}' }})\n", url(first.api));
    let _ = writeln!(
        text,
        "Other Grapes on this machine, Node.js ones too, join through {}.",
        first.dht
    );
    let customary = rows.iter().any(|row| row.api.port() == CUSTOMARY[1]);
    if !customary && (2..=MOST_LISTED).contains(&rows.len()) {
        let ports = customary_ports(rows.len());
        let _ = writeln!(
            text,
            "Programs that expect Grapes at ports 30001 and 40001 find them with --api-ports {ports}."
        );
    }
    text
}

/// The customary ports of so many APIs; where there are more, they count up from the last.
fn customary_ports(apis: usize) -> String {
    let more = CUSTOMARY[CUSTOMARY.len() - 1] + 1..;
    let ports = CUSTOMARY.into_iter().chain(more).take(apis);
    ports.map(|port| port.to_string()).collect::<Vec<_>>().join(",")
}

/// Lines for joins and losses. `names` has the cluster's own Grapes by their DHT address.
pub fn changes(
    changes: &[MembershipChange],
    name_of: impl Fn(SocketAddr) -> Option<String>,
) -> String {
    let mut text = String::new();
    for MembershipChange { address, kind } in changes {
        let who = match name_of(*address) {
            Some(name) => format!("{name} ({address})"),
            None => address.to_string(),
        };
        let _ = match kind {
            Kind::Joined { seen_by, of } => {
                writeln!(text, "+ {who} joined (seen by {seen_by} of {of})")
            }
            Kind::Lost => writeln!(text, "- {who} lost"),
        };
    }
    text
}

/// A line for requests that a Grape refused.
pub fn refused(grape: &str, refusal: &Refusal) -> String {
    let Refusal { verb, name, reason, hint, .. } = refusal;
    let name = if name.is_empty() { "a service" } else { name };
    format!("! {grape} refused to {verb} {name}: {reason}; {hint}\n")
}

/// A line for a bootstrap address from which no answer comes.
pub fn silent(address: SocketAddr) -> String {
    format!(
        "! no Grape answers at {address} of spec.dht.bootstrap: is that the UDP port of its DHT? It \
         is asked again and again\n"
    )
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// `1 Grape`, `3 Grapes`.
fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::samples::address;

    fn row(index: u16) -> Row {
        Row {
            name: format!("market-{index}"),
            api: address(30001 + index),
            dht: address(20001 + index),
            neighbours: 2,
            id: format!("8c1fd30{index}5be2970d5a1e4c3b2a1908f7e6d5c4b3"),
        }
    }

    #[test]
    fn a_table_for_pipes_is_plain_columns() {
        insta::assert_snapshot!(table(&[row(0), row(1)], Style::Plain), @r#"
        GRAPE     API                     DHT              NEIGHBOURS  ID
        market-0  http://127.0.0.1:30001  127.0.0.1:20001  2           8c1fd300
        market-1  http://127.0.0.1:30002  127.0.0.1:20002  2           8c1fd301
        "#);
    }

    #[test]
    fn a_table_for_terminals_has_lines() {
        insta::assert_snapshot!(table(&[row(0), row(1)], Style::Boxed), @r#"
        ┌──────────┬────────────────────────┬─────────────────┬────────────┬──────────┐
        │ GRAPE    ┆ API                    ┆ DHT             ┆ NEIGHBOURS ┆ ID       │
        ╞══════════╪════════════════════════╪═════════════════╪════════════╪══════════╡
        │ market-0 ┆ http://127.0.0.1:30001 ┆ 127.0.0.1:20001 ┆ 2          ┆ 8c1fd300 │
        │ market-1 ┆ http://127.0.0.1:30002 ┆ 127.0.0.1:20002 ┆ 2          ┆ 8c1fd301 │
        └──────────┴────────────────────────┴─────────────────┴────────────┴──────────┘
        "#);
    }

    #[test]
    fn the_next_steps_announce_at_one_grape_and_look_up_at_another() {
        insta::assert_snapshot!(next_steps(&[row(0), row(1), row(2)]), @r#"
        Announce a service at port 1337 through one Grape, and find it through another:

          curl -d '{"rid":1,"data":["rpc_test",1337]}' http://127.0.0.1:30001/announce
          curl -d '{"rid":2,"data":"rpc_test"}' http://127.0.0.1:30002/lookup

        In Node.js:

          const Link = require('grenache-nodejs-link')
          const link = new Link({ grape: 'http://127.0.0.1:30001' })

        Other Grapes on this machine, Node.js ones too, join through 127.0.0.1:20001.
        Programs that expect Grapes at ports 30001 and 40001 find them with --api-ports 30001,40001,50001.
        "#);
    }

    #[test]
    fn the_customary_ports_are_named_where_grapes_are_elsewhere() {
        let shown = |ports: &[u16]| {
            let row = |port: &u16| Row { api: address(*port), ..row(0) };
            let steps = next_steps(&ports.iter().map(row).collect::<Vec<_>>());
            let ports = steps.split_once("--api-ports ");
            ports.map(|(_, ports)| ports.trim_end_matches(['.', '\n']).to_owned())
        };
        assert_eq!(shown(&[30001, 30002]).unwrap(), "30001,40001");
        assert_eq!(shown(&[1, 2, 3, 4]).unwrap(), "30001,40001,50001,50002");
        assert_eq!(shown(&[30001, 40001, 50001]), None);
        assert_eq!(shown(&[30001]), None);
        assert_eq!(shown(&[1; MOST_LISTED + 1]), None);
    }

    #[test]
    fn a_grape_that_is_alone_looks_up_by_itself() {
        let steps = next_steps(&[row(0)]);
        assert!(steps.contains("http://127.0.0.1:30001/lookup"), "{steps}");
        assert_eq!(next_steps(&[]), "");
    }

    #[test]
    fn the_opening_says_whether_services_are_tried() {
        let plan = |check_announced| Plan {
            cluster: "market".to_owned(),
            grapes: Vec::new(),
            check_announced,
        };
        insta::assert_snapshot!(opening(&plan(true)), @r"
        Starting 0 Grapes of the cluster market.
        Each service that was announced is tried once a second: one that was killed disappears from lookups within seconds.
        ");
        insta::assert_snapshot!(opening(&plan(false)), @r"
        Starting 0 Grapes of the cluster market.
        Services that were announced are not tried: one that was killed disappears from lookups after spec.dht.peerMaxAge.
        ");
    }

    #[test]
    fn notes_name_fields_without_effect() {
        let all = Notes {
            elsewhere: vec!["old-grape.prod:20001".parse().unwrap()],
            unread: vec!["spec.image".to_owned(), "spec.template".to_owned()],
            ignored: vec!["GRAPE_BOOTSTRAP".to_owned(), "GRAPE_DHT_PORT".to_owned()],
        };
        insta::assert_snapshot!(notes(&all), @r"
        note: spec.dht.bootstrap has old-grape.prod:20001, which is not on this machine; it is left out, as local Grapes keep to 127.0.0.1
        note: local mode does not read spec.image, spec.template: it has no pods
        note: local mode does not read the variables GRAPE_BOOTSTRAP, GRAPE_DHT_PORT; its flags and the file have what can be set: see grape-operator local --help
        ");
        assert_eq!(notes(&Notes::default()), "\n");
    }

    #[test]
    fn the_end_says_what_was_withdrawn() {
        let grape = |index: usize, withdrawn, cut_off| {
            (format!("market-{index}"), Drained { withdrawn, cut_off, took: Duration::ZERO })
        };
        let all =
            [grape(0, Some(1), 0), grape(1, Some(0), 0), grape(2, Some(3), 2), grape(3, None, 0)];
        insta::assert_snapshot!(drained(&all), @r#"
        market-0 has withdrawn 1 service.
        market-2 has withdrawn 3 services.
        market-2 has cut off 2 connections.
        market-3 ran out of time to withdraw all of its services; the rest age out.
        Stopped.
        "#);
        assert_eq!(drained(&[]), "Stopped.\n");
    }

    #[test]
    fn changes_name_the_clusters_own_grapes() {
        let name_of = |at: SocketAddr| (at.port() == 20001).then(|| "market-0".to_owned());
        let kind = Kind::Joined { seen_by: 3, of: 3 };
        let told = [
            MembershipChange { address: address(20009), kind },
            MembershipChange { address: address(20001), kind: Kind::Lost },
        ];
        insta::assert_snapshot!(changes(&told, name_of), @r#"
        + 127.0.0.1:20009 joined (seen by 3 of 3)
        - market-0 (127.0.0.1:20001) lost
        "#);
    }
}
