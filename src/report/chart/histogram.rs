//! How the magnitudes of a weight are distributed, and where the threshold cuts them.
use super::super::html::{Esc, Html, put};
use super::super::logdir::Distribution;
use super::super::number::{Unit, digits, thousands};
use super::{Axis, Plot, Ticks, empty, figure, svg};

/// The magnitudes of a weight at a step.
#[derive(Debug)]
pub(in crate::report) struct Magnitudes<'a> {
    pub(in crate::report) name: &'a str,
    pub(in crate::report) step: u64,
    pub(in crate::report) distribution: &'a Distribution,
    /// Of the mask update before it, if any.
    pub(in crate::report) threshold: Option<f64>,
}

const SIZE: (f64, f64) = (360.0, 226.0);
const PLOT: Plot = Plot { left: 56.0, right: 346.0, top: 32.0, bottom: 186.0 };

impl Magnitudes<'_> {
    pub(in crate::report) fn draw(&self, html: &mut Html) {
        let title = format!("{}, step {}", self.name, thousands(self.step));
        let bins = &self.distribution.bins;
        let finite = bins.iter().all(|(edge, count)| edge.is_finite() && count.is_finite());
        let threshold = self.threshold.filter(|t| t.is_finite());
        let note = match threshold {
            Some(threshold) => format!("threshold {}", digits(threshold, 4)),
            None => "no threshold yet".to_owned(),
        };
        let edges =
            || [self.distribution.min].into_iter().chain(bins.iter().map(|(edge, _)| *edge));
        let x = Axis::around(edges(), false, true, (PLOT.left, PLOT.right));
        // A bin of one is as high as nothing else: the axis begins below it.
        let counts = bins.iter().map(|(_, count)| *count).chain([0.7]);
        let y = Axis::around(counts, true, false, (PLOT.bottom, PLOT.top));
        let (Some(x), Some(y)) = (x, y.filter(|_| finite && !bins.is_empty())) else {
            return empty(html, &title, &note);
        };
        let y = y.roomy();
        let below = |(edge, _): &(f64, f64)| threshold.is_some_and(|t| *edge <= t * (1.0 + 1e-9));
        let sum = |is_below: bool| {
            let side = bins.iter().filter(|bin| below(bin) == is_below);
            side.map(|(_, count)| *count).sum::<f64>()
        };
        let [low, high] = [sum(true), sum(false)];
        let [said_below, said_above] = [low, high].map(|count| thousands(count as u64));
        let what = format!(
            "Weights by their magnitude, from {} to {}: {said_below} at the threshold or below, \
             {said_above} above it.",
            digits(self.distribution.min, 4),
            digits(bins.last().map_or(0.0, |(edge, _)| *edge), 4)
        );
        figure(html, &title, &note, |html| {
            svg(html, SIZE, &title, &what, |html| {
                let units = [Unit::Plain, Unit::Count];
                PLOT.axes(html, [&x, &y], ["|w|", "weights in a bin"], Ticks { x: 4, y: 4, units });
                for (class, side) in [("fill-quiet", true), ("f1", false)] {
                    put!(html, "<path class=\"{class}\" d=\"");
                    let mut left = self.distribution.min;
                    for bin @ (edge, count) in bins {
                        let corners = (x.at(left), x.at(*edge), y.at(*count));
                        if let ((Some(from), Some(to), Some(top)), true) =
                            (corners, below(bin) == side)
                        {
                            // One value is a line.
                            let to = to.max(from + 1.0);
                            put!(html, "M{from:.1} {:.1}V{top:.1}H{to:.1}V{0:.1}Z", PLOT.bottom);
                        }
                        left = *edge;
                    }
                    put!(html, "\"/>\n");
                }
                if let Some(at) = threshold.and_then(|t| x.at(t)).filter(|at| *at <= PLOT.right) {
                    put!(html, "<line class=\"mark\" x1=\"{at:.1}\" x2=\"{at:.1}\" ");
                    put!(html, "y1=\"{:.1}\" y2=\"{:.1}\"/>", PLOT.top, PLOT.bottom);
                    let text = Esc("threshold");
                    let (end, x) = match at > (PLOT.left + PLOT.right) / 2.0 {
                        true => ("end", at - 5.0),
                        false => ("start", at + 5.0),
                    };
                    put!(html, "<text x=\"{x:.1}\" y=\"{:.1}\" ", PLOT.top + 10.0);
                    put!(html, "text-anchor=\"{end}\">{text}</text>\n");
                }
            });
            let row = |name: &str, value: String| vec![name.to_owned(), value];
            let rows = [
                row("at most the threshold", said_below.clone()),
                row("above it", said_above.clone()),
                row("largest |w|", digits(bins.last().map_or(0.0, |(edge, _)| *edge), 4)),
            ];
            html.table(&format!("{title}: how many"), &["where", "weights"], &rows);
        });
    }
}
