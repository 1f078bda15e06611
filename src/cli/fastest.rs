//! `secateur export --fastest`: which matrices are faster packed, timed here.
use anyhow::{Context, Result, ensure};
use secateur::bench::{Effort, PackedCase, PackedTimes, PaysFrom, pays_from};
use secateur::gpu::{Gpu, Target};
use secateur::kernels::{Layout, PackedForm, PackedMatrix, PackedValues, Units};
use secateur::nn::Input;
use secateur::pretrained::Pretrained;
use secateur::session::{Fastest, FastestWeight, ModelFile};
use secateur::storage::TensorData;
use serde::Serialize;

use super::args::Export;
use super::progress::Naming;
use super::{adapter, output};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Found {
    adapter: String,
    backend: String,
    driver: String,
    /// Rows in a batch.
    batch: usize,
    layers: Vec<Layer>,
    /// Weights that no product can do without the zeros of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dense: Vec<Unpackable>,
    /// What would pay here, for the largest fully connected layer that stays dense.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<Advice>,
}

/// From how many zeros on a layer would be faster packed, by pattern.
#[derive(Debug, Serialize)]
struct Advice {
    layer: String,
    rows: u32,
    pays_from: Vec<PaysFrom>,
}

/// A weight that stays dense, whatever zeros it has.
#[derive(Debug, Serialize)]
struct Unpackable {
    layer: String,
    why: String,
}

/// A matrix that products alone read.
#[derive(Debug, Serialize)]
struct Layer {
    layer: String,
    /// What reads it.
    operation: &'static str,
    /// Outputs and inputs.
    shape: [u32; 2],
    #[serde(skip)]
    layout: Layout,
    pattern: String,
    sparsity: f64,
    /// Rows that it is multiplied with.
    rows: u32,
    /// What takes the least time: a form, or none for dense.
    choice: Option<PackedForm>,
    /// Of another layer of the same extents, the same pattern and as many zeros to a hundredth;
    /// none where so few weights are zero that nothing was timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<PackedTimes>,
}

/// Fewer zeros than this are not worth leaving out.
const LEAST: f64 = 0.1;

/// Times the matrices of `file`, and notes in it what was the faster.
pub fn measure(args: &Export, file: &mut ModelFile) -> Result<Found> {
    ensure!(args.batch > 0, "--batch 0: a batch has rows");
    let schema = file.schema.as_ref();
    let Some(schema) = schema else {
        anyhow::bail!("{} does not say its rows; --fastest times its layers", file.path.display());
    };
    let network = file.model()?.network(args.batch, &Input::from(schema))?;
    let mut timing = Timing::new(args)?;
    for parameter in network.graph.parameters() {
        let weight = file.weights.iter().find(|w| w.name == parameter.name);
        let (Ok(used), Some(weight)) = (network.graph.packs(parameter.tensor), weight) else {
            continue;
        };
        let TensorData::F32(values) = &weight.data else { continue };
        let case = PackedCase::new(parameter.units(), values, used.rows);
        let case = PackedCase::in_graph(&network.graph, parameter.tensor, case);
        timing.layer(&parameter.name, used.operation, case)?;
    }
    let (mut found, fastest) = timing.finish()?;
    let dense = network.graph.unpackable().into_iter();
    found.dense = dense.map(|(p, why)| Unpackable { layer: p.name.clone(), why }).collect();
    file.fastest = Some(fastest);
    Ok(found)
}

/// Times the matrices of the language model in the folder `args` names, with `--batch` rows each: a
/// token of generated text is one row.
pub fn measure_folder(args: &Export) -> Result<(Found, Fastest)> {
    ensure!(args.batch > 0, "--batch 0: a batch has rows");
    let model = Pretrained::open(&args.checkpoint)?;
    let weights = model.token_weights()?;
    let rows = u32::try_from(args.batch).with_context(|| format!("--batch {}", args.batch))?;
    let mut timing = Timing::new(args)?;
    for weight in &weights {
        let values = model.token_weight_values(weight)?;
        timing.layer(weight.name(), "matmul", PackedCase::new(weight.of(), &values, rows))?;
    }
    timing.finish()
}

