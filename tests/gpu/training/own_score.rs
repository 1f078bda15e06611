//! A score of the user's own, with a kernel and a memory of its own, as another crate would write
//! it.
use std::fs;
use std::path::Path;

use secateur::checkpoint::{Checkpoint, MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::gpu::{Bound, Kernel, Operand, PlanBuilder, Slot, grid_1d, read, write};
use secateur::kernels::{Saliency, topk_reference};
use secateur::nn::Input;
use secateur::optim::Optimizer;
use secateur::prune::{
    MaskUpdateOp, PrunedTensor, Pruning, PruningSpec, Ranking, Score, Scoring, pruned_count,
};
use secateur::session::Session;
use secateur::storage::TensorData;
use secateur::train::train;
use secateur::{Model, Result};

use super::{MODEL, SEED, spec, steps, train_op};
use crate::common::{Tol, gpu};

/// `total[i] += |x[i]|`
struct MagnitudeSum {
    x: Slot,
    total: Slot,
    len: u32,
}

impl Kernel for MagnitudeSum {
    const NAME: &'static str = "magnitude_sum";
    const WGSL: &'static str = "
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> total: array<f32>;
        @group(0) @binding(2) var<uniform> params: Params;
        struct Params { len: u32 }

        @compute @workgroup_size(256)
        fn main(
            @builtin(global_invocation_id) id: vec3<u32>,
            @builtin(num_workgroups) groups: vec3<u32>,
        ) {
            let i = id.y * groups.x * 256u + id.x;
            if i < params.len {
                total[i] = total[i] + abs(x[i]);
            }
        }";
    const OPERANDS: &'static [Operand] = &[read("x"), write("total")];
    type Params = u32;

    fn bind(&self) -> Vec<Bound> {
        [self.x, self.total].map(|slot| slot.needs(self.len.into())).into()
    }

    fn params(&self) -> u32 {
        self.len
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// |w| times the sum of its |gradients|.
#[derive(Debug)]
struct Restless;

impl Scoring for Restless {
    fn name(&self) -> &str {
        "restless"
    }

    fn slots(&self, len: u32, _units: u32) -> Vec<(&'static str, u32)> {
        vec![("restlessness", len)]
    }

    fn needs_batches(&self) -> bool {
        true
    }

    fn push_gradient(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        gradient: Slot,
    ) -> Result<()> {
        let [total] = t.kept()?;
        plan.push(MagnitudeSum { x: gradient, total, len: t.len() })
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking) -> Result<Slot> {
        let t = ranking.tensor;
        let (weights, [gradient], len) = (t.weights(), t.kept()?, t.len());
        let score = plan.scratch(format!("{}.score", t.name()), len);
        plan.push(Saliency { weights, gradient, score, len })?;
        ranking.pool(plan, "blocks", score, false)
    }

    // People see the square root.
    fn threshold(&self, bits: u32) -> f32 {
        f32::from_bits(bits).sqrt()
    }

    fn threshold_bits(&self, threshold: f32) -> u32 {
        (threshold * threshold).to_bits()
    }
}

fn op(spec: PruningSpec) -> MaskUpdateOp {
    Pruning::new(spec.score(Score::custom(Restless))).unwrap().conditional_mask_update_op()
}

fn frozen() -> PruningSpec {
    spec(secateur::kernels::Pruned::Freeze)
}

fn f32s(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let mut all = checkpoint.model.iter().chain(&checkpoint.optimizer);
    match &all.find(|t| t.name == name).unwrap_or_else(|| panic!("no {name}")).data {
        TensorData::F32(values) => values.clone(),
        TensorData::U32(_) => panic!("{name} is of u32"),
    }
}

/// What the kernel sums up is the gradients, and the masks are those of its scores, bit for bit.
#[test]
fn it_ranks_by_what_its_kernels_leave() {
    let Some(gpu) = gpu() else { return };
    let spec = frozen().schedule(secateur::prune::Schedule::Constant).keep_units(false);
    let spec = spec.pruning_frequency(1).sparsity_function_begin_step(0);
    let (folder, lr) = (tempfile::tempdir().unwrap(), 0.5);
    let optimizer = Optimizer::sgd(lr);
    let op = op(spec);
    let outcome = train(train_op(gpu, optimizer), Some(folder.path()), op.clone(), steps(1));
    let (session, found) = (outcome.unwrap().session, newest(folder.path()).unwrap().unwrap());
    let network = Model::mlp(&MODEL).network(16, &Input::flat(6, 3)).unwrap();
    let before = Session::new(gpu, &network, optimizer, &op, SEED).unwrap();
    let thresholds = session.get_thresholds().unwrap();
    for ((name, mask), (_, threshold)) in session.get_masks().unwrap().iter().zip(thresholds) {
        let weights = f32s(&found, &format!("{name}/raw"));
        let sums = f32s(&found, &format!("{name}/restlessness"));
        assert!(sums.iter().filter(|&&sum| sum > 0.0).count() > sums.len() / 4, "{name}");
        for ((w0, &w1), &sum) in before.weights(name).unwrap().iter().zip(&weights).zip(&sums) {
            // w1 is rounded once, to 2^-24 of itself; that is an error of the step.
            let bound = 1e-6 * (w1.abs() + lr * sum);
            assert!(((w0 - w1).abs() - lr * sum).abs() <= bound, "{name}: {sum}");
        }
        let scores: Vec<f32> = weights.iter().zip(&sums).map(|(w, sum)| (w * sum).abs()).collect();
        let prune = pruned_count(scores.len() as u64, 0.8) as usize;
        Tol::Exact.check(mask, &topk_reference(&scores, None, prune)).unwrap();
        let mut sorted = scores.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!(threshold, sorted[prune - 1].sqrt(), "{name}");
    }
}

/// Its memory is part of checkpoints: updates at 3, 6, ..., a stop at 7.
#[test]
fn it_resumes_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let go = |logdir: &Path, limit| {
        let blocks = frozen().block_height(2);
        let train_op = train_op(gpu, Optimizer::adam(0.01));
        train(train_op, Some(logdir), op(blocks), steps(limit)).unwrap();
        let path = newest(logdir).unwrap().unwrap().path;
        [MODEL_FILE, OPTIMIZER_FILE].map(|file| fs::read(path.join(file)).unwrap())
    };
    let [straight, halves] = ["straight", "halves"].map(|name| folder.path().join(name));
    let straight = go(&straight, 15);
    assert_ne!(go(&halves, 7), straight);
    assert!(go(&halves, 15) == straight);
}

/// A name that a checkpoint has already would overwrite it.
#[derive(Debug)]
struct Taken(&'static str);

impl Scoring for Taken {
    fn name(&self) -> &str {
        "taken"
    }

    fn slots(&self, len: u32, _: u32) -> Vec<(&'static str, u32)> {
        vec![(self.0, len)]
    }

    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking) -> Result<Slot> {
        Ok(plan.persistent("short", ranking.len() - 1))
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let plan = |slot| {
        let network = Model::mlp(&MODEL).network(16, &Input::flat(6, 3)).unwrap();
        let op = Pruning::new(frozen().score(Score::custom(Taken(slot)))).unwrap();
        let op = op.mask_update_op();
        let target = secateur::gpu::Target::default();
        secateur::session::plan(&network, Optimizer::adam(0.1), &op, target)
            .unwrap_err()
            .to_string()
    };
    for slot in ["mask", "first", ""] {
        let error = plan(slot);
        assert!(error.contains(&format!("score=taken keeps `{slot}`, a name")), "{error}");
    }
    let error = plan("fine");
    assert!(error.contains("score=taken gives 119 values, 120 are ranked"), "{error}");
}
