//! The table of all that was measured: prints it, and writes it as Markdown and as plots.
//!
//! `cargo run --profile bench -p grape-tests --bin report`, once the programs that measure have run.
//!
//! | file | |
//! |---|---|
//! | `bars.rs` | figures as horizontal bars, in SVG |
//! | `pictures.rs` | which rows are shown, and how |

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

mod bars;
mod pictures;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use grape_tests::results::{self, Row, table};

const USAGE: &str = "usage: report [FOLDER], where the Markdown and the plots go; docs/figures";

/// The rows of all result files, in the order of the files' names.
fn all(folder: &Path) -> Result<Vec<Row>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<_> =
        files.into_iter().filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    ensure!(!files.is_empty(), "nothing was measured: {} has no results", folder.display());
    files
        .iter()
        .map(|file| results::read(file))
        .collect::<Result<Vec<_>>>()
        .map(|rows| rows.concat())
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    ensure!(arguments.len() <= 1, "{USAGE}");
    let figures = arguments.first().map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("docs").join("figures"),
        PathBuf::from,
    );
    let rows = all(&results::folder())?;
    let table = table::markdown(&rows);
    let held = rows.iter().filter(|row| row.holds()).count();
    println!("{table}\n\n{held} of {} goals are reached.", rows.len());
    fs::create_dir_all(&figures).with_context(|| format!("making {}", figures.display()))?;
    fs::write(figures.join("results.md"), format!("{table}\n"))?;
    pictures::ratios(&rows, &figures.join("ratios.svg"))?;
    pictures::memory(&rows, &figures.join("memory.svg"))?;
    eprintln!("written to {}", figures.display());
    Ok(())
}
