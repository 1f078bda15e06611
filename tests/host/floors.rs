//! Modules name lower floors only; files stay short; `unsafe`, the environment and printing have
//! their one place each.
use std::path::{Path, PathBuf};

/// Lowest first. Add a module here before adding it to the crate.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["storage", "settings", "comm"],
    &["gpu", "data"],
    &["kernels", "raw"],
    &["graph"],
    &["nn", "optim"],
    &["prune"],
    &["checkpoint"],
    &["session", "report"],
    &["train", "oneshot", "pretrained", "onnx"],
    &["bench", "gguf"],
    &["cli"],
];
/// The same within `train`: its rooms have walls.
const ROOMS: &[&[&str]] = &[
    &["guard"],
    &["record"],
    &["replicas"],
    &["step_fn"],
    &["options", "train_op", "recipe"],
    &["running"],
];
/// What a module names of lower floors, where it is less than all: pages are made of files alone.
const ONLY: &[(&str, &[&str])] =
    &[("report", &["error", "storage", "checkpoint", "graph", "prune", "nn"])];
/// What the crate root re-exports for the crate's own use.
const ROOT: &[&str] = &["Error", "Result"];
/// What reads the environment: the options of adapters, and who has started the process.
const ASK: &[&str] = &["gpu/adapter.rs", "comm/launch.rs"];
const MAX_LINES: usize = 400;

#[test]
fn the_crate_keeps_the_rules() {
    let root = &crate::paths::project();
    let mut files = Vec::new();
    ["src", "tests", "shaders"].iter().for_each(|dir| walk(&root.join(dir), &mut files));
    assert!(files.len() > 50, "only {} files found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        wrong.extend(violations(&path, &text).into_iter().map(|v| format!("{path}: {v}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn planted_violations_are_caught() {
    let caught = |path, text, what: &str| {
        let found = violations(path, text);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].contains(what), "{path}: {text}: {found:?}");
    };
    caught("src/gpu/plan.rs", "use crate::kernels::Add;", "gpu names crate::kernels");
    caught("src/gpu/plan.rs", "use crate::data::Batches;", "gpu names crate::data");
    caught("src/nn/mod.rs", "use crate::{Error, gpu, optim::Adam};", "nn names crate::optim");
    let group = "use crate::{\n    gpu::{Gpu, Slot},\n    train::{self, Train},\n};";
    caught("src/prune/mask.rs", group, "prune names crate::train");
    caught("src/gpu/mod.rs", "use super::graph::Graph;", "gpu names crate::graph");
    caught("src/gpu/plan.rs", "let g = super::super::graph::new();", "gpu names crate::graph");
    let up = "use crate::train::running::Run;";
    caught("src/train/record/trace.rs", up, "train::record names train::running");
    caught("src/train/attic.rs", "", "train::attic is no room");
    caught("src/gpu/plan.rs", "use crate::Model;", "Model is no module");
    caught("src/gpu/plan.rs", "use crate::*;", "* is no module");
    caught("src/report/page/mod.rs", "use crate::gpu::Gpu;", "report names crate::gpu");
    caught("src/attic.rs", "", "attic has no floor");
    caught("src/gpu/plan.rs", "unsafe { f() }", "unsafe");
    caught("src/gpu/plan.rs", "let v = std::env::var(name);", "std::env");
    caught("src/gpu/plan.rs", "use std::{env, fs};", "std::env");
    caught("src/comm/mpi.rs", "std::env::var(name)", "std::env");
    caught("src/train/running/run.rs", "println!(\"{x}\");", "println!");
    caught("src/train/running/run.rs", "eprint!(\"{x}\");", "eprint!");
    caught("shaders/add.wgsl", &"\n".repeat(400), "400 lines");
}

#[test]
fn what_is_allowed_is_not_caught() {
    let allowed = |path, text| assert_eq!(violations(path, text), [""; 0], "{path}: {text}");
    allowed("src/kernels/add.rs", "use crate::{Result, gpu::{self, Slot}, wgsl};");
    allowed("src/kernels/add.rs", "crate::uniform! { x }\nuse super::Pruned;");
    allowed("src/kernels/add.rs", "use crate::kernels::Step; // crate::train, unsafe");
    allowed("src/gpu/trusted.rs", "unsafe { f() }");
    allowed("src/gpu/plan.rs", "#![expect(unsafe_code)]");
    allowed("src/gpu/adapter.rs", "std::env::var(name)");
    allowed("src/comm/launch.rs", "std::env::var(name)");
    allowed("src/cli/run.rs", "println!(\"{:?}\", std::env::args());");
    allowed("src/main.rs", "use secateur::cli; eprintln!();");
    allowed("src/gpu/plan.rs", "writeln!(f); concat!(env!(\"CARGO_MANIFEST_DIR\"));");
    allowed("tests/host/floors.rs", "use crate::common; unsafe; println!();");
    allowed("shaders/add.wgsl", &"\n".repeat(399));
}

