//! Matrices in fewer bytes: what is written, that it is read as it was, and what is refused.
use std::fs;
use std::path::Path;

use secateur::storage::{
    Folder, Format, Header, PackOptions, Packing, Patch, TensorData, Values, pack, pack_folder,
    read_floats,
};

use super::{Raw, f16s, f32s, message, write};

/// Values that are zero but where `kept` says so; no two are alike.
fn matrix(len: usize, kept: impl Fn(usize) -> bool) -> Vec<f32> {
    (0..len).map(|i| if kept(i) { i as f32 - 7.5 } else { 0.0 }).collect()
}

fn inputs(folder: &Path) -> Header {
    let thin = matrix(12 * 37, |i| i % 11 == 3);
    let blocks = matrix(32 * 64, |i| (i / 64 / 16 + i % 64 / 16) % 3 == 0);
    let half = matrix(6 * 16, |i| i % 4 == 1 || (i % 4 == 3 && i > 8));
    let tensors: [Raw; 7] = [
        ("fc1.bias", "F32", &[3], f32s([0.0, 0.0, 1.0])),
        ("thin.weight", "F32", &[12, 37], f32s(thin)),
        ("blocks.weight", "F32", &[32, 64], f32s(blocks)),
        ("half.weight", "F16", &[6, 16], f16s(half)),
        ("conv.weight", "F32", &[2, 2, 1, 1], f32s([0.0; 4])),
        ("full.weight", "F32", &[2, 2], f32s([1.0, -2.0, 3.0, 4.0])),
        ("ids", "I64", &[4, 64], vec![0; 4 * 64 * 8]),
    ];
    write(folder, "in.safetensors", &tensors);
    Header::open(&folder.join("in.safetensors")).unwrap()
}

pub fn options(format: Format) -> PackOptions {
    PackOptions::new(format).force(true)
}

fn packings(folder: &Path, format: Format) -> Vec<Option<Packing>> {
    let out = folder.join("out.safetensors");
    let told = pack(&inputs(folder), &out, &options(format)).unwrap();
    let bytes: u64 = told.iter().map(|t| t.bytes).sum();
    let file = Header::open(&folder.join("out.safetensors")).unwrap();
    assert_eq!(file.tensors.iter().map(|t| t.bytes).sum::<u64>(), bytes);
    assert!(told.iter().all(|t| t.packing.is_none() || t.bytes < t.dense_bytes));
    assert_eq!(file.metadata["format"], "pt");
    // Readers map elements where they lie.
    for tensor in &file.tensors {
        assert!(tensor.offset.is_multiple_of(tensor.element_bytes() as u64), "{}", tensor.name);
    }
    told.into_iter().map(|t| t.packing).collect()
}

#[test]
fn each_matrix_takes_the_fewest_bytes_and_is_read_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let blocks = Some(Packing::Blocks { rows: 16, columns: 16 });
    let sparse = [None, Some(Packing::Csr), blocks, None, None, None, None];
    assert_eq!(packings(folder, Format::Sparse), sparse);
    compare(folder);
    let (bits, half) = (Some(Packing::Bitmask), Some(Packing::TwoFour));
    assert_eq!(packings(folder, Format::Bitmask), [None, bits, bits, half, None, None, None]);
    compare(folder);
    // Dense again: the elements of the input, bit for bit.
    let packed = Header::open(&folder.join("out.safetensors")).unwrap();
    pack(&packed, &folder.join("again.safetensors"), &PackOptions::default()).unwrap();
    let again = Header::open(&folder.join("again.safetensors")).unwrap();
    for tensor in &inputs(folder).tensors {
        let found = again.tensors.iter().find(|t| t.name == tensor.name).unwrap();
        let read = |file: &Header, offset| {
            let mut bytes = vec![0; tensor.bytes as usize];
            file.read(offset, &mut bytes).unwrap();
            bytes
        };
        assert_eq!((&found.dtype, &found.shape), (&tensor.dtype, &tensor.shape));
        assert_eq!(read(&again, found.offset), read(&inputs(folder), tensor.offset));
    }
    assert_eq!(again.tensors.len(), 7);
}

