//! What came of it all: tables, CSV, plots, and the rows beside their goals.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use grape_tests::results::plot::{Chart, Line, line_chart};
use grape_tests::results::{Goal, Row};
use serde::Serialize;

use crate::cost::Cost;
use crate::phases::{CHURN_PHASE, Figures, HOT_PHASE, LOOKUPS_PHASE, POPULAR_PHASE, REST_PHASE};

/// Even answers look uneven as seldom as this.
const LEAST_P: f64 = 0.001;

/// What came of the phases, for people.
pub(super) fn table(figures: &[Figures]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "Grapes",
        "phase",
        "lookups",
        "unanswered",
        "peers found",
        "dead shown",
        "queries",
        "hops",
        "p50 ms",
        "p99 ms",
        "packets/s",
        "chi²/df",
        "p",
    ]);
    for of in figures {
        let text = |figure: Option<f64>, digits: usize| {
            figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
        };
        let percent = |share: Option<f64>| share.map_or_else(String::new, |s| format!("{s:.3} %"));
        table.add_row([
            of.grapes.to_string(),
            of.phase.to_owned(),
            of.lookups.to_string(),
            of.unanswered.to_string(),
            percent(of.found_percent),
            percent(of.dead_percent),
            text(of.queries, 1),
            text(of.hops, 2),
            text(of.p50_ms, 1),
            text(of.p99_ms, 1),
            text(Some(of.packets), 1),
            text(of.chi_square, 3),
            text(of.p, 3),
        ]);
    }
    table
}

/// What the phases cost, for people.
pub(super) fn costs(costs: &[Cost]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "Grapes",
        "phase",
        "virtual s",
        "wall s",
        "CPU s",
        "% of a core a Grape",
        "resident MB",
        "kB a Grape",
    ]);
    for of in costs {
        table.add_row([
            of.grapes.to_string(),
            of.phase.to_owned(),
            format!("{:.0}", of.virtual_seconds),
            format!("{:.1}", of.wall_seconds),
            format!("{:.1}", of.cpu_seconds),
            format!("{:.4}", of.cpu_percent_a_grape),
            format!("{:.0}", of.resident_mb),
            format!("{:.0}", of.kb_a_grape),
        ]);
    }
    table
}

/// Writes a row each, under a head.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn csv(file: &Path, rows: &[impl Serialize]) -> Result<()> {
    let telling = || format!("writing {}", file.display());
    let mut writer = csv::Writer::from_path(file).with_context(telling)?;
    for row in rows {
        writer.serialize(row).with_context(telling)?;
    }
    writer.flush().with_context(telling)
}

/// Plots what a lookup takes by the number of Grapes, if anything was looked up: a straight line
/// is a logarithm.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn plot(folder: &Path, figures: &[Figures]) -> Result<()> {
    if figures.iter().all(|figures| figures.phase != LOOKUPS_PHASE) {
        return Ok(());
    }
    let line = |label, of: fn(&Figures) -> Option<f64>| {
        let fresh = figures.iter().filter(|figures| figures.phase == LOOKUPS_PHASE);
        let points = fresh.filter_map(|figures| Some((figures.grapes as f64, of(figures)?)));
        Line { label, points: points.collect() }
    };
    let chart = |title, y, line| Chart { title, x: "Grapes", y, log_x: true, lines: vec![line] };
    let queries = line("queries", |figures| figures.queries);
    let queries = chart("Queries of a lookup of a new name", "mean", queries);
    line_chart(&folder.join("simulate-queries.svg"), &queries)?;
    let hops = line("hops", |figures| figures.hops);
    let hops = chart("Hops of a lookup of a new name", "mean, in round trips", hops);
    line_chart(&folder.join("simulate-hops.svg"), &hops)
}

/// The rows of the table of goals.
pub(super) fn rows(figures: &[Figures], costs: &[Cost]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |grapes: usize, case: &str, ours: Option<f64>, unit: &str, goal: Goal| {
        if let Some(ours) = ours {
            let (case, unit) = (format!("{grapes} Grapes: {case}"), unit.to_owned());
            rows.push(Row { case, npm: None, ours, unit, goal });
        }
    };
    for of in figures {
        let (n, found) = (of.grapes, of.found_percent);
        match of.phase {
            REST_PHASE => {
                row(
                    n,
                    "packets sent at rest, with services",
                    Some(of.packets),
                    "/s",
                    Goal::AtMost(10.0),
                );
            }
            LOOKUPS_PHASE => {
                row(n, "peers found", found, "%", Goal::AtLeast(100.0));
            }
            CHURN_PHASE => {
                let case = "peers found, 5 % a minute come and go, 5 % loss";
                row(n, case, found, "%", Goal::AtLeast(99.9));
                let case = "of the peers shown, dead for over 5 s";
                row(n, case, of.dead_percent, "%", Goal::AtMost(0.1));
            }
            HOT_PHASE => {
                row(n, "the same, hot names", found, "%", Goal::AtLeast(99.9));
            }
            POPULAR_PHASE => {
                let case = "one name with as many peers, 100 returned";
                row(n, case, found, "%", Goal::AtLeast(100.0));
                let case = "how likely even answers are as uneven as its";
                row(n, case, of.p, "p", Goal::AtLeast(LEAST_P));
            }
            _ => {}
        }
    }
    for of in costs.iter().filter(|cost| cost.phase == REST_PHASE) {
        let (n, cpu) = (of.grapes, of.cpu_percent_a_grape);
        row(n, "CPU at rest, the simulator's with it", Some(cpu), "% of a core", Goal::AtMost(0.2));
        row(n, "memory a Grape", Some(of.kb_a_grape / 1000.0), "MB", Goal::AtMost(1.0));
    }
    // As log n: each tenfold adds as much as the one before, or less.
    let fresh: Vec<_> = figures.iter().filter(|of| of.phase == LOOKUPS_PHASE).collect();
    for sizes in fresh.windows(3) {
        let [small, middle, large] = sizes else { continue };
        let ratio = |from: &Figures, to: &Figures| (to.grapes as f64 / from.grapes as f64).ln();
        let growth = |of: fn(&Figures) -> Option<f64>| {
            let (small_of, middle_of, large_of) = (of(small)?, of(middle)?, of(large)?);
            let before = (middle_of - small_of) / ratio(small, middle);
            Some((large_of - middle_of) / ratio(middle, large) / before)
        };
        for (what, growth) in
            [("hops", growth(|of| of.hops)), ("queries of a lookup", growth(|of| of.queries))]
        {
            let (from, to) = (small.grapes, middle.grapes);
            let case = format!("{what}, growth by log n, times that from {from} to {to}");
            row(large.grapes, &case, growth, "×", Goal::AtMost(1.0));
        }
    }
    rows
}
