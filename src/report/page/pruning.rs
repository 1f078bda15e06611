//! Sparsity, layers, churn, magnitudes and masks.
use crate::report::chart::{Bar, Bars, Line, Lines, Look, Magnitudes};
use crate::report::html::{Esc, Html, base64, put};
use crate::report::logdir::{Layer, Run, Tensors};
use crate::report::number::{Unit, digits, percent, shape, thousands};

/// Layers that have a curve each; of more their range is drawn.
const CURVES: usize = 5;
/// Layers whose magnitudes are drawn at several steps, and at the last one.
const MAGNITUDES: [usize; 2] = [6, 24];

pub(super) fn fill(html: &mut Html, run: &Run) {
    let Some(prefix) = run.pruning() else {
        html.p("", "Nothing was pruned in this run: no mask was updated.");
        if let Some(tensors) = &run.tensors {
            layers(html, run, tensors);
        }
        return;
    };
    html.charts("", |html| {
        let curve = |tag: &str| run.events.curve(&format!("{prefix}/{tag}"));
        let asked = Line::new("asked", curve("sparsity"), Look::Under).stays();
        let reached = Line::new("reached", curve("mask_sparsity"), Look::Accent).stays();
        Lines::new("Sparsity", "sparsity", Unit::Share, vec![asked, reached])
            .note("share of the weights that is pruned, at each mask update")
            .with_zero()
            .draw(html);
        of_layers(run, "mask/churn", "Churn of the masks")
            .note("share of the mask bits that an update changed")
            .draw(html);
        of_layers(run, "mask/kept_energy", "Energy that is kept")
            .note("share of the sum of squared weights that the masks leave")
            .draw(html);
    });
    let Some(tensors) = &run.tensors else {
        html.p("note", "There is no checkpoint yet, so there are no layers to look at.");
        return;
    };
    layers(html, run, tensors);
    magnitudes(html, run, tensors);
    masks(html, tensors);
}

