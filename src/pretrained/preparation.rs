//! What becomes of pictures before a network sees them, as the model's folder says it.
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::architectures::Input;
use super::config::Config;
use super::model::Pretrained;
use crate::data::{Raster, Resample};
use crate::{Error, Result};

/// Larger sides are of no picture; one that is very long and narrow may come to them.
const MAX_SIDE: usize = 1 << 14;
const CLIP: [[f64; 3]; 2] =
    [[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]];
const IMAGENET: [[f64; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
const HALVES: [[f64; 3]; 2] = [[0.5; 3]; 2];

/// How pictures are resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// To this height and width, whatever they were.
    Exact([u32; 2]),
    /// With the shorter side so long, and the other in proportion.
    Shortest(u32),
}

/// What becomes of pictures: `preprocessor_config.json` of transformers, or `pretrained_cfg` in
/// timm's `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    size: Option<Size>,
    how: Resample,
    /// The middle that is cut out, height and width.
    crop: Option<[u32; 2]>,
    /// Whether a middle between two pixels is the even one, else the lower one.
    to_even: bool,
    /// What bytes are multiplied by.
    factor: f64,
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

/// What a class of transformers does where the file says nothing.
struct Defaults {
    name: &'static str,
    size: Size,
    how: Resample,
    crop: Option<u32>,
    moments: [[f64; 3]; 2],
}

#[rustfmt::skip]
const KNOWN: &[Defaults] = &[
    Defaults { name: "ViT", size: Size::Exact([224; 2]), how: Resample::Bilinear, crop: None, moments: HALVES },
    Defaults { name: "DeiT", size: Size::Exact([256; 2]), how: Resample::Bicubic, crop: Some(224), moments: HALVES },
    Defaults { name: "ConvNext", size: Size::Shortest(384), how: Resample::Bicubic, crop: None, moments: HALVES },
    Defaults { name: "Bit", size: Size::Shortest(224), how: Resample::Bicubic, crop: Some(224), moments: CLIP },
];
/// What changes nothing of a picture: how it is held, and what the file is for.
const IDLE: &[&str] = &[
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "_valid_processor_keys",
    "data_format",
    "input_data_format",
    "device",
    "return_tensors",
    "disable_grouping",
    "default_to_square",
    "do_convert_rgb",
];

impl Preparation {
    /// What the folder of `config` says; none where it says nothing.
    ///
    /// # Errors
    /// [`Error::File`] names a setting that is not known.
    pub fn read(config: &Config) -> Result<Option<Self>> {
        let Some(kind) = config.text("model_type")? else {
            let of = config.object("pretrained_cfg")?;
            return of.filter(|of| of.get("input_size").is_some()).map(|of| timm(&of)).transpose();
        };
        let of = config.beside("preprocessor_config.json")?;
        of.map(|of| transformers(&of, kind)).transpose()
    }

    /// Height and width of what comes out, where they are the same for all pictures.
    pub(crate) fn side(&self) -> Option<[u32; 2]> {
        match (self.crop, self.size) {
            (Some(crop), _) => Some(crop),
            (None, Some(Size::Exact(size))) => Some(size),
            (None, Some(Size::Shortest(_)) | None) => None,
        }
    }

    /// The picture in the file at `path` as a network sees it that takes `[side, side, channels]`.
    ///
    /// # Errors
    /// [`Error::File`] for what is no picture, or comes out in another size; [`Error::Io`].
    pub fn prepare(&self, path: &Path, side: u32, channels: u32) -> Result<Vec<f32>> {
        let raster = self.cut(path, Raster::read(path)?)?;
        let [height, width] = raster.size;
        if [height, width] != [side as usize; 2] {
            let message = format!(
                "comes out with {height} x {width} pixels (height x width), the model takes {side} \
                 x {side}"
            );
            return Err(Error::file(path, message));
        }
        let (channels, means) = (channels as usize, self.mean.len().max(self.deviation.len()));
        if ![1, 3].contains(&channels) || means > channels {
            let message = format!(
                "is a picture of 1 or 3 channels, normalised by {means} means; the model takes \
                 {channels} channels"
            );
            return Err(Error::file(path, message));
        }
        let of = |values: &[f64], c: usize| values[c.min(values.len() - 1)];
        let value = |c: usize, byte: u8| {
            ((f64::from(byte) * self.factor - of(&self.mean, c)) / of(&self.deviation, c)) as f32
        };
        let pixels = raster.bytes.chunks(3);
        Ok(match channels {
            // In the weights of ITU-R 601, as Pillow has them.
            1 => pixels.map(|p| value(0, luma([p[0], p[1], p[2]]))).collect(),
            _ => pixels.flat_map(|p| (0..channels).map(|c| value(c, p[c]))).collect(),
        })
    }

    /// The pictures in `files`, one after the other; by as many threads as the machine has.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_all(&self, files: &[PathBuf], side: u32, channels: u32) -> Result<Vec<f32>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let each = files.len().div_ceil(threads).max(1);
        let part = |files: &[PathBuf]| -> Result<Vec<f32>> {
            let one = |file: &PathBuf| self.prepare(file, side, channels);
            Ok(files.iter().map(one).collect::<Result<Vec<_>>>()?.concat())
        };
        std::thread::scope(|scope| {
            let begun: Vec<_> =
                files.chunks(each).map(|files| scope.spawn(move || part(files))).collect();
            let joined = begun.into_iter().map(std::thread::ScopedJoinHandle::join);
            let parts = joined.map(|part| part.unwrap_or_else(|e| std::panic::resume_unwind(e)));
            Ok(parts.collect::<Result<Vec<_>>>()?.concat())
        })
    }

    /// Resized and cut.
    fn cut(&self, path: &Path, raster: Raster) -> Result<Raster> {
        let found = raster.size;
        let size = match self.size {
            None => found,
            Some(Size::Exact(size)) => size.map(|side| side as usize),
            Some(Size::Shortest(short)) => {
                let [short, least] = [short as usize, found[0].min(found[1])];
                // The other side in proportion, rounded down.
                found.map(|side| if side == least { short } else { short * side / least })
            }
        };
        if size.iter().any(|&side| side > MAX_SIDE) {
            let message = format!(
                "is {} x {} and would become {} x {}; a side has at most {MAX_SIDE} pixels",
                found[0], found[1], size[0], size[1]
            );
            return Err(Error::file(path, message));
        }
        let raster = raster.resized(size, self.how)?;
        let Some(crop) = self.crop.map(|crop| crop.map(|side| side as usize)) else {
            return Ok(raster);
        };
        if crop.iter().zip(size).any(|(&crop, size)| crop > size) {
            let message = format!(
                "is {} x {} before the middle of {} x {} is cut out; larger pictures are needed",
                size[0], size[1], crop[0], crop[1]
            );
            return Err(Error::file(path, message));
        }
        let middle = |d: usize| match (size[d] - crop[d], self.to_even) {
            (room, true) if room % 4 == 3 => room / 2 + 1,
            (room, _) => room / 2,
        };
        Ok(raster.part([middle(0), middle(1)], crop))
    }
}

