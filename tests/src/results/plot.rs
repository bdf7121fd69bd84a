//! Line charts as SVG.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::{
    ChartBuilder, Circle, Color, DrawingArea, IntoDrawingArea, IntoLogRange, LineSeries,
    PathElement, RGBColor, Ranged, SVGBackend, WHITE,
};

/// In pixels.
const SIZE: (u32, u32) = (720, 420);
/// Colours that colour-blind readers can distinguish (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
];

/// A chart of lines.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// Above it.
    pub title: &'a str,
    /// What is to the right, with its unit.
    pub x: &'a str,
    /// What is upwards, with its unit, from 0.
    pub y: &'a str,
    /// Whether equal steps to the right are equal factors; all must be above 0 then.
    pub log_x: bool,
    /// The lines, five at most.
    pub lines: Vec<Line<'a>>,
}

/// A line of a chart.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// What it is of.
    pub label: &'a str,
    /// Its points, from the left to the right.
    pub points: Vec<(f64, f64)>,
}

/// Draws a chart as SVG.
///
/// # Errors
/// When there is no point, a point cannot be drawn, or the file cannot be written.
pub fn line_chart(file: &Path, chart: &Chart<'_>) -> Result<()> {
    let points = || chart.lines.iter().flat_map(|line| &line.points);
    ensure!(points().next().is_some(), "a chart without points: {}", chart.title);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        points().map(of).fold((f64::INFINITY, 0f64), |(least, most), v| (least.min(v), most.max(v)))
    };
    let ((left, right), (_, top)) = (bounds(|point| point.0), bounds(|point| point.1));
    let (x, y) = (left..right.max(left * 1.01 + f64::EPSILON), 0.0..top * 1.1 + f64::EPSILON);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        match chart.log_x {
            true => {
                ensure!(left > 0.0, "a logarithm of {left}: {}", chart.title);
                draw(&area, chart, x.log_scale(), y)
            }
            false => draw(&area, chart, x, y),
        }
        .with_context(|| format!("drawing {}", file.display()))?;
    }
    std::fs::write(file, svg).with_context(|| format!("writing {}", file.display()))
}

fn draw<'a, X>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    chart: &Chart<'_>,
    x: X,
    y: Range<f64>,
) -> Result<()>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    area.fill(&WHITE)?;
    let mut drawn = ChartBuilder::on(area)
        .caption(chart.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)?;
    drawn.configure_mesh().x_desc(chart.x).y_desc(chart.y).draw()?;
    for (line, colour) in chart.lines.iter().zip(COLOURS.iter().cycle()) {
        drawn
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))?
            .label(line.label)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        let dots = line.points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
        drawn.draw_series(dots)?;
    }
    drawn
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(COLOURS[0])
        .draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_a_title() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = vec![Line { label: "hops", points: vec![(100.0, 2.0), (1000.0, 3.0)] }];
        let mut chart = Chart { title: "Lookups", x: "Grapes", y: "mean", log_x: true, lines };
        line_chart(file.path(), &chart).unwrap();
        let svg = std::fs::read_to_string(file.path()).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("<polyline"), "{svg}");
        for text in ["Lookups", "Grapes", "mean", "hops"] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        chart.lines[0].points.clear();
        assert!(line_chart(file.path(), &chart).is_err());
    }
}
