//! Which units go by data, and what makes up for them.
use safetensors::Dtype;
use secateur::kernels::{Patches, patches_reference};
use secateur::pretrained::{Answer, PaddedText, Pretrained, RemoveReport, Rows, Window};

use super::super::Golden;
use super::{ORDER, Places, bottleneck, encoder, exact, given, llama, removed, resnet, zero};
use crate::common::gpu;
use crate::interpreter::evaluate;
use crate::models::{Copied, Held};

/// Rows of a model.
enum Data {
    Windows(Vec<Window>),
    Texts(Vec<PaddedText>),
    Images(Vec<f32>),
}

impl Data {
    fn rows(&self) -> Rows<'_> {
        match self {
            Self::Windows(windows) => Rows::Tokens(windows),
            Self::Texts(texts) => Rows::Padded(texts),
            Self::Images(pixels) => Rows::Images(pixels),
        }
    }

    /// As many rows, and what a graph of the whole model takes of them.
    fn features(&self, side: usize) -> (usize, u32, Vec<f32>) {
        let ids = |ids: &[u32]| ids.iter().map(|&id| id as f32).collect::<Vec<_>>();
        match self {
            Self::Windows(windows) => {
                let all = windows.iter().flat_map(|w| ids(&w.ids)).collect();
                (windows.len(), windows[0].ids.len() as u32, all)
            }
            Self::Texts(texts) => {
                let seen =
                    |t: &PaddedText| t.seen.iter().map(|&s| f32::from(u8::from(s))).collect();
                let row = |t: &PaddedText| [ids(&t.ids), seen(t), ids(&t.types)].concat();
                (texts.len(), texts[0].ids.len() as u32, texts.iter().flat_map(row).collect())
            }
            Self::Images(pixels) => (pixels.len() / (side * side * 3), 1, pixels.clone()),
        }
    }
}

fn windows() -> Data {
    let golden = Golden::open("llama");
    Data::Windows(golden.rows("input_ids").into_iter().map(Window::new).collect())
}

