//! npm's `grapevine` and `examples/grapevine.js` on our Grapes, side by side: how soon an update is
//! seen by all members of a group, and how soon a killed member is marked failed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use grape::clock;
use grape_tests::gossipers::{self, Module};
use grape_tests::ports::Port;
use grape_tests::process::Process;
use grape_tests::programs;
use grape_tests::results::Row;
use grape_tests::wait;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::plan::Plan;

/// Between updates: no multiple of the second in which npm's members gossip.
const PAUSE: Duration = Duration::from_millis(1370);

/// Milliseconds until half of the members, and all of them, have seen something.
#[derive(Debug, Clone, Copy)]
struct Spread {
    half: f64,
    all: f64,
}

impl Spread {
    /// From when each of them saw it, and when it happened: milliseconds since 1970.
    fn of(mut seen: Vec<u64>, begun: u64) -> Result<Self> {
        seen.sort_unstable();
        let after = |at: Option<&u64>| {
            let took = at.context("nobody has seen it")?.saturating_sub(begun);
            anyhow::Ok(Duration::from_millis(took).as_secs_f64() * 1000.0)
        };
        Ok(Self { half: after(seen.get(seen.len() / 2))?, all: after(seen.last())? })
    }

    /// The median of several.
    fn median(spreads: &[Self]) -> Result<Self> {
        let median = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<_> = spreads.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures.get(figures.len() / 2).copied().context("nothing was measured")
        };
        Ok(Self { half: median(|spread| spread.half)?, all: median(|spread| spread.all)? })
    }
}

/// A group: a crowd in one program that watches, and another program with one member.
struct Group {
    module: Module,
    crowd: Process,
    ports: Vec<Port>,
    member: Process,
    member_port: Port,
}

impl Group {
    async fn start(module: Module, members: usize) -> Result<Self> {
        let ports = (0..members).map(|_| Port::take()).collect::<Result<Vec<_>>>()?;
        let numbers: Vec<_> = ports.iter().map(Port::number).collect();
        let argument = json!({ "module": module.path()?, "ports": numbers });
        let mut command = programs::command("gossip_crowd.js", &argument)?;
        let crowd = gossipers::start("a crowd", &mut command)?;
        let member_port = Port::take()?;
        let member = member(module, &member_port, &ports)?;
        let mut group = Self { module, crowd, ports, member, member_port };
        group.settled().await?;
        Ok(group)
    }

    /// Waits until all members know all others.
    async fn settled(&mut self) -> Result<()> {
        let wanted = self.ports.len();
        wait::until("the members know each other", async || {
            self.crowd.say("0").await?;
            let known = programs::event(&mut self.crowd, "known").await?;
            ensure!(known["known"] == wanted, "{known} of {wanted}");
            Ok(())
        })
        .await
    }

    /// The next event of a kind with this value at each member of the crowd: when it came. On a busy
    /// machine npm's members take others for failed too.
    async fn seen_by_all(&mut self, kind: &str, field: &str, value: &Value) -> Result<Vec<u64>> {
        let mut seen = Vec::new();
        while seen.len() < self.ports.len() {
            let event = programs::event(&mut self.crowd, kind).await?;
            if event[field] == *value {
                seen.push(event["at"].as_u64().context("no time")?);
            }
        }
        Ok(seen)
    }

    async fn update(&mut self, round: usize) -> Result<Spread> {
        let set = json!({ "do": "set", "key": "round", "value": round });
        self.member.say(&set.to_string()).await?;
        let begun = programs::event(&mut self.member, "set").await?["at"].as_u64();
        let seen = self.seen_by_all("seen", "value", &json!(round)).await?;
        Spread::of(seen, begun.context("no time")?)
    }

    async fn death(&mut self) -> Result<Spread> {
        let begun = clock::unix_millis();
        self.member.kill().await?;
        let name = json!(format!("127.0.0.1:{}", self.member_port.number()));
        let seen = self.seen_by_all("failed", "peer", &name).await?;
        Spread::of(seen, begun)
    }

    /// The member that was killed comes back.
    async fn revive(&mut self) -> Result<()> {
        self.member = member(self.module, &self.member_port, &self.ports)?;
        self.settled().await
    }
}

fn member(module: Module, port: &Port, crowd: &[Port]) -> Result<Process> {
    let seed = format!("127.0.0.1:{}", crowd[0].number());
    gossipers::gossiper(module, &json!({ "port": port.number(), "seeds": [seed] }), None)
}

/// Updates and deaths in a group of this module.
async fn measure(
    module: Module,
    members: usize,
    updates: usize,
    deaths: usize,
) -> Result<[Spread; 2]> {
    let mut group = Group::start(module, members).await?;
    let mut updated = Vec::new();
    for round in 0..updates {
        sleep(PAUSE).await;
        updated.push(group.update(round).await?);
    }
    let mut died = vec![group.death().await?];
    for _ in 1..deaths {
        group.revive().await?;
        sleep(PAUSE).await;
        died.push(group.death().await?);
    }
    Ok([Spread::median(&updated)?, Spread::median(&died)?])
}

/// The rows of groups of each size.
///
/// # Errors
/// When a program does not start, or a member does not see what happens.
pub(crate) async fn rows(plan: Plan) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &(members, update, death) in plan.crowds {
        let npm = measure(Module::Npm, members, plan.updates, plan.deaths[0]).await?;
        let ours = measure(Module::Ours, members, plan.updates, plan.deaths[1]).await?;
        let row = |what: &str, npm, ours, bound| {
            Row::at_most(&format!("a group of {members}: {what}"), [npm, ours], "ms", bound)
        };
        rows.push(row("an update is seen by half", npm[0].half, ours[0].half, 200.0));
        rows.push(row("an update is seen by all", npm[0].all, ours[0].all, update));
        rows.push(row(
            "a killed member is marked failed by half",
            npm[1].half,
            ours[1].half,
            death,
        ));
        rows.push(row("a killed member is marked failed by all", npm[1].all, ours[1].all, death));
    }
    Ok(rows)
}
