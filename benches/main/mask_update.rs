//! Mask updates as a run has them: scores, floor, selection, kept energy, and pruned weights and
//! slots of one optimizer tensor set to zero; throughput in weights.
use criterion::Throughput;
use secateur::Result;
use secateur::graph::{Graph, Shape, Stored, Weight};
use secateur::kernels::{MASK_STATE_WORDS, mask_words, ones};
use secateur::prune::{MaskUpdate, PrunedTensor, PruningSpec, Targets};

use super::plan::{Plan, noise};
use super::rows::Rows;

const SPECS: [(&str, &str); 12] = [
    ("exact", ""),
    ("no floor", "keep_units=false"),
    ("histogram", "threshold=histogram"),
    ("block 4x4", "block_height=4,block_width=4"),
    ("2:4", "pattern=2:4"),
    ("channel", "pattern=channel,last_layer_sparsity=0.5"),
    ("saliency", "score=saliency"),
    ("movement", "score=movement"),
    ("first order", "score=first_order_gradient"),
    ("second order", "score=second_order_gradient"),
    ("wanda", "score=wanda"),
    ("rigl", "regrow=rigl,end_pruning_step=9"),
];

/// Half of a matrix of `columns` output units is pruned, for the first time.
pub fn mask_update(results: &mut Rows<'_>, rows: u32, columns: u32) -> Result<()> {
    let (gpu, len) = (results.gpu, rows * columns);
    for (name, text) in SPECS {
        let spec: PruningSpec = text.parse()?;
        let mut graph = Graph::default();
        let weight = graph.parameter("w", [rows, columns])?;
        graph.apply_mask(weight)?;
        let targets = Targets::new(&spec, graph.parameters())?;
        let mut made = None;
        let plan = Plan::new(gpu, |plan| {
            let mut slot = |name: &str, words| plan.persistent(name, words);
            let stored =
                Stored::pruned(slot("weights", len), slot("mask", mask_words(len)), spec.pruned);
            let (state, energy) = (slot("mask_state", MASK_STATE_WORDS), slot("energy", 2));
            let slots = vec![("velocity", slot("velocity", len))];
            let weight = Weight::new("w", Shape::new([rows, columns]), stored).with_slots(slots);
            let mut tensor = PrunedTensor::new(weight, state, energy)?;
            tensor.gradient = spec.needs_gradients().then(|| slot("gradient", len));
            let kept = spec.score.scoring().slots(len, columns).into_iter();
            tensor.score_slots = kept.map(|(name, words)| slot(name, words)).collect();
            let update = MaskUpdate::push(plan, &spec, targets, std::slice::from_ref(&tensor))?;
            made = Some((update, tensor));
            Ok(())
        })?;
        if let Some((update, tensor)) = made {
            let upload = |slot: secateur::gpu::Slot| {
                let values: Vec<f32> = noise(slot.words).iter().map(|v| v.abs()).collect();
                plan.program.upload(gpu, slot, &values);
            };
            tensor.score_slots.iter().chain(&tensor.gradient).for_each(|&slot| upload(slot));
            plan.program.upload(gpu, tensor.weights(), &noise(len));
            plan.program.upload(gpu, tensor.mask(), &ones(len));
            plan.program.upload(gpu, update.counts(), &update.words(1, 0.5));
        }
        let throughput = Some(Throughput::Elements(len.into()));
        results.row("whole mask update", &format!("{name}/{len}"), throughput, |n| plan.time(n));
    }
    Ok(())
}
