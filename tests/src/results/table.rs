//! Rows as a table, for a terminal and for Markdown alike.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::{Goal, Row};

/// The table of these rows, as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["case", "npm", "ours", "goal", "ratio", ""]);
    for row in rows {
        table.add_row([
            row.case.clone(),
            row.npm.map(|npm| figure(npm, &row.unit)).unwrap_or_default(),
            figure(row.ours, &row.unit),
            goal(row),
            row.ratio().map(|ratio| figure(ratio, "×")).unwrap_or_default(),
            if row.holds() { "pass" } else { "short" }.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// A figure with its unit, in three digits or, of large ones, whole.
pub fn figure(figure: f64, unit: &str) -> String {
    let digits = match figure.abs() {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{figure:.digits$} {unit}").trim_end().to_owned()
}

fn goal(row: &Row) -> String {
    match row.goal {
        Goal::TimesNpm(times) => format!("≥ {times} × npm"),
        Goal::AtLeast(bound) => format!("≥ {bound} {}", row.unit).trim_end().to_owned(),
        Goal::AtMost(bound) => format!("≤ {bound} {}", row.unit).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_printed_with_their_values() {
        let row = |case: &str, npm, ours, unit: &str, goal| Row {
            case: case.to_owned(),
            npm,
            ours,
            unit: unit.to_owned(),
            goal,
        };
        let rows = [
            row("lookup", Some(25_483.2), 101_932.8, "/s", Goal::TimesNpm(4.5)),
            row("memory", Some(54.0), 4.876, "MB", Goal::AtMost(6.0)),
            row("share", None, 86.04, "%", Goal::AtLeast(85.0)),
        ];
        let expected = "\
| case   |      npm |      ours |        goal |  ratio |       |
|--------|----------|-----------|-------------|--------|-------|
| lookup | 25483 /s | 101933 /s | ≥ 4.5 × npm | 4.00 × | short |
| memory |  54.0 MB |   4.88 MB |      ≤ 6 MB | 11.1 × | pass  |
| share  |          |    86.0 % |      ≥ 85 % |        | pass  |";
        assert_eq!(markdown(&rows), expected);
    }
}
