//! Images: crops, random versions and standardising, against an f64 reimplementation.
use super::fails;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use secateur::data::{Answers, Augment, Batch, BatchSource, Batches, Dataset, Features, Images};
use std::collections::BTreeSet;

/// What is drawn for one image: first row and column, flip, brightness, contrast.
#[derive(Clone, Copy, Debug)]
pub struct Version(pub [usize; 2], pub bool, pub f64, pub f64);

/// 32 bits of 2^-24 each: rounding of one f32 operation on a value of magnitude 1.
const EPSILON: f64 = 1.0 / (1 << 24) as f64;

/// The version of an image `[size, size, channels]` in f64, standardised, and the deviation.
pub fn version(
    pixel: &dyn Fn(usize, usize, usize) -> u8,
    [crop, channels]: [usize; 2],
    Version([top, left], flip, brightness, contrast): Version,
) -> (Vec<f64>, f64) {
    let column = |x: usize| left + if flip { crop - 1 - x } else { x };
    let value = |y: usize, x: usize, c: usize| f64::from(pixel(top + y, column(x), c)) + brightness;
    let places: Vec<[usize; 2]> = (0..crop).flat_map(|y| (0..crop).map(move |x| [y, x])).collect();
    let mean = |c| places.iter().map(|&[y, x]| value(y, x, c)).sum::<f64>() / places.len() as f64;
    let means: Vec<f64> = (0..channels).map(mean).collect();
    let changed = |[y, x]: [usize; 2], c: usize| (value(y, x, c) - means[c]) * contrast + means[c];
    let all: Vec<f64> =
        places.iter().flat_map(|&at| (0..channels).map(move |c| changed(at, c))).collect();
    let n = all.len() as f64;
    let mean = all.iter().sum::<f64>() / n;
    // The mean of squares less the square of the mean: another formula than the crate's.
    let variance = all.iter().map(|x| x * x).sum::<f64>() / n - mean * mean;
    let deviation = variance.max(0.0).sqrt().max(1.0 / n.sqrt());
    (all.iter().map(|x| (x - mean) / deviation).collect(), deviation)
}

/// Twelve roundings of values up to (255 + 63) * 1.8 before the division, and two after.
pub fn assert_close(found: &[f32], (wanted, deviation): &(Vec<f64>, f64)) {
    assert_eq!(found.len(), wanted.len());
    for (i, (&x, &want)) in found.iter().zip(wanted).enumerate() {
        let tolerance = EPSILON * (12.0 * 318.0 * 1.8 / deviation + 2.0 * want.abs());
        assert!((f64::from(x) - want).abs() <= tolerance, "value {i}: {x}, not {want}");
    }
}

const SIZE: usize = 9;
const CROP: usize = 6;
const CHANNELS: usize = 2;
const ROWS: usize = 40;

