//! What a measurement came to, beside the npm Grape's figure and the goal.
//!
//! Programs that measure write a file of rows each ([`write()`]); the report reads them all
//! ([`read()`]). No figure fails a run: a row says whether it holds its goal, and how near it came.

pub mod table;

pub mod plot;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured, as the table shows it.
    pub case: String,
    /// The npm Grape's figure, where it was measured.
    pub npm: Option<f64>,
    /// Our figure.
    pub ours: f64,
    /// The unit of both: `/s`, `ms`, `MB`, `%`.
    pub unit: String,
    /// What we want of it.
    pub goal: Goal,
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Goal {
    /// So many times the npm Grape's, where more is better.
    TimesNpm(f64),
    /// That much, or more, in the row's unit.
    AtLeast(f64),
    /// That much, or less, in the row's unit.
    AtMost(f64),
}

impl Row {
    /// A row with both figures, of which less is better.
    pub fn at_most(case: &str, [npm, ours]: [f64; 2], unit: &str, bound: f64) -> Self {
        let goal = Goal::AtMost(bound);
        Self { npm: Some(npm), ..Self::alone(case.to_owned(), ours, unit, goal) }
    }

    /// A row of what npm's has no figure for.
    pub fn alone(case: String, ours: f64, unit: &str, goal: Goal) -> Self {
        Self { case, npm: None, ours, unit: unit.to_owned(), goal }
    }

    /// How many times better ours is than the npm Grape's, if that was measured.
    pub fn ratio(&self) -> Option<f64> {
        let npm = self.npm?;
        Some(match self.goal {
            Goal::TimesNpm(_) | Goal::AtLeast(_) => self.ours / npm,
            Goal::AtMost(_) => npm / self.ours,
        })
    }

    /// Whether the goal is reached. One that needs the npm Grape's figure is not without it.
    pub fn holds(&self) -> bool {
        match self.goal {
            Goal::TimesNpm(times) => self.ratio().is_some_and(|ratio| ratio >= times),
            Goal::AtLeast(bound) => self.ours >= bound,
            Goal::AtMost(bound) => self.ours <= bound,
        }
    }
}

/// Writes what the program `name` measured, for the report.
///
/// # Errors
/// When the file cannot be written.
pub fn write(name: &str, rows: &[Row]) -> Result<PathBuf> {
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let file = folder.join(format!("{name}.json"));
    fs::write(&file, serde_json::to_vec_pretty(rows)?)
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// Reads what a program wrote.
///
/// # Errors
/// When the file is not there, or holds no rows.
pub fn read(file: &Path) -> Result<Vec<Row>> {
    let text = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("rows in {}", file.display()))
}

/// Where results are: the folder of `GRAPE_RESULTS`, or `results` in the target folder.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("GRAPE_RESULTS") {
        return folder.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target"),
        PathBuf::from,
    );
    target.join("results")
}
