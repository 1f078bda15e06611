//! Pruning of files: which bytes change, and what is refused.
mod groups;
mod vectors;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use secateur::kernels::{BlockPooling, Blocks, bit, block_pool_reference, topk_reference};
use secateur::oneshot::{Options, Report, prune_file};
use secateur::prune::{Pattern, Scope, TensorPattern, pruned_count};

use crate::common::{Noise, gpu};

/// A tensor as bytes.
struct Tensor {
    name: &'static str,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn tensor(name: &'static str, dtype: Dtype, shape: &[usize], values: &[f32]) -> Tensor {
    let bytes = match dtype {
        Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
        Dtype::BF16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        Dtype::I32 => values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect(),
        other => panic!("{other:?}"),
    };
    Tensor { name, dtype, shape: shape.to_vec(), bytes }
}

fn write(path: &Path, tensors: &[Tensor]) {
    let view = |t| {
        let Tensor { name, dtype, shape, bytes }: &Tensor = t;
        (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    };
    let views: Vec<_> = tensors.iter().map(view).collect();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize_to_file(views, Some(metadata), path).unwrap();
}

fn values(t: &Tensor) -> Vec<f32> {
    let two = |b: &[u8]| [b[0], b[1]];
    match t.dtype {
        Dtype::F16 => t.bytes.chunks(2).map(|b| f16::from_le_bytes(two(b)).to_f32()).collect(),
        Dtype::BF16 => t.bytes.chunks(2).map(|b| bf16::from_le_bytes(two(b)).to_f32()).collect(),
        _ => t.bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
    }
}

/// Several dtypes, ties within and across tensors, an empty tensor, a scalar, a bias, integers.
fn model() -> Vec<Tensor> {
    let mut noise = Noise::new(3);
    let few: Vec<f32> = noise.below(9000, 5).iter().map(|&c| c as f32 * 0.5 - 1.0).collect();
    vec![
        tensor("a.weight", Dtype::F32, &[100, 130], &noise.floats(13_000, 1.0)),
        tensor("b.weight", Dtype::F16, &[90, 100], &few),
        tensor("b.bias", Dtype::F16, &[90], &noise.floats(90, 1.0)),
        tensor("c.weight", Dtype::BF16, &[3, 5, 31], &noise.floats(465, 1.0)),
        tensor("empty", Dtype::F32, &[0, 4], &[]),
        tensor("ids", Dtype::I32, &[4, 4], &[7.0; 16]),
        tensor("scale", Dtype::F32, &[], &[0.25]),
        tensor("d.weight", Dtype::F32, &[1, 2], &[f32::INFINITY, -1.0]),
    ]
}

struct Case {
    folder: tempfile::TempDir,
    input: PathBuf,
    output: PathBuf,
}

impl Case {
    fn new(tensors: &[Tensor]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) =
            (folder.path().join("in.safetensors"), folder.path().join("out.safetensors"));
        write(&input, tensors);
        Self { folder, input, output }
    }

    fn prune(&self, options: &Options) -> Option<Result<Report, String>> {
        let done = prune_file(gpu()?, &self.input, &self.output, options, &mut |_, _| {});
        Some(done.map_err(|e| e.to_string()))
    }

    /// Files in the folder besides the input.
    fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n != "in.safetensors").collect()
    }
}

/// How `t` is cut where blocks of `block` are asked for.
fn cut(t: &Tensor, block: Option<[u32; 2]>) -> Option<Blocks> {
    let columns = *t.shape.last()? as u32;
    let [height, width] = block?;
    let rows = t.shape.iter().product::<usize>() as u32 / columns;
    Some(Blocks { rows, columns, height, width })
}

