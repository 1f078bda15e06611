//! Images as training sees them: cropped, at random or in the middle, and standardised.
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::features::Row;
use super::shuffle::draw;
use crate::{Error, Result};

/// How the images of a [`Dataset`](super::Dataset), rows of `[height, width, channels]`, are read.
///
/// The steps come in upstream's order: crop, flip, brightness, contrast, standardise. Pixels are
/// f32 after each; sums over them are f64, in the order of the pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Images {
    /// Height and width of what is seen.
    pub crop: [usize; 2],
    /// Whether to bring each image to mean 0 and variance 1: `(x - mean) / max(deviation,
    /// 1 / sqrt(N))` over its N values, all channels together.
    pub standardise: bool,
    /// How random versions differ; `None` where there are none.
    pub augment: Option<Augment>,
}

/// What is drawn anew for each image of each epoch, besides the place of the crop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augment {
    /// Whether to flip left and right, with chance 1/2.
    pub flip: bool,
    /// Most that is added to every value or taken from it, in the features' units; uniform.
    pub brightness: f32,
    /// Least and greatest factor on the difference from each channel's mean; uniform.
    pub contrast: [f32; 2],
}

/// One random version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Draws {
    /// First row and column of the crop.
    at: [usize; 2],
    flip: bool,
    brightness: f32,
    contrast: f32,
}

impl Images {
    /// Shape of what is seen of images of shape `stored`, which must fit, as the ranges must be
    /// some.
    pub(super) fn shape_of(&self, name: &str, stored: &[usize]) -> Result<Vec<usize>> {
        let [height, width] = self.crop;
        if let Some(Augment { brightness, contrast: [least, most], .. }) = self.augment {
            if !(brightness.is_finite() && brightness >= 0.0) {
                let message = format!("{brightness}; must be finite and at least 0");
                return Err(Error::argument("brightness", message));
            }
            if !(least.is_finite() && most.is_finite() && least <= most) {
                let message = format!("{least} to {most}; must be finite, the least first");
                return Err(Error::argument("contrast", message));
            }
        }
        match *stored {
            [h, w, channels] if (1..=h).contains(&height) && (1..=w).contains(&width) => {
                Ok(vec![height, width, channels])
            }
            [h, w, _] => {
                let message = format!("crop {height} x {width}; must be 1 x 1 to {h} x {w}");
                Err(Error::shape(name, message))
            }
            _ => {
                let message = format!("{stored:?} is no image [height, width, channels]");
                Err(Error::shape(name, message))
            }
        }
    }

    /// Rows and columns of an image that a crop leaves out.
    pub(super) fn room(&self, stored: &[usize]) -> [usize; 2] {
        [stored[0] - self.crop[0], stored[1] - self.crop[1]]
    }

    /// Writes the image as evaluation sees it.
    pub(super) fn write(&self, row: Row<'_>, stored: &[usize], out: &mut [f32]) {
        self.crop(row, stored, self.room(stored).map(|room| room / 2), false, out);
        if self.standardise {
            standardise(out);
        }
    }

    /// Writes the version of the image that `draws` says.
    pub(super) fn write_version(
        &self,
        row: Row<'_>,
        stored: &[usize],
        draws: &Draws,
        out: &mut [f32],
    ) {
        self.crop(row, stored, draws.at, draws.flip, out);
        out.iter_mut().for_each(|x| *x += draws.brightness);
        change_contrast(out, stored[2], draws.contrast);
        if self.standardise {
            standardise(out);
        }
    }

    fn crop(&self, row: Row<'_>, stored: &[usize], at: [usize; 2], flip: bool, out: &mut [f32]) {
        match row {
            Row::F32(values) => self.crop_of(values, stored, at, flip, out, |x| x),
            Row::U8(bytes, scale) => {
                self.crop_of(bytes, stored, at, flip, out, |byte| f32::from(byte) * scale);
            }
        }
    }

    fn crop_of<T: Copy>(
        &self,
        image: &[T],
        stored: &[usize],
        [top, left]: [usize; 2],
        flip: bool,
        out: &mut [f32],
        read: impl Fn(T) -> f32,
    ) {
        let (line, channels, width) = (stored[1] * stored[2], stored[2], self.crop[1]);
        for (y, out) in out.chunks_exact_mut(width * channels).enumerate() {
            let image = &image[(top + y) * line + left * channels..][..width * channels];
            for (x, pixel) in out.chunks_exact_mut(channels).enumerate() {
                let from = if flip { width - 1 - x } else { x };
                for (value, &stored) in pixel.iter_mut().zip(&image[from * channels..]) {
                    *value = read(stored);
                }
            }
        }
    }
}

impl Augment {
    /// The version of row `row` in `epoch`. All is drawn whatever is asked for, so that no setting
    /// changes what another one draws.
    pub(super) fn draw(&self, room: [usize; 2], seed: u64, epoch: u64, row: u64) -> Draws {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(FIRST_STREAM | (epoch & (FIRST_STREAM - 1)));
        rng.set_word_pos(WORDS * u128::from(row));
        let at = room.map(|most| draw(&mut rng, most as u64) as usize);
        let flip = rng.next_u32() >> 31 == 1 && self.flip;
        let brightness = self.brightness * (2.0 * unit(&mut rng) - 1.0);
        let [least, most] = self.contrast;
        let contrast = least + (most - least) * unit(&mut rng);
        Draws { at, flip, brightness, contrast }
    }
}

/// Streams from here up to 2^63 belong to the versions of images, one for each epoch; lower ones
/// to shuffles, higher ones to parameters.
const FIRST_STREAM: u64 = 1 << 62;
/// Words between the draws of two rows: one block, of which they take 7.
const WORDS: u128 = 16;

/// Uniform in 0 to below 1, exact.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

fn change_contrast(image: &mut [f32], channels: usize, factor: f32) {
    let pixels = (image.len() / channels) as f64;
    for channel in 0..channels {
        let values = image.iter().skip(channel).step_by(channels);
        let mean = (values.map(|&x| f64::from(x)).sum::<f64>() / pixels) as f32;
        for x in image.iter_mut().skip(channel).step_by(channels) {
            *x = (*x - mean) * factor + mean;
        }
    }
}

fn standardise(image: &mut [f32]) {
    let n = image.len() as f64;
    let mean = image.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = image.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    let deviation = variance.sqrt().max(1.0 / n.sqrt());
    for x in image {
        *x = ((f64::from(*x) - mean) / deviation) as f32;
    }
}
