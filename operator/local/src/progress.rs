//! What a local cluster prints: that it waits, its table, then each change. Pure: statuses in, text
//! out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grape::services::Refusal;
use grape_engine::Status;

use super::changes::{MembershipChange, Watcher};
use super::show::{self, Row, Style};

/// How often a cluster is looked at while its Grapes join.
const WHILE_JOINING: Duration = Duration::from_millis(50);
/// How often it is looked at from then on.
const ONCE_JOINED: Duration = Duration::from_secs(1);
/// How many looks pass between two words on what is waited for: 5 s.
const LOOKS_UNTIL_REMINDER: u32 = 100;

/// How many neighbours are enough, however many Grapes there are: a routing table keeps no more of
/// the far ones.
const ENOUGH: usize = 20;

/// Most causes of refusals that are printed.
const MAX_REFUSED: usize = 100;

/// Most bootstrap addresses that are printed as silent.
const MAX_SILENT: usize = 100;

/// How often a bootstrap address that is still silent is printed again.
const SILENT_AGAIN: Duration = Duration::from_secs(60);

/// What is said at last, before the changes.
const UNTIL_STOPPED: &str =
    "Ctrl-C stops the cluster. Until then, Grapes that join or are lost show here.";

/// A running Grape: its name and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, such as `market-0`.
    pub name: String,
    /// Where its API listens.
    pub api: SocketAddr,
    /// Where its DHT listens.
    pub dht: SocketAddr,
}

/// What has been printed so far.
#[derive(Debug, Clone)]
pub struct Progress {
    members: Vec<Member>,
    own: Vec<SocketAddr>,
    style: Style,
    phase: Phase,
    /// The causes of refusals that were printed, each with its Grape's place.
    refused: Vec<(usize, Refusal)>,
    /// The bootstrap addresses that were printed as silent, and when.
    silent: BTreeMap<SocketAddr, Instant>,
}

#[derive(Debug, Clone)]
enum Phase {
    Joining { looks: u32 },
    Running(Watcher),
}

impl Progress {
    /// The progress of these Grapes.
    pub fn new(members: Vec<Member>, style: Style) -> Self {
        let own = members.iter().map(|grape| grape.dht).collect();
        let phase = Phase::Joining { looks: 0 };
        Self { members, own, style, phase, refused: Vec::new(), silent: BTreeMap::new() }
    }

    /// How long to wait before the next look.
    pub fn pause(&self) -> Duration {
        match self.phase {
            Phase::Joining { .. } => WHILE_JOINING,
            Phase::Running(_) => ONCE_JOINED,
        }
    }

    /// What to print now, given the status of each Grape in the order of the members: whole lines,
    /// or nothing.
    pub fn tell(&mut self, statuses: &[Status]) -> String {
        match &mut self.phase {
            Phase::Running(watcher) => {
                let changes = watcher.observe(&self.own, statuses);
                self.describe(&changes)
            }
            Phase::Joining { looks } => {
                let missing = missing(&self.members, &self.own, statuses);
                if missing.is_empty() {
                    return self.all_joined(statuses);
                }
                *looks += 1;
                if *looks % LOOKS_UNTIL_REMINDER == 0 { missing.concat() } else { String::new() }
            }
        }
    }

    /// What to print now of requests that the Grapes refused, in the order of the members: a line
    /// for each cause, once.
    pub fn refusals(&mut self, refusals: &[Vec<Refusal>]) -> String {
        let mut text = String::new();
        for (place, refusals) in refusals.iter().enumerate() {
            for refusal in refusals {
                let known = |(at, known): &&(usize, Refusal)| {
                    let known_as = (&known.verb, &known.name, &known.reason);
                    *at == place && known_as == (&refusal.verb, &refusal.name, &refusal.reason)
                };
                if self.refused.iter().any(|refusal| known(&refusal))
                    || self.refused.len() >= MAX_REFUSED
                {
                    continue;
                }
                self.refused.push((place, refusal.clone()));
                let name = self.members.get(place).map_or("a Grape", |grape| &grape.name);
                text += &show::refused(name, refusal);
            }
        }
        text
    }

