//! Lines of a file as rows for a pretrained model that sees texts whole.
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use secateur::data::{OpenOptions, Tokenizer};
use secateur::pretrained::{Input, PaddedText, Pretrained};

use crate::cli::data::Data;
use crate::cli::output;

/// Texts, each of its own length.
pub struct Texts {
    /// As `--data` has it.
    pub name: String,
    pub rows: Vec<PaddedText>,
    /// Those that lost their ends.
    pub cut: usize,
}

impl Texts {
    /// Those that `data` names, each cut to `--length`, or to what the model knows.
    pub fn open(model: &Pretrained, data: &Data) -> Result<Self> {
        let (path, input) = (model.path().display(), model.architecture().input());
        let Input::Tokens { vocabulary, positions, .. } = input else {
            bail!("{path} takes {}, no texts", input.name())
        };
        if let Some((name, _)) = data.options.all().iter().find(|(name, _)| *name != "length") {
            bail!("--{}: texts take --length only", name.replace('_', "-"));
        }
        let mut options = OpenOptions::default();
        data.options.change(&mut options)?;
        let Some(name) = &data.data else {
            bail!("--data is missing: a text a line, like text:FILE")
        };
        let Some(file) = name.strip_prefix("text:") else {
            bail!("--data {name}: {path} takes texts, a line each, as text:FILE")
        };
        let positions = positions as usize;
        let length = match options.length {
            Some(length) if length > positions => {
                bail!("--length {length}: the model knows {positions} positions")
            }
            Some(length) => length,
            None => model.longest_text()?.map_or(positions, |most| positions.min(most as usize)),
        };
        let tokenizer = Tokenizer::open(model.path())?;
        tokenizer.check(vocabulary as usize)?;
        let rows = tokenizer.encode_rows(file, Some(length));
        let rows = rows.with_context(|| format!("{name} by {path}"))?;
        // It has been read as one.
        let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
        let empty = text.lines().position(|line| line.trim().is_empty());
        if let Some(at) = empty {
            bail!("{file}: line {} is empty; each line is a text, so take it out", at + 1)
        }
        let row = |i: usize| {
            let of = |all: &[u32]| all[i * length..(i + 1) * length].to_vec();
            let seen = of(&rows.mask).into_iter().map(|seen| seen == 1).collect();
            shortened(PaddedText { ids: of(&rows.ids), seen, types: of(&rows.types) })
        };
        let texts = (0..rows.rows).map(row).collect();
        if rows.cut > 0 {
            let (cut, all) = (rows.cut, rows.rows);
            output::note(format_args!(
                "{cut} of {all} texts have more than {length} tokens and lost their ends"
            ));
        }
        Ok(Self { name: name.clone(), rows: texts, cut: rows.cut })
    }

    /// Some of the texts, by number, all as long as the longest.
    pub fn filled(&self, numbers: &[usize]) -> Vec<PaddedText> {
        let longest = numbers.iter().map(|&i| self.rows[i].ids.len()).max().unwrap_or(0);
        let fill = |&i: &usize| {
            let PaddedText { mut ids, mut seen, mut types } = self.rows[i].clone();
            // What padding is does not matter: nothing sees it.
            ids.resize(longest, 0);
            seen.resize(longest, false);
            types.resize(longest, 0);
            PaddedText { ids, seen, types }
        };
        numbers.iter().map(fill).collect()
    }
}

/// Numbers of `samples` rows of `rows`, as far from each other.
pub fn spread(rows: usize, samples: usize) -> Result<Vec<usize>> {
    ensure!(samples > 0, "--samples 0: one row or more is needed");
    let samples = samples.min(rows);
    Ok((0..samples).map(|i| (i as u64 * rows as u64 / samples as u64) as usize).collect())
}

/// Without the padding behind it. Padding in front says where the text's positions begin, so it
/// stays.
fn shortened(mut text: PaddedText) -> PaddedText {
    let length = text.seen.iter().rposition(|&seen| seen).map_or(1, |last| last + 1);
    text.ids.truncate(length);
    text.seen.truncate(length);
    text.types.truncate(length);
    text
}
