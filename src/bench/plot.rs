//! The roofline as a picture: both axes logarithmic, ceilings as lines, rows as points with their
//! names beside the plot.
use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Measured, Row};
use crate::{Error, Result};

const SIZE: (u32, u32) = (1280, 760);
/// Room for the names, and the height of a line of them.
const NAMES: (u32, i32) = (430, 19);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 40, 40);
const FAINT: RGBColor = RGBColor(165, 165, 165);
/// Of rows by the first word of their names: told apart by most eyes.
const COLOURS: [(&str, RGBColor); 4] = [
    ("matmul", RGBColor(0, 114, 178)),
    ("add", RGBColor(0, 158, 115)),
    ("mask", RGBColor(213, 94, 0)),
    ("train", RGBColor(170, 60, 140)),
];

/// An SVG of `measured` under a line that says of what and when.
///
/// # Errors
/// [`Error::Argument`] when there is nothing to draw: a ceiling that is not positive.
pub fn plot(title: &str, measured: &Measured) -> Result<String> {
    let ceilings = &measured.ceilings;
    let drawable = |x: f64| x.is_finite() && x > 0.0;
    if ![ceilings.copy_bytes_per_second, ceilings.fma_flops_per_second].into_iter().all(drawable) {
        return Err(Error::argument("ceilings", format!("{ceilings:?} must be above 0")));
    }
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    draw(&root, title, measured).map_err(|e| Error::argument("plot", e.to_string()))?;
    drop(root);
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn draw(root: &Area<'_>, title: &str, measured: &Measured) -> Drawn<()> {
    root.fill(&WHITE)?;
    let left = Pos::new(HPos::Left, VPos::Center);
    root.draw(&Text::new(title.to_owned(), (24, 28), style(20, INK).pos(left)))?;
    let Measured { ceilings, rows, .. } = measured;
    let of = |value: fn(&Row) -> f64| rows.iter().map(value).filter(|v| v.is_finite() && *v > 0.0);
    let x = around(of(|r| r.intensity).chain([ceilings.ridge() / 2.0, ceilings.ridge() * 2.0]));
    let y = around(of(|r| r.flops_per_second).chain([ceilings.fma_flops_per_second]));
    let mut chart = ChartBuilder::on(root)
        .margin_top(52)
        .margin_left(16)
        .margin_bottom(12)
        .margin_right(NAMES.0)
        .x_label_area_size(52)
        .y_label_area_size(118)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(242, 242, 242))
        .bold_line_style(RGBColor(225, 225, 225))
        .label_style(style(14, INK))
        .axis_desc_style(style(15, INK))
        .x_desc("operations a byte (log)")
        .y_desc("operations a second (log)")
        .x_label_formatter(&|v| number(*v))
        .y_label_formatter(&|v| rate(*v))
        .draw()?;
    let (bandwidth, peak, ridge) =
        (ceilings.copy_bytes_per_second, ceilings.fma_flops_per_second, ceilings.ridge());
    let start = x.start.max(y.start / bandwidth);
    let roof = [(start, start * bandwidth), (ridge, peak), (x.end, peak)];
    chart.draw_series([PathElement::new(roof, INK.stroke_width(2))])?;
    let end = chart.backend_coord(&(x.end, peak));
    let above = Pos::new(HPos::Right, VPos::Bottom);
    let text = format!("multiply-adds {}", rate(peak));
    root.draw(&Text::new(text, (end.0 - 8, end.1 - 6), style(14, INK).pos(above)))?;
    // The diagonal's name is below its upper end, where no point can be above it.
    let at = ceiling_name(chart.backend_coord(&(ridge, peak)), chart.backend_coord(&roof[0]));
    let text = format!("copy {:.1} GiB/s", bandwidth / f64::from(1 << 30));
    root.draw(&Text::new(text, at, style(14, INK).pos(Pos::new(HPos::Right, VPos::Bottom))))?;

    let mut points: Vec<_> = rows
        .iter()
        .filter(|r| r.flops_per_second.is_finite() && r.flops_per_second > 0.0)
        .map(|row| (chart.backend_coord(&(row.intensity, row.flops_per_second)), row))
        .collect();
    points.sort_by_key(|&((_, y), _)| y);
    let heights: Vec<i32> = points.iter().map(|((_, y), _)| *y).collect();
    let heights = spread(&heights, NAMES.1, 60..SIZE.1 as i32 - 24);
    let column = SIZE.0 as i32 - NAMES.0 as i32 + 40;
    let ends: Vec<_> = heights.into_iter().map(|y| (column - 16, y)).collect();
    uncross(&mut points, &ends);
    for (&(at, row), &(x, y)) in points.iter().zip(&ends) {
        root.draw(&PathElement::new([at, (x, y), (x + 12, y)], FAINT))?;
        let text = format!("{}: {} %", row.name, number(row.share * 100.0));
        root.draw(&Text::new(text, (column, y), style(14, colour(&row.name)).pos(left)))?;
    }
    for &(at, row) in &points {
        root.draw(&Circle::new(at, 5, colour(&row.name).filled()))?;
    }
    root.present()?;
    Ok(())
}

