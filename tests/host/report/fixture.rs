//! A logdir with everything that a run can leave, and pages as trees.
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node, ParsingOptions};
use secateur::checkpoint::{self, Manifest, Retention};
use secateur::report::Page;
use secateur::storage::{Tensor, TensorData};
use secateur::train::Recipe;
use secateur::train::histogram::Histogram;
use secateur::train::summary::{EventWriter, SummaryWriter};
use secateur::train::timeline::{Timeline, Track};
use serde_json::json;

/// A run of two weights: of the first 128 of 384 are left, of the second 16 of 32.
#[derive(Debug, Clone)]
pub struct Run {
    pub logdir: PathBuf,
    pub weights: Vec<(&'static str, [usize; 2])>,
}

impl Run {
    pub fn full(dir: &Path, name: &str) -> Self {
        let weights = vec![("fc1.weight", [32, 12]), ("fc2.weight", [32, 1])];
        let run = Self { logdir: dir.join(name), weights };
        run.write();
        run
    }

    /// The values of a weight: every third of the first, every second of the second stays.
    fn values(&self, at: usize) -> Vec<f32> {
        let [rows, columns] = self.weights[at].1;
        let value = |i: usize| if i.is_multiple_of(3 - at) { 0.5 + i as f32 / 8.0 } else { 0.0 };
        (0..rows * columns).map(value).collect()
    }

    pub fn write(&self) {
        fs::create_dir_all(&self.logdir).unwrap();
        let pruning = secateur::PruningSpec::to(0.625);
        let recipe = Recipe::default().steps(120).pruning(Some(pruning));
        recipe.model("mlp:3".parse().unwrap()).write(&self.logdir).unwrap();
        self.events();
        self.checkpoint();
        self.trace();
        let result = json!({
            "adapter": "Some adapter", "backend": "vulkan", "precision": "mixed",
            "global_step": 120, "test_accuracy": 0.975, "dense_test_accuracy": 0.9825,
            "test_loss": 0.25, "sparsity": 0.625, "seconds": 3.0, "steps_per_second": 40.0,
            "memory": {"peak": 2048},
        });
        fs::write(self.logdir.join("result.json"), result.to_string()).unwrap();
        // The dense run that it is compared with has been evaluated once.
        let dense = self.logdir.join("dense");
        fs::create_dir_all(&dense).unwrap();
        let mut writer = EventWriter::create(&dense).unwrap();
        writer.start(1).unwrap();
        writer.scalar("test/accuracy", 60, 0.95).unwrap();
        writer.close(60).unwrap();
    }

    fn events(&self) {
        let mut writer = EventWriter::create(&self.logdir).unwrap();
        writer.start(1).unwrap();
        for at in 1..=12u64 {
            let (step, t) = (at * 10, at as f32);
            let mut scalar = |tag: &str, value| writer.scalar(tag, step, value).unwrap();
            scalar("loss", 0.9 / t);
            scalar("accuracy", 0.5 + t / 24.0);
            scalar("learning_rate", 0.002);
            if at > 1 {
                scalar("steps_per_second", 30.0 + t);
            }
            for rank in 0..2 {
                scalar(&format!("replicas/wait_seconds/rank_{rank}"), 0.001 * t);
                scalar(&format!("replicas/step_seconds/rank_{rank}"), 0.01);
            }
            if at.is_multiple_of(4) {
                scalar("test/loss", 1.0 / t);
                scalar("test/accuracy", 0.6 + t / 40.0);
                scalar("model_pruning_summaries/sparsity", 0.625 * t / 12.0);
                scalar("model_pruning_summaries/mask_sparsity", 0.625 * t / 12.0);
                for (name, _) in &self.weights {
                    let mut of = |what: &str, value| {
                        scalar(&format!("model_pruning_summaries/{name}/{what}"), value);
                    };
                    of("mask/sparsity", 0.5);
                    of("mask/churn", 0.125);
                    of("mask/kept_energy", 0.9);
                    of("threshold", 0.25);
                }
            }
            if at.is_multiple_of(6) {
                scalar("checkpoint/seconds", 0.01 * t);
                scalar("checkpoint/stall_seconds", 0.001);
                for (name, _) in &self.weights {
                    let values = [0.0, 0.1, 0.2, 0.25, 0.5, 0.75].into_iter();
                    let histogram = Histogram::magnitudes(values, 0.25).unwrap();
                    writer.histogram(&format!("{name}/magnitude"), step, &histogram).unwrap();
                }
            }
        }
        writer.close(120).unwrap();
    }

