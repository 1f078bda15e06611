//! The picture: XML, with every row as a point, a line and a name that no other name is on.
use roxmltree::{Document, Node};
use secateur::bench::{LeftOut, Measured, Row, Sampled, Workload, plot};
use secateur::kernels::Form;

use super::CEILINGS;

/// Rows of which several lie on one point, as those of one size often do.
fn measured() -> Measured {
    let product =
        |form, n| (Workload::Matmul { form, size: [n; 3] }, 2.0 * f64::from(n).powi(3) / 7e9);
    let mut times = vec![(Workload::Add { len: 100_000 }, 1e-3)];
    times.push((Workload::mask_update(1_000_000), 0.07));
    for n in [256, 512, 1024] {
        times.extend([Form::NN, Form::NT, Form::TN].map(|form| product(form, n)));
    }
    let row = |(workload, seconds): (Workload, f64)| {
        Row::new(&workload, Sampled { seconds, samples: 3 }, &CEILINGS).unwrap()
    };
    let left_out = vec![LeftOut { name: "add 10^9".into(), reason: "none".into() }];
    Measured { ceilings: CEILINGS, rows: times.into_iter().map(row).collect(), left_out }
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{name}: {node:?}"))
}

#[test]
fn every_row_has_a_point_and_a_name_of_its_own() {
    let measured = measured();
    let svg = plot("A card <of mine> (vulkan), 2026-01-02T03:04:05Z", &measured).unwrap();
    let document = Document::parse(&svg).unwrap();
    let all = |tag: &'static str| document.descendants().filter(move |n| n.has_tag_name(tag));
    assert_eq!(all("circle").count(), measured.rows.len());
    let text = |n: &Node<'_, '_>| n.text().unwrap_or_default().trim().to_owned();
    let texts: Vec<String> = all("text").map(|n| text(&n)).collect();
    for part in [
        "A card <of mine> (vulkan), 2026-01-02T03:04:05Z",
        "copy 9.3 GiB/s",
        "multiply-adds 100 GFLOP/s",
    ] {
        assert!(texts.iter().any(|t| t == part), "no {part} in {texts:?}");
    }
    let mut heights = Vec::new();
    for row in &measured.rows {
        let named: Vec<_> =
            all("text").filter(|n| text(n).starts_with(&format!("{}: ", row.name))).collect();
        let [name] = named[..] else { panic!("{}: {} names", row.name, named.len()) };
        heights.push(number(&name, "y"));
        let size = number(&name, "font-size");
        let end = number(&name, "x") + size * 0.62 * text(&name).chars().count() as f64;
        assert!(end < 1280.0, "{} ends at {end}", row.name);
    }
    heights.sort_by(f64::total_cmp);
    assert!(heights[0] > 40.0 && heights[heights.len() - 1] < 760.0, "{heights:?}");
    for pair in heights.windows(2) {
        assert!(pair[1] - pair[0] >= 16.0, "{heights:?}");
    }
}

/// Points are where their rows are: the one with the higher rate higher, the one with more
/// operations a byte further right.
#[test]
fn points_are_where_the_rows_are() {
    let mut measured = measured();
    measured.rows.truncate(3);
    let svg = plot("title", &measured).unwrap();
    let document = Document::parse(&svg).unwrap();
    let mut points: Vec<_> = document
        .descendants()
        .filter(|n| n.has_tag_name("circle"))
        .map(|n| (number(&n, "cx"), number(&n, "cy")))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    // By intensity: add, mask update, product.
    let [add, mask, product] = points[..] else { panic!("{points:?}") };
    assert!(product.1 < add.1 && add.1 < mask.1, "{points:?}");
    // Logarithmic: distances are as the logarithms of the quotients.
    let quotient =
        |a: usize, b: usize| (measured.rows[b].intensity / measured.rows[a].intensity).ln();
    let scale = (product.0 - add.0) / quotient(0, 2);
    assert!((mask.0 - add.0 - scale * quotient(0, 1)).abs() <= 2.0, "{points:?}");
}

#[test]
fn nothing_to_draw_is_an_error_or_an_empty_picture() {
    let mut measured = measured();
    measured.rows.clear();
    let svg = plot("title", &measured).unwrap();
    let document = Document::parse(&svg).unwrap();
    assert!(!document.descendants().any(|n| n.has_tag_name("circle")));
    measured.ceilings.fma_flops_per_second = 0.0;
    let message = plot("title", &measured).unwrap_err().to_string();
    assert!(message.contains("must be above 0"), "{message}");
}
