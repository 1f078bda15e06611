//! Bars beside their names, each before what it is a part of.
use super::super::html::{Esc, Html, put};
use super::super::number::Unit;
use super::{empty, figure, room, short, svg};

/// A bar.
#[derive(Debug, Clone)]
pub(in crate::report) struct Bar {
    pub(in crate::report) name: String,
    pub(in crate::report) value: f64,
    /// What it is a part of, behind it.
    pub(in crate::report) of: Option<f64>,
}

/// A chart of bars.
#[derive(Debug, Clone)]
pub(in crate::report) struct Bars {
    pub(in crate::report) title: String,
    pub(in crate::report) note: String,
    /// What the bars are, and what the ones behind them.
    pub(in crate::report) what: [String; 2],
    pub(in crate::report) unit: Unit,
    pub(in crate::report) bars: Vec<Bar>,
    /// With a table of its own; else one is beside it.
    pub(in crate::report) table: bool,
}

const WIDTH: f64 = 390.0;
const ROW: f64 = 24.0;
/// Most bars of a picture: the table has all.
const MOST: usize = 40;

impl Bars {
    pub(in crate::report) fn draw(&self, html: &mut Html) {
        let drawable = |bar: &&Bar| bar.value.is_finite() && bar.value >= 0.0;
        let bars: Vec<&Bar> = self.bars.iter().filter(drawable).take(MOST).collect();
        let longest = bars.iter().map(|b| b.of.unwrap_or(0.0).max(b.value)).fold(0.0, f64::max);
        if bars.is_empty() || longest <= 0.0 {
            return empty(html, &self.title, &self.note);
        }
        let mut note = self.note.clone();
        if let Some(left_out) = self.bars.len().checked_sub(MOST).filter(|n| *n > 0) {
            note = format!("{note} The table has {left_out} more.").trim().to_owned();
        }
        let left = bars.iter().map(|bar| room(&short(&bar.name, 22))).fold(0.0, f64::max) + 8.0;
        let said = bars.iter().map(|bar| room(&self.unit.full(bar.value))).fold(0.0, f64::max);
        let scale = (WIDTH - left - said - 10.0) / longest;
        figure(html, &self.title, &note, |html| {
            let size = (WIDTH, bars.len() as f64 * ROW + 6.0);
            svg(html, size, &self.title, &self.said(&bars), |html| {
                for (at, bar) in bars.iter().enumerate() {
                    let (top, name) = (at as f64 * ROW + 4.0, short(&bar.name, 22));
                    let (text, end) = (top + 13.0, bar.value.max(bar.of.unwrap_or(0.0)) * scale);
                    put!(
                        html,
                        "<text class=\"name\" x=\"0\" y=\"{text:.1}\">{}</text>",
                        Esc(&name)
                    );
                    for (class, value) in [("fill-wash", bar.of), ("f1", Some(bar.value))] {
                        let Some(value) = value else { continue };
                        put!(html, "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" ");
                        put!(html, "width=\"{:.1}\" height=\"17\" rx=\"2\"/>", value * scale);
                    }
                    put!(html, "<text x=\"{:.1}\" y=\"{text:.1}\">", left + end + 6.0);
                    put!(html, "{}</text>\n", Esc(&self.unit.full(bar.value)));
                }
            });
            if self.table {
                self.numbers(html);
            }
        });
    }

    fn said(&self, bars: &[&Bar]) -> String {
        let bar = |bar: &&Bar| {
            let of = bar.of.map(|of| format!(" of {}", self.unit.full(of)));
            format!("{} {}{}", bar.name, self.unit.full(bar.value), of.unwrap_or_default())
        };
        format!("{}: {}.", self.what[0], bars.iter().map(bar).collect::<Vec<_>>().join("; "))
    }

    fn numbers(&self, html: &mut Html) {
        let both = self.bars.iter().any(|bar| bar.of.is_some());
        let row = |bar: &Bar| {
            let mut row = vec![bar.name.clone(), self.unit.full(bar.value)];
            if both {
                row.push(bar.of.map_or("-".to_owned(), |of| self.unit.full(of)));
            }
            row
        };
        let rows: Vec<_> = self.bars.iter().map(row).collect();
        let head = ["part", &self.what[0], &self.what[1]];
        html.table(&self.title, &head[..if both { 3 } else { 2 }], &rows);
    }
}