    /// What to print now of bootstrap addresses outside the cluster that do not answer: a line for
    /// each, and again after a minute.
    pub fn silent_seeds(&mut self, silent: &[Vec<SocketAddr>], now: Instant) -> String {
        let mut text = String::new();
        for address in silent.iter().flatten().filter(|address| !self.own.contains(address)) {
            let due = match self.silent.get(address) {
                Some(last) => now.saturating_duration_since(*last) >= SILENT_AGAIN,
                None => self.silent.len() < MAX_SILENT,
            };
            if due {
                self.silent.insert(*address, now);
                text += &show::silent(*address);
            }
        }
        text
    }

    fn all_joined(&mut self, statuses: &[Status]) -> String {
        let mut watcher = Watcher::new(self.own.iter().copied());
        let already_here = watcher.observe(&self.own, statuses);
        self.phase = Phase::Running(watcher);
        let rows = rows(&self.members, statuses);
        let (table, next_steps) = (show::table(&rows, self.style), show::next_steps(&rows));
        let changes = self.describe(&already_here);
        format!("{table}\n{next_steps}\n{UNTIL_STOPPED}\n{changes}")
    }

    fn describe(&self, changes: &[MembershipChange]) -> String {
        show::changes(changes, |address| {
            self.members.iter().find(|grape| grape.dht == address).map(|grape| grape.name.clone())
        })
    }
}

/// A line for each Grape that has not joined all the others.
fn missing(members: &[Member], own: &[SocketAddr], statuses: &[Status]) -> Vec<String> {
    let others = members.len().saturating_sub(1);
    let lines = members.iter().zip(statuses).filter_map(|(grape, status)| {
        let seen = status.neighbours.iter().filter(|other| own.contains(&other.address)).count();
        let joined = seen >= others || status.neighbours.len() >= ENOUGH;
        if joined && status.ready {
            return None;
        }
        let name = &grape.name;
        let what = if joined { "is not ready" } else { "has not joined" };
        let error = status.errors.last().map(|error| format!("; its last error: {error}"));
        let error = error.unwrap_or_default();
        Some(format!("still waiting: {name} {what}, sees {seen} of {others} others{error}\n"))
    });
    lines.collect()
}

fn rows(members: &[Member], statuses: &[Status]) -> Vec<Row> {
    let row = |(grape, status): (&Member, &Status)| Row {
        name: grape.name.clone(),
        api: grape.api,
        dht: grape.dht,
        neighbours: status.nodes,
        id: status.id.clone(),
    };
    members.iter().zip(statuses).map(row).collect()
}

#[cfg(test)]
mod tests {
    use grape::clock;

    use super::*;
    use crate::samples::{address, status};

    fn progress() -> Progress {
        let grape = |index: u16| Member {
            name: format!("market-{index}"),
            api: address(30001 + index),
            dht: address(20001 + index),
        };
        Progress::new(vec![grape(0), grape(1)], Style::Plain)
    }

    #[test]
    fn nothing_is_printed_while_the_grapes_join_and_then_the_table() {
        let mut progress = progress();
        assert_eq!(progress.tell(&[status(&[]), status(&[])]), "");
        assert_eq!(progress.tell(&[status(&[20002]), status(&[])]), "");
        assert_eq!(progress.pause(), WHILE_JOINING);
        let shown = progress.tell(&[status(&[20002]), status(&[20001])]);
        assert!(shown.starts_with("GRAPE") || shown.starts_with(" GRAPE"), "{shown}");
        assert!(shown.contains("curl"), "{shown}");
        assert_eq!(progress.pause(), ONCE_JOINED);
        assert_eq!(progress.tell(&[status(&[20002]), status(&[20001])]), "");
    }

