//! A model's folder whose tensors have other shapes, as after rows and columns were removed.
use std::collections::HashMap;
use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::floats::{narrow, widen};
use super::header::RESERVED;
use super::output::check_is_folder;
use super::patch::{check, check_values};
use super::place::CONFIG;
use super::{Companions, Folder, MAX_HEADER, MadeFolder, Replace, TensorInfo};
use crate::{Error, Result};

/// Most bytes that are on their way at once.
const PIECE: usize = 1 << 20;

/// An output folder with the input's files: the same tensors in the same order, some of other
/// extents. Nothing is in its place before [`finish`](Self::finish), and nothing is left without.
#[derive(Debug)]
pub struct Rewrite<'a> {
    input: &'a Folder,
    /// The tensors of each file as they are to be.
    layouts: Vec<Vec<TensorInfo>>,
    outputs: Vec<Replace>,
    /// The index as it is to be.
    index: Option<Replace>,
    /// Of each tensor whether its values are there.
    done: Vec<Vec<bool>>,
    companions: Companions,
    output: &'a Path,
    _made: MadeFolder,
}

impl<'a> Rewrite<'a> {
    /// Begins the folder `output` with the tensors of `input`, of which those in `shapes` have
    /// other extents. Room on the disk is taken for all of it.
    ///
    /// # Errors
    /// As [`Patch::begin`](super::Patch::begin), but for jobs; [`Error::File`] for a name in
    /// `shapes` that is no tensor of floats.
    pub fn begin(
        input: &'a Folder,
        output: &'a Path,
        force: bool,
        shapes: &HashMap<String, Vec<usize>>,
    ) -> Result<Self> {
        check_is_folder(output, "a folder")?;
        let mut names: Vec<_> = shapes.keys().collect();
        names.sort();
        names.into_iter().try_for_each(|name| input.floats(name).map(drop))?;
        let companions = check(input, output, force)?;
        let mut headers = Vec::new();
        for file in input.files() {
            let wrong = |message: String| Error::file(&file.path, message);
            let layout = layout(&file.tensors, shapes).map_err(wrong)?;
            headers.push(header(&file.metadata, layout).map_err(wrong)?);
        }
        let made = MadeFolder::create(output)?;
        let (mut layouts, mut outputs) = (Vec::new(), Vec::new());
        for (file, (bytes, layout)) in input.files().iter().zip(headers) {
            let name = file.path.file_name().unwrap_or_default();
            let mut begun = Replace::create(&output.join(name))?;
            let end = layout.last().map_or(bytes.len() as u64, |last| last.offset + last.bytes);
            begun.reserve(end)?;
            begun.write(&bytes)?;
            outputs.push(begun);
            layouts.push(layout);
        }
        let index = index(input, &layouts, output)?;
        let done = layouts.iter().map(|layout| vec![false; layout.len()]).collect();
        Ok(Self { input, layouts, outputs, index, done, companions, output, _made: made })
    }

    /// Writes the values of a tensor, rounded to what its file has as
    /// [`Patch::put`](super::Patch::put) does, and returns them so. Tensors come in any order, each
    /// once; those that keep their shapes need not come: they are copied.
    ///
    /// # Errors
    /// As [`Patch::put`](super::Patch::put); [`Error::Argument`] for a tensor that is there already.
    pub fn put(&mut self, name: &str, values: &[f32]) -> Result<Vec<f32>> {
        let (file, _) = self.input.floats(name)?;
        let is_it = |tensor: &TensorInfo| tensor.name == name;
        let tensor = self.layouts[file].iter().position(is_it).expect("it is the input's");
        if self.done[file][tensor] {
            return Err(Error::argument(name, "was put already"));
        }
        let info = &self.layouts[file][tensor];
        check_values(&self.input.files()[file].path, info, values)?;
        let size = info.element_bytes().max(1);
        let mut bytes = vec![0; (values.len() * size).min(PIECE)];
        let (mut rounded, mut offset) = (vec![0.0; values.len()], info.offset);
        let pieces = values.chunks(PIECE / size).zip(rounded.chunks_mut(PIECE / size));
        for (values, rounded) in pieces {
            let bytes = &mut bytes[..values.len() * size];
            narrow(&info.dtype, values, bytes);
            widen(&info.dtype, bytes, rounded);
            self.outputs[file].write_at(bytes, offset)?;
            offset += bytes.len() as u64;
        }
        self.done[file][tensor] = true;
        Ok(rounded)
    }

    /// Copies the tensors that are left, and puts all files in their places, with `config` as the
    /// `config.json` if that is to change, which comes last. What became of the files beside the
    /// weights.
    ///
    /// # Errors
    /// [`Error::Argument`] for a tensor of another shape that was not put; [`Error::Io`].
    pub fn finish(mut self, config: Option<&[u8]>) -> Result<Companions> {
        self.copy()?;
        let Self { input, mut outputs, index, companions, output, .. } = self;
        let mut beside = companions.copy(&input.path(), output)?;
        let place = companions.copied.iter().position(|name| name == CONFIG);
        let mut last = place.map(|place| beside.remove(place));
        if let Some(bytes) = config {
            let mut file = Replace::create(&output.join(CONFIG))?;
            file.write(bytes)?;
            last = Some(file);
        }
        outputs.extend(index.into_iter().chain(beside).chain(last));
        Replace::finish_all(outputs)?;
        Ok(companions)
    }