/// What the masks must be, by sorting, and the highest score that goes; `None` for what is copied.
fn masks(tensors: &[Tensor], order: &[&str], options: &Options) -> Vec<Option<(Vec<bool>, f32)>> {
    let chosen = |t: &&Tensor| t.name.ends_with("weight");
    let of = |name: &&str| tensors.iter().find(|t| t.name == *name).filter(chosen);
    let scores = |t: &Tensor| match cut(t, options.block) {
        None => values(t),
        Some(blocks) => {
            let means = block_pool_reference(&values(t), blocks, BlockPooling::Avg);
            means.into_iter().map(|m| m as f32).collect()
        }
    };
    let all: Vec<Option<Vec<f32>>> = order.iter().map(|n| of(n).map(scores)).collect();
    let select = |values: &[f32]| -> Vec<bool> {
        let count = pruned_count(values.len() as u64, options.sparsity) as usize;
        let mask = topk_reference(values, None, count);
        (0..values.len()).map(|i| bit(&mask, i)).collect()
    };
    let kept: Vec<Option<Vec<bool>>> = if options.scope == Scope::Layer {
        all.iter().map(|v| v.as_ref().map(|v| select(v))).collect()
    } else {
        let together: Vec<f32> = all.iter().flatten().flatten().copied().collect();
        let mut kept = select(&together).into_iter();
        all.iter().map(|v| v.as_ref().map(|v| kept.by_ref().take(v.len()).collect())).collect()
    };
    let highest = |(scores, kept): (&Option<Vec<f32>>, &Option<Vec<bool>>)| -> Option<f32> {
        let pruned = scores.as_ref()?.iter().zip(kept.as_ref()?).filter(|(_, kept)| !**kept);
        Some(pruned.map(|(s, _)| s.abs()).fold(0.0, f32::max))
    };
    let mut thresholds: Vec<Option<f32>> = all.iter().zip(&kept).map(highest).collect();
    if options.scope == Scope::Global {
        let top = thresholds.iter().flatten().copied().fold(0.0, f32::max);
        thresholds.iter_mut().flatten().for_each(|t| *t = top);
    }
    let spread = |((name, kept), threshold): ((&&str, Option<Vec<bool>>), Option<f32>)| {
        let (tensor, kept, threshold) = (of(name)?, kept?, threshold?);
        let Some(b) = cut(tensor, options.block) else { return Some((kept, threshold)) };
        let across = b.columns.div_ceil(b.width);
        let unit = |i| i / b.columns / b.height * across + i % b.columns / b.width;
        let kept = (0..b.rows * b.columns).map(|i| kept[unit(i) as usize]).collect();
        Some((kept, threshold))
    };
    order.iter().zip(kept).zip(thresholds).map(spread).collect()
}

fn check(case: &Case, tensors: &[Tensor], report: &Report, options: &Options) {
    let (before, after) =
        (std::fs::read(&case.input).unwrap(), std::fs::read(&case.output).unwrap());
    let header = 8 + u64::from_le_bytes(before[..8].try_into().unwrap()) as usize;
    assert_eq!(before[..header], after[..header], "header and metadata stay");
    let read = SafeTensors::deserialize(&after).unwrap();
    let order: Vec<&str> = report.tensors.iter().map(|t| t.plan.name.as_str()).collect();
    assert_eq!(order.len(), tensors.len());
    for (name, mask) in order.iter().zip(masks(tensors, &order, options)) {
        let tensor = tensors.iter().find(|t| t.name == *name).unwrap();
        let mut want = tensor.bytes.clone();
        let size = tensor.bytes.len() / tensor.shape.iter().product::<usize>().max(1);
        for (i, _) in mask.iter().flat_map(|m| &m.0).enumerate().filter(|(_, kept)| !**kept) {
            want[i * size..(i + 1) * size].fill(0);
        }
        assert!(read.tensor(name).unwrap().data() == want, "{name}: {options:?}");
        let said = report.tensors.iter().find(|t| t.plan.name == *name).unwrap();
        assert_eq!(said.threshold, mask.map(|m| m.1), "{name}: {options:?}");
    }
}

