//! Training with weights that are pruned in blocks: products leave out what they can.
use std::sync::Arc;

use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset};
use secateur::kernels::Pruned;
use secateur::prune::MaskUpdateOp;
use secateur::{Gpu, Model, Optimizer, Pruning, PruningSpec, Session};

use crate::common::{Noise, gpu};

const BATCH: usize = 20;

fn data() -> Arc<Dataset> {
    let features = Noise::new(5).floats(60 * 96, 1.0);
    let labels = Answers::classes((0..60_u32).map(|i| i % 3), 3);
    Arc::new(Dataset::new("wide", &[96], features, labels).unwrap())
}

fn op(spec: PruningSpec) -> MaskUpdateOp {
    Pruning::new(spec).unwrap().conditional_mask_update_op()
}

fn session(gpu: &Gpu, data: &Dataset, op: &MaskUpdateOp) -> Session {
    let input = secateur::nn::Input::from(&data.schema());
    let network = Model::mlp(&[128, 64]).network(BATCH, &input).unwrap();
    Session::new(gpu, &network, Optimizer::sgd(0.05), op, 3).unwrap()
}

/// The same masks by a specification that says nothing of blocks, which launches whole products: the
/// same losses and the same weights, to the bit, through updates that prune more.
#[test]
fn a_run_has_the_bits_of_one_that_leaves_nothing_out() {
    let Some(gpu) = gpu() else { return };
    let data = data();
    for (mode, updates) in [(Pruned::Zero, [0, 2, 4]), (Pruned::Revive, [0; 3])] {
        let spec = PruningSpec::to(0.8).pruned(mode);
        let blocks = spec.clone().block_height(32).block_width(32);
        let mut skips = session(gpu, &data, &op(blocks));
        let mut whole = session(gpu, &data, &op(spec));
        let count = |s: &Session| s.plan().matches("live_matmul").count();
        assert!(count(&skips) > 4 && count(&whole) == 0, "{}", skips.plan());
        let mut batches = Batches::new(Arc::clone(&data), BATCH, Some(1)).unwrap();
        let mut batch = Batch::default();
        for step in 0..6 {
            if updates.contains(&step) {
                // More each time; then the other gets the weights, and masks of their zeros.
                skips.update_masks(0.6 + 0.05 * f64::from(step)).unwrap();
                for (name, values) in skips.get_masked_weights().unwrap() {
                    whole.set_weights(&name, &values).unwrap();
                    skips.set_weights(&name, &values).unwrap();
                }
                whole.mask_zeros(0.0).unwrap();
                assert_eq!(skips.get_masks().unwrap(), whole.get_masks().unwrap());
            }
            batches.next_batch(&mut batch).unwrap();
            let [x, y] = [&mut skips, &mut whole].map(|s| s.step(&batch).unwrap().loss.to_bits());
            assert_eq!(x, y, "{mode:?}, step {step}");
        }
        let all = |s: &Session| {
            let weights = s.get_weights().unwrap().into_iter();
            weights.map(|(n, w)| (n, w.into_iter().map(f32::to_bits).collect())).collect::<Vec<_>>()
        };
        let (got, want): (Vec<(String, Vec<u32>)>, _) = (all(&skips), all(&whole));
        assert!(got == want, "{mode:?}");
        let [x, y] = [&mut skips, &mut whole].map(|s| s.evaluate(&data).unwrap().loss.to_bits());
        assert_eq!(x, y, "{mode:?}");
    }
}
