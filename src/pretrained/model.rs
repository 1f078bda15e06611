//! A folder as a model: its settings, its architecture, and the tensors of its files.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::architectures::{self, Answer, Architecture, Input};
use super::config::Config;
use super::cut::Cut;
use super::layers::{Arranged, Source};
use crate::storage::{Folder, is_float};
use crate::{Error, Result};

/// How many names an error lists.
const LISTED: usize = 5;

/// What gives the values of a tensor of the file by its name.
pub(crate) type Read<'a> = &'a dyn Fn(&str) -> Result<Vec<f32>>;

/// A network that others have trained.
#[derive(Debug)]
pub struct Pretrained {
    path: PathBuf,
    config: Config,
    architecture: Box<dyn Architecture>,
    pub(super) files: Folder,
}

impl Pretrained {
    /// Opens the folder at `path` and holds its tensors against its settings, without reading any
    /// values.
    ///
    /// # Errors
    /// [`Error::File`] names what is not known or does not fit: an architecture, a setting, a
    /// tensor that is missing, of another shape, left over, or quantised.
    pub fn open(path: &Path) -> Result<Self> {
        let config = Config::open(path)?;
        if config.get("quantization_config").is_some() {
            let message = "quantised weights are not read; take the folder of the original model";
            return Err(config.wrong("quantization_config", message));
        }
        let files = Folder::open(path)?;
        let architecture = architectures::read(&config, &files)?;
        let this = Self { path: path.to_owned(), config, architecture, files };
        this.check()?;
        Ok(this)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is of, as its settings say it: `llama`, or `timm`.
    pub fn kind(&self) -> &str {
        let of = self.config.settings().get("model_type");
        of.and_then(|kind| kind.as_str()).unwrap_or("timm")
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its layers.
    pub fn architecture(&self) -> &dyn Architecture {
        &*self.architecture
    }

    /// Its files.
    pub fn files(&self) -> &Folder {
        &self.files
    }

    /// What it is cut into, in the order in which rows go through.
    pub fn cuts(&self) -> Vec<Cut> {
        let blocks = (0..self.architecture.blocks()).map(Cut::Block);
        let head = (self.architecture.answer() != Answer::Hidden).then_some(Cut::Head);
        [Cut::Embed].into_iter().chain(blocks).chain(head).collect()
    }

    /// The values that `read` has of a parameter of a cut whose names begin with `prefix`, as the
    /// graph has them.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::File`] for a value that is not finite.
    pub(crate) fn values(&self, source: &Source, prefix: &str, read: Read<'_>) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for (name, _) in &source.tensors {
            let name = self.name(prefix, name);
            let found = read(&name)?;
            if let Some(at) = found.iter().position(|x| !x.is_finite()) {
                let message = format!("{name} has {} at element {at}", found[at]);
                return Err(Error::file(&self.path, message));
            }
            values.extend(found);
        }
        Ok(source.arranged.to_graph(values, &source.tensors[0].1))
    }

    /// The name in the file of what a cut calls `name`.
    pub(crate) fn name(&self, prefix: &str, name: &str) -> String {
        let full = format!("{prefix}{name}");
        if prefix.is_empty() || self.files.get(&full).is_some() { full } else { name.to_owned() }
    }

    /// That the file has just the tensors that the network is made of.
    fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::file(&self.path, message));
        let mut used = BTreeSet::new();
        let mut missing = Vec::new();
        for source in self.sources()? {
            for (name, shape) in source.tensors {
                match self.files.get(&name) {
                    None => missing.push(name.clone()),
                    Some(info) if !fits(&info.shape, &shape) => {
                        let (file, config) = (&info.shape, &shape);
                        return wrong(format!(
                            "{name} is {file:?} in the file and {config:?} by config.json"
                        ));
                    }
                    Some(info) if !is_float(&info.dtype) => {
                        let dtype = &info.dtype;
                        return wrong(format!(
                            "{name} is {dtype}, no F32, F16, BF16 or F64; take the model as it was \
                             before it was quantised"
                        ));
                    }
                    Some(_) => {}
                }
                used.insert(name);
            }
        }
        let listed = |names: &[String]| {
            let more = if names.len() > LISTED { ", ..." } else { "" };
            format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
        };
        if !missing.is_empty() {
            let of = self.config.get("model_type").map(ToString::to_string).unwrap_or_default();
            let (count, names) = (missing.len(), listed(&missing));
            return wrong(format!(
                "{count} tensors of a {of} of this config.json are missing: {names}"
            ));
        }
        let idle = |name: &str| self.architecture.is_idle(name);
        let left = self
            .files
            .tensors()
            .map(|t| &t.name)
            .filter(|name| !used.contains(*name) && !idle(name));
        let left: Vec<String> = left.cloned().collect();
        if !left.is_empty() {
            let (count, names) = (left.len(), listed(&left));
            return wrong(format!(
                "{count} tensors belong to nothing that config.json says: {names}"
            ));
        }
        Ok(())
    }

    /// All parameters of the network, by the names of the file.
    pub(crate) fn sources(&self) -> Result<Vec<Source>> {
        let length = match self.architecture.input() {
            Input::Tokens { positions, .. } => positions.min(2),
            Input::Images { .. } => 1,
        };
        Ok(self.whole(1, length)?.sources)
    }
}

/// Whether a tensor of the file is what the network asks for, but for extents of 1.
fn fits(file: &[usize], network: &[usize]) -> bool {
    let squeezed = |dims: &[usize]| dims.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
    squeezed(file) == squeezed(network)
}

impl Arranged {
    /// Values of a file, whose first tensor has these extents, as the graph has them.
    pub(crate) fn to_graph(self, values: Vec<f32>, extents: &[usize]) -> Vec<f32> {
        match self {
            Self::Same | Self::Moments => values,
            Self::Kernel => turned(&values, kernel(extents), false),
        }
    }

    /// The other way round.
    pub(crate) fn to_file(self, values: Vec<f32>, extents: &[usize]) -> Vec<f32> {
        match self {
            Self::Same | Self::Moments => values,
            Self::Kernel => turned(&values, kernel(extents), true),
        }
    }
}

/// Outputs, inputs, and places of a kernel `[outputs, inputs, height, width]`.
fn kernel(extents: &[usize]) -> [usize; 3] {
    let places = extents.get(2..).unwrap_or_default().iter().product();
    [extents[0], extents[1], places]
}

/// `[outputs, inputs, places]` as `[places, inputs, outputs]`, or `back` again.
fn turned(values: &[f32], [outputs, inputs, places]: [usize; 3], back: bool) -> Vec<f32> {
    let mut turned = vec![0.0; values.len()];
    for o in 0..outputs {
        for i in 0..inputs {
            for p in 0..places {
                let (file, graph) = ((o * inputs + i) * places + p, (p * inputs + i) * outputs + o);
                let (from, to) = if back { (graph, file) } else { (file, graph) };
                turned[to] = values[from];
            }
        }
    }
    turned
}
