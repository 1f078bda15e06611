//! Curves over the steps of a run, each named at its end.
use std::collections::BTreeSet;

use super::super::html::{Esc, Html, put};
use super::super::number::{Unit, thousands};
use super::{Axis, Look, Plot, Ticks, empty, figure, room, short, spread, svg};

/// A curve.
#[derive(Debug, Clone)]
pub(in crate::report) struct Line {
    pub(in crate::report) name: String,
    /// Step and value; steps ascend.
    pub(in crate::report) points: Vec<(u64, f64)>,
    pub(in crate::report) look: Look,
    /// Values stay until the next one.
    pub(in crate::report) stays: bool,
}

impl Line {
    pub(in crate::report) fn new(name: &str, points: &[(u64, f64)], look: Look) -> Self {
        Self { name: name.to_owned(), points: points.to_vec(), look, stays: false }
    }

    /// Drawn in steps: a value stays until the next one.
    pub(in crate::report) fn stays(self) -> Self {
        Self { stays: true, ..self }
    }
}

/// A chart of curves.
#[derive(Debug, Clone)]
pub(in crate::report) struct Lines {
    title: String,
    note: String,
    y: String,
    unit: Unit,
    lines: Vec<Line>,
    zero: bool,
}

/// Width and height of the picture, and where the plot is in it.
const SIZE: (f64, f64) = (390.0, 262.0);
const LEFT: f64 = 56.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 222.0;
/// So far are names of curves apart.
const APART: f64 = 14.0;
/// A curve of fewer points shows them.
const DOTS: usize = 32;
/// Most rows of the table of all numbers.
const ROWS: usize = 60;
/// Values so far apart, all above 0, are on a logarithmic axis.
const LOG: f64 = 30.0;

impl Lines {
    /// A chart called `title` of values that are `y`, counted in `unit`.
    pub(in crate::report) fn new(title: &str, y: &str, unit: Unit, lines: Vec<Line>) -> Self {
        let lines = lines.into_iter().filter(|line| !line.points.is_empty()).collect();
        let (title, note, y) = (title.to_owned(), String::new(), y.to_owned());
        Self { title, note, y, unit, lines, zero: false }
    }

    /// With a line under the title.
    pub(in crate::report) fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// With an axis that begins at 0.
    pub(in crate::report) fn with_zero(self) -> Self {
        Self { zero: true, ..self }
    }

    pub(in crate::report) fn draw(&self, html: &mut Html) {
        let names = self.lines.iter().map(|line| room(&short(&line.name, 15)));
        let right = SIZE.0 - names.fold(12.0, |most, room| (room + 12.0).max(most));
        let plot = Plot { left: LEFT, right, top: TOP, bottom: BOTTOM };
        let Some([x, y]) = self.axes(&plot) else {
            return empty(html, &self.title, &self.note);
        };
        figure(html, &self.title, &self.note, |html| {
            svg(html, SIZE, &self.title, &self.said(), |html| {
                let units = [Unit::Count, self.unit];
                plot.axes(html, [&x, &y], ["step", &self.y], Ticks { x: 4, y: 4, units });
                self.lines.iter().for_each(|line| curve(html, line, &x, &y));
                self.names(html, &y, right);
            });
            self.table(html);
        });
    }

