//! Pruning block after block: the masks of the textbook's methods, and what an interruption costs.
use std::collections::HashMap;

use secateur::pretrained::{Method, Pretrained, PruneOptions, PruneReport, Sink, Window};
use secateur::{Error, Result};
use serde_json::Value;

use crate::common::gpu;
use crate::models::model;
use crate::paths::golden;

/// Pruned weights in memory. After `until` blocks it fails, as an interruption would.
#[derive(Default)]
pub struct Held {
    pub tensors: HashMap<String, Vec<f32>>,
    pub done: Vec<(String, String)>,
    pub names: Vec<String>,
    pub until: Option<usize>,
}

impl Sink for Held {
    fn done(&self) -> &[String] {
        &self.names
    }

    fn remark(&self, block: &str) -> Option<&str> {
        self.done.iter().find(|(name, _)| name == block).map(|(_, remark)| remark.as_str())
    }

    fn read(&self, name: &str) -> Result<Vec<f32>> {
        let of_the_model = || open().files().read_f32(name);
        self.tensors.get(name).cloned().map_or_else(of_the_model, Ok)
    }

    fn put(&mut self, name: &str, values: &[f32]) -> Result<Vec<f32>> {
        self.tensors.insert(name.to_owned(), values.to_vec());
        Ok(values.to_vec())
    }

    fn mark_done(&mut self, block: &str, remark: &str) -> Result<()> {
        if self.until == Some(self.done.len()) {
            return Err(Error::argument("sink", "it is full"));
        }
        self.done.push((block.to_owned(), remark.to_owned()));
        self.names.push(block.to_owned());
        Ok(())
    }
}

pub fn open() -> Pretrained {
    Pretrained::open(&model("llama")).unwrap()
}

pub fn read() -> Value {
    serde_json::from_str(&golden("models/llama/pruned.json")).unwrap()
}

pub fn windows(golden: &Value) -> Vec<Window> {
    let ids = |row: &Value| {
        row.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
    };
    golden["windows"].as_array().unwrap().iter().map(|row| Window::new(ids(row))).collect()
}

pub fn prune(options: &PruneOptions, held: &mut Held) -> Result<PruneReport> {
    let gpu = gpu().expect("asked before");
    open().prune(gpu, &windows(&read()), options, held, &mut |_| {})
}

/// Masks of f32 may differ from those of f64 where two scores are all but equal: of some 27,000
/// weights, whose scores are told apart by less than 2^-20 of themselves in few pairs.
#[test]
fn the_masks_and_the_loss_are_those_of_the_textbook() {
    if gpu().is_none() {
        return;
    }
    let golden = read();
    for method in [Method::Wanda, Method::SparseGpt] {
        let mut held = Held::default();
        let report = prune(&PruneOptions::new(method, 0.5), &mut held).unwrap();
        let of = &golden[method.name()];
        let (mut other, mut all) = (0, 0);
        for (name, kept) in of["kept"].as_object().unwrap() {
            let kept = kept.as_str().unwrap().bytes().map(|b| b == b'1');
            let ours = held.tensors[name].iter().map(|&x| x != 0.0);
            other += ours.zip(kept).filter(|(a, b)| a != b).count();
            all += held.tensors[name].len();
        }
        assert!(other * 500 <= all, "{}: {other} of {all} weights differ", method.name());
        let loss = report.calibration_perplexity.unwrap().ln();
        let want = of["loss"].as_f64().unwrap();
        assert!((loss - want).abs() <= 2e-3, "{}: {loss}, {want} by torch", method.name());
        assert_eq!(report.blocks.len(), 2);
        assert!(report.blocks.iter().all(|b| b.sparsity() == 0.5 && b.weights.len() == 7));
    }
}

