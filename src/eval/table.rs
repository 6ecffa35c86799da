//! Numbers and tables as plain text.

use std::fmt::Write as _;

/// A name with its control characters shown, and cut if it is long.
fn shown_name(name: &str) -> String {
    const MOST: usize = 48;
    let plain = crate::labels::shown(name);
    if plain.chars().count() > MOST { plain.chars().take(MOST - 1).chain(['…']).collect() } else { plain }
}

/// Formats a number for people: `0.742`, or `-` if there was nothing to measure.
#[must_use]
pub fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.3}"))
}

/// Formats a table as plain text: the first column left-aligned, the others right-aligned. Long names are cut.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| shown_name(cell)).collect()).collect();
    let head: Vec<String> = head.iter().map(|cell| shown_name(cell)).collect();
    let wide = |at: usize| rows.iter().chain([&head]).map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> =
            cells.map(|(at, (cell, &w))| if at == 0 { format!("{cell:w$}") } else { format!("{cell:>w$}") }).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}
