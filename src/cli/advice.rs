//! What is said of a choice before it disappoints: of patterns that cost more than they save, of
//! formats that would be smaller, and of numbers that no network learns from as they are.
use std::path::Path;

use anyhow::Result;
use secateur::data::{Dataset, Scaling, Task};
use secateur::oneshot::TensorPlan;
use secateur::pretrained::{Answer, Pretrained};
use secateur::storage::{Dtype, Header, PackedTensor, Packing, smallest_bytes};

use super::output;

const TWO_FOUR: &str = "2:4 costs language models much: of Qwen3 the published average over tasks \
                        falls from 54 to 15 % at 2:4, and to 52 % at 6:8; measure what it costs \
                        here by secateur eval, or take 6:8 or an unstructured pattern";

/// Above it a mean or a deviation keeps a network with the usual rates of learning from its best.
const LARGE: f32 = 20.0;

/// Warns of a table whose features or targets are large numbers and are trained on as they are.
pub fn of_scale(data: &Dataset) {
    let schema = data.schema();
    let numbers = data.feature_shape().len() == 1 && !schema.columns.is_empty();
    if data.scaling().is_some() || !numbers {
        return;
    }
    let largest = |scaling: Scaling, names: &[String]| {
        let sizes = scaling.mean.into_iter().zip(scaling.scale);
        let named = names.iter().cloned().zip(sizes);
        named.max_by(|(_, a), (_, b)| size(*a).total_cmp(&size(*b)))
    };
    let features = largest(Scaling::of(data), &schema.columns);
    let regresses = matches!(schema.task, Task::Regression { .. });
    let targets = Scaling::of_targets(data).ok().filter(|_| regresses);
    let targets = targets.and_then(|scaling| largest(scaling, &schema.targets));
    let found = [features, targets].into_iter().flatten().find(|(_, of)| size(*of) > LARGE);
    if let Some((name, (mean, deviation))) = found {
        output::note(format_args!(
            "warning: `{name}` has mean {mean:.1} and deviation {deviation:.1} in the rows to \
             train on, which hampers learning; --standardise brings every column to 0 and 1"
        ));
    }
}

fn size((mean, deviation): (f32, f32)) -> f32 {
    mean.abs().max(deviation)
}

/// Warns of weights in 2:4 where the folder at `path` is a language model's.
pub fn of_two_four(path: &Path, tensors: &[PackedTensor]) {
    let is_one = |t: &PackedTensor| match t.packing {
        Some(Packing::TwoFour) => true,
        Some(Packing::Groups { kept, of, .. }) => (kept, of) == (2, 4),
        _ => false,
    };
    if tensors.iter().any(is_one) {
        warn_of_language(path);
    }
}

/// Warns where the folder at `path` is a language model's.
pub fn warn_of_language(path: &Path) {
    let answers = |model: Pretrained| model.architecture().answer() == Answer::NextToken;
    if path.is_dir() && Pretrained::open(path).is_ok_and(answers) {
        output::note(format_args!("warning: {TWO_FOUR}"));
    }
}

/// Says how much smaller the safetensors file at `path` would be in the smallest format.
pub fn of_formats(path: &Path) -> Result<()> {
    let file = Header::open(path)?;
    let bytes: u64 = file.tensors.iter().map(|tensor| tensor.bytes).sum();
    let smallest = smallest_bytes(&file)?;
    if smallest < bytes {
        let share = output::percent(smallest as f64 / bytes as f64);
        let smallest = output::thousands(smallest);
        output::line(&format!("--format smallest would take {smallest} bytes, {share}"))?;
    }
    Ok(())
}

/// Says about how much smaller tensors with so many elements that are not zero would be in the
/// smallest format, where these are spread as by chance.
pub fn of_pruned<'a>(tensors: impl Iterator<Item = (&'a TensorPlan, u64)>) -> Result<()> {
    let (mut dense, mut smallest) = (0.0, 0.0);
    for (plan, nonzero) in tensors {
        let elements = plan.shape.iter().map(|&d| d as u64).product::<u64>().max(1) as f64;
        let bits = Dtype::named(&plan.dtype).bits().unwrap_or(32) as f64;
        let (kept, zeros) = (nonzero as f64, 1.0 - nonzero as f64 / elements);
        // A code for each element, and one more for each so many zeros before it.
        let gaps = |code: f64, longest: i32| kept * code / (1.0 - zeros.powi(longest)).max(1e-9);
        let places = elements.min(gaps(4.0, 15)).min(gaps(8.0, 255));
        dense += elements * bits / 8.0;
        smallest += (elements * bits).min(kept * bits + places) / 8.0;
    }
    if smallest < 0.95 * dense {
        let share = output::percent(smallest / dense);
        output::line(&format!(
            "secateur export OUTPUT -o PACKED --format smallest would take about {share} of the \
             bytes of what was pruned"
        ))?;
    }
    Ok(())
}