/// Each step of the way to `admm` is one that pays: moved weights are nearer to the dense model
/// than those that only stay.
#[test]
fn weights_that_are_moved_are_nearer_to_the_dense_model() {
    if gpu().is_none() {
        return;
    }
    let dense = read()["dense_loss"].as_f64().unwrap();
    let far = |method, pattern: &str| {
        let options = PruneOptions::new(method, 0.5).pattern(pattern.parse().unwrap());
        let mut held = Held::default();
        let report = prune(&options, &mut held).unwrap();
        assert!(report.blocks.iter().all(|b| b.sparsity() == 0.5), "{pattern}");
        (report.blocks[1].error, (report.calibration_perplexity.unwrap().ln() - dense).abs())
    };
    for pattern in ["element", "2:4"] {
        let [wanda, admm] = [Method::Wanda, Method::Admm].map(|method| far(method, pattern));
        assert!(admm.1 < wanda.1, "{pattern}: {admm:?} by admm, {wanda:?} by wanda");
    }
}

/// Neighbouring outputs lose the same inputs, of which as many stay in every group; what chooses for
/// each output by itself is refused.
#[test]
fn units_share_their_inputs_where_vectors_are_pruned() {
    if gpu().is_none() {
        return;
    }
    let options = |method| PruneOptions::new(method, 0.75).pattern("2:8x4".parse().unwrap());
    for method in [Method::SparseGpt, Method::Admm] {
        let error = prune(&options(method), &mut Held::default()).unwrap_err().to_string();
        assert!(error.contains("2:8x4") && error.contains(method.name()), "{error}");
    }
    let mut held = Held::default();
    let report = prune(&options(Method::Wanda), &mut held).unwrap();
    assert!(report.blocks.iter().all(|block| block.weights.len() == 7));
    for (name, values) in &held.tensors {
        let units = open().files().info(name).unwrap().shape[0];
        let inputs = values.len() / units;
        let kept = |unit: usize, input: usize| values[unit * inputs + input] != 0.0;
        for first in (0..units).step_by(4) {
            for unit in first..units.min(first + 4) {
                let same = (0..inputs).all(|input| kept(unit, input) == kept(first, input));
                assert!(same, "{name}: units {first} and {unit}");
            }
            for group in (0..inputs).step_by(8) {
                let group = group..inputs.min(group + 8);
                let count = group.clone().filter(|&input| kept(first, input)).count();
                assert_eq!(count, (2 * group.len()).div_ceil(8), "{name}: {group:?}");
            }
        }
    }
}

#[test]
fn each_unit_loses_as_many() {
    if gpu().is_none() {
        return;
    }
    let of_the_model = open();
    for method in [Method::Wanda, Method::Admm] {
        let mut held = Held::default();
        prune(&PruneOptions::new(method, 0.375), &mut held).unwrap();
        for (name, values) in &held.tensors {
            let inputs = of_the_model.files().info(name).unwrap().shape[1];
            for unit in values.chunks(inputs) {
                let kept = unit.iter().filter(|&&x| x != 0.0).count();
                assert_eq!(kept * 8, inputs * 5, "{name} by {}", method.name());
            }
        }
    }
}

#[test]
fn in_groups_of_four_two_stay() {
    if gpu().is_none() {
        return;
    }
    for method in [Method::Magnitude, Method::Wanda, Method::SparseGpt, Method::Admm] {
        let mut held = Held::default();
        let options = PruneOptions::new(method, 0.0).pattern("2:4".parse().unwrap());
        prune(&options, &mut held).unwrap();
        for (name, values) in &held.tensors {
            let full = values.chunks(4).filter(|g| g.iter().filter(|&&x| x != 0.0).count() == 2);
            assert_eq!(full.count(), values.len() / 4, "{name} by {}", method.name());
        }
    }
}

#[test]
fn an_interrupted_work_goes_on_to_the_same_bits() {
    if gpu().is_none() {
        return;
    }
    for method in [Method::SparseGpt, Method::Admm] {
        let options = PruneOptions::new(method, 0.6);
        let mut whole = Held::default();
        let want = prune(&options, &mut whole).unwrap();
        let mut parts = Held { until: Some(1), ..Held::default() };
        let stopped = prune(&options, &mut parts).unwrap_err().to_string();
        assert!(stopped.contains("it is full"), "{stopped}");
        parts.until = None;
        let got = prune(&options, &mut parts).unwrap();
        assert_eq!(parts.tensors, whole.tensors, "{}", method.name());
        let [got, want] = [got, want].map(|r| {
            let blocks = r.blocks.iter().map(|b| (b.name.clone(), b.weights.clone(), b.error));
            (blocks.collect::<Vec<_>>(), r.calibration_perplexity)
        });
        assert_eq!(got, want, "{}", method.name());
    }
}

