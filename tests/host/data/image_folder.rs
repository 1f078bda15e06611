//! Folders of pictures: classes by name, sizes, colours, and files that are no pictures.
use super::fails;
use super::open::{Files, features, labels};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, Rgba, RgbaImage};
use secateur::data::{Split, Task};
use std::io::Cursor;

/// What a byte is read by, and 51 of it.
const SCALE: f32 = 1.0 / 255.0;
const FIFTH: f32 = 51.0 * SCALE;

fn file(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A grey PNG, `width` wide and `height` high.
fn gray(width: u32, height: u32, value: u8) -> Vec<u8> {
    file(GrayImage::from_pixel(width, height, [value].into()), ImageFormat::Png)
}

fn rgb(width: u32, height: u32, value: [u8; 3]) -> Vec<u8> {
    file(RgbImage::from_pixel(width, height, value.into()), ImageFormat::Png)
}

/// Two classes of two pictures of 2 x 3.
fn pictures() -> Files {
    let files = Files::new();
    for (class, value) in [("dog", 51), ("cat", 102)] {
        for name in ["1.png", "2.PNG"] {
            files.write(&format!("all/{class}/{name}"), gray(3, 2, value));
        }
    }
    files.write("all/.hidden", "").write("all/dog/.DS_Store", "").write("all/README", "pictures");
    files
}

#[test]
fn a_folder_is_a_class() {
    let files = pictures();
    let data = files.rows("images", "all", "").unwrap();
    assert_eq!((data.name(), data.feature_shape(), data.rows()), ("all", &[2, 3, 1][..], 4));
    assert_eq!(
        (labels(&data), data.class_names()),
        (vec![0, 0, 1, 1], &["cat", "dog"].map(String::from)[..])
    );
    let all = features(&data);
    assert!(all[..12].iter().all(|&x| x == 102.0 * SCALE) && all[12..].iter().all(|&x| x == FIFTH));
    let Split { train, test } = files.split("images", "all", "test = '0.5'").unwrap();
    assert_eq!((labels(&train), labels(&test)), (vec![0, 1], vec![0, 1]));
    // The formats are told by what is in the files, and pictures may have 16 bits.
    let wide = image::ImageBuffer::from_pixel(3, 2, image::Luma([0x3333_u16]));
    files.write("all/dog/3.jpg", file(DynamicImage::ImageLuma16(wide), ImageFormat::Png));
    assert_eq!(features(&files.rows("images", "all", "").unwrap())[24], FIFTH);
}

#[test]
fn colours_are_three_channels_where_any_picture_has_them() {
    let files = pictures();
    files.write("all/cat/2.png", rgb(3, 2, [10, 20, 30]));
    files.write(
        "all/dog/3.png",
        file(RgbaImage::from_pixel(3, 2, Rgba([1, 2, 3, 0])), ImageFormat::Png),
    );
    let data = files.rows("images", "all", "").unwrap();
    assert_eq!((data.feature_shape(), data.rows()), (&[2, 3, 3][..], 6));
    let bytes: Vec<u8> = features(&data).iter().map(|x| (x * 255.0).round() as u8).collect();
    // Names in the order of bytes: 1.png, 2.PNG, 2.png.
    assert_eq!((bytes[0..3].to_vec(), bytes[36..39].to_vec()), (vec![102; 3], vec![10, 20, 30]));
    assert_eq!((bytes[54..57].to_vec(), bytes[90..93].to_vec()), (vec![51; 3], vec![1, 2, 3]));
    let smooth = RgbImage::from_pixel(16, 16, [200, 100, 50].into());
    files.write("jpeg/a/x.jpeg", file(smooth, ImageFormat::Jpeg));
    let jpeg = features(&files.rows("images", "jpeg", "").unwrap());
    for (i, wanted) in [200.0, 100.0, 50.0].into_iter().enumerate() {
        assert!((jpeg[i] * 255.0 - wanted).abs() < 4.0, "{i}: {}", jpeg[i] * 255.0);
    }
}

#[test]
fn sizes_are_one_or_made_one() {
    let files = pictures();
    files.write("all/dog/3.png", gray(4, 2, 51));
    fails(files.rows("images", "all", ""), &["3.png: is 2 x 4, and", "1.png is 2 x 3", "`size`"]);
    let data = files.rows("images", "all", "size = [1, 5]").unwrap();
    assert_eq!((data.feature_shape(), data.rows()), (&[1, 5, 1][..], 5));
    assert!(features(&data)[10..].iter().all(|&x| x == FIFTH));
    fails(files.rows("images", "all", "size = [0, 5]"), &["`size`: 0 x 5"]);
    fails(files.rows("images", "all", "size = [5, 20000]"), &["`size`: 5 x 20000"]);
}

#[test]
fn train_and_test_folders_are_the_split() {
    let files = Files::new();
    for (half, class, value) in [("train", "a", 0), ("train", "b", 255), ("test", "b", 51)] {
        files.write(&format!("all/{half}/{class}/1.png"), gray(1, 1, value));
    }
    let Split { train, test } = files.split("images", "all", "standardise = true").unwrap();
    assert_eq!((labels(&train), labels(&test)), (vec![0, 1], vec![1]));
    assert_eq!((features(&train), features(&test)), (vec![-1.0, 1.0], vec![(FIFTH - 0.5) / 0.5]));
    let rows = files.rows_by("images", "all", "", &train.schema()).unwrap();
    assert_eq!(*rows, *test);
    fails(files.split("images", "all", "split_seed = 1"), &["`split_seed`"]);
}

#[test]
fn a_schema_says_classes_size_and_colours() {
    let files = pictures();
    let schema = files.rows("images", "all", "").unwrap().schema();
    files.write("new/dog/x.png", rgb(6, 4, [51; 3]));
    let data = files.rows_by("images", "new", "", &schema).unwrap();
    assert_eq!((labels(&data), data.task()), (vec![1], Task::classification(2)));
    assert_eq!((data.feature_shape(), features(&data)), (&[2, 3, 1][..], vec![FIFTH; 6]));
    files.write("loose/x.png", gray(3, 2, 51)).write("loose/notes.txt", "");
    let data = files.rows_by("images", "loose", "", &schema).unwrap();
    assert_eq!((data.rows(), data.task()), (1, Task::Unlabelled));
    files.write("other/fox/x.png", gray(3, 2, 51));
    fails(files.rows_by("images", "other", "", &schema), &["fox: class `fox`", "(cat, dog)"]);
    let sized = files.rows_by("images", "new", "size = [9, 9]", &schema);
    fails(sized, &["`size`: 9 x 9, the model was trained on 2 x 3"]);
    let mut flat = schema;
    flat.shape = vec![6];
    fails(files.rows_by("images", "new", "", &flat), &["has images", "rows of [6]"]);
}

#[test]
fn what_is_no_picture_is_named() {
    let files = pictures();
    files.write("all/dog/3.png", "no picture");
    fails(files.rows("images", "all", ""), &["3.png: no picture that can be read"]);
    let whole = gray(3, 2, 9);
    files.write("all/dog/3.png", &whole[..whole.len() - 20]);
    fails(files.rows("images", "all", ""), &["3.png: no picture that can be read"]);
    let files = pictures();
    files.write("all/dog/notes.txt", "text");
    fails(files.rows("images", "all", ""), &["notes.txt: no picture"]);
    let files = pictures();
    files.write("all/dog/more/1.png", gray(3, 2, 0));
    fails(files.rows("images", "all", ""), &["more: is a folder within the folder of a class"]);
    let files = pictures();
    files.write("all/1.png", gray(3, 2, 0));
    fails(files.rows("images", "all", ""), &["1.png: is a picture beside folders of classes"]);
    files.write("empty/.x", "").write("half/a/.x", "").write("half/b/1.png", gray(1, 1, 0));
    fails(files.rows("images", "empty", ""), &["empty: holds no picture"]);
    fails(files.rows("images", "half", ""), &["a: holds no picture"]);
    fails(files.rows("images", "gone", ""), &["cannot read", "gone"]);
}
