//! The plot: for each row a group of bars, each peer's time relative to ours, on a scale of powers of two.

use crate::table::{Table, short};
use std::fmt::Write;

const LEFT: f64 = 330.0;
const WIDTH: f64 = 460.0;
const BAR: f64 = 9.0;
const GAP: f64 = 14.0;
/// Ratios shown: from an eighth to sixteen times.
const LEAST: f64 = -3.0;
const MOST: f64 = 4.0;
const COLOURS: [&str; 9] = [
    "#1f4e79", "#4f86c6", "#00add8", "#7a7a7a", "#a8a8a8", "#c77f2a", "#e6b067", "#7b4fa3",
    "#5d9e5d",
];

/// A picture of `table`.
pub fn svg(table: &Table) -> String {
    let mut body = String::new();
    let mut y = 60.0;
    for row in &table.rows {
        let Some((ours, ..)) = row.ours_and_best(&table.peers) else { continue };
        let top = y;
        for (i, cell) in row.cells.iter().enumerate() {
            let Some(median) = cell.median().filter(|median| *median > 0.0) else { continue };
            let x = at(median / ours);
            let (from, to) = if x < at(1.0) { (x, at(1.0)) } else { (at(1.0), x) };
            let _ = writeln!(
                body,
                r#"<rect x="{from:.1}" y="{y:.1}" width="{:.1}" height="{BAR}" fill="{}"/><text x="{:.1}" y="{:.1}" font-size="8">{}</text>"#,
                (to - from).max(1.0),
                COLOURS[i % COLOURS.len()],
                to + 3.0,
                y + BAR - 1.5,
                short(median),
            );
            y += BAR + 1.0;
        }
        let _ = writeln!(
            body,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{}, {} P ({})</text>"#,
            LEFT - 8.0,
            f64::midpoint(top, y) + 3.0,
            row.workload.what,
            row.processors,
            row.workload.unit,
        );
        y += GAP;
    }
    let mut legend = String::new();
    for (i, peer) in table.peers.iter().enumerate() {
        let x = 10.0 + i as f64 * 92.0;
        let colour = COLOURS[i % COLOURS.len()];
        let _ = writeln!(
            legend,
            r#"<rect x="{x:.1}" y="10" width="9" height="9" fill="{colour}"/><text x="{:.1}" y="18" font-size="9">{peer}</text>"#,
            x + 12.0
        );
    }
    let mut scale = String::new();
    for power in LEAST as i32..=MOST as i32 {
        let x = at(2f64.powi(power));
        let label =
            if power < 0 { format!("1/{}", 1 << -power) } else { format!("{}", 1 << power) };
        let _ = writeln!(
            scale,
            r##"<line x1="{x:.1}" y1="48" x2="{x:.1}" y2="{y:.1}" stroke="#ddd"/><text x="{x:.1}" y="44" text-anchor="middle" font-size="9">{label}×</text>"##
        );
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{:.0}" font-family="sans-serif" font-size="10">
<rect width="100%" height="100%" fill="white"/>
{legend}<text x="{LEFT}" y="32" font-size="9">time relative to selvedge: to the right of 1× is slower</text>
{scale}{body}</svg>
"##,
        y + 10.0
    )
}

fn at(ratio: f64) -> f64 {
    LEFT + (ratio.log2().clamp(LEAST, MOST) - LEAST) / (MOST - LEAST) * WIDTH
}