/// What is read of the packed file is what is read of the input.
fn compare(folder: &Path) {
    let sorted = |name: &str| {
        let mut floats = read_floats(&folder.join(name)).unwrap();
        floats.tensors.sort_by(|a, b| a.name.cmp(&b.name));
        (floats.tensors, floats.others)
    };
    assert_eq!(sorted("out.safetensors"), sorted("in.safetensors"));
}

#[test]
fn zeros_lose_their_sign_and_values_are_rounded() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let mut values = vec![-0.0_f32; 64];
    (values[5], values[63]) = (0.1, -3.0);
    write(folder, "in.safetensors", &[("a.weight", "F32", &[8, 8], f32s(values))]);
    let input = Header::open(&folder.join("in.safetensors")).unwrap();
    let out = folder.join("out.safetensors");
    for format in [Format::Sparse, Format::Bitmask] {
        let told = pack(&input, &out, &options(format).values(Some(Values::F16))).unwrap();
        assert_eq!((told[0].nonzero, told[0].dtype.as_str()), (2, "F16"));
        let floats = read_floats(&out).unwrap();
        let TensorData::F32(read) = &floats.tensors[0].data else { panic!() };
        let mut wanted = [0.0_f32; 64];
        (wanted[5], wanted[63]) = (0.099_975_586, -3.0);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(read), bits(&wanted));
    }
    // In a block, and in a group of four, zeros are kept beside others.
    let block = |i: usize| i / 64 == 0 && i % 16 < 4;
    let four = |i: usize| i % 4 == 1 || (i % 4 == 3 && i > 4);
    for (format, packing, kept) in [
        (Format::Sparse, Packing::Blocks { rows: 4, columns: 4 }, &block as &dyn Fn(usize) -> bool),
        (Format::Bitmask, Packing::TwoFour, &four),
    ] {
        let values = (0..256).map(|i| if kept(i) && i != 1 { 2.0 } else { -0.0 });
        write(folder, "in.safetensors", &[("a.weight", "F16", &[16, 16], f16s(values))]);
        let input = Header::open(&folder.join("in.safetensors")).unwrap();
        assert_eq!(pack(&input, &out, &options(format)).unwrap()[0].packing, Some(packing));
        let floats = read_floats(&out).unwrap();
        let TensorData::F32(read) = &floats.tensors[0].data else { panic!() };
        let wanted = (0..256).map(|i| if kept(i) && i != 1 { 2.0_f32 } else { 0.0 }.to_bits());
        assert!(read.iter().map(|v| v.to_bits()).eq(wanted), "{packing}");
    }
    let large: Raw = ("a.weight", "F32", &[1, 2], f32s([1.0, 1e6]));
    write(folder, "in.safetensors", &[large]);
    let input = Header::open(&folder.join("in.safetensors")).unwrap();
    let refused = message(pack(&input, &out, &options(Format::Dense).values(Some(Values::F16))));
    assert!(refused.contains("a.weight: element 1") && refused.contains("6.5504e4"), "{refused}");
}

/// Parts whose names others have.
#[test]
fn a_matrix_whose_parts_have_no_names_stays_dense() {
    let dir = tempfile::tempdir().unwrap();
    let tensors: [Raw; 3] = [
        ("a.weight", "F32", &[8, 8], vec![0; 256]),
        ("a.shape", "F32", &[1], vec![0; 4]),
        ("b", "F32", &[8, 8], vec![0; 256]),
    ];
    write(dir.path(), "in.safetensors", &tensors);
    let input = Header::open(&dir.path().join("in.safetensors")).unwrap();
    let out = dir.path().join("out.safetensors");
    let told = pack(&input, &out, &PackOptions::new(Format::Bitmask)).unwrap();
    assert!(told.iter().all(|t| t.packing.is_none()), "{told:?}");
    let told = pack(&input, &out, &options(Format::Sparse)).unwrap();
    assert_eq!(told.iter().filter(|t| t.packing.is_some()).count(), 2);
}

