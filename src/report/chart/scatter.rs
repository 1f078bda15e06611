//! One figure of runs against another: means as lines, single runs as points, spreads as bars.
use super::super::html::{Esc, Html, put};
use super::super::number::Unit;
use super::{Axis, Look, Plot, Ticks, empty, figure, room, short, spread, svg};

/// Runs that differ in their seed only.
#[derive(Debug, Clone)]
pub(in crate::report) struct Point {
    pub(in crate::report) x: f64,
    /// Of each run.
    pub(in crate::report) values: Vec<f64>,
}

/// A chart of points, by series.
#[derive(Debug, Clone)]
pub(in crate::report) struct Scatter {
    pub(in crate::report) title: String,
    pub(in crate::report) note: String,
    pub(in crate::report) names: [String; 2],
    pub(in crate::report) units: [Unit; 2],
    /// Whether the width is logarithmic.
    pub(in crate::report) log: bool,
    /// Name, look and points, which ascend.
    pub(in crate::report) series: Vec<(String, Look, Vec<Point>)>,
}

const SIZE: (f64, f64) = (440.0, 288.0);

impl Point {
    pub(in crate::report) fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
    }

    /// Standard deviation of the runs around their mean, by n - 1; none of fewer than two.
    pub(in crate::report) fn deviation(&self) -> Option<f64> {
        let (mean, count) = (self.mean(), self.values.len());
        let squares: f64 = self.values.iter().map(|v| (v - mean).powi(2)).sum();
        (count > 1).then(|| (squares / (count - 1) as f64).sqrt())
    }
}

impl Scatter {
    pub(in crate::report) fn draw(&self, html: &mut Html) {
        match self.picture() {
            None => empty(html, &self.title, &self.note),
            Some((x, y, plot)) => figure(html, &self.title, &self.note, |html| {
                svg(html, SIZE, &self.title, &self.said(), |html| self.fill(html, &x, &y, &plot));
            }),
        }
    }

    /// The picture by itself, as a file of its own: colours of the light scheme on white.
    pub(in crate::report) fn alone(&self, style: &str) -> Option<String> {
        let (x, y, plot) = self.picture()?;
        let (mut html, (width, height)) = (Html::default(), SIZE);
        put!(html, "<svg xmlns=\"http://www.w3.org/2000/svg\" ");
        put!(html, "viewBox=\"-10 -26 {:.0} {:.0}\" role=\"img\" ", width + 20.0, height + 36.0);
        put!(html, "aria-labelledby=\"t d\">\n<title id=\"t\">{}</title>", Esc(&self.title));
        put!(html, "<desc id=\"d\">{}</desc>\n<style>{style}</style>\n", Esc(&self.said()));
        put!(html, "<rect x=\"-10\" y=\"-26\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
        put!(html, "<text class=\"name\" x=\"2\" y=\"-6\">{}</text>\n", Esc(&self.title));
        self.fill(&mut html, &x, &y, &plot);
        put!(html, "</svg>\n");
        Some(html.into_text())
    }

    fn picture(&self) -> Option<(Axis, Axis, Plot)> {
        let named = self.series.iter().filter(|_| self.series.len() > 1);
        let names = named.map(|(name, ..)| room(&short(name, 18)) + 14.0).fold(14.0, f64::max);
        let plot = Plot { left: 62.0, right: SIZE.0 - names, top: 32.0, bottom: 248.0 };
        let points = || self.series.iter().flat_map(|(_, _, points)| points);
        let values = points().flat_map(|point| {
            let spread = point.deviation().unwrap_or(0.0);
            let ends = [point.mean() - spread, point.mean() + spread];
            point.values.iter().copied().chain(ends)
        });
        let widths = points().map(|point| point.x);
        let x = Axis::around(widths, self.log, false, (plot.left, plot.right))?.roomy();
        let y = Axis::around(values, false, false, (plot.bottom, plot.top))?.roomy();
        Some((x, y, plot))
    }

    fn fill(&self, html: &mut Html, x: &Axis, y: &Axis, plot: &Plot) {
        let ticks = Ticks { x: 5, y: 5, units: self.units };
        plot.axes(html, [x, y], [&self.names[0], &self.names[1]], ticks);
        let mut ends = Vec::new();
        for (name, look, points) in &self.series {
            put!(html, "<path class=\"{}\" d=\"", look.line());
            let mut first = true;
            for point in points {
                let Some((left, top)) = x.at(point.x).zip(y.at(point.mean())) else { continue };
                put!(html, "{}{left:.1} {top:.1}", if first { 'M' } else { 'L' });
                first = false;
            }
            put!(html, "\"/>\n");
            for point in points {
                let Some(left) = x.at(point.x) else { continue };
                let dots = point.values.iter().filter_map(|value| y.at(*value));
                for top in dots {
                    put!(html, "<circle class=\"fill-quiet\" cx=\"{left:.1}\" cy=\"{top:.1}\" ");
                    put!(html, "r=\"2\"/>");
                }
                let Some(top) = y.at(point.mean()) else { continue };
                if let Some(spread) = point.deviation() {
                    let [low, high] =
                        [point.mean() - spread, point.mean() + spread].map(|v| y.at(v));
                    let (Some(low), Some(high)) = (low, high) else { continue };
                    put!(html, "<path class=\"{} thin\" stroke-dasharray=\"none\" ", look.line());
                    put!(html, "d=\"M{left:.1} {low:.1}V{high:.1}\"/>");
                }
                put!(html, "<circle class=\"{}\" cx=\"{left:.1}\" cy=\"{top:.1}\" ", look.fill());
                put!(html, "r=\"3.6\"/>\n");
            }
            let last = points.iter().max_by(|a, b| a.x.total_cmp(&b.x));
            let place = last.and_then(|point| y.at(point.mean()));
            ends.extend(place.map(|top| (name, *look, top)));
        }
        if self.series.len() < 2 {
            return;
        }
        let wanted: Vec<f64> = ends.iter().map(|(_, _, top)| *top).collect();
        let heights = spread(&wanted, 14.0, (plot.top, plot.bottom));
        for ((name, look, _), height) in ends.iter().zip(heights) {
            let (class, name) = (look.text(), short(name, 18));
            let (x, y) = (plot.right + 7.0, height + 4.0);
            put!(html, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n", Esc(&name));
        }
    }

    fn said(&self) -> String {
        let [x, y] = &self.names;
        let point = |point: &Point| {
            let [at, mean] = [(0, point.x), (1, point.mean())].map(|(u, v)| self.units[u].full(v));
            let runs = point.values.len();
            format!("{mean} at {at}, {runs} run{}", if runs == 1 { "" } else { "s" })
        };
        let series = |(name, _, points): &(String, Look, Vec<Point>)| {
            let name = if self.series.len() > 1 { format!("{name}: ") } else { String::new() };
            format!("{name}{}", points.iter().map(point).collect::<Vec<_>>().join("; "))
        };
        let series: Vec<_> = self.series.iter().map(series).collect();
        format!("{y} against {x}. {}.", series.join(". "))
    }
}
