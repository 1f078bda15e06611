//! The elements that are kept, and how many zeros are before each, from the first element of the
//! tensor to the last. A gap is a code of four or of eight bits; the highest code stands for as
//! many zeros without an element behind them. The prefix sums of such codes are MACKO's, whose fillers
//! are elements that are kept.
use super::matrix::Matrix;
use super::packing::{Part, extents, values};
use crate::storage::Dtype;

pub(super) const FOUR: &str = "gaps4";
pub(super) const EIGHT: &str = "gaps8";

/// What the parts of codes of so many bits are called.
pub(super) fn suffix(bits: u32) -> &'static str {
    if bits == 4 { FOUR } else { EIGHT }
}

/// The code of zeros alone, and how many these are.
fn filler(bits: u32) -> usize {
    (1 << bits) - 1
}

/// The codes of the places that are kept.
fn codes(kept: impl Iterator<Item = usize>, bits: u32, mut push: impl FnMut(u8)) {
    let (filler, mut next) = (filler(bits), 0);
    for place in kept {
        let gap = place - next;
        (0..gap / filler).for_each(|_| push(filler as u8));
        push((gap % filler) as u8);
        next = place + 1;
    }
}

pub(super) fn bytes(matrix: &Matrix<'_>, bits: u32) -> u64 {
    let (mut kept, mut count) = (0, 0_usize);
    let places = matrix.kept().inspect(|_| kept += 1);
    codes(places, bits, |_| count += 1);
    ((count * bits as usize).div_ceil(8) + kept * matrix.size()) as u64
}

pub(super) fn parts(matrix: &Matrix<'_>, bits: u32) -> Vec<Part> {
    let mut all = Vec::new();
    codes(matrix.kept(), bits, |code| all.push(code));
    if bits == 4 {
        let pair = |pair: &[u8]| pair[0] | pair.get(1).unwrap_or(&(filler(4) as u8)) << 4;
        all = all.chunks(2).map(pair).collect();
    }
    let (shape, suffix) = (vec![all.len()], suffix(bits));
    vec![extents(matrix), Part { suffix, dtype: Dtype::U8, shape, bytes: all }, values(matrix)]
}

/// The places of the `count` elements that are kept of so many; or what is wrong with the codes.
pub(super) fn places(
    codes: &[u8],
    bits: u32,
    elements: usize,
    count: usize,
) -> Result<Vec<usize>, String> {
    let (name, filler) = (suffix(bits), filler(bits));
    let halves = |byte: &u8| [byte & 15, byte >> 4];
    let codes: Vec<u8> = match bits {
        4 => codes.iter().flat_map(halves).collect(),
        _ => codes.to_vec(),
    };
    let of_elements = codes.iter().filter(|&&code| usize::from(code) != filler).count();
    if of_elements != count {
        return Err(format!("{name} keeps {of_elements}, values has {count} elements"));
    }
    let (mut places, mut next, mut behind) = (Vec::with_capacity(count), 0, 0);
    for code in codes.into_iter().map(usize::from) {
        if code == filler {
            next += filler;
            behind += 1;
            continue;
        }
        let place = next + code;
        if place >= elements {
            return Err(format!("{name} keeps element {place} of {elements}"));
        }
        places.push(place);
        (next, behind) = (place + 1, 0);
    }
    // One code of four bits fills the last byte.
    let most = usize::from(bits == 4);
    match behind <= most {
        true => Ok(places),
        false => Err(format!("{name} ends with {behind} codes of zeros, at most {most} may be")),
    }
}
