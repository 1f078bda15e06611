//! Charts as SVG in a figure, each with its numbers in a table beside it.
mod axis;
mod bars;
mod histogram;
mod lines;
mod scatter;

pub(super) use bars::{Bar, Bars};
pub(super) use histogram::Magnitudes;
pub(super) use lines::{Line, Lines};
pub(super) use scatter::{Point, Scatter};

use super::html::{Esc, Html, put};
use super::number::Unit;
use axis::Axis;

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// What the chart is about.
    Accent,
    /// What it is compared with.
    Quiet,
    /// What another one hides where the two agree.
    Under,
    /// One of several of equal weight, from 0.
    Nth(usize),
}

impl Look {
    /// Classes of a line.
    fn line(self) -> String {
        match self {
            Self::Accent => "line s1".to_owned(),
            Self::Quiet => "line quiet thin".to_owned(),
            Self::Under => "line quiet under".to_owned(),
            Self::Nth(at) => format!("line s{} d{}", at % 6 + 1, (at % 6 + 1 + at / 6) % 6),
        }
    }

    /// Class of a shape that is filled.
    fn fill(self) -> String {
        match self {
            Self::Accent => "f1".to_owned(),
            Self::Quiet | Self::Under => "fill-quiet".to_owned(),
            Self::Nth(at) => format!("f{}", at % 6 + 1),
        }
    }

    /// Class of its name.
    fn text(self) -> String {
        match self {
            Self::Accent => "t1".to_owned(),
            Self::Quiet | Self::Under => "quiet-name".to_owned(),
            Self::Nth(at) => format!("t{}", at % 6 + 1),
        }
    }
}

/// Opens a figure with its caption; what is under the title is a line of its own.
fn figure(html: &mut Html, title: &str, note: &str, fill: impl FnOnce(&mut Html)) {
    put!(html, "<figure>\n<figcaption>{}", Esc(title));
    if !note.is_empty() {
        put!(html, "<span>{}</span>", Esc(note));
    }
    put!(html, "</figcaption>\n");
    fill(html);
    put!(html, "</figure>\n");
}

/// A picture that readers of screens hear as its title and what it shows.
fn svg(
    html: &mut Html,
    (width, height): (f64, f64),
    title: &str,
    what: &str,
    fill: impl FnOnce(&mut Html),
) {
    let id = html.id();
    put!(html, "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" ");
    put!(html, "aria-labelledby=\"t{id} d{id}\">\n<title id=\"t{id}\">{}</title>", Esc(title));
    put!(html, "<desc id=\"d{id}\">{}</desc>\n", Esc(what));
    fill(html);
    put!(html, "</svg>\n");
}

/// What stands in place of a chart without data.
fn empty(html: &mut Html, title: &str, note: &str) {
    figure(html, title, note, |html| html.p("note", "There are no values to draw."));
}

/// The place of a plot within a picture: left, right, top, bottom.
#[derive(Debug, Clone, Copy)]
struct Plot {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Plot {
    /// Grid lines of the height, the line that values stand on, and the names of both axes.
    fn axes(&self, html: &mut Html, [x, y]: [&Axis; 2], [x_name, y_name]: [&str; 2], ticks: Ticks) {
        let Self { left, right, top, bottom } = *self;
        let (values, step) = y.ticks(ticks.y, ticks.units[1] == Unit::Bytes);
        for value in values {
            let Some(at) = y.at(value) else { continue };
            put!(html, "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" ");
            put!(html, "y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
            let step = if y.log { 10f64.powf(value.log10().floor()) } else { step };
            let text = ticks.units[1].tick(value, step);
            put!(html, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">", left - 6.0, at + 4.0);
            put!(html, "{}</text>\n", Esc(&text));
        }
        put!(html, "<line class=\"axis\" x1=\"{left:.1}\" x2=\"{right:.1}\" ");
        put!(html, "y1=\"{bottom:.1}\" y2=\"{bottom:.1}\"/>\n");
        let (values, step) = x.ticks(ticks.x, ticks.units[0] == Unit::Bytes);
        for value in values {
            let Some(at) = x.at(value) else { continue };
            let step = if x.log { 10f64.powf(value.log10().floor()) } else { step };
            let text = ticks.units[0].tick(value, step);
            let (y, end) = (bottom + 17.0, if at > right - 8.0 { "end" } else { "middle" });
            put!(html, "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" ");
            put!(html, "y1=\"{bottom:.1}\" y2=\"{:.1}\"/>", bottom + 4.0);
            put!(html, "<text x=\"{at:.1}\" y=\"{y:.1}\" text-anchor=\"{end}\">");
            put!(html, "{}</text>\n", Esc(&text));
        }
        let middle = (left + right) / 2.0;
        put!(html, "<text class=\"name\" x=\"{middle:.1}\" y=\"{:.1}\" ", bottom + 34.0);
        put!(html, "text-anchor=\"middle\">{}</text>", Esc(x_name));
        let y_name = if y.log { format!("{y_name} (log)") } else { y_name.to_owned() };
        put!(
            html,
            "<text class=\"name\" x=\"2\" y=\"{:.1}\">{}</text>\n",
            top - 15.0,
            Esc(&y_name)
        );
    }
}

/// How many ticks the axes have, and what they count.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    x: usize,
    y: usize,
    units: [Unit; 2],
}

/// Room that a text of 13 pixels takes, roughly.
fn room(text: &str) -> f64 {
    text.chars().count() as f64 * 7.3
}

/// The text within some characters.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    // Names of layers differ at their ends.
    let ends: Vec<char> = text.chars().collect();
    let (head, tail) = (most / 3, most - most / 3 - 1);
    let parts = [&ends[..head], &['\u{2026}'], &ends[ends.len() - tail..]];
    parts.concat().into_iter().collect()
}

/// Heights at least `apart` and within `range` where they fit, in the order of `wanted`.
fn spread(wanted: &[f64], apart: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut heights = wanted.to_vec();
    let mut free = top;
    for &at in &order {
        heights[at] = heights[at].max(free);
        free = heights[at] + apart;
    }
    let mut free = bottom;
    for &at in order.iter().rev() {
        heights[at] = heights[at].min(free);
        free = heights[at] - apart;
    }
    heights
}
