//! Which rows are shown as bars.

use std::path::Path;

use anyhow::Result;
use grape_tests::results::{Row, table};
use plotters::style::RGBColor;

use crate::bars::{self, Bar, Scale};

const HELD: RGBColor = RGBColor(0x2d, 0xa4, 0x4e);
const SHORT: RGBColor = RGBColor(0xd4, 0x76, 0x1f);
const NPM: RGBColor = RGBColor(0x8c, 0x6b, 0xb1);

/// How many times better than the npm Grape, of each row that has both figures.
pub fn ratios(rows: &[Row], file: &Path) -> Result<()> {
    let bars = rows.iter().filter_map(|row| {
        let value = row.ratio()?;
        let colour = if row.holds() { HELD } else { SHORT };
        Some(Bar { label: row.case.clone(), value, shown: table::figure(value, "×"), colour })
    });
    bars::draw(file, "Times npm's Grape (green: the goal is reached)", Scale::Log, bars.collect())
}

/// Resident memory of both.
pub fn memory(rows: &[Row], file: &Path) -> Result<()> {
    let bars = rows.iter().filter_map(|row| Some((row, row.npm.filter(|_| row.unit == "MB")?)));
    let bars = bars.flat_map(|(row, npm)| {
        [("npm", npm, NPM), ("ours", row.ours, HELD)].map(|(kind, value, colour)| Bar {
            label: format!("{}: {kind}", row.case),
            value,
            shown: table::figure(value, "MB"),
            colour,
        })
    });
    bars::draw(file, "Memory", Scale::Linear, bars.collect())
}
