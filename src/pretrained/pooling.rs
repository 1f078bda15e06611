//! One vector for a text, of those of its tokens: as sentence-transformers' folders say it.
use std::fmt;

use super::config::Config;
use super::model::Pretrained;
use crate::{Error, Result};

/// Which of the tokens' vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The mean of those that are no padding.
    Mean,
    /// The first.
    Cls,
    /// Of each channel the highest of those that are no padding.
    Max,
}

/// What becomes of the hidden states of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pooling {
    /// Which of them.
    pub pool: Pool,
    /// Whether it is brought to a length of 1.
    pub normalise: bool,
}

impl Pooling {
    /// The vector of a text with the hidden states `hidden [length, width]`, of whose positions
    /// `seen` are no padding.
    pub fn pooled(&self, hidden: &[f32], seen: &[bool]) -> Vec<f32> {
        let width = hidden.len() / seen.len().max(1);
        let counted = || hidden.chunks(width.max(1)).zip(seen).filter(|(_, seen)| **seen);
        let of = |c: usize| match self.pool {
            Pool::Cls => f64::from(hidden[c]),
            Pool::Max => counted().map(|(x, _)| f64::from(x[c])).fold(f64::NEG_INFINITY, f64::max),
            Pool::Mean => {
                let sum: f64 = counted().map(|(x, _)| f64::from(x[c])).sum();
                sum / counted().count().max(1) as f64
            }
        };
        let values: Vec<f64> = (0..width).map(of).collect();
        let length = values.iter().map(|x| x * x).sum::<f64>().sqrt();
        // torch's least length.
        let by = if self.normalise { length.max(1e-12) } else { 1.0 };
        values.into_iter().map(|x| (x / by) as f32).collect()
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.pool {
            Pool::Mean => "the mean of its tokens",
            Pool::Cls => "its first token",
            Pool::Max => "the highest of its tokens",
        })?;
        if self.normalise { f.write_str(", brought to a length of 1") } else { Ok(()) }
    }
}

impl Pretrained {
    /// Most tokens of a text that it was made for, where `sentence_bert_config.json` says it.
    ///
    /// # Errors
    /// [`Error::File`] for what is no whole number from 1 on.
    pub fn longest_text(&self) -> Result<Option<u32>> {
        let of = self.config().beside("sentence_bert_config.json")?;
        of.map_or(Ok(None), |of| of.count_or_none("max_seq_length"))
    }

    /// How one vector is made of a text's: as `modules.json` and what it names say, or, where these
    /// are not there, the mean, which is what sentence-transformers does then.
    ///
    /// # Errors
    /// [`Error::File`] names a module or a setting that is not known, or a file that is missing.
    pub fn pooling(&self) -> Result<Pooling> {
        let modules = self.path().join("modules.json");
        let mut pooling = Pooling { pool: Pool::Mean, normalise: false };
        let text = match std::fs::read_to_string(&modules) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if let Some(of) = self.config().beside("1_Pooling/config.json")? {
                    pooling.pool = pool(&of)?;
                }
                return Ok(pooling);
            }
            Err(e) => return Err(Error::io("read", &modules)(e)),
        };
        let wrong = |message: String| Err(Error::file(&modules, message));
        let list: Vec<serde_json::Value> = match serde_json::from_str(&text) {
            Ok(list) => list,
            Err(e) => return wrong(format!("is no list of modules: {e}")),
        };
        for module in &list {
            let of = |name: &str| module.get(name).and_then(|v| v.as_str()).unwrap_or_default();
            match of("type").rsplit('.').next().unwrap_or_default() {
                "Transformer" if of("path").is_empty() => {}
                "Pooling" => {
                    let name = format!("{}/config.json", of("path"));
                    let Some(of) = self.config().beside(&name)? else {
                        return wrong(format!(
                            "names {name}, which is missing; copy it from where the model came from"
                        ));
                    };
                    pooling.pool = pool(&of)?;
                }
                "Normalize" => pooling.normalise = true,
                other => {
                    return wrong(format!(
                        "has the module {other} at {:?}; known are Transformer at \"\", Pooling \
                         and Normalize",
                        of("path")
                    ));
                }
            }
        }
        Ok(pooling)
    }
}

/// The one way of `1_Pooling/config.json`.
fn pool(of: &Config) -> Result<Pool> {
    const MODES: [(&str, &str, Pool); 3] = [
        ("mean", "pooling_mode_mean_tokens", Pool::Mean),
        ("cls", "pooling_mode_cls_token", Pool::Cls),
        ("max", "pooling_mode_max_tokens", Pool::Max),
    ];
    of.ignore(&["word_embedding_dimension", "embedding_dimension", "include_prompt"]);
    let mut chosen = Vec::new();
    if let Some(mode) = of.text("pooling_mode")? {
        let found = MODES.iter().find(|(name, ..)| *name == mode);
        chosen.extend(found.map(|(.., pool)| *pool));
    }
    for (_, name, pool) in MODES {
        if of.flag(name, false)? {
            chosen.push(pool);
        }
    }
    of.check_all_read()?;
    match chosen[..] {
        [pool] => Ok(pool),
        _ => {
            let names = MODES.map(|(_, name, _)| name).join(", ");
            Err(of.wrong("pooling_mode", format!("one of {names} is needed")))
        }
    }
}