/// Every rule that `text` breaks at `path`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines >= MAX_LINES {
        wrong.push(format!("{lines} lines, fewer than {MAX_LINES} allowed"));
    }
    let Some(inside) = path.strip_prefix("src/") else { return wrong };
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n").collect();
    let binary = inside == "main.rs" || inside.starts_with("cli/") || inside == "cli.rs";
    if inside != "gpu/trusted.rs" && words(&code, "unsafe").next().is_some() {
        wrong.push("unsafe outside src/gpu/trusted.rs".to_owned());
    }
    let asks = binary || ASK.contains(&inside);
    if !asks && heads(&code, "std::").contains(&"env") {
        wrong.push(format!("std::env outside src/cli and {}", ASK.join(", ")));
    }
    for name in ["println", "eprintln", "print", "eprint", "dbg"] {
        if !binary && words(&code, name).any(|end| code[end..].starts_with('!')) {
            wrong.push(format!("{name}! outside src/cli"));
        }
    }
    wrong.extend(upward(inside, &code));
    wrong.extend(through_walls(inside, &code));
    wrong
}

/// Names in a file of `train` of rooms that are not below its own.
fn through_walls(inside: &str, code: &str) -> Vec<String> {
    let Some(room) = inside.strip_prefix("train/") else { return Vec::new() };
    let room = room.trim_end_matches(".rs").split('/').next().unwrap_or_default();
    let floor = |room: &str| ROOMS.iter().position(|f| f.contains(&room));
    if room == "mod" {
        return Vec::new();
    }
    let Some(here) = floor(room) else {
        return vec![format!("train::{room} is no room; add it to ROOMS")];
    };
    let named = heads(code, "crate::train::");
    let above = |name: &&str| *name != room && floor(name).is_some_and(|there| there > here);
    let wrong = named.into_iter().filter(above);
    wrong.map(|name| format!("train::{room} names train::{name}, which is above it")).collect()
}

/// Names in `code` of modules that are not on a lower floor.
fn upward(inside: &str, code: &str) -> Vec<String> {
    let segments: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    let module = segments[0];
    if ["lib", "main"].contains(&module) {
        return Vec::new();
    }
    let floor = |module: &str| FLOORS.iter().position(|f| f.contains(&module));
    let Some(here) = floor(module) else {
        return vec![format!("{module} has no floor; add it to FLOORS")];
    };
    let depth = segments.len() - usize::from(segments.last() == Some(&"mod"));
    let mut named = heads(code, "crate::");
    named.extend(heads(code, &"super::".repeat(depth)));
    let judge = |name: &str| match floor(name) {
        _ if name == module || ROOT.contains(&name) || is_macro(code, name) => None,
        Some(_) if ONLY.iter().any(|(of, only)| *of == module && !only.contains(&name)) => {
            Some(format!("{module} names crate::{name}, which it does without"))
        }
        Some(there) if there < here => None,
        Some(_) => Some(format!("{module} names crate::{name}, which is not on a lower floor")),
        None => Some(format!("{name} is no module; name the module that it is in")),
    };
    named.into_iter().filter_map(judge).collect()
}

/// The crate's exported macros live at its root.
fn is_macro(code: &str, name: &str) -> bool {
    ["uniform", "wgsl", "__uniform", "__wgsl"].contains(&name)
        || words(code, name).any(|end| code[end..].starts_with('!'))
}

/// First names after each `prefix`, which may open a group over several lines.
fn heads<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| is_word(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => members(group).into_iter().for_each(|m| found.push(head(m))),
            None => found.push(head(rest)),
        }
    }
    found
}

/// Members of the group that `text` is inside of, nested groups left whole.
fn members(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(text[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|m| !m.is_empty());
    found
}

fn head(path: &str) -> &str {
    let end = path.find(|c| !is_word(c)).unwrap_or(path.len());
    &path[..end.max(usize::from(path.starts_with('*')))]
}

/// Ends of the places where `word` stands alone.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let end = at + word.len();
        let alone = !code[..at].ends_with(is_word) && !code[end..].starts_with(is_word);
        alone.then_some(end)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "wgsl") {
            out.push(path);
        }
    }
}
