//! The roofline as a picture: both axes logarithmic, ceilings as lines, rows as points with their names beside the plot.
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
    let x = decades(of(|r| r.intensity).chain([ceilings.ridge()]));
    let y = decades(of(|r| r.flops_per_second).chain([ceilings.fma_flops_per_second * 1.5]));
    let mut chart = ChartBuilder::on(root)
        .margin_top(52)
        .margin_left(16)
        .margin_bottom(12)
        .margin_right(NAMES.0)
        .x_label_area_size(52)
        .y_label_area_size(84)
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
    // From top to bottom, and of two at the same height the right one first: so their lines do not cross.
    points.sort_by_key(|&((x, y), _)| (y, -x));
    let wanted: Vec<i32> = points.iter().map(|((_, y), _)| *y).collect();
    let column = SIZE.0 as i32 - NAMES.0 as i32 + 34;
    for (&((x, y), row), at) in points.iter().zip(spread(&wanted, NAMES.1, 60..SIZE.1 as i32 - 24))
    {
        let colour = colour(&row.name);
        root.draw(&PathElement::new([(x, y), (column - 16, at), (column - 4, at)], FAINT))?;
        let text = format!("{}: {} %", row.name, number(row.share * 100.0));
        root.draw(&Text::new(text, (column, at), style(14, colour).pos(left)))?;
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

/// Whole decades around `values`.
fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::MAX, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    // Room below the lowest and above the highest.
    10_f64.powf((low / 1.3).log10().floor())..10_f64.powf((high * 1.3).log10().ceil())
}

/// Heights nearest to the `wanted` ones, which ascend, that are `apart` and, if they fit, within `range`.
fn spread(wanted: &[i32], apart: i32, range: Range<i32>) -> Vec<i32> {
    let mut at: Vec<i32> = Vec::with_capacity(wanted.len());
    for &y in wanted {
        let free = at.last().map_or(range.start, |last| last + apart);
        at.push(y.max(free));
    }
    // Those that were pushed past the end push back.
    let mut limit = range.end;
    for y in at.iter_mut().rev() {
        *y = (*y).min(limit);
        limit = *y - apart;
    }
    at
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
