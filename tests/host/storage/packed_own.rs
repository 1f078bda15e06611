//! The smallest forms: what is chosen, that it is read as it was, and what is refused.
use std::path::Path;

use secateur::storage::{
    Format, Header, PackedTensor, Packing, TensorData, Values, pack, read_floats,
};

use super::packed::options;
use super::{Raw, f16s, f32s, write};

/// Packs these tensors into `out.safetensors` in `folder`, in the smallest form.
pub fn smallest(folder: &Path, tensors: &[Raw], values: Option<Values>) -> Vec<PackedTensor> {
    write(folder, "in.safetensors", tensors);
    let input = Header::open(&folder.join("in.safetensors")).unwrap();
    let out = folder.join("out.safetensors");
    let told = pack(&input, &out, &options(Format::Smallest).values(values)).unwrap();
    let file = Header::open(&out).unwrap();
    let bytes: u64 = told.iter().map(|t| t.bytes).sum();
    assert_eq!(file.tensors.iter().map(|t| t.bytes).sum::<u64>(), bytes);
    for tensor in &file.tensors {
        assert!(tensor.offset.is_multiple_of(tensor.element_bytes().max(1) as u64));
    }
    told
}

/// The tensor `name` of a file in `folder`, and its extents.
pub fn values(folder: &Path, file: &str, name: &str) -> (Vec<f32>, Vec<usize>) {
    let floats = read_floats(&folder.join(file)).unwrap();
    let tensor = floats.tensors.into_iter().find(|t| t.name == name).unwrap();
    let TensorData::F32(values) = tensor.data else { panic!("{name} is no float") };
    (values, tensor.shape)
}

/// A number for each place that looks like no other.
pub fn noise(i: usize) -> f32 {
    (i as f32 * 0.618_034).fract() + 0.25
}

fn kept(len: usize, kept: impl Fn(usize) -> bool) -> Vec<f32> {
    (0..len).map(|i| if kept(i) { noise(i) } else { 0.0 }).collect()
}

/// Places that look as if they were drawn: one of `n`.
fn one_of(n: u32) -> impl Fn(usize) -> bool {
    move |i| {
        let mixed = (i as u32 + 1).wrapping_mul(0x9e37_79b9);
        (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b) >> 8 < (1 << 24) / n
    }
}

#[test]
fn each_tensor_takes_the_smallest_form_and_is_read_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let check = |shape: &[usize], elements: Vec<f32>, wanted: Option<Packing>| {
        let tensor: Raw = ("w", "F32", shape, f32s(elements));
        let told = smallest(dir.path(), &[tensor], None);
        assert_eq!(told[0].packing, wanted, "{shape:?}");
        assert!(wanted.is_none() || told[0].bytes < told[0].dense_bytes);
        let both = ["in", "out"].map(|f| values(dir.path(), &format!("{f}.safetensors"), "w"));
        assert_eq!(both[0], both[1], "{wanted:?}");
    };
    let codes = |bits| Some(Packing::Gaps { bits });
    let groups = |kept, of, axis| Some(Packing::Groups { kept, of, axis });
    check(&[37, 53], kept(37 * 53, one_of(2)), Some(Packing::Bits));
    check(&[37, 53], kept(37 * 53, one_of(10)), codes(4));
    check(&[53, 400], kept(53 * 400, one_of(60)), codes(8));
    check(&[3, 3, 7, 9], kept(3 * 3 * 7 * 9, one_of(10)), codes(4));
    check(&[3, 9000], kept(27000, one_of(1500)), Some(Packing::Columns));
    check(
        &[40, 300],
        kept(40 * 300, |i| i % 300 < 4),
        Some(Packing::Blocks { rows: 4, columns: 4 }),
    );
    let place = |group: usize, of: usize| {
        (((group as u32 + 1).wrapping_mul(0x9e37_79b9) >> 9) as usize) % of
    };
    check(&[64, 64], kept(64 * 64, |i| i % 8 == place(i / 8, 8)), groups(1, 8, 1));
    let below = |i: usize| i / 40 % 5 == place(i / 200 * 40 + i % 40, 5);
    check(&[60, 40], kept(60 * 40, below), groups(1, 5, 0));
    check(&[2, 2], vec![1.0, -2.0, 3.0, 4.0], None);
    check(&[4, 5, 2], vec![0.0; 40], codes(4));
}

/// All gaps from 0 to over two codes of zeros, and zeros at the end, in both widths.
#[test]
fn gaps_of_any_length_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for (bits, longest) in [(4, 33), (8, 600)] {
        let step = if bits == 4 { 1 } else { 37 };
        let mut row = Vec::new();
        for gap in (0..longest).step_by(step) {
            row.extend(vec![0.0; gap]);
            row.push(noise(gap));
        }
        row.extend([0.0; 40]);
        let tensor: Raw = ("w", "F16", &[1, row.len()], f16s(row.iter().copied()));
        let told = smallest(dir.path(), &[tensor], None);
        assert_eq!(told[0].packing, Some(Packing::Gaps { bits }));
        let both = ["in.safetensors", "out.safetensors"].map(|f| values(dir.path(), f, "w"));
        assert_eq!(both[0], both[1]);
    }
}

/// A weight as large as LeNet-300-100's first, at 90 %: the bound for the smallest form.
#[test]
fn at_ninety_percent_an_eighth_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let elements = kept(300 * 784, one_of(10));
    let tensor: Raw = ("fc1.weight", "F32", &[300, 784], f32s(elements));
    let share = |values| {
        let told = smallest(dir.path(), std::slice::from_ref(&tensor), values);
        told[0].bytes as f64 / told[0].dense_bytes as f64
    };
    let (f32, f16, int8) = (share(None), share(Some(Values::F16)), share(Some(Values::Int8)));
    assert!(f32 <= 0.125, "{f32}");
    assert!(f16 <= 0.08, "{f16}");
    assert!(int8 <= 0.05, "{int8}");
}