/// The layers that were timed so far.
struct Timing {
    gpu: Gpu,
    progress: Naming,
    batch: usize,
    layers: Vec<Layer>,
}

impl Timing {
    fn new(args: &Export) -> Result<Self> {
        let gpu = adapter::gpu(&args.common)?;
        Ok(Self { gpu, progress: Naming::new(), batch: args.batch, layers: Vec::new() })
    }

    /// Times the weight `name`, unless a layer before was alike.
    fn layer(&mut self, name: &str, operation: &'static str, case: PackedCase<'_>) -> Result<()> {
        let PackedCase { of, weights: values, rows, .. } = case;
        let zeros = values.iter().filter(|&&w| w == 0.0).count();
        let sparsity = zeros as f64 / values.len().max(1) as f64;
        let pattern = pattern(of, values, self.gpu.target());
        let (shape, layout) = ([of.units, of.inputs], of.layout);
        self.progress.next(name);
        let alike = |l: &&Layer| {
            (l.operation, l.shape, l.layout, l.rows, &l.pattern)
                == (operation, shape, layout, rows, &pattern)
                && (l.sparsity - sparsity).abs() < 0.01
        };
        let times = match self.layers.iter().find(alike) {
            Some(before) => before.times.clone(),
            None if sparsity < LEAST => None,
            None => Some(case.time(&self.gpu, &PackedForm::ALL, &Effort::FULL)?),
        };
        self.layers.push(Layer {
            layer: name.to_owned(),
            operation,
            shape,
            layout,
            pattern,
            sparsity,
            rows,
            choice: times.as_ref().and_then(PackedTimes::fastest).map(|best| best.form),
            times,
        });
        Ok(())
    }

    /// What would pay for the largest layer that stays dense.
    fn advice(&self) -> Result<Option<Advice>> {
        let dense = self.layers.iter().filter(|l| l.choice.is_none() && l.operation == "matmul");
        let size = |l: &&Layer| u64::from(l.shape[0]) * u64::from(l.shape[1]);
        let Some(largest) = dense.max_by_key(size) else { return Ok(None) };
        let [units, inputs] = largest.shape;
        let of = Units::new([inputs, units]).layout(largest.layout);
        let (layer, rows) = (largest.layer.clone(), largest.rows);
        self.progress.next(&format!("{layer} with more zeros"));
        let pays_from = pays_from(&self.gpu, of, rows, &Effort::FULL)?;
        Ok(Some(Advice { layer, rows, pays_from }))
    }

    /// What was found, and what of it a file notes.
    fn finish(self) -> Result<(Found, Fastest)> {
        let advice = self.advice()?;
        self.progress.finish();
        let report = self.gpu.report();
        let hint = |l: &Layer| FastestWeight::new(&l.layer, l.rows, l.choice);
        let fastest = Fastest::new(&report.name, self.layers.iter().map(hint).collect());
        let found = Found {
            adapter: report.name.clone(),
            backend: report.backend.clone(),
            driver: report.driver.clone(),
            batch: self.batch,
            layers: self.layers,
            dense: Vec::new(),
            advice,
        };
        Ok((found, fastest))
    }
}

