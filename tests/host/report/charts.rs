//! What charts show: places that fit the numbers on the axes, masks bit by bit.
use std::collections::BTreeMap;

use roxmltree::Node;
use secateur::train::summary::{EventWriter, SummaryWriter};

use super::fixture::{Parsed, Run, parsed};

fn number(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap_or_default().parse().expect(name)
}

/// Values and heights of the names on the axis at the left.
fn ticks(figure: Node<'_, '_>) -> Vec<(f64, f64)> {
    let texts = figure.descendants().filter(|n| {
        n.has_tag_name("text")
            && n.attribute("text-anchor") == Some("end")
            && number(*n, "x") < 60.0
    });
    let value = |text: &str| {
        let (text, whole) = text.strip_suffix(" %").map_or((text, 1.0), |text| (text, 100.0));
        text.replace(',', "").parse::<f64>().expect(text) / whole
    };
    // The text is 4 pixels below its line.
    texts.map(|n| (value(n.text().unwrap_or_default()), number(n, "y") - 4.0)).collect()
}

/// Places of the last curve of a figure.
fn places(figure: Node<'_, '_>) -> Vec<(f64, f64)> {
    let mut curve = figure.descendants().filter(|n| {
        n.has_tag_name("path") && n.attribute("class").is_some_and(|c| c.starts_with("line"))
    });
    let d = curve.next_back().and_then(|n| n.attribute("d")).expect("a curve");
    let pair = |text: &str| {
        let (x, y) = text.split_once(' ').expect(text);
        (x.parse().expect(x), y.parse().expect(y))
    };
    d.split(['M', 'L']).filter(|text| !text.is_empty()).map(pair).collect()
}

/// Each point lies where the axis says, whatever the values: linear, shares, far apart.
#[test]
fn points_lie_where_the_axes_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    writer.start(1).unwrap();
    let curves: [(&str, &str, &[f32]); 4] = [
        ("loss", "Loss", &[900.0, 40.0, 3.0, 0.2, 0.01]),
        ("accuracy", "Accuracy", &[0.30, 0.41, 0.55, 0.61, 0.975]),
        ("steps_per_second", "Speed", &[0.3, 0.75, 0.9, 0.6, 1.1]),
        ("learning_rate", "Learning rate", &[0.002, 0.0016, 0.0012, 0.0011, 0.001]),
    ];
    for (tag, _, values) in curves {
        for (step, value) in (1..).zip(values) {
            writer.scalar(tag, step * 100, *value).unwrap();
        }
    }
    writer.close(500).unwrap();
    let page = Parsed::of(&[dir.path().to_owned()]);
    for (tag, title, values) in curves.into_iter().take(3) {
        let figure = page.figure(title);
        let (log, ticks) = (tag == "loss", ticks(figure));
        assert!((2..8).contains(&ticks.len()), "{title}: {ticks:?}");
        let of = |value: f64| if log { value.log10() } else { value };
        let ((low, bottom), (high, top)) = (ticks[0], ticks[ticks.len() - 1]);
        let slope = (top - bottom) / (of(high) - of(low));
        let height = |value: f64| bottom + (of(value) - of(low)) * slope;
        for (value, at) in &ticks {
            assert!((height(*value) - at).abs() < 0.3, "{title}: {value} is named at {at}");
        }
        let places = places(figure);
        assert_eq!(places.len(), values.len());
        for ((x, y), value) in places.iter().zip(values) {
            // Rounded to a tenth of a pixel, twice.
            assert!((height(f64::from(*value)) - y).abs() < 0.5, "{title}: {value} is at {y}");
            assert!(x.is_finite());
        }
        let apart: Vec<f64> = places.windows(2).map(|p| p[1].0 - p[0].0).collect();
        assert!(apart.iter().all(|d| *d > 0.0 && (d - apart[0]).abs() < 0.3), "{apart:?}");
    }
    // A rate stays until the next one: drawn in steps.
    let rate = page.figure("Learning rate");
    let class = rate.descendants().find(|n| n.attribute("class") == Some("line s1"));
    assert_eq!(class.and_then(|n| n.attribute("d")).unwrap().matches('H').count(), 4);
}

/// Results come in bursts: rates of single steps are no speed.
#[test]
fn speed_is_a_mean_over_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    writer.start(1).unwrap();
    for step in 2..=231 {
        let rate = if step & 1 == 0 { 10.0 } else { 100_000.0 };
        writer.scalar("steps_per_second", step, rate).unwrap();
    }
    writer.close(231).unwrap();
    let page = Parsed::of(&[dir.path().to_owned()]);
    let points = page.points("Speed")[0];
    // 11.5 s in parts of 0.23 s or more: of three slow steps each, with two or three fast ones.
    // The last part has the rest, too.
    assert!((38..=42).contains(&points), "{points} parts");
    let speed = page.row("Speed from step 6 to 231", "steps/s");
    let values: Vec<f64> = speed[1..].iter().map(|text| text.parse().unwrap()).collect();
    assert!(values.iter().all(|value| (16.0..23.0).contains(value)), "{speed:?}");
}

#[test]
fn names_of_curves_and_bars_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<Run> = (0..5).map(|at| Run::full(dir.path(), &format!("run{at}"))).collect();
    let page = parsed(&runs);
    for title in ["Loss of train batches", "Test accuracy", "Sparsity reached", "Speed"] {
        let names = page
            .figure(title)
            .descendants()
            .filter(|n| n.has_tag_name("text") && n.text().is_some_and(|t| t.starts_with("run")));
        let mut heights: Vec<f64> = names.map(|n| number(n, "y")).collect();
        heights.sort_by(f64::total_cmp);
        assert_eq!(heights.len(), 5, "{title}");
        assert!(heights.windows(2).all(|y| y[1] - y[0] > 13.0), "{title}: {heights:?}");
    }
}

/// White where a weight stays.
#[test]
fn masks_are_shown_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let page = parsed(&[Run::full(dir.path(), "run")]);
    let mut images: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for image in page.all().filter(|n| n.has_tag_name("img")) {
        let (alt, src) = (image.attribute("alt").unwrap(), image.attribute("src").unwrap());
        let data = src.strip_prefix("data:image/png;base64,").expect("a picture");
        images.insert(alt.to_owned(), decoded(data));
    }
    let [(first, png), (second, _)] = &images.iter().collect::<Vec<_>>()[..] else {
        panic!("{:?}", images.keys())
    };
    assert_eq!(*first, "Mask of fc1.weight: 128 of 384 weights kept");
    assert_eq!(*second, "Mask of fc2.weight: 16 of 32 weights kept");
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height, pixels.len()), (12, 32, 384));
    for (at, pixel) in pixels.iter().enumerate() {
        assert_eq!(*pixel, if at.is_multiple_of(3) { 255 } else { 0 }, "pixel {at}");
    }
}

/// RFC 4648, a bit at a time.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |c: char| match c {
        'A'..='Z' => u32::from(c) - 65,
        'a'..='z' => u32::from(c) - 71,
        '0'..='9' => u32::from(c) + 4,
        '+' => 62,
        '/' => 63,
        other => panic!("`{other}`"),
    };
    let bits = |c: char| (0..6).rev().map(move |bit| digit(c) >> bit & 1 == 1);
    assert!(text.len().is_multiple_of(4));
    let bits: Vec<bool> = text.trim_end_matches('=').chars().flat_map(bits).collect();
    let byte = |bits: &[bool]| bits.iter().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit));
    bits.as_chunks::<8>().0.iter().map(|bits| byte(bits)).collect()
}