impl Pretrained {
    /// What becomes of pictures before the model sees them.
    ///
    /// # Errors
    /// [`Error::Argument`] for a model that takes no images; [`Error::File`] for a folder that does
    /// not say it, and for a setting that is not known.
    pub fn preparation(&self) -> Result<Preparation> {
        let input = self.architecture().input();
        if !matches!(input, Input::Images { .. }) {
            let message = format!("{} takes {}", self.path().display(), input.name());
            return Err(Error::argument("model", message));
        }
        Preparation::read(self.config())?.ok_or_else(|| {
            let timm = self.config().get("model_type").is_none();
            let message = if timm {
                "does not say how pictures are resized and normalised: config.json of timm has \
                 `pretrained_cfg` with `input_size`, `interpolation`, `crop_pct`, `mean`, `std`"
            } else {
                "does not say how pictures are resized and normalised: it has no \
                 preprocessor_config.json; copy it from where the model came from"
            };
            Error::file(self.path(), message)
        })
    }
}

fn luma([r, g, b]: [u8; 3]) -> u8 {
    let [r, g, b] = [r, g, b].map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = format!("{:?}", self.how).to_lowercase();
        match self.size {
            Some(Size::Exact([h, w])) => write!(f, "resized to {h}x{w} ({how})")?,
            Some(Size::Shortest(side)) => write!(f, "shorter side resized to {side} ({how})")?,
            None => write!(f, "not resized")?,
        }
        if let Some([h, w]) = self.crop {
            write!(f, ", middle {h}x{w}")?;
        }
        write!(f, ", mean {:?}, deviation {:?}", self.mean, self.deviation)
    }
}