/// How the zeros lie: in blocks of inputs and outputs that are wholly kept or not at all, or alone.
fn pattern(of: Units, values: &[f32], target: Target) -> String {
    let packed = PackedMatrix::pack(PackedForm::Blocks, of, values, PackedValues::F32, target).ok();
    let whole = |m: &PackedMatrix| m.blocks().filter(|b| b.weights() == u64::from(m.shape().kept));
    if let Some(blocks) = packed.as_ref().and_then(whole)
        && blocks.weights() < of.len()
    {
        return format!("blocks {}x{}", blocks.height, blocks.width);
    }
    let [units, inputs] = [of.units, of.inputs].map(|x| x as usize);
    let at = |unit: usize, input: usize| match of.layout {
        Layout::InOut => input * units + unit,
        Layout::OutIn => unit * inputs + input,
    };
    let four = |unit: usize, four: usize| {
        (four * 4..four * 4 + 4).filter(|&input| values[at(unit, input)] != 0.0).count()
    };
    let mut all = (0..units).flat_map(|unit| (0..inputs / 4).map(move |i| (unit, i)));
    match inputs.is_multiple_of(4) && all.all(|(unit, i)| four(unit, i) <= 2) {
        true => "2:4".to_owned(),
        false => "unstructured".to_owned(),
    }
}

impl Found {
    /// The table, and in words where dense stays.
    pub fn print(&self) -> Result<()> {
        let Self { adapter, backend, driver, batch, .. } = self;
        output::line(&format!("{adapter} ({backend}), driver {driver}; batch {batch}"))?;
        let header = [
            "layer",
            "read by",
            "pattern",
            "choice",
            "outputs x inputs",
            "zeros",
            "dense ms",
            "packed ms",
            "packed as",
            "bytes before",
            "bytes packed",
        ];
        output::table(&header, 4, self.layers.iter().map(Layer::row).collect())?;
        let said = self.layers.iter().filter_map(Layer::said);
        let dense = self.dense.iter();
        let dense = dense.map(|Unpackable { layer, why }| format!("{layer}: dense stays: {why}"));
        let advice = self.advice.iter().flat_map(Advice::said);
        said.chain(dense).chain(advice).try_for_each(|line| output::line(&line))
    }
}

impl Advice {
    /// A line for each pattern.
    fn said(&self) -> Vec<String> {
        let Self { layer, rows, pays_from } = self;
        let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        let one = |&PaysFrom { pattern, sparsity, speedup, .. }: &PaysFrom| match sparsity {
            Some(sparsity) => format!(
                "{layer}: {pattern} pays here from {} zeros on: {speedup:.1} times as fast with {rows}",
                output::percent(sparsity)
            ),
            None => format!("{layer}: {pattern} pays with no zeros that were tried, with {rows}"),
        };
        pays_from.iter().map(one).collect()
    }
}

impl Layer {
    /// The fastest packed one.
    fn best(&self) -> Option<&secateur::bench::PackedTime> {
        let packed = self.times.iter().flat_map(|times| &times.packed);
        packed.min_by(|x, y| x.seconds.total_cmp(&y.seconds))
    }

    fn row(&self) -> Vec<String> {
        let ms = |seconds: Option<f64>| {
            seconds.map_or_else(|| "-".to_owned(), |s| format!("{:.4}", s * 1e3))
        };
        let [units, inputs] = self.shape;
        let best = self.best();
        let bytes = 4 * u64::from(units) * u64::from(inputs);
        vec![
            self.layer.clone(),
            self.operation.to_owned(),
            self.pattern.clone(),
            self.choice.map_or("dense", PackedForm::name).to_owned(),
            format!("{units} x {inputs}"),
            output::percent(self.sparsity),
            ms(self.times.as_ref().map(|times| times.dense_seconds)),
            ms(best.map(|best| best.seconds)),
            best.map_or("-", |best| best.form.name()).to_owned(),
            output::thousands(bytes),
            best.map_or_else(|| "-".to_owned(), |best| output::thousands(best.bytes)),
        ]
    }

    /// Why dense stays, where it does.
    fn said(&self) -> Option<String> {
        let name = &self.layer;
        if self.choice.is_some() {
            return None;
        }
        Some(match self.best() {
            Some(best) => {
                let times = 1.0 / best.speedup;
                format!("{name}: dense stays: packed takes {times:.1} times as long here")
            }
            None => {
                let zeros = output::percent(self.sparsity);
                format!("{name}: dense stays: {zeros} of it are zeros, too few to leave out")
            }
        })
    }
}