fn pixel(i: usize, y: usize, x: usize, c: usize) -> u8 {
    let at = ((i * SIZE + y) * SIZE + x) * CHANNELS + c;
    ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

fn dataset(value: impl Fn(usize, usize, usize, usize) -> u8, images: Images) -> Dataset {
    let mut bytes = Vec::new();
    for at in 0..ROWS * SIZE * SIZE * CHANNELS {
        let (c, x) = (at % CHANNELS, at / CHANNELS % SIZE);
        let (y, i) = (at / CHANNELS / SIZE % SIZE, at / CHANNELS / SIZE / SIZE);
        bytes.push(value(i, y, x, c));
    }
    let answers = Answers::classes((0..ROWS).map(|i| i as u32), ROWS as u32);
    let features = Features::U8 { bytes, scale: 1.0 };
    let shape = [SIZE, SIZE, CHANNELS];
    let stored = Dataset::new("images", &shape, features, answers).unwrap();
    stored.with_images(images).unwrap()
}

const FULL: Augment = Augment { flip: true, brightness: 63.0, contrast: [0.2, 1.8] };

fn images(standardise: bool, augment: Option<Augment>) -> Images {
    Images { crop: [CROP, CROP], standardise, augment }
}

/// Features of all rows of one epoch, by row of the data set.
fn epoch(data: &Dataset, seed: u64, epoch: u64, batch: usize) -> Vec<Vec<f32>> {
    let mut source = Batches::new(data.clone(), batch, Some(seed)).unwrap().augment(true);
    source.seek(secateur::data::Cursor { epoch, row: 0 }).unwrap();
    let (mut batch, mut rows) = (Batch::default(), vec![Vec::new(); ROWS]);
    while source.cursor().epoch == epoch {
        assert!(source.next_batch(&mut batch).unwrap());
        for (row, &label) in batch.features.chunks(data.width()).zip(&batch.labels).take(batch.rows)
        {
            rows[label as usize] = row.to_vec();
        }
    }
    rows
}

#[test]
fn rows_are_cropped_from_the_middle_and_standardised() {
    let data = dataset(pixel, images(true, Some(FULL)));
    assert_eq!((data.feature_shape(), data.width()), (&[CROP, CROP, CHANNELS][..], 72));
    let mut row = vec![f32::NAN; 72];
    for i in 0..ROWS {
        data.write_row(i, &mut row);
        let image = |y: usize, x: usize, c: usize| pixel(i, y, x, c);
        let want = version(&image, [CROP, CHANNELS], Version([1, 1], false, 0.0, 1.0));
        assert_close(&row, &want);
        // Each value is rounded once: the mean of |x| is at most 1, that of x^2 is 1.
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / 72.0;
        let square = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 72.0;
        assert!(mean.abs() <= 1.01 * EPSILON, "mean {mean}");
        assert!((square - 1.0).abs() <= 2.02 * EPSILON, "mean square {square}");
    }
    let head = data.head(3).unwrap();
    let mut first = vec![0.0; 72];
    head.write_row(2, &mut first);
    data.write_row(2, &mut row);
    assert_eq!((head.rows(), first), (3, row));
}

#[test]
fn an_even_image_is_all_zero() {
    let data = dataset(|_, _, _, _| 200, images(true, None));
    let mut row = vec![f32::NAN; 72];
    data.write_row(0, &mut row);
    assert_eq!(row, [0.0; 72]);
}

/// Draws from a second implementation of the streams: 2^62 + epoch, 16 words a row.
#[test]
fn versions_are_those_of_the_reimplementation() {
    let data = dataset(pixel, images(true, Some(FULL)));
    for (seed, at) in [(7, 0), (7, 5), (1 << 40, 3)] {
        for (i, row) in epoch(&data, seed, at, 7).iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream((1 << 62) + at);
            rng.set_word_pos(16 * i as u128);
            let room = (SIZE - CROP + 1) as u64;
            let at = [rng.next_u64() % room, rng.next_u64() % room].map(|n| n as usize);
            let flip = rng.next_u32() >= 1 << 31;
            let mut unit = || f64::from(rng.next_u32() >> 8) / f64::from(1 << 24);
            let (brightness, contrast) = (126.0 * unit() - 63.0, 0.2 + 1.6 * unit());
            let image = |y: usize, x: usize, c: usize| pixel(i, y, x, c);
            let drawn = Version(at, flip, brightness, contrast);
            assert_close(row, &version(&image, [CROP, CHANNELS], drawn));
        }
    }
}

#[test]
fn versions_depend_on_seed_epoch_and_row_alone() {
    let data = dataset(pixel, images(true, Some(FULL)));
    let rows = epoch(&data, 7, 2, 7);
    assert_eq!(rows, epoch(&data, 7, 2, 16), "the batch size");
    for (other, what) in [(epoch(&data, 8, 2, 7), "seed"), (epoch(&data, 7, 3, 7), "epoch")] {
        let same = rows.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert_eq!(same, 0, "{what}");
    }
    let alike = dataset(|_, y, x, c| pixel(0, y, x, c), images(true, Some(FULL)));
    let rows: BTreeSet<Vec<u32>> = epoch(&alike, 7, 2, 7)
        .iter()
        .map(|row| row.iter().map(|x| x.to_bits()).collect())
        .collect();
    assert_eq!(rows.len(), ROWS, "no two rows draw the same");
}