/// A curve for each of a few layers; for many their lowest, middle and highest.
fn of_layers(run: &Run, what: &str, title: &str) -> Lines {
    let prefix = run.pruning().unwrap_or_default();
    let name = |tag: &str| {
        let inside = tag.strip_prefix(prefix)?.strip_prefix('/')?.strip_suffix(what)?;
        Some(inside.strip_suffix('/')?.to_owned())
    };
    let curves: Vec<(String, &Vec<(u64, f64)>)> =
        run.events.scalars.iter().filter_map(|(tag, curve)| Some((name(tag)?, curve))).collect();
    let lines = if curves.len() <= CURVES {
        let line = |(at, (name, curve)): (usize, &(String, &Vec<_>))| {
            Line::new(name, curve, Look::Nth(at))
        };
        curves.iter().enumerate().map(line).collect()
    } else {
        let mut steps: Vec<u64> = curves.iter().flat_map(|c| c.1.iter().map(|p| p.0)).collect();
        steps.sort_unstable();
        steps.dedup();
        let at_step = |step: u64| {
            let value = |curve: &[(u64, f64)]| {
                let at = curve.binary_search_by_key(&step, |(step, _)| *step).ok()?;
                Some(curve[at].1)
            };
            let mut all: Vec<f64> = curves.iter().filter_map(|(_, c)| value(c)).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let ranged = |name: &str, look: Look, pick: fn(&[f64]) -> f64| {
            let points: Vec<_> = steps.iter().map(|s| (*s, pick(&at_step(*s)))).collect();
            Line::new(name, &points, look)
        };
        vec![
            ranged("highest layer", Look::Quiet, |all| all[all.len() - 1]),
            ranged("lowest layer", Look::Quiet, |all| all[0]),
            ranged("middle layer", Look::Accent, |all| all[all.len() / 2]),
        ]
    };
    let y = what.rsplit('/').next().unwrap_or(what).replace('_', " ");
    Lines::new(title, &y, Unit::Share, lines)
}

fn layers(html: &mut Html, run: &Run, tensors: &Tensors) {
    put!(html, "<h3 id=\"layers\">Layers</h3>\n");
    let last = |layer: &Layer, what: &str| run.of_weight(&layer.name, what).last().map(|p| p.1);
    let row = |layer: &Layer| {
        let share = |what: &str| last(layer, what).map_or("-".to_owned(), percent);
        let threshold = last(layer, "threshold").map_or("-".to_owned(), |t| digits(t, 4));
        let [dense, packed] = layer.bytes.map(|bytes| Unit::Bytes.full(bytes as f64));
        vec![
            layer.name.clone(),
            shape(&layer.shape),
            format!("{} of {}", thousands(layer.nonzero), thousands(layer.total)),
            percent(layer.sparsity()),
            threshold,
            share("mask/churn"),
            share("mask/kept_energy"),
            dense,
            packed,
        ]
    };
    let mut rows: Vec<_> = tensors.layers.iter().map(row).collect();
    let [nonzero, total] = tensors.counts();
    let bytes = |at: usize| tensors.layers.iter().map(|l| l.bytes[at]).sum::<u64>() as f64;
    let mut all = vec!["all".to_owned(), String::new()];
    all.push(format!("{} of {}", thousands(nonzero), thousands(total)));
    all.push(percent(tensors.sparsity()));
    all.extend(["", "", ""].map(str::to_owned));
    all.extend([0, 1].map(|at| Unit::Bytes.full(bytes(at))));
    rows.push(all);
    let head = [
        "layer",
        "shape",
        "kept",
        "sparsity",
        "threshold",
        "churn, last",
        "energy kept",
        "dense",
        "packed",
    ];
    html.table_with_total("What is left of each layer", &head, &rows);
    let bar = |layer: &Layer| Bar {
        name: layer.name.clone(),
        value: layer.nonzero as f64,
        of: Some(layer.total as f64),
    };
    html.charts("", |html| {
        let bars = tensors.layers.iter().map(bar).collect();
        let note = "weights that are not zero, before all weights of the layer".to_owned();
        let (title, what) = ("Weights kept".to_owned(), ["kept", "of"].map(str::to_owned));
        Bars { title, note, what, unit: Unit::Count, bars, table: false }.draw(html);
        let bar = |layer: &Layer| Bar {
            name: layer.name.clone(),
            value: layer.sparsity(),
            of: Some(1.0),
        };
        let bars = tensors.layers.iter().map(bar).collect();
        let (title, note) = ("Sparsity of layers".to_owned(), "share of zeros".to_owned());
        let what = ["sparsity", "of"].map(str::to_owned);
        Bars { title, note, what, unit: Unit::Share, bars, table: false }.draw(html);
    });
}

/// Histograms of the magnitudes: of few layers at the first, a middle and the last checkpoint that
/// has one behind a mask update.
fn magnitudes(html: &mut Html, run: &Run, tensors: &Tensors) {
    let mut charts = Vec::new();
    for layer in &tensors.layers {
        let tag = format!("{}/magnitude", layer.name);
        let Some(all) = run.events.histograms.get(&tag).filter(|all| !all.is_empty()) else {
            continue;
        };
        let threshold = |step: u64| {
            let updates = run.of_weight(&layer.name, "threshold");
            let before = updates.iter().rev().find(|(at, _)| *at <= step);
            before.map(|(_, threshold)| *threshold)
        };
        let first = all.iter().position(|(step, _)| threshold(*step).is_some()).unwrap_or(0);
        let last = all.len() - 1;
        let mut chosen = vec![first, (first + last) / 2, last];
        if tensors.layers.len() > MAGNITUDES[0] {
            chosen = vec![last];
        }
        chosen.dedup();
        for (step, distribution) in chosen.into_iter().map(|at| &all[at]) {
            // Of another score than |w| the threshold is no edge.
            let is_edge = |t: &f64| distribution.bins.iter().any(|(edge, _)| edge == t);
            let threshold = threshold(*step).filter(is_edge);
            let (name, step) = (&*layer.name, *step);
            charts.push(Magnitudes { name, step, distribution, threshold });
        }
    }
    put!(html, "<h3 id=\"magnitudes\">Magnitudes of the weights</h3>\n");
    if charts.is_empty() {
        return html.p("note", "No checkpoint has written histograms.");
    }
    let most = MAGNITUDES[1];
    if charts.len() > most {
        let text = format!("The first {most} of {} layers, at the last checkpoint.", charts.len());
        html.p("note", &text);
    }
    let text = "Gray: at the threshold of the last mask update or below; coloured: above it. Weights \
                that are pruned stand at 0, unless they may revive; one that is kept may move below \
                the threshold until the next update.";
    html.p("note", text);
    html.charts("small", |html| charts.iter().take(most).for_each(|chart| chart.draw(html)));
}

fn masks(html: &mut Html, tensors: &Tensors) {
    put!(html, "<h3 id=\"masks\">Masks</h3>\n");
    let pictured = tensors.layers.iter().filter(|layer| layer.picture.is_some()).count();
    let step = thousands(tensors.manifest.global_step);
    let which = match tensors.layers.len() - pictured {
        0 => String::new(),
        _ => format!(" The first {pictured} of {} are shown.", tensors.layers.len()),
    };
    let text = format!(
        "After step {step}: rows are inputs, columns are outputs. White is kept, black is pruned. \
         Large masks are reduced.{which}"
    );
    html.p("note", &text);
    put!(html, "<div class=\"masks\">\n");
    for layer in &tensors.layers {
        let Some(png) = &layer.picture else { continue };
        let (name, extents) = (Esc(&layer.name), shape(&layer.shape));
        let (kept, all) = (thousands(layer.nonzero), thousands(layer.total));
        put!(
            html,
            "<figure><figcaption>{name}<span>{extents}, {}</span>",
            percent(layer.sparsity())
        );
        put!(html, "</figcaption><img class=\"mask\" {}", size(png));
        put!(html, "alt=\"Mask of {name}: {kept} of {all} weights kept\" ");
        put!(html, "src=\"data:image/png;base64,{}\"/></figure>\n", base64(png));
    }
    put!(html, "</div>\n");
}

/// How large a picture is shown: small ones by a whole factor.
fn size(png: &[u8]) -> String {
    let extent = |at: usize| {
        let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_be_bytes(bytes.unwrap_or([0, 0, 0, 1])).max(1)
    };
    // The header of a PNG has width and height in its bytes 16 to 23.
    let (width, height) = (extent(16), extent(20));
    let factor = (320 / width.max(height)).clamp(1, 16);
    format!("width=\"{}\" height=\"{}\" ", width * factor, height * factor)
}