/// Three images of `side` pixels, of noise.
fn pictures(side: usize) -> Data {
    let pixel = |i: usize| {
        let bits =
            (i as u32).wrapping_mul(2_654_435_761).rotate_left(15).wrapping_mul(2_246_822_519);
        (bits >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    Data::Images((0..3 * side * side * 3).map(pixel).collect())
}

/// A ResNet none of whose inner channels is never above zero.
fn lively() -> Copied {
    let mut copied = resnet();
    let is_bias = |name: &str| name.contains(".bn") && name.ends_with(".bias");
    for (_, held) in copied.tensors.iter_mut().filter(|(name, _)| is_bias(name)) {
        let values: Vec<f32> = held.values().iter().map(|x| x + 1.0).collect();
        *held = Held::floats(&held.shape, &values);
    }
    copied
}

/// Takes units that are zero in `copied`, of each group those that `goes` says, out by `data` and by
/// the weights.
fn zeros_go_first(mut copied: Copied, groups: &[Places], goes: &[Vec<bool>], of: (&str, &Data)) {
    let blocks: Vec<String> = {
        let model = Pretrained::open(copied.write()).unwrap();
        let prefix = |block| model.architecture().prefix(block).trim_end_matches('.').to_owned();
        (0..model.architecture().blocks()).map(prefix).collect()
    };
    for block in &blocks {
        groups.iter().zip(goes).for_each(|(places, goes)| zero(&mut copied, block, places, goes));
    }
    let model = Pretrained::open(copied.write()).unwrap();
    let (amounts, data) = of;
    let (_, by_weights) = removed(&model, amounts, None);
    let (folder, by_data) = removed(&model, amounts, Some(data.rows()));
    for report in [&by_weights, &by_data] {
        for block in &report.blocks {
            for (kept, goes) in block.kept.iter().zip(goes) {
                let stays = |unit: &u32| !goes[*unit as usize];
                assert_eq!(kept.kept, (0..kept.of).filter(stays).collect::<Vec<_>>());
            }
        }
    }
    // Zeros less change nothing but the order of sums.
    assert!(by_data.blocks.iter().all(|b| b.error.unwrap() < 1e-12), "{by_data:?}");
    let language = model.architecture().answer() == Answer::NextToken;
    assert_eq!(by_data.calibration_perplexity.is_some(), language);
    let (small, whole) = (exact(&Pretrained::open(folder.path()).unwrap()), exact(&model));
    assert!(small.iter().zip(&whole).all(|(a, b)| (a - b).abs() <= ORDER));
}

/// So many units, of which these go.
fn only(units: usize, go: &[usize]) -> Vec<bool> {
    (0..units).map(|unit| go.contains(&unit)).collect()
}

/// Units that do nothing are those that go, by the weights and by data.
#[test]
fn units_that_are_zero_go_first() {
    if gpu().is_none() {
        return;
    }
    let goes = [only(6, &[3, 4, 5]), only(96, &[0, 17, 18, 50, 95])];
    let of = ("heads=3,channels=5", &windows());
    zeros_go_first(Copied::of("llama"), &llama(8, 3, false), &goes, of);
    let goes = [only(4, &[2]), only(64, &[1, 40, 63])];
    let of = ("heads=1,channels=3", &pictures(24));
    zeros_go_first(Copied::of("vit"), &encoder(), &goes, of);
    let texts = Data::Texts(Golden::open("bert").texts().0);
    let of = ("channels=2", &texts);
    zeros_go_first(Copied::of("bert"), &encoder()[1..], &[only(72, &[7, 20])], of);
}

/// Channels between two convolutions, of which a block has twice as many as the one before it.
#[test]
fn channels_of_convolutions_that_are_zero_go_first() {
    if gpu().is_none() {
        return;
    }
    let (mut copied, data) = (lively(), pictures(32));
    for stage in 1..=4_usize {
        let goes = only(2 << stage, &(0..1 << (stage - 1)).map(|i| 3 * i).collect::<Vec<_>>());
        for places in bottleneck() {
            zero(&mut copied, &format!("layer{stage}.0"), &places, &goes);
        }
    }
    let model = Pretrained::open(copied.write()).unwrap();
    let (_, report) = removed(&model, "channels=0.25", Some(data.rows()));
    for (stage, block) in (1..).zip(&report.blocks) {
        for kept in &block.kept {
            let gone = |c: &u32| c.is_multiple_of(3) && c / 3 < 1 << (stage - 1);
            let stay: Vec<u32> = (0..2 << stage).filter(|c| !gone(c)).collect();
            // Some channels of the last one, whose images have one pixel, are zero anyway.
            assert!(stage == 4 || kept.kept == stay, "{block:?}");
        }
        assert!(block.error.unwrap() < 1e-12, "{block:?}");
    }
}

/// How much the weights that stay are held to what they were, in lengths of their inputs.
const DAMPING: f64 = 0.4;

/// Llama whose weights that are moved are of 16 bits.
fn in_16_bits() -> Copied {
    let mut copied = Copied::of("llama");
    for (name, held) in &mut copied.tensors {
        if name.ends_with("down_proj.weight") {
            let high = |x: f32| (x.to_bits() >> 16) as u16;
            held.bytes = held.values().into_iter().flat_map(|x| high(x).to_le_bytes()).collect();
            held.dtype = Dtype::BF16;
        }
    }
    copied
}

/// A matrix `[inputs, outputs]` of the first block, and the second moments of what it is multiplied
/// with, in f64: of patches where it is of kernels.
struct Reading {
    inputs: usize,
    outputs: usize,
    gram: Vec<f64>,
    weights: Vec<f64>,
}

impl Reading {
    /// The matrix `name` for `data`, whose images have so many pixels a `side`.
    fn of(model: &Pretrained, name: &str, data: &Data, side: usize) -> Self {
        let (rows, length, features) = data.features(side);
        let of = model.whole(rows as u32, length).unwrap();
        let value = |source| model.parameter(source).unwrap().into_iter().map(f64::from).collect();
        let parameters: Vec<Vec<f64>> = of.sources.iter().map(value).collect();
        let at = of.graph.parameters().iter().position(|p| p.name == name).unwrap();
        let tensor = of.graph.parameters()[at].tensor;
        let input = |x| {
            let all = evaluate(&of.graph, &given(&features, rows, &parameters), x, None);
            all.into_iter().next_back().unwrap()
        };
        let (x, inputs) = match of.graph.inputs_of(tensor)[..] {
            [x] => (input(x), *of.graph.shape(x).dims().last().unwrap() as usize),
            _ => {
                let (x, shape) = of.graph.convolved_with(tensor)[0];
                let (x, places) = (input(x), patches_reference(&shape));
                let of_place = |place: Option<usize>| place.map_or(0.0, |place| x[place]);
                let patches = places.into_iter().map(of_place).collect();
                (patches, Patches::columns(&shape) as usize)
            }
        };
        let counts = |row: &usize| match data {
            Data::Texts(texts) => texts[row / length as usize].seen[row % length as usize],
            _ => true,
        };
        let counted: Vec<usize> = (0..x.len() / inputs).filter(counts).collect();
        let moment = |i: usize, j: usize| {
            let product = |&row: &usize| x[row * inputs + i] * x[row * inputs + j];
            counted.iter().map(product).sum::<f64>()
        };
        let gram = (0..inputs * inputs).map(|e| moment(e / inputs, e % inputs)).collect();
        let outputs = parameters[at].len() / inputs;
        Self { inputs, outputs, gram, weights: as_matrix(model, name) }
    }

    /// Holds what was made of it, `[inputs that stay, outputs]`, to what is best. Inputs are of
    /// `each` unit in turn, of which those in `kept` stay; of outputs those in `outputs`.
    fn check(&self, (units, kept): (usize, &[u32]), outputs: &[u32], new: &[f64], rounding: f64) {
        let Self { inputs, gram, weights, .. } = self;
        let at = |i: usize, o: u32| weights[i * self.outputs + o as usize];
        let stays = |i: &usize| kept.contains(&((i % units) as u32));
        // Those stay that have the highest sums of `(|w| |x|)^2`.
        let all = 0..self.outputs as u32;
        let of_input =
            |i: usize| gram[i * (inputs + 1)] * all.clone().map(|o| at(i, o).powi(2)).sum::<f64>();
        let score = |unit: usize| (unit..*inputs).step_by(units).map(of_input).sum::<f64>();
        let [there, gone] = [true, false].map(|there| {
            let of = (0..units).filter(|&unit| kept.contains(&(unit as u32)) == there);
            of.map(score).collect::<Vec<_>>()
        });
        let (lowest, highest) =
            (there.into_iter().fold(f64::INFINITY, f64::min), gone.into_iter().fold(0.0, f64::max));
        // Sums of f32 may order two that are all but equal the other way.
        assert!(lowest >= highest * (1.0 - 1e-5), "{lowest} stays, {highest} goes");

        // Where the sum of the squares of what the outputs lack, and of how far the weights have
        // gone, is least, it does not change with any weight: but for what their bits leave open.
        let rows: Vec<usize> = (0..*inputs).filter(stays).collect();
        let (mut stayed, mut far) = (0, 0);
        for (o, &output) in outputs.iter().enumerate() {
            let now = |j: usize| new[j * outputs.len() + o];
            for (i, &c) in rows.iter().enumerate() {
                let with = |(j, &d): (usize, &usize)| {
                    let more = if i == j { 1.0 + DAMPING } else { 1.0 };
                    let part = more * gram[inputs * c + d];
                    [(now(j) - at(d, output)) * part, now(j).abs() * part.abs()]
                };
                let of_kept = rows.iter().enumerate().map(with);
                let [slope, open] = of_kept.fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
                let gone = (0..*inputs).filter(|d| !stays(d));
                let lack: f64 = gone.map(|d| at(d, output) * gram[inputs * c + d]).sum();
                let bound = open * (rounding + 1e-3);
                assert!(
                    (slope - lack).abs() <= bound,
                    "{c}: {slope} makes up for {lack}, {bound} open"
                );
                far += usize::from(lack.abs() > 4.0 * bound);
                stayed += usize::from(now(i) == at(c, output));
            }
        }
        // The comparison has teeth.
        let all = rows.len() * outputs.len();
        let seen = (0..*inputs).filter(|i| gram[i * (inputs + 1)] > 0.0).count();
        let told = format!("{far} of {all} lack much, {stayed} stayed; {seen} inputs are seen");
        assert!(far > all / 8 && stayed < all / 8, "{told}");
    }
}

/// The matrix `name` as `[inputs, outputs]`.
fn as_matrix(model: &Pretrained, name: &str) -> Vec<f64> {
    let of = model.whole(1, 1).unwrap();
    let at = of.graph.parameters().iter().position(|p| p.name == name).unwrap();
    let values = model.parameter(&of.sources[at]).unwrap();
    let p = &of.graph.parameters()[at];
    let (inputs, outputs) = (p.units().inputs as usize, p.units().units as usize);
    // Kernels have their outputs last in the graph.
    let of = |e: usize| match p.shape.rank() {
        2 => values[e % outputs * inputs + e / outputs],
        _ => values[e],
    };
    (0..values.len()).map(|e| of(e).into()).collect()
}

fn kept(report: &RemoveReport, group: usize) -> &[u32] {
    &report.blocks[0].kept[group].kept
}

/// Every output of a matrix.
fn all(outputs: usize) -> Vec<u32> {
    (0..outputs as u32).collect()
}

/// The folder has the perplexity that was found on the way, by weights as it has them.
#[test]
fn by_data_those_stay_that_add_most_and_make_up_for_the_others() {
    let Some(gpu) = gpu() else { return };
    let (copied, data) = (in_16_bits(), windows());
    let model = Pretrained::open(copied.write()).unwrap();
    let (folder, report) = removed(&model, "channels=0.5", Some(data.rows()));
    let small = Pretrained::open(folder.path()).unwrap();
    let name = "model.layers.0.mlp.down_proj.weight";
    let reading = Reading::of(&model, name, &data, 0);
    let (channels, new) = (kept(&report, 0), as_matrix(&small, name));
    assert_eq!((reading.inputs, channels.len()), (96, 48));
    // A weight of 8 bits is rounded by 2^-9 of itself at most; a thousandth for sums of f32.
    reading.check((96, channels), &all(reading.outputs), &new, 2.0_f64.powi(-9));

    let Data::Windows(windows) = &data else { panic!("they are windows") };
    let found = small.perplexity(gpu, windows, &mut |_, _| {}).unwrap().perplexity;
    let calibrated = report.calibration_perplexity.unwrap();
    assert!((found / calibrated - 1.0).abs() < 1e-6, "{found}, {calibrated}");
    assert!(report.blocks.iter().all(|b| b.error.unwrap() > 1e-6));
}

/// Of texts with padding what is seen counts, and what stands elsewhere changes no bit.
#[test]
fn texts_with_padding_make_up_for_channels_by_what_is_seen() {
    if gpu().is_none() {
        return;
    }
    let golden = Golden::open("bert");
    let texts = |padding: u32| {
        let mut texts = golden.texts().0;
        for text in &mut texts {
            let ids = text.ids.iter_mut().zip(&text.seen);
            ids.filter(|(_, seen)| !**seen).for_each(|(id, _)| *id = padding);
        }
        Data::Texts(texts)
    };
    let [one, other] = [texts(1), texts(60)];
    let removed =
        [&one, &other].map(|data| removed(&golden.model, "channels=0.5", Some(data.rows())));
    let [small, same] =
        removed.each_ref().map(|(folder, _)| Pretrained::open(folder.path()).unwrap());
    for tensor in small.files().tensors() {
        let [a, b] = [&small, &same].map(|model| model.files().read_f32(&tensor.name).unwrap());
        assert_eq!(a, b, "{}", tensor.name);
    }
    let name = "encoder.layer.0.output.dense.weight";
    let reading = Reading::of(&golden.model, name, &one, 0);
    let (channels, new) = (kept(&removed[0].1, 0), as_matrix(&small, name));
    reading.check((reading.inputs, channels), &all(reading.outputs), &new, 0.0);
}

/// Channels that a convolution of 3 x 3 reads, and such that one of 1 x 1 reads behind it.
#[test]
fn convolutions_make_up_for_channels_by_patches() {
    if gpu().is_none() {
        return;
    }
    let (copied, data) = (lively(), pictures(32));
    let model = Pretrained::open(copied.write()).unwrap();
    let (folder, report) = removed(&model, "channels=0.5", Some(data.rows()));
    let small = Pretrained::open(folder.path()).unwrap();
    let name = "layer1.0.conv2.weight";
    let reading = Reading::of(&model, name, &data, 32);
    assert_eq!((reading.inputs, reading.outputs), (9 * 4, 4));
    let new = as_matrix(&small, name);
    reading.check((4, kept(&report, 0)), kept(&report, 1), &new, 0.0);
    assert!(report.blocks.iter().all(|b| b.error.unwrap() > 1e-9), "{report:?}");
    assert!(report.calibration_perplexity.is_none());
}