/// A folder is read as before it was packed, and changed only when it is dense again.
#[test]
fn tensors_of_a_packed_folder_are_read_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&source).unwrap();
    inputs(&source);
    fs::write(source.join("config.json"), "{}").unwrap();
    let before = Folder::open(&source).unwrap();
    for format in [Format::Sparse, Format::Bitmask, Format::Smallest] {
        let (told, beside) = pack_folder(&source, &out, &options(format)).unwrap();
        assert!(told.iter().any(|t| t.packing.is_some()));
        assert_eq!(beside.copied, ["config.json"]);
        let after = Folder::open(&out).unwrap();
        assert_eq!(after.tensors().count(), before.tensors().count());
        for tensor in before.tensors() {
            let now = after.info(&tensor.name).unwrap();
            assert_eq!((&now.dtype, &now.shape), (&tensor.dtype, &tensor.shape));
            assert_eq!(now.bytes, tensor.bytes);
            if tensor.name == "ids" {
                continue;
            }
            let name = &tensor.name;
            let both = [&before, &after].map(|folder| folder.read_f32(name).unwrap());
            assert_eq!(both[0], both[1], "{name}");
            assert_eq!(after.zeros(name).unwrap(), before.zeros(name).unwrap(), "{name}");
        }
        let both = [&before, &after].map(|f| f.read_range("thin.weight", 30..99).unwrap());
        assert_eq!(both[0], both[1]);
        let both = [&before, &after].map(|f| f.read_rows("thin.weight", [11, 0]).unwrap());
        assert_eq!(both[0], both[1]);
        let refused = message(Patch::check(&after, &dir.path().join("x"), false));
        assert!(refused.contains("--format dense"), "{refused}");
    }
    let (_, _) = pack_folder(&out, &out.join("dense"), &PackOptions::default()).unwrap();
    let dense = Folder::open(&out.join("dense")).unwrap();
    Patch::check(&dense, &dir.path().join("x"), false).unwrap();
}