/// Of `preprocessor_config.json`, for a model of the type `kind`.
fn transformers(of: &Config, kind: &str) -> Result<Preparation> {
    let named = of.text("image_processor_type")?.or(of.text("feature_extractor_type")?);
    let name = named.unwrap_or(if kind == "vit" { "ViT" } else { "ConvNext" });
    let ends = ["Fast", "Pil", "ImageProcessor", "FeatureExtractor"];
    let stem = ends.iter().fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
    let Some(known) = KNOWN.iter().find(|known| known.name == stem) else {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        let message = format!("known are those of {}", names.join(", "));
        return Err(of.wrong("image_processor_type", message));
    };
    of.ignore(IDLE);
    let mut size = size_of(of, known)?;
    let mut crop = match of.flag("do_center_crop", known.crop.is_some())? {
        true => Some(square(of, "crop_size", known.crop)?),
        false => None,
    };
    of.ignore(&["crop_size"]);
    if known.name == "ConvNext" {
        let share = of.positive_or("crop_pct", 224.0 / 256.0)?;
        let Size::Shortest(side) = size else {
            return Err(of.wrong("size", "a `shortest_edge` is needed"));
        };
        if crop.is_some() {
            return Err(of.wrong("do_center_crop", "the size says what is cut out"));
        }
        // As the class has it: smaller pictures lose their edges, larger ones are warped.
        let whole = (f64::from(side) / share) as u32;
        (size, crop) = match side < 384 {
            true => (Size::Shortest(whole), Some([side; 2])),
            false => (Size::Exact([side; 2]), None),
        };
    }
    let resizes = of.flag("do_resize", true)?;
    if known.name == "ConvNext" && !resizes {
        crop = None;
    }
    let how = match of.get("resample") {
        None => known.how,
        Some(number) => {
            let how = number.as_u64().and_then(Resample::of_number);
            how.ok_or_else(|| of.wrong("resample", "Pillow's filters are numbered 0 to 5"))?
        }
    };
    let rescales = of.flag("do_rescale", true)?;
    let factor = of.positive_or("rescale_factor", 1.0 / 255.0)?;
    let normalises = of.flag("do_normalize", true)?;
    let moments = moments(of, ["image_mean", "image_std"], known.moments)?;
    let [mean, deviation] = if normalises { moments } else { [vec![0.0], vec![1.0]] };
    of.check_all_read()?;
    let size = resizes.then_some(size);
    let factor = if rescales { factor } else { 1.0 };
    Ok(Preparation { size, how, crop, to_even: false, factor, mean, deviation })
}

fn size_of(of: &Config, known: &Defaults) -> Result<Size> {
    match of.get("size") {
        None => Ok(known.size),
        Some(Value::Object(_)) => {
            let Some(size) = of.object("size")? else { return Ok(known.size) };
            let found = match size.count_or_none("shortest_edge")? {
                Some(side) => Size::Shortest(side),
                None => Size::Exact([size.count("height")?, size.count("width")?]),
            };
            size.check_all_read()?;
            Ok(found)
        }
        Some(_) => {
            let side = of.count("size")?;
            Ok(match known.size {
                Size::Exact(_) => Size::Exact([side; 2]),
                Size::Shortest(_) => Size::Shortest(side),
            })
        }
    }
}

/// A height and a width, or a number that is both.
fn square(of: &Config, name: &str, default: Option<u32>) -> Result<[u32; 2]> {
    match (of.get(name), default) {
        (Some(Value::Object(_)), _) => match of.object(name)? {
            Some(of) => Ok([of.count("height")?, of.count("width")?]),
            None => Err(of.wrong(name, "a height and a width are needed")),
        },
        (None, Some(default)) => Ok([default; 2]),
        _ => Ok([of.count(name)?; 2]),
    }
}

/// Means and deviations, of each channel or of all.
fn moments(of: &Config, names: [&str; 2], defaults: [[f64; 3]; 2]) -> Result<[Vec<f64>; 2]> {
    let read = |name: &str, default: [f64; 3], least: f64| {
        let wrong = || of.wrong(name, "finite numbers are needed, deviations above 0");
        let values = match of.get(name) {
            None => return Ok(default.to_vec()),
            Some(Value::Array(values)) => values.iter().map(Value::as_f64).collect(),
            Some(value) => value.as_f64().map(|value| vec![value]),
        };
        let fits = |v: &Vec<f64>| {
            [1, 3].contains(&v.len()) && v.iter().all(|v| v.is_finite() && *v > least)
        };
        values.filter(fits).ok_or_else(wrong)
    };
    Ok([read(names[0], defaults[0], f64::NEG_INFINITY)?, read(names[1], defaults[1], 0.0)?])
}

/// Of timm's `pretrained_cfg`, as its `create_transform` evaluates.
fn timm(of: &Config) -> Result<Preparation> {
    let sizes = of.counts("input_size")?;
    let &[_, height, width] = &sizes[..] else {
        return Err(of.wrong("input_size", "channels, height and width are needed"));
    };
    of.only("crop_mode", "center")?;
    if height != width {
        return Err(of.wrong("input_size", "only squares are known here"));
    }
    let share = of.positive_or("crop_pct", 0.875)?;
    let how = match of.text("interpolation")?.unwrap_or("bicubic") {
        "nearest" => Resample::Nearest,
        "lanczos" => Resample::Lanczos,
        "bilinear" => Resample::Bilinear,
        "bicubic" => Resample::Bicubic,
        "box" => Resample::Box,
        "hamming" => Resample::Hamming,
        _ => {
            let known = "nearest, bilinear, bicubic, lanczos, box, hamming";
            return Err(of.wrong("interpolation", format!("known are {known}")));
        }
    };
    let [mean, deviation] = moments(of, ["mean", "std"], IMAGENET)?;
    let size = Some(Size::Shortest((f64::from(height) / share) as u32));
    let crop = Some([height, width]);
    Ok(Preparation { size, how, crop, to_even: true, factor: 1.0 / 255.0, mean, deviation })
}
