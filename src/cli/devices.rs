//! `secateur devices`
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use secateur::bench::{self, Check, TUNED_SIZES, Tuned, selftest, tune};
use secateur::gpu::{AdapterReport, Gpu, GpuOptions, Precision, adapters};
use serde::Serialize;

use super::args::Devices;
use super::{Verdict, adapter, output};

#[derive(Debug, Serialize)]
struct Report {
    adapters: Vec<AdapterReport>,
    /// Name of the one that would be taken.
    chosen: String,
    /// Its number among those that the options allow.
    chosen_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tuning: Option<Tuning>,
}

#[derive(Debug, Serialize)]
struct Tuning {
    products: Vec<Product>,
    /// Where the choices are kept.
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Product {
    precision: Precision,
    form: String,
    size: [u32; 3],
    /// The fastest first.
    variants: Vec<Timed>,
}

#[derive(Debug, Serialize)]
struct Timed {
    name: String,
    milliseconds: f64,
}

impl From<Tuned> for Product {
    fn from(tuned: Tuned) -> Self {
        let timed =
            |(name, time): (_, Duration)| Timed { name, milliseconds: time.as_secs_f64() * 1e3 };
        let Tuned { precision, form, size, variants } = tuned;
        let variants = variants.into_iter().map(timed).collect();
        Self { precision, form: format!("{form:?}"), size, variants }
    }
}

/// With what it found of cooperative matrices, where mixed precision could use any: they are timed
/// only where they are right.
fn tuning(options: &GpuOptions, gpu: &Gpu) -> Result<(Tuning, Option<Check>)> {
    let mut found = None;
    let mut matrices = gpu.target().choices.matrices;
    let mut right = None;
    if options.precision == Precision::Mixed {
        let untested = Gpu::open(&options.clone().untested_matrices(true))?;
        found = bench::matrices(&untested)?;
        matrices = found.as_ref().is_some_and(|check| check.passed);
        right = matrices.then_some(untested);
    }
    let (mut choices, rows) = tune(right.as_ref().unwrap_or(gpu), TUNED_SIZES)?;
    choices.matrices = matrices;
    let file = gpu.keep_tuning(&choices)?;
    Ok((Tuning { products: rows.into_iter().map(Product::from).collect(), file }, found))
}

pub fn run(args: &Devices) -> Result<Verdict> {
    let options = adapter::options(&args.common)?;
    let gpu = Gpu::open(&options)?;
    let mut checks = args.check.then(|| selftest(&gpu)).transpose()?;
    let tuned = args.tune.then(|| tuning(&options, &gpu)).transpose()?;
    let tuning = tuned.map(|(tuning, found)| {
        if let Some(found) = found {
            checks.get_or_insert_default().push(found);
        }
        tuning
    });
    let (chosen, chosen_index) = (gpu.report().name.clone(), gpu.report().index);
    let report = Report { adapters: adapters(&options)?, chosen, chosen_index, checks, tuning };
    if args.common.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    let passed = report.checks.iter().flatten().all(|c| c.passed);
    Ok(if passed { Verdict::Done } else { Verdict::Missed })
}

fn print(report: &Report) -> Result<()> {
    let yes = |has: bool| if has { "yes" } else { "no" }.to_owned();
    let row = |a: &AdapterReport| {
        let chosen = a.index.is_some() && a.index == report.chosen_index;
        let mark = if chosen { "*" } else { "" };
        let binding = format!("{} MiB", a.max_binding >> 20);
        let index = a.index.map_or_else(String::new, |index| index.to_string());
        vec![
            index,
            format!("{}{mark}", a.name),
            format!("{:?}", a.kind).to_lowercase(),
            a.backend.clone(),
            a.driver.clone(),
            a.pci.clone().unwrap_or_default(),
            binding,
            yes(a.timestamps),
            yes(a.subgroups),
            yes(a.f16),
            a.cooperative.map_or_else(|| "no".to_owned(), |side| format!("{side}x{side}")),
        ]
    };
    let header = [
        "",
        "adapter",
        "kind",
        "backend",
        "driver",
        "PCI",
        "largest tensor",
        "timestamps",
        "subgroups",
        "f16",
        "matrices",
    ];
    output::table(&header, 6, report.adapters.iter().map(row).collect())?;
    output::line("* would be taken; choose another with --adapter or --adapter-index")?;
    for check in report.checks.iter().flatten() {
        let verdict = if check.passed { "ok" } else { "FAILED" };
        output::line(&format!("{verdict:<6} {}: {}", check.name, check.detail))?;
    }
    if let Some(tuning) = &report.tuning {
        let row = |product: &Product| {
            let [m, n, k] = product.size;
            let timed = |t: &Timed| format!("{} {:.2} ms", t.name, t.milliseconds);
            let times: Vec<_> = product.variants.iter().map(timed).collect();
            let halves = if product.precision == Precision::Mixed { "f16 " } else { "" };
            vec![format!("{halves}{} {m}x{n}x{k}", product.form), times.join(", ")]
        };
        let rows = tuning.products.iter().map(row).collect();
        output::table(&["product", "variants, the fastest first"], 2, rows)?;
        if let Some(file) = &tuning.file {
            output::line(&format!("kept in {}", file.display()))?;
        }
    }
    Ok(())
}
