//! Speed-up over sparsity as a picture: a panel a batch, a line a form, and its bound dashed.
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::sparse::{SQUARES, Sparse, SparseRow, VECTORS};
use crate::kernels::PackedForm;
use crate::{Error, Result};

const SIZE: (u32, u32) = (1280, 520);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 40, 40);
/// Told apart by most eyes.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(170, 60, 140)];

/// An SVG of `sparse` under a line that says of what and when.
///
/// # Errors
/// [`Error::Argument`] when there is nothing to draw.
pub fn plot_sparse(title: &str, sparse: &Sparse) -> Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    draw(&root, title, sparse).map_err(|e| Error::argument("plot", e.to_string()))?;
    drop(root);
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn draw(root: &Area<'_>, title: &str, sparse: &Sparse) -> Drawn<()> {
    root.fill(&WHITE)?;
    let left = Pos::new(HPos::Left, VPos::Center);
    root.draw(&Text::new(title.to_owned(), (24, 28), style(18).pos(left)))?;
    let mut batches: Vec<u32> = sparse.rows.iter().map(|r| r.batch).collect();
    batches.dedup();
    batches.sort_unstable();
    batches.dedup();
    if batches.is_empty() {
        return Err("nothing was measured".into());
    }
    let values = || sparse.rows.iter().flat_map(|r| [r.speedup, r.bound]);
    let finite = || values().filter(|v| v.is_finite() && *v > 0.0);
    let least = finite().fold(1.0, f64::min) / 1.3;
    let most = finite().fold(1.0, f64::max) * 1.3;
    let (_, below) = root.split_vertically(52);
    let panels = below.split_evenly((1, batches.len()));
    for (panel, batch) in panels.iter().zip(batches) {
        let rows: Vec<&SparseRow> = sparse.rows.iter().filter(|r| r.batch == batch).collect();
        let mut chart = ChartBuilder::on(panel)
            .margin(14)
            .caption(format!("batch {batch}"), style(16))
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(45.0..100.0, (least..most).log_scale())?;
        chart
            .configure_mesh()
            .light_line_style(RGBColor(242, 242, 242))
            .bold_line_style(RGBColor(225, 225, 225))
            .label_style(style(13))
            .axis_desc_style(style(14))
            .x_desc("zeros, %")
            .y_desc("times as fast as dense (log)")
            .y_label_formatter(&|v| format!("{v:.1}"))
            .draw()?;
        chart.draw_series([PathElement::new([(45.0, 1.0), (100.0, 1.0)], INK)])?;
        for (form, colour) in PackedForm::ALL.into_iter().zip(COLOURS) {
            let of = |pattern: &str| {
                let of = |r: &&&SparseRow| r.form == form && r.pattern == pattern;
                rows.iter().filter(of).copied().collect::<Vec<_>>()
            };
            let pattern = if form == PackedForm::Blocks { VECTORS } else { "unstructured" };
            let line = of(pattern);
            let at = |r: &&SparseRow, value: fn(&SparseRow) -> f64| (r.sparsity * 100.0, value(r));
            let measured = line.iter().map(|r| at(r, |r| r.speedup));
            let series = LineSeries::new(measured.clone(), colour.stroke_width(2));
            chart.draw_series(series)?.label(form.name()).legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
            });
            chart.draw_series(measured.map(|at| Circle::new(at, 4, colour.filled())))?;
            let bound = line.iter().map(|r| at(r, |r| r.bound));
            chart.draw_series(DashedLineSeries::new(bound, 5, 4, colour.stroke_width(1)))?;
            let structured = of("2:4");
            let marks = structured.iter().map(|r| at(r, |r| r.speedup));
            chart.draw_series(marks.map(|at| TriangleMarker::new(at, 7, colour.filled())))?;
            let squares = of(SQUARES);
            let marks = squares.iter().map(|r| at(r, |r| r.speedup));
            chart.draw_series(marks.map(|at| Cross::new(at, 5, colour.stroke_width(2))))?;
        }
        // All lines rise to the right.
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(style(13))
            .background_style(WHITE)
            .border_style(INK)
            .draw()?;
    }
    root.present()?;
    Ok(())
}

fn style(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}