fn i32s(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn i64s(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Each of these is one number off, or one tensor short.
#[test]
fn damaged_parts_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let check = |tensors: &[Raw], parts: &[&str]| {
        write(dir.path(), "bad.safetensors", tensors);
        let refused = message(read_floats(&dir.path().join("bad.safetensors")));
        for part in parts {
            assert!(refused.contains(part), "{part} is not in: {refused}");
        }
    };
    let sparse = |shape: [i64; 2], crow: &[i32], columns: &[i32], values: usize, parts: &[&str]| {
        let tensors: [Raw; 4] = [
            ("w.shape", "I64", &[2], i64s(&shape)),
            ("w.crow_indices", "I32", &[crow.len()], i32s(crow)),
            ("w.col_indices", "I32", &[columns.len()], i32s(columns)),
            ("w.values", "F32", &[values], f32s(vec![1.0; values])),
        ];
        if !parts.is_empty() {
            check(&tensors, &[&["w"], parts].concat());
            return;
        }
        write(dir.path(), "good.safetensors", &tensors);
        let floats = read_floats(&dir.path().join("good.safetensors")).unwrap();
        assert_eq!(floats.tensors[0].data, TensorData::F32(vec![0.0, 1.0, 1.0, 0.0, 0.0, 1.0]));
    };
    sparse([2, 3], &[0, 2, 3], &[1, 2, 2], 3, &[]);
    sparse([2, 3], &[0, 2, 3], &[1, 3, 2], 3, &["has 3 of 3 columns in row 0"]);
    sparse([2, 3], &[0, 2, 3], &[1, -1, 2], 3, &["col_indices has -1"]);
    sparse([2, 3], &[0, 2, 3], &[2, 1, 2], 3, &["not in order at 1"]);
    sparse([2, 3], &[0, 2, 3], &[1, 1, 2], 3, &["not in order at 1"]);
    sparse([2, 3], &[0, 2], &[1, 2], 2, &["crow_indices has 2 numbers, 2 rows need 3"]);
    sparse([2, 3], &[1, 2, 3], &[1, 2, 2], 3, &["from 1 to 3"]);
    sparse([2, 3], &[0, 2, 2], &[1, 2, 2], 3, &["from 0 to 2", "has 3"]);
    sparse([3, 3], &[0, 3, 1, 3], &[0, 1, 2], 3, &["from 3 to 1 in row 1"]);
    sparse([2, 3], &[0, 2, 3], &[1, 2, 2], 4, &["values has 4 of them, col_indices 3"]);
    sparse([0, 3], &[0], &[], 0, &["the extent 0"]);
    sparse([2, -3], &[0, 0, 0], &[], 0, &["the extent -3"]);
    sparse([2, i64::MAX], &[0, 0, 0], &[], 0, &["more than 28 bytes stand for"]);
    sparse([1 << 40, 1 << 40], &[0, 0, 0], &[], 0, &["more than 28 bytes stand for"]);
    let shape = || ("w.shape", "I64", &[2_usize][..], i64s(&[4, 4]));
    let crow: Raw = ("w.crow_indices", "I32", &[3], i32s(&[0, 0, 1]));
    let columns: Raw = ("w.col_indices", "I32", &[1], i32s(&[1]));
    let blocks: Raw = ("w.values", "F32", &[1, 3, 2], f32s([1.0; 6]));
    check(&[shape(), crow.clone(), columns.clone(), blocks], &["values are [1, 3, 2]"]);
    check(&[shape(), crow, columns], &["w is packed, but w.values is missing"]);

    let bits = |bits: &[u8], kept: usize, offsets: &[i64], parts: &[&str]| {
        let tensors: [Raw; 4] = [
            ("w.shape", "I64", &[2], i64s(&[2, 3])),
            ("w.row_offsets", "I64", &[offsets.len()], i64s(offsets)),
            ("w.compressed", "F32", &[kept], f32s(vec![1.0; kept])),
            ("w.bitmask", "U8", &[bits.len(), 1], bits.to_vec()),
        ];
        check(&tensors, &[&["w"], parts].concat());
    };
    bits(&[6, 4], 4, &[0, 2], &["keeps 3, compressed has 4"]);
    bits(&[6, 4], 2, &[0, 2], &["keeps more than the 2"]);
    bits(&[6, 12], 4, &[0, 2], &["keeps column 3 of 3"]);
    bits(&[6, 4], 3, &[0, 1], &["row_offsets of row 1 is 1, bitmask has 2"]);
    bits(&[6, 4], 3, &[0], &["row_offsets has 1 numbers for 2 rows"]);
    bits(&[6, 4, 0], 3, &[0, 2], &["bitmask has 3 bytes"]);
    let both: [Raw; 5] = [
        ("w.shape", "I64", &[2], i64s(&[1, 1])),
        ("w.row_offsets", "I64", &[1], i64s(&[0])),
        ("w.weight", "F32", &[1], f32s([1.0])),
        ("w.compressed", "F32", &[1], f32s([1.0])),
        ("w.bitmask", "U8", &[1, 1], vec![1]),
    ];
    check(&both, &["w.weight is there both packed and dense"]);
}

/// A tensor of somebody's own that is called as a part is none.
#[test]
fn a_name_alone_makes_no_packed_matrix() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "in.safetensors", &[("w.bitmask", "F32", &[1], f32s([3.0]))]);
    let floats = read_floats(&dir.path().join("in.safetensors")).unwrap();
    assert_eq!(floats.tensors[0].name, "w.bitmask");
    fs::remove_file(dir.path().join("in.safetensors")).unwrap();
}
