//! An attack, what must hold under it, and what was measured.

use anyhow::{Error, Result};
use futures_util::future::LocalBoxFuture;
use tokio::time::{Duration, Instant, timeout};

use crate::site::Ground;

/// Far beyond what any of them takes.
const LONGEST: Duration = Duration::from_secs(120);

/// How an attack is carried out.
pub(crate) type Run = fn(Ground) -> LocalBoxFuture<'static, Result<Outcome>>;

/// An attack.
pub(crate) struct Attack {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) title: &'static str,
    /// How.
    pub(crate) run: Run,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// At what rate, for how long.
    pub(crate) dose: String,
    /// What must hold, each with what was measured.
    pub(crate) findings: Vec<Finding>,
}

/// One thing that must hold.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) must: String,
    pub(crate) measured: String,
    pub(crate) holds: bool,
    /// It depends on how fast the machine is.
    pub(crate) timed: bool,
}

impl Outcome {
    pub(crate) fn new(dose: impl Into<String>) -> Self {
        Self { dose: dose.into(), findings: Vec::new() }
    }

    /// Something that holds on a machine of any speed.
    pub(crate) fn must(&mut self, must: impl Into<String>, measured: String, holds: bool) {
        self.findings.push(Finding { must: must.into(), measured, holds, timed: false });
    }

    /// Something that the short form does not assert.
    pub(crate) fn must_soon(&mut self, must: impl Into<String>, measured: String, holds: bool) {
        self.findings.push(Finding { must: must.into(), measured, holds, timed: true });
    }
}

/// A line of the table.
pub(crate) struct Row {
    pub(crate) number: u8,
    pub(crate) attack: Attack,
    pub(crate) outcome: Result<Outcome>,
    /// Seconds.
    pub(crate) took: f64,
}

impl Row {
    /// Carries out an attack.
    pub(crate) async fn of(attack: Attack, ground: Ground) -> Self {
        let begun = Instant::now();
        let outcome = timeout(LONGEST, (attack.run)(ground)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::msg("it did not end in two minutes")));
        let took = begun.elapsed().as_secs_f64();
        Self { number: ground.number, attack, outcome, took }
    }

    fn violated(&self, short: bool) -> Vec<&Finding> {
        let findings = self.outcome.iter().flat_map(|outcome| &outcome.findings);
        findings.filter(|each| !(each.holds || short && each.timed)).collect()
    }

    /// Whether something does not hold that this form asserts.
    pub(crate) fn fails(&self, short: bool) -> bool {
        self.outcome.is_err() || !self.violated(short).is_empty()
    }

    /// What does not hold.
    pub(crate) fn why(&self) -> String {
        match &self.outcome {
            Err(error) => format!("not carried out: {error:#}"),
            Ok(_) => {
                let each = self.violated(false).into_iter();
                let each = each.map(|it| format!("{}: {}", it.must, it.measured));
                each.collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// One line for who watches.
    pub(crate) fn summary(&self, short: bool) -> String {
        if self.fails(short) { format!("NO: {}", self.why()) } else { "holds".to_owned() }
    }
}
