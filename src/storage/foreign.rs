//! Files that are not what their reader wants: what they look like, and the way out.
use std::path::Path;

/// Bytes from which a file's kind can be told.
pub const FIRST: usize = 512;

const CONVERT: &str = "save its tensors as safetensors (in Python `safetensors.torch.save_file`)";
const NUMPY: &str = "save its arrays as safetensors (in Python `safetensors.numpy.save_file`)";
const PULL: &str = "run `git lfs pull` where it lies";
const UNPACK: &str = "unpack it first";
const AGAIN: &str = "download it again";

/// First bytes, what begins with them, and the way out.
#[rustfmt::skip]
const KINDS: &[(&[u8], &str, &str)] = &[
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", PULL),
    (b"\x80\x02", "a pickle, as older files of PyTorch are", CONVERT),
    (b"\x80\x03", "a pickle, as older files of PyTorch are", CONVERT),
    (b"\x80\x04", "a pickle, as older files of PyTorch are", CONVERT),
    (b"\x80\x05", "a pickle, as older files of PyTorch are", CONVERT),
    (b"GGUF", "a GGUF file", "take the safetensors files that it was made from"),
    (b"lmgg", "a GGML file", "take the safetensors files that it was made from"),
    (b"tjgg", "a GGML file", "take the safetensors files that it was made from"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", NUMPY),
    (b"\x93NUMPY", "a NumPy array (npy)", NUMPY),
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ\0", "an xz file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
];

/// What a file at `path` looks like whose `first` bytes (up to [`FIRST`]) these are, and the way
/// out of that; `None` where they say nothing.
pub fn looks_like(path: &Path, first: &[u8]) -> Option<(String, &'static str)> {
    let has_extension = |wanted: &str| path.extension().is_some_and(|e| e == wanted);
    if let Some((_, what, way)) = KINDS.iter().find(|(magic, ..)| first.starts_with(magic)) {
        return Some(((*what).to_owned(), way));
    }
    if first.starts_with(b"PK\x03\x04") {
        let is_npz = has_extension("npz") || first.windows(4).any(|w| w == b".npy");
        let what = match is_npz {
            true => "a NumPy archive (npz)",
            false => "a zip archive, as PyTorch's `pytorch_model.bin` and *.pt are",
        };
        return Some((what.to_owned(), CONVERT));
    }
    if first.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive".to_owned(), UNPACK));
    }
    if first.get(4..8) == Some(b"TFL3") {
        return Some(("a TensorFlow Lite model".to_owned(), CONVERT));
    }
    // The version of the format as the first field, and a text as the second.
    let is_onnx = matches!(first, [8, 1..=32, 0x12, ..]);
    if is_onnx || has_extension("onnx") {
        return Some(("an ONNX model".to_owned(), CONVERT));
    }
    if !first.is_empty() && first.iter().all(|&b| b == 0) {
        return Some((
            "zeros at its start, as of a download that was not finished".to_owned(),
            AGAIN,
        ));
    }
    text(first)
}

/// The same of what is text at its start.
fn text(first: &[u8]) -> Option<(String, &'static str)> {
    let whole = first.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let start: String = whole.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).into();
    let is_text = |c: char| !c.is_control() || c.is_whitespace();
    if start.len() < 4 || !start.chars().all(is_text) {
        return None;
    }
    let word: String = start.split_whitespace().next()?.chars().take(24).collect();
    let lower = start.to_lowercase();
    if ["<!doctype", "<html", "<?xml", "<head", "<body"].iter().any(|tag| lower.starts_with(tag)) {
        let way = "download the file itself (on Hugging Face its address has `resolve` where the \
                   page's has `blob`)";
        return Some((format!("a web page: it starts with `{word}`"), way));
    }
    let what = if start.starts_with(['{', '[']) { "JSON" } else { "text" };
    let way = match what {
        "JSON" => "an index of several files is known by its name, *.json",
        _ => AGAIN,
    };
    Some((format!("{what}: it starts with `{word}`"), way))
}