fn style(size: u32, colour: RGBColor) -> TextStyle<'static> {
    (FONT, size).into_font().color(&colour)
}

fn colour(name: &str) -> RGBColor {
    let known = COLOURS.iter().find(|(kind, _)| name.starts_with(kind));
    known.map_or(INK, |&(_, colour)| colour)
}

/// Left of the middle of the diagonal between two points in pixels.
fn ceiling_name((x1, y1): (i32, i32), (x0, y0): (i32, i32)) -> (i32, i32) {
    ((x0 + x1) / 2 - 10, (y0 + y1) / 2)
}

/// The range of `values`, with room on both sides.
fn around(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::MAX, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    low / 2.0..high * 2.0
}

/// Heights `apart` and within `range`, if they fit, whose squared distances from the `wanted` ones,
/// which ascend, are least.
fn spread(wanted: &[i32], apart: i32, range: Range<i32>) -> Vec<i32> {
    // Less their own place in the column, heights must only not descend: neighbours that do share
    // their mean.
    let mut blocks: Vec<(f64, f64)> = Vec::new();
    for (i, &y) in wanted.iter().enumerate() {
        let mut block = (f64::from(y - i as i32 * apart), 1.0);
        while let Some((mean, count)) = blocks.pop_if(|(mean, _)| *mean > block.0) {
            block = ((mean * count + block.0 * block.1) / (count + block.1), count + block.1);
        }
        blocks.push(block);
    }
    let end = range.end - (wanted.len() as i32 - 1) * apart;
    let means = blocks.into_iter().flat_map(|(mean, n)| std::iter::repeat_n(mean, n as usize));
    let place = |(i, y): (usize, f64)| (y as i32).min(end).max(range.start) + i as i32 * apart;
    means.enumerate().map(place).collect()
}

/// Swaps points until no lines to their `ends` cross. Each swap makes the lines shorter, so this
/// comes to an end.
fn uncross<T>(points: &mut [((i32, i32), T)], ends: &[(i32, i32)]) {
    let length =
        |(x0, y0): (i32, i32), (x1, y1): (i32, i32)| f64::from(x1 - x0).hypot(f64::from(y1 - y0));
    let mut swapped = true;
    while swapped {
        swapped = false;
        for i in 1..points.len() {
            for j in 0..i {
                let (a, b) = (points[i].0, points[j].0);
                let now = length(a, ends[i]) + length(b, ends[j]);
                if length(a, ends[j]) + length(b, ends[i]) < now - 1e-6 {
                    points.swap(i, j);
                    swapped = true;
                }
            }
        }
    }
}

/// Three digits.
fn number(value: f64) -> String {
    let digits = 2 - value.abs().max(1e-9).log10().floor() as i32;
    let text = format!("{value:.*}", digits.clamp(0, 6) as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Operations a second with their prefix.
fn rate(value: f64) -> String {
    let units = [(1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (1e3, "kFLOP/s")];
    let (scale, unit) =
        units.into_iter().find(|(s, _)| value >= 0.999 * s).unwrap_or((1.0, "FLOP/s"));
    format!("{} {unit}", number(value / scale))
}
