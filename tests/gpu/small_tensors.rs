//! Pruning of files of many small tensors.
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use secateur::gpu::{Gpu, GpuOptions};
use secateur::kernels::{bit, nm_mask_reference, topk_reference};
use secateur::oneshot::{Options, prune_file};
use secateur::prune::{Pattern, pruned_count};

use crate::common::{Noise, gpu};

/// What is so small that a submission takes longer than sorting it is ranked on the host: the bits
/// are those of the device, whose chunks begin where the host's end.
#[test]
fn the_smallest_tensors_take_no_submission_each() {
    if gpu().is_none() {
        return;
    }
    // Of its own: other tests submit to the one that they share.
    let gpu = Gpu::open(&GpuOptions::from_env().unwrap().cache_dir(None)).unwrap();
    let mut noise = Noise::new(12);
    // Of three hundred tensors of `len` values, of which many are equal.
    let mut submissions = |len: usize, options: &Options| {
        let data: Vec<f32> =
            noise.below(300 * len, 700).iter().map(|&c| c as f32 - 350.0).collect();
        let names: Vec<String> = (0..300).map(|i| format!("{i:03}.weight")).collect();
        let bytes: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
        let view = |(name, bytes): (&String, _)| {
            (name.clone(), TensorView::new(Dtype::F32, vec![1, len], bytes).unwrap())
        };
        let views: Vec<_> = names.iter().zip(bytes.chunks(4 * len)).map(view).collect();
        let folder = tempfile::tempdir().unwrap();
        let [input, output] = ["in", "out"].map(|name| folder.path().join(name));
        serialize_to_file(views, None, &input).unwrap();
        let before = gpu.submissions();
        prune_file(&gpu, &input, &output, options, &mut |_, _| {}).unwrap();
        let submissions = gpu.submissions() - before;
        let after = std::fs::read(&output).unwrap();
        let read = SafeTensors::deserialize(&after).unwrap();
        for (name, values) in names.iter().zip(data.chunks(len)) {
            let count = pruned_count(len as u64, options.sparsity) as usize;
            let mask = match options.pattern {
                Pattern::Nm { n, m } => nm_mask_reference(values, 1, n as usize, m as usize),
                _ => topk_reference(values, None, count),
            };
            let kept = |(i, v): (usize, &f32)| if bit(&mask, i) { *v } else { 0.0 };
            let want = values.iter().enumerate().map(kept).flat_map(f32::to_le_bytes);
            assert!(read.tensor(name).unwrap().data().iter().copied().eq(want), "{name}");
        }
        submissions
    };
    let pattern = Pattern::Nm { n: 1, m: 4 };
    let nm = Options { sparsity: 0.75, pattern, ..Options::default() };
    for options in [Options { sparsity: 0.37, ..Options::default() }, nm] {
        let [host, device] = [4_096, 4_100].map(|len| submissions(len, &options));
        assert_eq!(host, 0, "{:?}", options.pattern);
        assert!(device >= 300, "{:?}: {device}", options.pattern);
    }
}