#[test]
fn activations_in_a_file_change_no_bit_and_leave_no_file() {
    if gpu().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut whole, mut spilled) = (Held::default(), Held::default());
    let options = PruneOptions::new(Method::Admm, 0.5);
    let want = prune(&options, &mut whole).unwrap();
    let got = prune(&options.clone().activations(Some(dir.path().into())), &mut spilled).unwrap();
    assert_eq!(spilled.tensors, whole.tensors);
    assert_eq!(got.calibration_perplexity, want.calibration_perplexity);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let missing = options.activations(Some(dir.path().join("missing")));
    let said = prune(&missing, &mut Held::default()).unwrap_err().to_string();
    assert!(said.contains("missing"), "{said}");
}

#[test]
fn what_is_left_out_stays() {
    let Some(gpu) = gpu() else { return };
    let pattern = |text: &str| Some(secateur::prune::TensorPattern::new(text));
    let options = PruneOptions::new(Method::Admm, 0.5).exclude(pattern("layers.0.|k_proj"));
    let mut held = Held::default();
    let report = prune(&options, &mut held).unwrap();
    assert_eq!(report.blocks.len(), 1);
    assert_eq!((report.blocks[0].block, held.tensors.len()), (1, 6));
    assert!(held.names.len() == 2 && !held.tensors.keys().any(|n| n.contains("k_proj")));

    let refused = |options: PruneOptions, windows: &[Window]| {
        let told = &mut |_: secateur::pretrained::PruneEvent<'_>| {};
        let error = open().prune(gpu, windows, &options, &mut Held::default(), told);
        error.unwrap_err().to_string()
    };
    let all = windows(&read());
    let global = PruneOptions::new(Method::Wanda, 0.5).scope(secateur::prune::Scope::Global);
    assert!(refused(global, &all).contains("take unit or layer"));
    let too_much = PruneOptions::new(Method::Wanda, 1.5);
    assert!(refused(too_much, &all).contains("1.5"));
    let ragged = PruneOptions::new(Method::Admm, 0.0).pattern("3:7".parse().unwrap());
    let said = refused(ragged, &all);
    assert!(said.contains("q_proj.weight has 48 inputs, which groups of 7"), "{said}");
    let beyond = [Window::new(vec![5, 101, 3])];
    let said = refused(PruneOptions::new(Method::Wanda, 0.5), &beyond);
    assert!(said.contains("token 101 in row 0, the model's table has 101"), "{said}");
}

/// Beside its dense self is a part of a block, never all of it: what goes from part to part waits on
/// the host.
#[test]
fn a_pair_has_the_weights_of_a_part() {
    let options = PruneOptions::new(Method::Admm, 0.5);
    let memory = open().prune_memory(24, &options, Default::default()).unwrap();
    let model = open();
    let block = |name: &str| name.starts_with("model.layers.0.");
    let weights: u64 = model
        .files()
        .tensors()
        .filter(|t| block(&t.name))
        .map(secateur::storage::TensorInfo::len)
        .sum();
    // Moments of 96 inputs and what is made of them.
    let moments = 4 * 96 * 96;
    assert!(memory.persistent < 4 * (2 * weights + moments), "{memory:?}");
    assert!(memory.persistent > 4 * (2 * weights * 2 / 3 + moments), "{memory:?}");
}

#[test]
fn memory_is_known_before_and_grows_with_the_window() {
    let options = PruneOptions::new(Method::SparseGpt, 0.5);
    let target = secateur::gpu::Target::default();
    let bytes = |length| open().prune_memory(length, &options, target).unwrap().peak();
    let Some(gpu) = gpu() else { return };
    let [short, long] = [24, 48].map(bytes);
    assert!(short < long, "{short}, {long}");
    let mut held = Held::default();
    let report = prune(&options, &mut held).unwrap();
    let here = open().prune_memory(24, &options, gpu.target()).unwrap().peak();
    assert_eq!(report.device_bytes, here);
}