/// Pixels that say where they are: every place of the crop, both flips, all of both ranges.
#[test]
fn versions_cover_their_range() {
    let quiet = Augment { contrast: [1.0, 1.0], ..FULL };
    let data = dataset(|_, y, x, c| [10 * y, 10 * x][c] as u8, images(false, Some(quiet)));
    let (mut seen, mut shifts, mut flips) = (BTreeSet::new(), Vec::new(), 0);
    for at in 0..25 {
        for row in epoch(&data, 3, at, 16) {
            // Rows are 10 apart, and columns after a flip -10.
            let flip = row[3] < row[1];
            let left = if flip { row[CHANNELS * (CROP - 1) + 1] } else { row[1] };
            // Brightness is the same in both channels: what is left says where the crop is.
            let shift = [row[0], left].map(|x| (x.rem_euclid(10.0), x));
            assert!(
                (shift[0].0 - shift[1].0).abs() < 1e-3 || (shift[0].0 - shift[1].0).abs() > 9.9
            );
            let apart = ((left - row[0]) / 10.0).round() as i32;
            seen.insert((apart, flip));
            shifts.push(row[0]);
            flips += u32::from(flip);
        }
    }
    let wanted: BTreeSet<(i32, bool)> = (-3..=3).flat_map(|d| [(d, false), (d, true)]).collect();
    assert_eq!(seen, wanted, "differences of first row and column");
    // 500 of 1000 with a standard deviation of 16.
    assert!((420..580).contains(&flips), "{flips} flips");
    let [least, most] = [f32::min, f32::max].map(|f| shifts.iter().copied().reduce(f).unwrap());
    assert!((-63.0..-55.0).contains(&least) && (85.0..=93.0).contains(&most), "{least} {most}");

    let plain = Augment { flip: false, brightness: 0.0, contrast: [1.0, 1.0] };
    let data = dataset(|_, y, x, c| [y, x][c] as u8, images(false, Some(plain)));
    let mut count = [[0; 4]; 4];
    for at in 0..40 {
        for row in epoch(&data, 3, at, 16) {
            assert!(row[3] > row[1], "flipped");
            count[row[0].round() as usize][row[1].round() as usize] += 1;
        }
    }
    // 100 each with a standard deviation of 9.7.
    assert!(count.iter().flatten().all(|n| (50..150).contains(n)), "{count:?}");

    let strong = Augment { flip: true, brightness: 0.0, contrast: [0.2, 1.8] };
    let data = dataset(|_, y, _, c| [10 * y, 7][c] as u8, images(false, Some(strong)));
    let mut factors = Vec::new();
    for row in (0..25).flat_map(|at| epoch(&data, 3, at, 16)) {
        factors.push((row[CROP * CHANNELS] - row[0]) / 10.0);
        assert!((row[1] - 7.0).abs() < 1e-4, "an even channel has no contrast: {}", row[1]);
    }
    let [least, most] = [f32::min, f32::max].map(|f| factors.iter().copied().reduce(f).unwrap());
    assert!((0.2..0.22).contains(&least) && (1.78..1.8001).contains(&most), "{least} {most}");
}

#[test]
fn without_seed_or_versions_rows_are_as_they_are() {
    let mut want = vec![0.0; 72];
    let data = dataset(pixel, images(true, Some(FULL)));
    data.write_row(0, &mut want);
    let mut batch = Batch::default();
    let mut first = |source: Batches| {
        let mut source = source;
        source.next_batch(&mut batch).unwrap();
        let row = batch.labels.iter().position(|&label| label == 0).unwrap();
        batch.features[row * 72..][..72].to_vec()
    };
    let new = |data: &Dataset, seed| Batches::new(data.clone(), ROWS, seed).unwrap();
    assert_eq!(first(new(&data, None).augment(true)), want, "no seed");
    assert_eq!(first(new(&data, Some(1))), want, "not asked for");
    assert_ne!(first(new(&data, Some(1)).augment(true)), want);
    let none = dataset(pixel, images(true, None));
    assert_eq!(first(new(&none, Some(1)).augment(true)), want, "no versions");
}

#[test]
fn a_crop_must_fit_and_ranges_be_some() {
    let new = |shape: &[usize], crop| {
        let bytes = shape.iter().product();
        let data = Dataset::new("d", shape, vec![0.0; bytes], Answers::None).unwrap();
        data.with_images(Images { crop, standardise: false, augment: None })
    };
    fails(new(&[4, 5, 1], [5, 5]), &["d: crop 5 x 5", "4 x 5"]);
    fails(new(&[4, 5, 1], [4, 6]), &["crop 4 x 6", "4 x 5"]);
    fails(new(&[4, 5, 1], [0, 5]), &["crop 0 x 5"]);
    fails(new(&[20], [4, 5]), &["[20] is no image"]);
    assert_eq!(new(&[4, 5, 1], [4, 5]).unwrap().feature_shape(), [4, 5, 1]);

    let new = |brightness, contrast| {
        let data = Dataset::new("d", &[1, 1, 1], vec![0.0], Answers::None).unwrap();
        let augment = Some(Augment { flip: false, brightness, contrast });
        data.with_images(Images { crop: [1, 1], standardise: false, augment })
    };
    fails(new(-1.0, [1.0, 1.0]), &["`brightness`: -1"]);
    fails(new(f32::INFINITY, [1.0, 1.0]), &["`brightness`: inf"]);
    fails(new(0.0, [1.5, 0.5]), &["`contrast`: 1.5 to 0.5"]);
    fails(new(0.0, [f32::NAN, 0.5]), &["`contrast`: NaN to 0.5"]);
    new(0.0, [0.5, 0.5]).unwrap();
}
