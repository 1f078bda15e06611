//! Masks as pictures, read back by the decoder.
use secateur::prune::mask_picture;

/// Width, height and gray values.
fn decode(png: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(
        (info.color_type, info.bit_depth),
        (png::ColorType::Grayscale, png::BitDepth::Eight)
    );
    (info.width as usize, info.height as usize, pixels)
}

#[test]
fn a_small_mask_has_a_pixel_for_each_weight() {
    // Rows of 3: 101, 010, 111, 000 and one more column of words.
    let (width, height, pixels) = decode(&mask_picture(&[0b000_111_010_101], &[2, 2, 3]).unwrap());
    assert_eq!((width, height), (3, 4));
    let bits: Vec<u8> = pixels.iter().map(|&p| p / 255).collect();
    assert_eq!(bits, [1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 0, 0]);
    assert!(pixels.iter().all(|&p| p == 0 || p == 255));
}

#[test]
fn a_large_mask_is_reduced_to_shares() {
    // Every other weight of each row stays, and no weight of the last half of the columns.
    let (rows, columns) = (3, 4 * 2_048);
    let mut mask = vec![0u32; rows * columns / 32];
    for i in (0..rows * columns).filter(|i| i % 2 == 0 && i % columns < columns / 2) {
        mask[i / 32] |= 1 << (i % 32);
    }
    let (width, height, pixels) = decode(&mask_picture(&mask, &[3, columns as u32]).unwrap());
    assert_eq!((width, height), (2_048, 3));
    for (i, &pixel) in pixels.iter().enumerate() {
        assert_eq!(pixel, if i % 2_048 < 1_024 { 127 } else { 0 }, "pixel {i}");
    }
}

#[test]
fn a_mask_must_fit_its_shape() {
    let wrong = |mask: &[u32], shape: &[u32]| mask_picture(mask, shape).unwrap_err().to_string();
    assert!(wrong(&[0], &[33]).contains("1 words of mask for [33], which takes 2"));
    assert!(wrong(&[], &[0, 4]).contains("[0, 4]"));
    assert!(mask_picture(&[1], &[]).is_ok(), "a scalar is a picture of one pixel");
}