    fn axes(&self, plot: &Plot) -> Option<[Axis; 2]> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let values = || points().map(|(_, value)| *value).filter(|v| v.is_finite());
        let (least, most) = values().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let log = !self.zero && self.unit != Unit::Share && least > 0.0 && most > least * LOG;
        let y = Axis::around(values(), log, self.zero, (plot.bottom, plot.top))?.roomy();
        let y = if self.unit == Unit::Share && most <= 1.0 { y.at_most(1.0) } else { y };
        let steps = points().map(|(step, _)| *step as f64);
        let x = Axis::around(steps, false, false, (plot.left, plot.right))?;
        Some([x, y])
    }

    /// Names of curves where they end.
    fn names(&self, html: &mut Html, y: &Axis, right: f64) {
        let last = |line: &Line| line.points.iter().rev().find_map(|(_, value)| y.at(*value));
        let named: Vec<_> = self.lines.iter().filter_map(|l| Some((l, last(l)?))).collect();
        let wanted: Vec<f64> = named.iter().map(|(_, at)| *at).collect();
        let heights = spread(&wanted, APART, (TOP, BOTTOM));
        for ((line, _), height) in named.iter().zip(heights) {
            let (class, name) = (line.look.text(), short(&line.name, 15));
            put!(
                html,
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">",
                right + 7.0,
                height + 4.0
            );
            put!(html, "{}</text>\n", Esc(&name));
        }
    }

    /// What the picture shows, in words.
    fn said(&self) -> String {
        let line = |line: &Line| {
            let (first, last) = (line.points.first(), line.points.last());
            let [first, last] = [first, last].map(|p| p.copied().unwrap_or_default());
            let [from, to] = [first.1, last.1].map(|value| self.unit.full(value));
            let [begin, end] = [first.0, last.0].map(thousands);
            match line.points.len() {
                1 => format!("{}: {from} at step {begin}", line.name),
                _ => format!("{}: from {from} at step {begin} to {to} at step {end}", line.name),
            }
        };
        let lines: Vec<_> = self.lines.iter().map(line).collect();
        format!("{} over the steps. {}.", self.y, lines.join("; "))
    }

    fn table(&self, html: &mut Html) {
        let row = |line: &Line| {
            let finite = line.points.iter().filter(|(_, value)| value.is_finite());
            let (least, most) =
                finite.fold((f64::NAN, f64::NAN), |(l, h), (_, v)| (l.min(*v), h.max(*v)));
            let at = |point: Option<&(u64, f64)>| {
                point.map_or_else(|| "-".to_owned(), |(_, value)| self.unit.full(*value))
            };
            let (first, last) = (at(line.points.first()), at(line.points.last()));
            vec![line.name.clone(), first, last, self.unit.full(least), self.unit.full(most)]
        };
        let rows: Vec<_> = self.lines.iter().map(row).collect();
        let steps = || self.lines.iter().flat_map(|line| line.points.iter().map(|(step, _)| *step));
        let [first, last] = [steps().min(), steps().max()].map(|s| thousands(s.unwrap_or(0)));
        let caption = match first == last {
            true => format!("{} at step {first}", self.title),
            false => format!("{} from step {first} to {last}", self.title),
        };
        html.table(&caption, &["curve", "first", "last", "low", "high"], &rows);
        let (head, rows, whole) = self.numbers();
        let said = if whole { "All numbers" } else { "Numbers, evenly chosen" };
        html.details(said, |html| {
            let head: Vec<&str> = head.iter().map(String::as_str).collect();
            html.table(&format!("{}: {}", self.title, said.to_lowercase()), &head, &rows);
        });
    }

    /// Steps and the values of all curves there, and whether these are all of them.
    fn numbers(&self) -> (Vec<String>, Vec<Vec<String>>, bool) {
        let steps_of = |line: &Line| line.points.iter().map(|(step, _)| *step).collect::<Vec<_>>();
        let all: BTreeSet<u64> = self.lines.iter().flat_map(steps_of).collect();
        let every = all.len().div_ceil(ROWS).max(1);
        // A curve of few points is there whole.
        let few = self.lines.iter().filter(|line| every > 1 && line.points.len() <= DOTS);
        let few: BTreeSet<u64> = few.flat_map(steps_of).collect();
        let last = all.last().copied();
        let kept = all.iter().enumerate().filter(|(at, step)| {
            at.is_multiple_of(every) || few.contains(step) || Some(**step) == last
        });
        let value = |line: &Line, step: u64| {
            let at = line.points.binary_search_by_key(&step, |(step, _)| *step);
            at.map_or("-".to_owned(), |at| self.unit.full(line.points[at].1))
        };
        let row = |(_, step): (usize, &u64)| {
            let values = self.lines.iter().map(|line| value(line, *step));
            [thousands(*step)].into_iter().chain(values).collect()
        };
        let names = self.lines.iter().map(|line| line.name.clone());
        (
            ["step".to_owned()].into_iter().chain(names).collect(),
            kept.map(row).collect(),
            every == 1,
        )
    }
}

/// A curve, in pieces where values are missing.
fn curve(html: &mut Html, line: &Line, x: &Axis, y: &Axis) {
    let place = |(step, value): &(u64, f64)| Some((x.at(*step as f64)?, y.at(*value)?));
    let places: Vec<_> = line.points.iter().map(place).collect();
    put!(html, "<path class=\"{}\" d=\"", line.look.line());
    let mut before: Option<(f64, f64)> = None;
    for place in &places {
        match (place, before) {
            (Some((x, y)), None) => put!(html, "M{x:.1} {y:.1}"),
            (Some((x, y)), Some(_)) if line.stays => put!(html, "H{x:.1}V{y:.1}"),
            (Some((x, y)), Some(_)) => put!(html, "L{x:.1} {y:.1}"),
            (None, _) => {}
        }
        before = *place;
    }
    put!(html, "\"/>\n");
    let alone = |at: usize| {
        let around = [at.checked_sub(1), Some(at + 1)];
        around.iter().all(|at| at.and_then(|at| places.get(at).copied().flatten()).is_none())
    };
    for (at, place) in places.iter().enumerate() {
        let Some((x, y)) = place else { continue };
        if places.len() <= DOTS && !line.stays || alone(at) {
            put!(
                html,
                "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>",
                line.look.fill()
            );
        }
    }
}
