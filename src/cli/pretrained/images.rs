//! Pictures of a folder as rows for a pretrained model.
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use secateur::data::Pictures;
use secateur::pretrained::{Input, Preparation, Pretrained};

use crate::cli::data::Data;

/// Pictures, and what becomes of them before the model sees them.
pub struct Images {
    /// As `--data` has it.
    pub name: String,
    pub pictures: Pictures,
    pub preparation: Preparation,
    side: u32,
    channels: u32,
}

impl Images {
    /// Those that `data` names, of which `half` are wanted.
    pub fn open(
        model: &Pretrained,
        data: &Data,
        half: fn(&Path) -> secateur::Result<Pictures>,
    ) -> Result<Self> {
        let (path, input) = (model.path().display(), model.architecture().input());
        let Input::Images { side, channels } = input else {
            bail!("{path} takes {}, no pictures", input.name())
        };
        if let Some((name, _)) = data.options.all().first() {
            let name = name.replace('_', "-");
            bail!("--{name} does not apply: the model's folder says what becomes of pictures")
        }
        let Some(name) = &data.data else { bail!("--data is missing: pictures, like images:DIR") };
        let Some(dir) = name.strip_prefix("images:") else {
            bail!("--data {name}: {path} takes {}, as images:DIR", input.name())
        };
        let preparation = model.preparation()?;
        let pictures = half(Path::new(dir))?;
        Ok(Self { name: name.clone(), pictures, preparation, side, channels })
    }

    /// The pictures in `files` as the model takes them, one after the other.
    pub fn prepared(&self, files: &[PathBuf]) -> Result<Vec<f32>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let each = files.len().div_ceil(threads).max(1);
        let part = |files: &[PathBuf]| -> secateur::Result<Vec<f32>> {
            let one = |file: &PathBuf| self.preparation.prepare(file, self.side, self.channels);
            Ok(files.iter().map(one).collect::<secateur::Result<Vec<_>>>()?.concat())
        };
        let parts = std::thread::scope(|scope| {
            let begun: Vec<_> =
                files.chunks(each).map(|files| scope.spawn(move || part(files))).collect();
            let joined = begun.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|part| part.unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
        });
        let parts: Vec<secateur::Result<Vec<f32>>> = parts;
        Ok(parts.into_iter().collect::<secateur::Result<Vec<_>>>()?.concat())
    }
}