    fn checkpoint(&self) {
        let tensor = |name: &str, shape: &[usize], data| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            data,
        };
        let (mut model, mut state) = (Vec::new(), Vec::new());
        for (at, (name, shape)) in self.weights.iter().enumerate() {
            let values = self.values(at);
            let bit = |(i, v): (usize, &f32)| u32::from(*v != 0.0) << i;
            let word = |word: &[f32]| word.iter().enumerate().map(bit).sum();
            let mask: Vec<u32> = values.chunks(32).map(word).collect();
            model.push(tensor(name, shape, TensorData::F32(values)));
            state.push(tensor(&format!("{name}/mask"), &[mask.len()], TensorData::U32(mask)));
        }
        let manifest = Manifest::default()
            .global_step(120)
            .model("mlp:3".into())
            .adapter("Some adapter".into())
            .begun_unix(1_795_602_600);
        checkpoint::save(&self.logdir, manifest, &model, &state, Retention::newest(3)).unwrap();
    }

    fn trace(&self) {
        let mut timeline = Timeline::default();
        timeline.note("traced_step_ms", 12.5);
        timeline.note("step_before_ms", 2.5);
        timeline.span(Track::Host, "next batch", 0, 4_000_000, &[]);
        timeline.span(Track::Host, "submit", 4_000_000, 1_000_000, &[]);
        timeline.span(Track::Gpu, "train", 5_000_000, 3_000_000, &[]);
        timeline.span(Track::Gpu, "mask_update", 8_000_000, 1_000_000, &[]);
        for (kernel, phase, start) in
            [("matmul", "train", 5), ("matmul", "train", 6), ("topk", "mask_update", 8)]
        {
            let args = [("phase", phase.into()), ("launch", 0.into())];
            timeline.span(Track::Gpu, kernel, start * 1_000_000, 1_000_000, &args);
        }
        timeline.write(&self.logdir.join("timeline-7.json")).unwrap();
    }
}

/// A page, and what it is as a tree.
pub struct Parsed {
    pub html: &'static str,
    document: Document<'static>,
}

/// The page of `runs`.
pub fn parsed(runs: &[Run]) -> Parsed {
    let logdirs: Vec<PathBuf> = runs.iter().map(|run| run.logdir.clone()).collect();
    Parsed::of(&logdirs)
}

impl Parsed {
    pub fn of(logdirs: &[PathBuf]) -> Self {
        Self::new(Page::of(logdirs).unwrap().html())
    }

    pub fn new(html: &str) -> Self {
        // Kept to the end of the process, which is that of a test.
        let html: &'static str = Box::leak(html.to_owned().into_boxed_str());
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(html, options);
        Self { html, document: document.unwrap_or_else(|e| panic!("{e} in {html}")) }
    }

    pub fn all(&self) -> impl Iterator<Item = Node<'_, 'static>> + Clone {
        self.document.descendants()
    }

    pub fn one(&self, tag: &str) -> Node<'_, 'static> {
        let mut found = self.all().filter(|n| n.has_tag_name(tag));
        let one = found.next().unwrap_or_else(|| panic!("no {tag}"));
        assert!(found.next().is_none(), "more than one {tag}");
        one
    }

    pub fn text(&self) -> String {
        inner(self.one("body"))
    }

    /// The figure whose caption begins with `title`.
    pub fn figure(&self, title: &str) -> Node<'_, 'static> {
        let caption = |n: &Node<'_, '_>| {
            n.has_tag_name("figcaption") && n.first_child().and_then(|c| c.text()) == Some(title)
        };
        let found = self.all().find(caption).and_then(|n| n.parent());
        found.unwrap_or_else(|| panic!("no figure {title}"))
    }

