//! Pictures in another size, to the bit as Pillow makes them: what networks for images were trained
//! and measured on.
use crate::{Error, Result};

/// What a pixel of the new size is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// The nearest pixel.
    Nearest,
    /// Lanczos' window over three pixels to each side.
    Lanczos,
    /// Two neighbours by their distance.
    Bilinear,
    /// Four neighbours by cubics with the slope -1/2.
    Bicubic,
    /// The mean of those that it covers.
    Box,
    /// Hamming's window over one pixel to each side.
    Hamming,
}

impl Resample {
    /// That of Pillow's number, as `preprocessor_config.json` has it.
    pub fn of_number(number: u64) -> Option<Self> {
        let all =
            [Self::Nearest, Self::Lanczos, Self::Bilinear, Self::Bicubic, Self::Box, Self::Hamming];
        all.get(usize::try_from(number).ok()?).copied()
    }

    /// Pixels to each side that have a say where the size stays.
    fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| match x {
            0.0 => 1.0,
            x => (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI),
        };
        let far = x.abs();
        match self {
            Self::Nearest | Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - far).max(0.0),
            Self::Hamming if far >= 1.0 => 0.0,
            Self::Hamming => sinc(far) * (0.54 + 0.46 * (far * std::f64::consts::PI).cos()),
            Self::Bicubic if far < 1.0 => (1.5 * far - 2.5) * far * far + 1.0,
            Self::Bicubic if far < 2.0 => ((far - 5.0) * far + 8.0) * far * -0.5 + 2.0,
            Self::Bicubic => 0.0,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

/// Bytes of pixels `[height, width, channels]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// Height and width.
    pub size: [usize; 2],
    /// Values of a pixel.
    pub channels: usize,
    /// Row by row.
    pub bytes: Vec<u8>,
}

/// Bits behind the point of Pillow's weights.
const BITS: u32 = 22;

/// The pixels that one of the new size is made of: the first of them, and their weights.
type Taps = (usize, Vec<i64>);

impl Raster {
    /// The same picture in `size`, height and width: first its columns, then its rows, each rounded
    /// to bytes. Pillow from 13 on begins with the rows where a picture becomes wider and lower,
    /// which may be 1 of 255 apart.
    ///
    /// # Errors
    /// [`Error::Argument`] for a picture or a size without pixels.
    pub fn resized(&self, size: [usize; 2], how: Resample) -> Result<Self> {
        if self.size.contains(&0) || size.contains(&0) {
            let message = format!("{:?} from {:?}: a picture has pixels", size, self.size);
            return Err(Error::argument("size", message));
        }
        let mut now = self.clone();
        if now.size[1] != size[1] {
            now = now.columns(&taps(now.size[1], size[1], how));
        }
        if now.size[0] != size[0] {
            now = now.rows(&taps(now.size[0], size[0], how));
        }
        Ok(now)
    }

    /// The part of `size` from row and column `at` on, which lies within the picture.
    pub fn part(&self, [top, left]: [usize; 2], size: [usize; 2]) -> Self {
        let (line, part) = (self.size[1] * self.channels, size[1] * self.channels);
        let rows = self.bytes.chunks(line.max(1)).skip(top).take(size[0]);
        let bytes = rows.flat_map(|row| &row[left * self.channels..][..part]).copied().collect();
        Self { size, channels: self.channels, bytes }
    }

    fn columns(&self, taps: &[Taps]) -> Self {
        let (line, channels) = (self.size[1] * self.channels, self.channels);
        let mut bytes = Vec::with_capacity(self.size[0] * taps.len() * channels);
        for row in self.bytes.chunks(line) {
            for (first, weights) in taps {
                for c in 0..channels {
                    let pixels = row[first * channels + c..].iter().step_by(channels);
                    bytes.push(sum(weights, pixels));
                }
            }
        }
        Self { size: [self.size[0], taps.len()], channels, bytes }
    }

    fn rows(&self, taps: &[Taps]) -> Self {
        let line = self.size[1] * self.channels;
        let mut bytes = Vec::with_capacity(taps.len() * line);
        for (first, weights) in taps {
            for at in 0..line {
                bytes.push(sum(weights, self.bytes[first * line + at..].iter().step_by(line)));
            }
        }
        Self { size: [taps.len(), self.size[1]], channels: self.channels, bytes }
    }
}

fn sum<'a>(weights: &[i64], pixels: impl Iterator<Item = &'a u8>) -> u8 {
    let sum: i64 = weights.iter().zip(pixels).map(|(w, &pixel)| w * i64::from(pixel)).sum();
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
}

/// Of each of `new` places the taps among `old` ones. Where there are fewer places than before each
/// is made of as many more.
fn taps(old: usize, new: usize, how: Resample) -> Vec<Taps> {
    let scale = old as f64 / new as f64;
    if how == Resample::Nearest {
        // Place after place, as Pillow's sums round.
        let places = std::iter::successors(Some(0.5 * scale), |place| Some(place + scale));
        let nearest = |place: f64| ((place as usize).min(old - 1), vec![1 << BITS]);
        return places.take(new).map(nearest).collect();
    }
    let wide = scale.max(1.0);
    let support = how.support() * wide;
    let of = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let past = ((center + support + 0.5) as usize).min(old);
        let weights = (first..past).map(|x| how.weight((x as f64 - center + 0.5) / wide));
        let weights: Vec<f64> = weights.collect();
        let all: f64 = weights.iter().sum();
        let all = if all == 0.0 { 1.0 } else { all };
        // Halves away from zero, as Pillow has it.
        let fixed = |w: f64| (w / all * f64::from(1 << BITS)).round() as i64;
        (first, weights.into_iter().map(fixed).collect())
    };
    (0..new).map(of).collect()
}