    #[test]
    fn a_grape_that_is_not_ready_is_waited_for() {
        let mut progress = progress();
        let mut starting = status(&[20002]);
        starting.ready = false;
        assert_eq!(progress.tell(&[starting, status(&[20001])]), "");
    }

    #[test]
    fn a_long_wait_names_the_grapes_that_are_missing() {
        let mut progress = progress();
        let mut lost = status(&[]);
        lost.errors.push("no answer from 127.0.0.1:20001".to_owned());
        let mut shown = String::new();
        for _ in 0..LOOKS_UNTIL_REMINDER {
            shown += &progress.tell(&[status(&[20002]), lost.clone()]);
        }
        assert_eq!(
            shown,
            "still waiting: market-1 has not joined, sees 0 of 1 others; its last error: no answer \
             from 127.0.0.1:20001\n"
        );
    }

    #[test]
    fn a_cluster_of_one_is_not_printed_as_lost() {
        let one = Member { name: "a".to_owned(), api: address(30001), dht: address(20001) };
        let mut progress = Progress::new(vec![one], Style::Plain);
        progress.tell(&[status(&[])]);
        assert_eq!((0..5).map(|_| progress.tell(&[status(&[])])).collect::<String>(), "");
    }

    #[test]
    fn changes_are_printed_after_the_table() {
        let mut progress = progress();
        progress.tell(&[status(&[20002]), status(&[20001])]);
        let shown = progress.tell(&[status(&[20002, 20009]), status(&[20001, 20009])]);
        assert_eq!(shown, "+ 127.0.0.1:20009 joined (seen by 2 of 2)\n");
    }

    #[test]
    fn each_cause_of_refusals_is_printed_once() {
        let refusal = |count| Refusal {
            verb: "announce".to_owned(),
            name: "svc".to_owned(),
            reason: "the port is a text".to_owned(),
            hint: "send the port as a number: [\"svc\", 1337]".to_owned(),
            count,
        };
        let mut progress = progress();
        assert_eq!(progress.refusals(&[vec![], vec![]]), "");
        assert_eq!(
            progress.refusals(&[vec![], vec![refusal(1)]]),
            "! market-1 refused to announce svc: the port is a text; send the port as a number: \
             [\"svc\", 1337]\n"
        );
        assert_eq!(progress.refusals(&[vec![], vec![refusal(2)]]), "");
        assert!(progress.refusals(&[vec![refusal(1)], vec![]]).starts_with("! market-0 refused"));
    }

    #[test]
    fn a_silent_bootstrap_address_is_printed_once_a_minute() {
        let (mut progress, start) = (progress(), clock::now());
        let mut shown = |ports: &[&[u16]], second| {
            let of = |ports: &&[u16]| ports.iter().map(|port| address(*port)).collect();
            let silent: Vec<_> = ports.iter().map(of).collect();
            progress.silent_seeds(&silent, start + Duration::from_secs(second))
        };
        assert_eq!(shown(&[&[], &[]], 0), "");
        // A bootstrap address of the cluster itself is printed while its Grape has not joined.
        assert_eq!(shown(&[&[20002], &[]], 1), "");
        assert_eq!(
            shown(&[&[20009], &[20009]], 3),
            "! no Grape answers at 127.0.0.1:20009 of spec.dht.bootstrap: is that the UDP port of \
             its DHT? It is asked again and again\n"
        );
        assert_eq!(shown(&[&[20009], &[20009]], 62), "");
        assert_eq!(shown(&[&[], &[20009]], 63).lines().count(), 1);
        let many: Vec<u16> = (1..=200).collect();
        assert_eq!(shown(&[&many], 64).lines().count(), MAX_SILENT - 1);
    }

    #[test]
    fn an_outside_grape_that_was_there_first_is_printed_with_the_table() {
        let mut progress = progress();
        let shown = progress.tell(&[status(&[20002, 20009]), status(&[20001, 20009])]);
        assert!(shown.ends_with("+ 127.0.0.1:20009 joined (seen by 2 of 2)\n"), "{shown}");
    }
}
