//! Figures as horizontal bars, in SVG. No background, and a grey that is read on white and on black.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use plotters::prelude::{
    Color, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor, Rectangle, SVGBackend,
    Text, TextStyle,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Its contrast is 4.5 on white and on near-black 4.1.
const GREY: RGBColor = RGBColor(0x76, 0x76, 0x76);

// In pixels.
const WIDTH: i32 = 960;
const LABELS: i32 = 440;
const FIGURES: i32 = 90;
const ROW: i32 = 26;
const BAR: i32 = 16;
const TITLE: i32 = 36;
const AXIS: i32 = 24;

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// The figure at its end.
    pub shown: String,
    /// Its colour.
    pub colour: RGBColor,
}

/// How long a bar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In proportion to its value.
    Linear,
    /// To the value's logarithm: 1, and all below, has no length.
    Log,
}

impl Scale {
    fn length(self, value: f64) -> f64 {
        match self {
            Self::Linear => value.max(0.0),
            Self::Log => value.max(1.0).log10(),
        }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws bars below each other into a file.
///
/// # Errors
/// When there are none, or the file cannot be written.
pub fn draw(file: &Path, title: &str, scale: Scale, bars: Vec<Bar>) -> Result<()> {
    ensure!(!bars.is_empty(), "no rows for {}", file.display());
    let rows = i32::try_from(bars.len())?;
    let size = (WIDTH.unsigned_abs(), (TITLE + rows * ROW + AXIS).unsigned_abs());
    let area = SVGBackend::new(file, size).into_drawing_area();
    let longest = bars.iter().map(|bar| scale.length(bar.value)).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LABELS + (f64::from(WIDTH - LABELS - FIGURES) * value / longest) as i32;
    let drawn = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        text(&area, title, (LABELS, TITLE / 2), HPos::Left, 20)?;
        if scale == Scale::Log {
            for decade in 0..=longest as i32 {
                let (at, end) = (x(f64::from(decade)), TITLE + rows * ROW);
                area.draw(&PathElement::new([(at, TITLE - 4), (at, end)], GREY.mix(0.35)))?;
                let label = 10f64.powi(decade).to_string();
                text(&area, &label, (at, end + AXIS / 2), HPos::Center, 15)?;
            }
        }
        for (bar, top) in bars.iter().zip((TITLE..).step_by(ROW.unsigned_abs() as usize)) {
            let (middle, end) = (top + ROW / 2, x(scale.length(bar.value)).max(LABELS + 1));
            let corners = [(LABELS, middle - BAR / 2), (end, middle + BAR / 2)];
            area.draw(&Rectangle::new(corners, bar.colour.filled()))?;
            text(&area, &bar.label, (LABELS - 8, middle), HPos::Right, 16)?;
            text(&area, &bar.shown, (end + 6, middle), HPos::Left, 16)?;
        }
        area.present()?;
        Ok(())
    };
    drawn().map_err(|error| anyhow!("drawing {}: {error}", file.display()))
}

/// Writes a text beside or around a point. The library makes `size` four fifths of it in pixels.
fn text(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    size: i32,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let style = TextStyle::from(("sans-serif", size).into_font())
        .color(&GREY)
        .pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}
