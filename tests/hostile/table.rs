//! The table of attacks, for a terminal and for the docs.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::Result;

use crate::attack::Row;

/// What stands above the table of the docs.
const HEAD: &str = "# Attacks, and what held\n\n\
    Each line is an attack on a Grape that is used by others meanwhile: every 10 ms a lookup of a name that it\n\
    knows (hot), every 50 ms one of a name that it has to look up (cold), every 200 ms an announce that is then\n\
    looked up at another Grape. An answer is right if the announced address is in it, and came within 5 s.\n\
    Memory is the most that one of the Grapes had resident. [The threat model](threat-model.md) has the bounds\n\
    by number. `tests/hostile/run` makes this page; `tests/hostile/` has each attack.\n\n";

/// Prints a line. A closed standard output is ignored.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints what was measured.
pub(crate) fn show(rows: &[Row], short: bool) {
    for row in rows {
        say(&format!("\n{}: {}", row.attack.name, row.attack.title));
        match &row.outcome {
            Err(error) => say(&format!("  not carried out: {error:#}")),
            Ok(outcome) => {
                say(&format!("  {}", outcome.dose));
                for each in outcome.findings.iter().filter(|each| !(short && each.timed)) {
                    let holds = if each.holds { "yes" } else { "NO " };
                    say(&format!("  {holds} {}: {}", each.must, each.measured));
                }
            }
        }
    }
    let holding = rows.iter().filter(|row| !row.fails(short)).count();
    say(&format!("\n{holding} of {} attacks were withstood", rows.len()));
}

/// Writes the page of the docs.
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let cores = available_parallelism()?;
    let mut page = HEAD.to_owned();
    page.push_str(&format!(
        "Measured on {cores} cores, which the Grapes, the attacker and the honest clients shared, with the\n\
         release build of version {}. Figures are those of one run; what does not hold is in bold.\n\n",
        env!("CARGO_PKG_VERSION")
    ));
    page.push_str(
        "| attack | rate and time | what must hold | measured | holds |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let (dose, must, measured, holds) = match &row.outcome {
            Err(error) => (String::new(), String::new(), cell(&format!("{error:#}")), "not run"),
            Ok(outcome) => {
                let list = |of: &dyn Fn(&crate::attack::Finding) -> String| {
                    outcome.findings.iter().map(of).collect::<Vec<_>>().join("<br>")
                };
                let marked = |it: &crate::attack::Finding| {
                    let measured = cell(&it.measured);
                    if it.holds { measured } else { format!("**{measured}**") }
                };
                let holds = if row.fails(false) { "**no**" } else { "yes" };
                let must = list(&|it| cell(&it.must));
                (cell(&outcome.dose), must, list(&marked), holds)
            }
        };
        let title = cell(row.attack.title);
        let name = row.attack.name;
        page.push_str(&format!("| `{name}`: {title} | {dose} | {must} | {measured} | {holds} |\n"));
    }
    fs::write(path, page)?;
    Ok(())
}

/// A text without what would end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