    /// Copies the tensors of the input that were not put.
    fn copy(&mut self) -> Result<()> {
        let left = |file: usize| {
            let tensors = self.input.files()[file].tensors.iter().zip(&self.layouts[file]);
            tensors.zip(&self.done[file]).filter(|(_, done)| !**done).map(|(pair, _)| pair)
        };
        for (old, new) in (0..self.layouts.len()).flat_map(left) {
            if new.shape != old.shape {
                let message = format!("is to be {:?}, not {:?}", new.shape, old.shape);
                return Err(Error::argument(&old.name, format!("{message}; put its values")));
            }
        }
        for file in 0..self.layouts.len() {
            let header = &self.input.files()[file];
            for (tensor, old) in header.tensors.iter().enumerate() {
                if std::mem::replace(&mut self.done[file][tensor], true) {
                    continue;
                }
                let (mut bytes, mut at) = (vec![0; (old.bytes as usize).min(PIECE)], 0);
                while at < old.bytes {
                    let piece = (old.bytes - at).min(PIECE as u64) as usize;
                    header.read(old.offset + at, &mut bytes[..piece])?;
                    let to = self.layouts[file][tensor].offset + at;
                    self.outputs[file].write_at(&bytes[..piece], to)?;
                    at += piece as u64;
                }
            }
        }
        Ok(())
    }
}

/// The tensors with these shapes, where they lie one after the other from byte 0 on.
fn layout(
    tensors: &[TensorInfo],
    shapes: &HashMap<String, Vec<usize>>,
) -> Result<Vec<TensorInfo>, String> {
    let (mut layout, mut end) = (Vec::new(), 0);
    let start = tensors.first().map_or(0, |first| first.offset);
    for old in tensors {
        let mut new = old.clone();
        new.offset = end;
        if let Some(shape) = shapes.get(&old.name).filter(|shape| **shape != old.shape) {
            let bytes = old.dtype.bits().map_or(0, |bits| bits / 8);
            let product =
                shape.iter().try_fold(bytes, |all, &extent| all.checked_mul(extent as u64));
            let Some(bytes) = product else {
                return Err(format!("{} would be {shape:?}, too many elements", old.name));
            };
            (new.shape, new.bytes) = (shape.clone(), bytes);
        }
        // Readers map elements where they lie.
        let size = new.element_bytes().max(1) as u64;
        if !end.is_multiple_of(size) && (old.offset - start).is_multiple_of(size) {
            let message = format!("{} would begin at byte {end} of the data", old.name);
            let way = "save the file again with the wider dtypes first";
            return Err(format!("{message}, between elements of {}; {way}", old.dtype));
        }
        end = end.checked_add(new.bytes).ok_or("too many bytes for a file")?;
        layout.push(new);
    }
    Ok(layout)
}

/// A tensor as a header has it.
#[derive(serde::Serialize)]
struct Entry<'a> {
    dtype: String,
    shape: &'a [usize],
    data_offsets: [u64; 2],
}

/// A header as it is written.
struct Entries<'a>(&'a HashMap<String, String>, &'a [TensorInfo]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.0.is_empty() {
            let sorted: std::collections::BTreeMap<_, _> = self.0.iter().collect();
            map.serialize_entry(RESERVED, &sorted)?;
        }
        for TensorInfo { name, dtype, shape, offset, bytes } in self.1 {
            let data_offsets = [*offset, offset + bytes];
            map.serialize_entry(name, &Entry { dtype: dtype.to_string(), shape, data_offsets })?;
        }
        map.end()
    }
}

/// A file's first bytes, and its tensors where they lie in the file.
pub(super) fn header(
    metadata: &HashMap<String, String>,
    mut layout: Vec<TensorInfo>,
) -> Result<(Vec<u8>, Vec<TensorInfo>), String> {
    let json = serde_json::to_vec(&Entries(metadata, &layout)).map_err(|e| e.to_string())?;
    let length = json.len().next_multiple_of(8);
    if length as u64 > MAX_HEADER {
        return Err(format!("would have a header of {length} bytes, limit {MAX_HEADER}"));
    }
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    bytes.resize(8 + length, b' ');
    layout.iter_mut().for_each(|tensor| tensor.offset += bytes.len() as u64);
    Ok((bytes, layout))
}

/// Begins the copy of the index, with the sizes of the tensors as they are to be.
fn index(input: &Folder, layouts: &[Vec<TensorInfo>], output: &Path) -> Result<Option<Replace>> {
    let Some(index) = input.index() else { return Ok(None) };
    let wrong = |e: serde_json::Error| Error::file(&index.path, e.to_string());
    let mut json: Value = serde_json::from_slice(&index.bytes).map_err(wrong)?;
    let (old, new) = (input.tensors(), layouts.iter().flatten());
    let lost = old.zip(new).map(|(old, new)| {
        [
            i128::from(old.bytes) - i128::from(new.bytes),
            i128::from(old.len()) - i128::from(new.len()),
        ]
    });
    let lost = lost.fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
    for (key, lost) in ["total_size", "total_parameters"].into_iter().zip(lost) {
        let Some(total) = json.pointer_mut(&format!("/metadata/{key}")) else { continue };
        // Some writers have it as a float.
        let number = total.as_i64().or_else(|| total.as_f64().map(|total| total as i64));
        if let Some(number) = number {
            *total = json!((i128::from(number) - lost).max(0) as u64);
        }
    }
    let mut copy = Replace::create(&output.join(index.path.file_name().unwrap_or_default()))?;
    copy.write(&serde_json::to_vec_pretty(&json).map_err(wrong)?)?;
    Ok(Some(copy))
}