#[test]
fn every_byte_is_as_sorting_says() {
    let tensors = model();
    let scopes = [Scope::Layer, Scope::Global];
    for (scope, chunk) in scopes.into_iter().flat_map(|s| [(s, None), (s, Some(4990))]) {
        for block in [None, Some([1, 5]), Some([4, 3]), Some([64, 1]), Some([7, 200])] {
            for sparsity in [0.0, 0.3, 0.5, 0.9, 1.0] {
                let case = Case::new(&tensors);
                let options = Options { sparsity, scope, chunk, block, ..Default::default() };
                let Some(report) = case.prune(&options) else { return };
                check(&case, &tensors, &report.unwrap(), &options);
                assert_eq!(case.leftovers(), ["out.safetensors"]);
            }
        }
    }
}

/// More than the host holds of a tensor at once.
#[test]
fn tensors_are_read_in_pieces() {
    let mut noise = Noise::new(9);
    let tensors = [
        tensor("a.weight", Dtype::F16, &[700, 500], &noise.floats(350_000, 1.0)),
        tensor("b.weight", Dtype::F32, &[2, 300_000], &noise.floats(600_000, 1.0)),
    ];
    for block in [None, Some([3, 4])] {
        for chunk in [None, Some(310_000)] {
            let case = Case::new(&tensors);
            let options = Options { sparsity: 0.4, block, chunk, ..Default::default() };
            let Some(report) = case.prune(&options) else { return };
            check(&case, &tensors, &report.unwrap(), &options);
        }
    }
}

#[test]
fn what_cannot_be_done_leaves_nothing() {
    if gpu().is_none() {
        return;
    }
    let regex = |text| Some(TensorPattern::new(text));
    let nan = tensor("n.weight", Dtype::BF16, &[2, 2], &[1.0, f32::NAN, 2.0, 3.0]);
    let mut with_nan = model();
    with_nan.push(nan);
    let options = Options::default;
    let cases: [(&[Tensor], Options, &str); 13] = [
        (&with_nan, options(), "n.weight holds NaN"),
        (&with_nan, Options { scope: Scope::Global, ..options() }, "n.weight holds NaN"),
        (&model(), Options { sparsity: 1.5, ..options() }, "1.5: must be in 0 to 1"),
        (&model(), Options { include: regex("conv"), ..options() }, "`conv` matches none of 8"),
        (&model(), Options { only: regex("bias"), ..options() }, "none of 8 tensors is a weight"),
        (&model(), Options { axis: Some(1), ..options() }, "pattern element has none"),
        (&model(), Options { exclude: regex("("), ..options() }, "unclosed group"),
        (&model(), Options { exclude: regex("weight"), ..options() }, "is a weight that is asked"),
        (&model(), Options { pattern: Pattern::Channel, ..options() }, "channel"),
        (&with_nan, Options { block: Some([2, 2]), ..options() }, "n.weight holds NaN"),
        (&model(), Options { block: Some([0, 2]), ..options() }, "at least 1x1"),
        (
            &model(),
            Options { block: Some([1, 2]), pattern: Pattern::Nm { n: 2, m: 4 }, ..options() },
            "choose one",
        ),
        (
            &model(),
            Options { block: Some([4, 1]), chunk: Some(100), ..options() },
            "a.weight has 130 blocks side by side, at most 100",
        ),
    ];
    for (tensors, options, what) in cases {
        let case = Case::new(tensors);
        let error = case.prune(&options).unwrap().unwrap_err();
        assert!(error.contains(what), "{error} lacks {what}");
        assert_eq!(case.leftovers(), [""; 0], "{what}");
    }
    let fine = Options { exclude: regex("^n"), ..options() };
    Case::new(&with_nan).prune(&fine).unwrap().unwrap();
}

