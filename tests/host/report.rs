//! Pages: well-formed, with every number of the logdir, and with nothing of a stranger's that acts.
#[path = "report/charts.rs"]
mod charts;
#[path = "report/fixture.rs"]
mod fixture;
#[path = "report/several.rs"]
mod several;

use std::fs;

use roxmltree::Node;
use secateur::report::Page;
use secateur::storage::{Format, Header, PackOptions, pack};
use secateur::train::summary::{EventWriter, SummaryWriter};

use fixture::{Parsed, Run, parsed};

#[test]
fn a_page_says_what_the_logdir_says() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::full(dir.path(), "digits-007");
    let page = parsed(std::slice::from_ref(&run));
    let text = page.text();
    for part in [
        "Run digits-007",
        "mlp:3 on digits, on Some adapter",
        "97.50 %",
        "dense 98.25 %; -0.75 points",
        "144 of 416 weights left; asked 62.50 %",
        "120 steps, 40 steps/s",
        "Step 7 took 12.5 ms as it was traced",
        "not traced, took 2.50 ms",
        "begun 2026-11-25 10:30 UTC",
        "target_sparsity = 0.625",
        "-again --baseline --precision mixed",
        "model.safetensors",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    // Each chart, and how many values its curves have.
    for (title, points) in [
        ("Loss", vec![12, 3]),
        ("Accuracy", vec![12, 1, 3]),
        ("Learning rate", vec![12]),
        ("Sparsity", vec![3, 3]),
        ("Churn of the masks", vec![3, 3]),
        ("Energy that is kept", vec![3, 3]),
        ("Speed", vec![11]),
        ("Checkpoints", vec![2, 2]),
        ("Ranks wait", vec![12, 12]),
        ("Ranks compute", vec![12, 12]),
    ] {
        assert_eq!(page.points(title), points, "{title}");
    }
    for (title, bars) in [
        ("Weights kept", 4),
        ("Sparsity of layers", 4),
        ("Weights as a file", 8),
        ("Host", 4),
        ("GPU, by phase", 4),
        ("GPU, by kernel", 4),
    ] {
        let rects = page.figure(title).descendants().filter(|n| n.has_tag_name("rect")).count();
        assert_eq!(rects, bars, "{title}");
    }
    for title in ["fc1.weight, step 60", "fc1.weight, step 120", "fc2.weight, step 120"] {
        assert!(page.figure(title).descendants().any(|n| n.has_tag_name("svg")), "{title}");
    }
    let row = |name: &str| page.row("What is left of each layer", name);
    let fc1 =
        ["fc1.weight", "32x12", "128 of 384", "66.67 %", "0.2500", "12.50 %", "90.00 %", "1.5 KiB"];
    assert_eq!(row("fc1.weight")[..8], fc1);
    assert_eq!(row("all")[2..4], ["144 of 416", "65.38 %"]);
    assert_eq!(page.row("Loss from step 10 to 120", "train batch")[1..3], ["0.9000", "0.07500"]);
}

/// Whatever reads it: a parser of XML, a reader of screens, a browser without a network.
#[test]
fn a_page_is_whole_and_for_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let page = parsed(&[Run::full(dir.path(), "run")]);
    page.check();
    assert_eq!(page.html.matches("http").count(), 0, "it asks nobody for anything");
    let head = page.one("head");
    let meta = |name: &str| {
        let found = head.children().find(|n| n.attribute("name") == Some(name));
        found.and_then(|n| n.attribute("content")).unwrap_or_default().to_owned()
    };
    assert_eq!(meta("viewport"), "width=device-width, initial-scale=1");
    assert_eq!(meta("color-scheme"), "light dark");
    let style = page.one("style").text().unwrap();
    for part in ["prefers-color-scheme: dark", "@media print", ":focus-visible"] {
        assert!(style.contains(part), "no {part}");
    }
    // What scrolls can be reached by keyboard.
    let scrolls =
        |n: &Node<'_, '_>| n.attribute("class") == Some("scroll") || n.has_tag_name("pre");
    let reached = page.all().filter(scrolls).map(|n| n.attribute("tabindex"));
    assert!(reached.clone().count() > 10 && reached.flatten().all(|at| at == "0"));
}

#[test]
fn names_of_strangers_are_text() {
    let dir = tempfile::tempdir().unwrap();
    let name = "<script>alert('1')</script>&\"\u{1b}[31m\u{202e}x\u{0}";
    let logdir = dir.path().join("<b>'&' & co");
    let run = Run { weights: vec![(name, [32, 12]), ("fc2.weight", [32, 1])], logdir };
    run.write();
    let recipe = fs::read_to_string(run.logdir.join("recipe.toml")).unwrap();
    let recipe = recipe.replace("data = \"digits\"", "data = \"csv:</code><img src=x>\"");
    fs::write(run.logdir.join("recipe.toml"), recipe).unwrap();
    let page = parsed(&[run.clone(), run.clone()]);
    page.check();
    let page = parsed(&[run]);
    page.check();
    for tag in ["script", "b"] {
        assert!(!page.all().any(|n| n.has_tag_name(tag)), "{tag} is an element");
    }
    let images = page.all().filter(|n| n.has_tag_name("img"));
    assert!(images.clone().count() == 2 && images.flat_map(|n| n.attribute("src")).all(is_png));
    let shown = "<script>alert('1')</script>&\"\\u{1b}[31m\\u{202e}x\\u{0}";
    assert_eq!(page.row("What is left of each layer", shown)[2], "128 of 384");
    assert!(page.text().contains("data = \"csv:</code><img src=x>\""));
    assert!(page.text().contains("'\\''&'\\'' & co/recipe.toml'"), "the command is quoted");
}

