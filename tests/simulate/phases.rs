//! What is done with a network, phase by phase, and what comes of each.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use grape_engine::MAX_PEERS;
use grape_tests::simulation::Link;
use indicatif::ProgressBar;
use rand::RngExt;
use serde::Serialize;

use crate::cost::{Cost, Meter};
use crate::fleet::{Fleet, START, STEP};
use crate::lookups::{Lookups, Tally};
use crate::spread::spread;

/// Networks of so many Grapes and more are run on several threads: with fewer, those would wait
/// longer for each other than they work …
const MANY: usize = 1000;
/// … on so many, on any machine: with another number the figures differ.
const THREADS: usize = 2;
/// One way, where links are steady.
const LATENCY: Duration = Duration::from_millis(1);
/// One way, while Grapes come and go: datagrams overtake each other.
const UNSTEADY: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_millis(5);
/// Datagrams lost while Grapes come and go.
const LOSS: f64 = 0.05;
/// The share of Grapes that come and go in a minute.
const CHURN: f64 = 0.05;
/// Two pods or more could share a Grape's cache: so many fresh lookups for each Grape at most.
const LOOKUPS_A_GRAPE: usize = 10;
/// Lookups that are asked again each second under churn.
const HOT: usize = 100;
/// How often each peer of the name that all announce is to be seen.
const EXPECTED: usize = 20;

/// After all have joined; after services announced themselves; after links are steady again.
const SETTLE: Duration = Duration::from_secs(10);
/// One round of announces stored again, which is due when a third of their time is over.
const REST: Duration = Duration::from_secs(40);
/// The lookups without churn are spread over this.
const LOOKUPS: Duration = Duration::from_secs(20);

/// A phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Phase {
    Rest,
    Lookups,
    Churn,
    OneName,
}

/// What is to be simulated.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) grapes: usize,
    /// Each has 20 pods.
    pub(super) services: usize,
    /// Whether their names begin alike, and have the same holders.
    pub(super) names_alike: bool,
    pub(super) seed: u64,
    /// Lookups without churn, and as many with, if there are Grapes enough.
    pub(super) lookups: usize,
    /// How long Grapes come and go.
    pub(super) churn: Duration,
    /// Run in the order of the phases, not of this list.
    pub(super) phases: Vec<Phase>,
}

impl Plan {
    fn has(&self, phase: Phase) -> bool {
        self.phases.contains(&phase)
    }

    /// How much virtual time it all takes, in steps.
    pub(super) fn steps(&self) -> u64 {
        let phases = [
            (Phase::Rest, REST),
            (Phase::Lookups, LOOKUPS),
            (Phase::Churn, self.churn + SETTLE),
            (Phase::OneName, 2 * SETTLE + LOOKUPS),
        ];
        let phases = phases.into_iter().filter(|(phase, _)| self.has(*phase));
        let all = START + 3 * SETTLE + phases.map(|(_, time)| time).sum::<Duration>();
        (all.as_millis() / STEP.as_millis()) as u64
    }
}

/// What came of a phase: the same each time from the same seed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    pub(super) grapes: usize,
    pub(super) phase: &'static str,
    pub(super) lookups: u64,
    pub(super) unanswered: u64,
    /// Answers in which a peer was missing that was to be there.
    pub(super) incomplete: u64,
    /// Of the peers that were to be in the answers, those that were.
    pub(super) found_percent: Option<f64>,
    /// Of the peers in the answers, those that had been dead for longer than five seconds.
    pub(super) dead_percent: Option<f64>,
    /// Queries of a lookup that was not answered from memory.
    pub(super) queries: Option<f64>,
    /// What such a lookup took, in milliseconds.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// The same in round trips, one after the other: hops. Known where links are steady.
    pub(super) hops: Option<f64>,
    /// Packets that a Grape sent in a second.
    pub(super) packets: f64,
    /// Chi-square by its degrees of freedom, where answers are a choice of peers.
    pub(super) chi_square: Option<f64>,
    /// How likely even answers are to look as uneven as that.
    pub(super) p: Option<f64>,
}