#[test]
fn files_are_never_overwritten_unasked() {
    let Some(gpu) = gpu() else { return };
    let case = Case::new(&model());
    let before = std::fs::read(&case.input).unwrap();
    let prune = |output: &Path, force| {
        let options = Options { force, ..Default::default() };
        prune_file(gpu, &case.input, output, &options, &mut |_, _| {}).map_err(|e| e.to_string())
    };
    for force in [false, true] {
        let same = case.folder.path().join(".").join("in.safetensors");
        assert!(prune(&same, force).unwrap_err().contains("is the input"));
        #[cfg(unix)]
        {
            let link = case.folder.path().join(format!("link-{force}"));
            std::os::unix::fs::symlink(&case.input, &link).unwrap();
            assert!(prune(&link, force).unwrap_err().contains("is the input"));
        }
    }
    // A second name of the same bytes: refused, and with --force only that name changes.
    let hard = case.folder.path().join("hard");
    std::fs::hard_link(&case.input, &hard).unwrap();
    assert!(prune(&hard, false).unwrap_err().contains("there already"));
    prune(&hard, true).unwrap();
    assert!(std::fs::read(&case.input).unwrap() == before);
    assert!(std::fs::read(&hard).unwrap() != before);
}

#[test]
fn damaged_files_are_refused() {
    if gpu().is_none() {
        return;
    }
    let whole = Case::new(&model());
    let bytes = std::fs::read(&whole.input).unwrap();
    let mut long = bytes.clone();
    long.push(0);
    let mut header = bytes.clone();
    header[9] = b'}';
    let mut huge = bytes.clone();
    huge[..8].fill(0xff);
    for (damaged, what) in [
        (&bytes[..5], "too few"),
        (&bytes[..bytes.len() - 1], "the header describes"),
        (&long[..], "the header describes"),
        (&header[..], "header is damaged"),
        (&huge[..], "not a safetensors file"),
    ] {
        std::fs::write(&whole.input, damaged).unwrap();
        let error = whole.prune(&Options::default()).unwrap().unwrap_err();
        assert!(error.contains(what), "{error} lacks {what}");
        assert_eq!(whole.leftovers(), [""; 0]);
    }
}

/// A checkpoint of several files: one ranking over all of them, in the order of their names.
#[test]
fn an_index_names_several_files() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (model(), Vec::new());
    second.extend(first.drain(3..));
    write(&folder.path().join("model-1.safetensors"), &first);
    write(&folder.path().join("model-2.safetensors"), &second);
    let entry = |file: &str, t: &Tensor| format!("\"{}\":\"{file}\"", t.name);
    let map: Vec<String> = first
        .iter()
        .map(|t| entry("model-1.safetensors", t))
        .chain(second.iter().map(|t| entry("model-2.safetensors", t)))
        .collect();
    let index = folder.path().join("model.safetensors.index.json");
    std::fs::write(&index, format!("{{\"weight_map\":{{{}}}}}", map.join(","))).unwrap();
    let output = folder.path().join("out");
    let options = Options { sparsity: 0.6, scope: Scope::Global, ..Default::default() };
    let report = prune_file(gpu, &index, &output, &options, &mut |_, _| {}).unwrap();
    let all = model();
    let order: Vec<&str> = report.tensors.iter().map(|t| t.plan.name.as_str()).collect();
    let masks = masks(&all, &order, &options);
    for (file, tensors) in [("model-1.safetensors", &first), ("model-2.safetensors", &second)] {
        let bytes = std::fs::read(output.join(file)).unwrap();
        let read = SafeTensors::deserialize(&bytes).unwrap();
        for tensor in tensors {
            let place = order.iter().position(|n| *n == tensor.name).unwrap();
            let data = read.tensor(tensor.name).unwrap();
            let size = data.data().len() / tensor.shape.iter().product::<usize>().max(1);
            for (i, kept) in masks[place].iter().flat_map(|m| &m.0).enumerate() {
                let same =
                    data.data()[i * size..(i + 1) * size] == tensor.bytes[i * size..(i + 1) * size];
                let zero = data.data()[i * size..(i + 1) * size].iter().all(|&b| b == 0);
                assert!(if *kept { same } else { zero }, "{} {i}", tensor.name);
            }
        }
    }
    assert_eq!(
        std::fs::read(output.join("model.safetensors.index.json")).unwrap(),
        std::fs::read(&index).unwrap()
    );
    std::fs::write(&index, "{\"weight_map\":{\"a\":\"../x.safetensors\"}}").unwrap();
    let error = prune_file(gpu, &index, &output, &options, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("not beside it"), "{error}");
}