fn is_png(url: &str) -> bool {
    url.starts_with("data:image/png;base64,iVBORw0KGgo")
}

/// A run that has just begun, one that is killed, one that diverges.
#[test]
fn what_is_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let logdir = dir.path().to_owned();
    let none = Page::of(std::slice::from_ref(&logdir)).unwrap_err().to_string();
    assert!(none.contains("holds no run"), "{none}");
    assert!(Page::of(&[]).is_err());
    fs::write(logdir.join("recipe.toml"), "model = \"mlp:3\"").unwrap();
    let of = |logdir: &std::path::Path| Parsed::of(&[logdir.to_owned()]);
    let page = of(&logdir);
    page.check();
    for part in ["has not said that it ended", "There are no values to draw", "no mask was updated"]
    {
        assert!(page.text().contains(part), "no `{part}` in {}", page.text());
    }
    let mut writer = EventWriter::create(&logdir).unwrap();
    writer.start(1).unwrap();
    for (step, loss) in [(1, f32::NAN), (2, 3.0), (3, f32::INFINITY), (4, -1.0), (5, f32::NAN)] {
        writer.scalar("loss", step, loss).unwrap();
    }
    writer.scalar("accuracy", 1, 0.5).unwrap();
    writer.scalar("learning_rate", 1, f32::NAN).unwrap();
    writer.scalar("steps_per_second", 7, 0.0).unwrap();
    writer.flush().unwrap();
    let page = of(&logdir);
    page.check();
    assert_eq!(page.points("Loss"), [2], "two values have a place");
    assert_eq!(page.points("Accuracy"), [1]);
    assert_eq!(page.points("Speed"), [1]);
    assert!(page.figure("Learning rate").descendants().all(|n| !n.has_tag_name("svg")));
    let loss = page.row("Loss from step 1 to 5", "train batch");
    assert_eq!(loss, ["train batch", "NaN", "NaN", "-1.000", "3.000"]);
    let circles =
        |title| page.figure(title).descendants().filter(|n| n.has_tag_name("circle")).count();
    assert_eq!([circles("Loss"), circles("Accuracy")], [2, 1], "points by themselves are seen");
    // Damaged files count up to the damage, and are named.
    let path = writer.path().to_owned();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    fs::write(logdir.join("timeline-9.json"), "{").unwrap();
    fs::write(logdir.join("result.json"), "[").unwrap();
    let page = of(&logdir);
    let damaged = page.table("What could not be read");
    let text: String = damaged.descendants().filter_map(|n| n.text()).collect();
    for part in ["damaged from byte", "timeline-9.json", "result.json"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(page.points("Loss"), [2]);
    assert!(page.figure("Speed").descendants().all(|n| !n.has_tag_name("svg")), "was cut off");
}

/// As TensorBoard: what a later history replaces is left out, across files.
#[test]
fn a_history_that_was_replaced_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    writer.start(1).unwrap();
    (1..=6).for_each(|step| writer.scalar("loss", step, 1.0).unwrap());
    writer.start(4).unwrap();
    writer.scalar("loss", 4, 2.0).unwrap();
    writer.flush().unwrap();
    let mut second = EventWriter::create(dir.path()).unwrap();
    second.start(5).unwrap();
    second.scalar("loss", 5, 4.0).unwrap();
    second.close(5).unwrap();
    let page = Parsed::of(&[dir.path().to_owned()]);
    assert_eq!(page.points("Loss"), [5]);
    let loss = page.row("Loss from step 1 to 5", "train batch");
    assert_eq!(loss[1..], ["1.000", "4.000", "1.000", "4.000"]);
    assert!(page.text().contains("The run has ended"));
    // One that goes on and has not come to a step yet.
    EventWriter::create(dir.path()).unwrap().start(3).unwrap();
    let page = Parsed::of(&[dir.path().to_owned()]);
    assert_eq!(page.points("Loss"), [2]);
    assert!(page.text().contains("has not said that it ended"));
}

/// The bytes of the page are those of the files that export writes.
#[test]
fn sizes_are_those_of_exports() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::full(dir.path(), "run");
    let page = parsed(std::slice::from_ref(&run));
    let model = run.logdir.join("ckpt-000000000120/model.safetensors");
    let of = |format: Format| {
        let (header, out) = (Header::open(&model).unwrap(), dir.path().join("x.safetensors"));
        let tensors = pack(&header, &out, &PackOptions::new(format).force(true)).unwrap();
        let written = Header::open(&out).unwrap();
        let bytes: u64 = written.tensors.iter().map(|t| t.bytes).sum();
        assert_eq!(bytes, tensors.iter().map(|t| t.bytes).sum::<u64>());
        bytes.to_string()
    };
    for (name, format) in
        [("dense", Format::Dense), ("bitmask", Format::Bitmask), ("sparse", Format::Sparse)]
    {
        assert_eq!(
            page.row("Bytes of all weights", name)[1].replace(',', ""),
            of(format),
            "{name}"
        );
    }
    let sizes = secateur::report::sizes(&run.logdir).unwrap().unwrap();
    assert_eq!(sizes[0].to_string(), of(Format::Dense));
    assert!(sizes[1] < sizes[0]);
}