/// The phase, for the table's readers and the code's.
pub(super) const JOIN_PHASE: &str = "join";
pub(super) const REST_PHASE: &str = "rest";
pub(super) const LOOKUPS_PHASE: &str = "lookups";
pub(super) const CHURN_PHASE: &str = "churn";
pub(super) const HOT_PHASE: &str = "churn, hot";
pub(super) const POPULAR_PHASE: &str = "one name";

/// A run of the phases.
struct Run<'a, T> {
    fleet: Fleet,
    first: Meter,
    progress: &'a ProgressBar,
    /// Called with the result of each phase.
    tell: T,
}

/// Runs the phases, and reports the result and the cost of each.
///
/// # Errors
/// Where the process' own figures cannot be read, or `tell` has one.
pub(super) fn run(
    plan: &Plan,
    progress: &ProgressBar,
    tell: impl FnMut(Vec<Figures>, Cost) -> Result<()>,
) -> Result<()> {
    let first = Meter::read()?;
    let threads = if plan.grapes < MANY { 1 } else { THREADS };
    let fleet = Fleet::new(plan, Link::steady(LATENCY), threads, progress.clone());
    let mut run = Run { fleet, first, progress, tell };
    run.phase(JOIN_PHASE, |fleet| {
        fleet.start(plan.grapes);
        fleet.run(SETTLE);
        fleet.deploy(plan.services);
        fleet.run(2 * SETTLE);
        Ok(Vec::new())
    })?;
    if plan.has(Phase::Rest) {
        run.phase(REST_PHASE, |fleet| {
            fleet.run(REST);
            Ok(vec![Figures::default()])
        })?;
    }
    if plan.has(Phase::Lookups) {
        run.phase(LOOKUPS_PHASE, |fleet| Ok(vec![lookups(fleet, plan)]))?;
    }
    if plan.has(Phase::Churn) {
        run.phase(CHURN_PHASE, |fleet| Ok(churn(fleet, plan)))?;
    }
    if plan.has(Phase::OneName) {
        run.fleet.run(SETTLE);
        let popular = run.fleet.deploy_everywhere();
        run.fleet.run(SETTLE);
        run.phase(POPULAR_PHASE, |fleet| Ok(vec![one_name(fleet, popular)?]))?;
    }
    Ok(())
}

impl<T: FnMut(Vec<Figures>, Cost) -> Result<()>> Run<'_, T> {
    fn phase(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&mut Fleet) -> Result<Vec<Figures>>,
    ) -> Result<()> {
        self.progress.set_message(name);
        let (meter, began) = (Meter::read()?, self.fleet.network.now());
        let sent = self.fleet.network.sent();
        let mut figures = act(&mut self.fleet)?;
        let passed = self.fleet.network.now() - began;
        let (all, living) = (self.fleet.network.len(), self.fleet.living.len());
        let sent = (self.fleet.network.sent() - sent) as f64;
        let packets = sent / passed.as_secs_f64() / living as f64;
        for figures in &mut figures {
            if figures.phase.is_empty() {
                figures.phase = name;
            }
            (figures.grapes, figures.packets) = (living, rounded(packets));
        }
        (self.tell)(figures, meter.since(&self.first, name, (all, living), passed)?)
    }
}

/// Names looked up at random Grapes.
fn lookups(fleet: &mut Fleet, plan: &Plan) -> Figures {
    let mut lookups = Lookups::default();
    let count = plan.lookups.min(plan.grapes * LOOKUPS_A_GRAPE);
    spread_over(fleet, &mut lookups, LOOKUPS, count, random);
    let tally = lookups.end(fleet);
    let round_trips =
        tally.times.iter().map(|time| time.as_secs_f64() / (2.0 * LATENCY.as_secs_f64()));
    let hops = round_trips.sum::<f64>() / tally.times.len() as f64;
    Figures { hops: Some(rounded(hops)), ..figures(&tally) }
}