    /// How many places each curve of a figure has.
    pub fn points(&self, title: &str) -> Vec<usize> {
        let curves = self.figure(title).descendants().filter(|n| {
            n.has_tag_name("path") && n.attribute("class").is_some_and(|c| c.starts_with("line"))
        });
        let places = |d: &str| d.matches(['M', 'L', 'V']).count();
        curves.map(|n| places(n.attribute("d").unwrap_or_default())).collect()
    }

    pub fn table(&self, caption: &str) -> Node<'_, 'static> {
        let named = |n: &Node<'_, '_>| n.has_tag_name("caption") && n.text() == Some(caption);
        let found = self.all().find(named).and_then(|n| n.parent());
        found.unwrap_or_else(|| panic!("no table {caption} in {}", self.text()))
    }

    /// The cells of the row of a table whose first one is `name`.
    pub fn row(&self, caption: &str, name: &str) -> Vec<String> {
        let rows = self.table(caption).descendants().filter(|n| n.has_tag_name("tr"));
        let cells = |n: Node<'_, '_>| -> Vec<String> { n.children().map(inner).collect() };
        let found = rows.map(cells).find(|row| row[0] == name);
        found
            .unwrap_or_else(|| panic!("no row {name} in {caption}: {}", inner(self.table(caption))))
    }

    /// What readers of any page rely on.
    pub fn check(&self) {
        let mut ids = HashSet::new();
        for id in self.all().filter_map(|n| n.attribute("id")) {
            assert!(ids.insert(id), "id {id} is there twice");
        }
        for node in self.all().filter(Node::is_element) {
            let name = node.tag_name().name();
            assert!(!["script", "iframe", "object"].contains(&name), "{name}");
            assert!(node.attributes().all(|a| !a.name().starts_with("on")), "{node:?}");
            let links = ["href", "src"].into_iter().filter_map(|a| node.attribute(a));
            for link in links {
                let own = link.strip_prefix('#').is_some_and(|id| ids.contains(id));
                assert!(own || link.starts_with("data:"), "a link to {link}");
            }
            match name {
                "svg" => {
                    assert_eq!(node.attribute("role"), Some("img"));
                    let named = node.attribute("aria-labelledby").unwrap_or_default();
                    let texts = named.split(' ').map(|id| {
                        let told = node.children().find(|n| n.attribute("id") == Some(id));
                        told.map(inner).unwrap_or_default()
                    });
                    assert!(texts.clone().count() == 2 && texts.into_iter().all(|t| !t.is_empty()));
                }
                "th" => assert!(node.attribute("scope").is_some() && !inner(node).is_empty()),
                "table" => {
                    let caption = node.children().find(|n| n.has_tag_name("caption"));
                    assert!(caption.is_some_and(|n| n.text().is_some()), "no caption");
                    let rows = node.descendants().filter(|n| n.has_tag_name("tr"));
                    let widths: HashSet<usize> = rows.map(|n| n.children().count()).collect();
                    assert_eq!(widths.len(), 1, "{}", inner(node));
                }
                "img" => assert!(node.attribute("alt").is_some_and(|alt| !alt.is_empty())),
                _ => {}
            }
            for number in ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "d", "width", "height"] {
                let value = node.attribute(number).unwrap_or_default();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{node:?}");
            }
        }
        // A browser reads `<p/>` as the beginning of one.
        let closed = self.html.match_indices("/>").map(|(at, _)| {
            let open = self.html[..at].rfind('<').map_or(0, |open| open + 1);
            self.html[open..at].split([' ', '/']).next().unwrap_or_default()
        });
        let alone = ["meta", "link", "img", "line", "rect", "path", "circle"];
        closed.for_each(|tag| assert!(alone.contains(&tag), "<{tag}/>"));
    }
}

/// All text within an element, parts apart.
pub fn inner(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(Node::is_text).filter_map(|n| n.text());
    texts.collect::<Vec<_>>().join(" ").trim().to_owned()
}
