//! A mask as a picture.
use crate::{Error, Result};

/// Longest side of a picture; larger masks are reduced.
const MOST: usize = 2_048;

/// The PNG of a mask over a tensor of `shape`: white where a weight stays, black where it is
/// pruned.
///
/// Rows are all extents but the last, columns the last one. A matrix of more than 2,048 rows or
/// columns is reduced: each pixel is the share of its cell that stays, in gray.
///
/// # Errors
/// [`Error::Shape`] for a mask that has no bit for each weight, or a shape without any.
pub fn mask_picture(mask: &[u32], shape: &[u32]) -> Result<Vec<u8>> {
    picture(mask, shape, |rows, columns| [rows, columns].map(|n| n.min(MOST)))
}

/// The same within `most` pixels each way. What is reduced keeps its form, up to four times as long
/// as wide.
pub(crate) fn small_mask_picture(mask: &[u32], shape: &[u32], most: usize) -> Result<Vec<u8>> {
    picture(mask, shape, |rows, columns| {
        if rows.max(columns) <= most {
            return [rows, columns];
        }
        let form = (rows as f64 / columns as f64).clamp(0.25, 4.0);
        let side = |share: f64| ((most as f64 * share.min(1.0)).round() as usize).max(1);
        [side(form).min(rows), side(1.0 / form).min(columns)]
    })
}

/// A picture of the height and width that `size` makes of rows and columns, no more of either.
fn picture(
    mask: &[u32],
    shape: &[u32],
    size: impl FnOnce(usize, usize) -> [usize; 2],
) -> Result<Vec<u8>> {
    let columns = shape.last().copied().unwrap_or(1) as usize;
    let len = shape.iter().map(|&d| d as usize).product::<usize>();
    if len == 0 || mask.len() != len.div_ceil(32) {
        let words = mask.len();
        let message =
            format!("{words} words of mask for {shape:?}, which takes {}", len.div_ceil(32));
        return Err(Error::shape("mask_picture", message));
    }
    let rows = len / columns;
    let [height, width] = size(rows, columns);
    let mut pixels = vec![0u8; height * width];
    for y in 0..height {
        for x in 0..width {
            // Cells share the rows and columns as evenly as whole numbers can.
            let down = y * rows / height..(y + 1) * rows / height;
            let across = x * columns / width..(x + 1) * columns / width;
            let cell = down.len() * across.len();
            let kept = down
                .flat_map(|r| across.clone().map(move |c| r * columns + c))
                .filter(|&i| crate::kernels::bit(mask, i))
                .count();
            pixels[y * width + x] = (kept * 255 / cell) as u8;
        }
    }
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&pixels)?;
        writer.finish()
    });
    // Into memory, of sizes that fit each other.
    written.map_err(|e| Error::shape("mask_picture", e.to_string()))?;
    Ok(png)
}