/// The same while Grapes come and go, and some names looked up again and again.
fn churn(fleet: &mut Fleet, plan: &Plan) -> Vec<Figures> {
    fleet.network.set_link(Link { latency: UNSTEADY, loss: LOSS, duplicates: 0.0 });
    fleet.set_churn(Some(CHURN));
    let mut hot: Vec<_> = (0..HOT).map(|_| random(fleet)).collect();
    let (mut fresh, mut again) = (Lookups::default(), Lookups::default());
    let steps = (plan.churn.as_millis() / STEP.as_millis()) as usize;
    let count = plan.lookups.min(plan.grapes * LOOKUPS_A_GRAPE);
    let turns = (1000 / STEP.as_millis()) as usize;
    for step in 0..steps {
        for _ in count * step / steps..count * (step + 1) / steps {
            let (asker, service) = random(fleet);
            fresh.start(fleet, asker, service);
        }
        for pair in hot.iter_mut().skip(step % turns).step_by(turns) {
            // Where an asker died, another takes its place.
            if fleet.network.act(pair.0, |_, _| ()).is_none() {
                *pair = random(fleet);
            }
            again.start(fleet, pair.0, pair.1);
        }
        fleet.step();
        fresh.collect(fleet);
        again.collect(fleet);
    }
    fleet.set_churn(None);
    fleet.network.set_link(Link::steady(LATENCY));
    fleet.run(SETTLE);
    fresh.collect(fleet);
    again.collect(fleet);
    let (fresh, again) = (fresh.end(fleet), again.end(fleet));
    vec![figures(&fresh), Figures { phase: HOT_PHASE, ..figures(&again) }]
}

/// A name that all Grapes announce, looked up at many of them.
fn one_name(fleet: &mut Fleet, service: usize) -> Result<Figures> {
    let peers = fleet.living.len();
    let each = MAX_PEERS.min(peers);
    let mut lookups = Lookups::with_answers();
    let askers = fleet.living.clone();
    let mut asker = askers.iter().cycle();
    let count = (EXPECTED * peers).div_ceil(each).max(askers.len().min(MAX_PEERS));
    spread_over(fleet, &mut lookups, LOOKUPS, count, |_| {
        (asker.next().copied().unwrap_or_default(), service)
    });
    let mut tally = lookups.end(fleet);
    let mut shown: HashMap<_, u32> =
        fleet.services[service].pods.iter().map(|pod| (pod.addr, 0)).collect();
    for peer in tally.answers.take().context("answers that were kept")? {
        *shown.get_mut(&peer).with_context(|| format!("{peer} was never announced"))? += 1;
    }
    let mut shown: Vec<u32> = shown.into_values().collect();
    // Sums of fractions depend on their order.
    shown.sort_unstable();
    // Where an answer has all peers, there is nothing to spread.
    let spread = match peers > 2 * each {
        true => Some(spread(&shown, each as f64)?),
        false => None,
    };
    Ok(Figures {
        chi_square: spread.map(|spread| rounded(spread.statistic)),
        p: spread.map(|spread| spread.p),
        ..figures(&tally)
    })
}

fn random(fleet: &mut Fleet) -> (usize, usize) {
    let asker = fleet.some_living();
    (asker, fleet.rng.random_range(0..fleet.services.len()))
}

fn spread_over(
    fleet: &mut Fleet,
    lookups: &mut Lookups,
    time: Duration,
    count: usize,
    mut which: impl FnMut(&mut Fleet) -> (usize, usize),
) {
    let steps = (time.as_millis() / STEP.as_millis()) as usize;
    for step in 0..steps {
        for _ in count * step / steps..count * (step + 1) / steps {
            let (asker, service) = which(fleet);
            lookups.start(fleet, asker, service);
        }
        fleet.step();
        lookups.collect(fleet);
    }
}

fn figures(tally: &Tally) -> Figures {
    let mut times = tally.times.clone();
    times.sort_unstable();
    let quantile = |share: f64| {
        let at = (times.len() as f64 * share) as usize;
        times.get(at.min(times.len().saturating_sub(1))).map(|t| rounded(t.as_secs_f64() * 1000.0))
    };
    let share = |part: u64, whole: u64| (whole > 0).then(|| 100.0 * part as f64 / whole as f64);
    Figures {
        lookups: tally.answered + tally.unanswered,
        unanswered: tally.unanswered,
        incomplete: tally.incomplete,
        found_percent: share(tally.found, tally.expected),
        dead_percent: share(tally.dead, tally.shown),
        queries: (!times.is_empty()).then(|| rounded(tally.queries as f64 / times.len() as f64)),
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
        ..Figures::default()
    }
}

/// To a hundredth.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}
