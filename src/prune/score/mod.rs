//! What ranks the weights: the built-in scores, one file each, and the user's.
mod fisher;
mod gradient_change;
mod magnitude;
mod movement;
mod saliency;
mod scoring;
mod wanda;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::validate::{PLAIN, is_plain};
use crate::{Error, Result};
use gradient_change::GradientChange;
pub use scoring::{LayerInput, Ranking, Scoring};

/// The built-in scores: a variant, what it does, and what it is also read as.
macro_rules! built_in {
    ($($(#[$doc:meta])* $variant:ident = $scoring:expr $(, also $alias:literal)?;)*) => {
        /// What ranks the weights. Written by its name, as `first_order_gradient`.
        #[derive(Clone, Debug, Default)]
        #[non_exhaustive]
        pub enum Score {
            $($(#[$doc])* $variant,)*
            /// A score of one's own; see [`custom`](Self::custom).
            Custom(Arc<dyn Scoring>),
        }

        /// The names of the built-in ones, with what they are.
        #[cfg(feature = "schema")]
        #[derive(Default, schemars::JsonSchema)]
        #[schemars(rename_all = "snake_case")]
        #[allow(dead_code, reason = "only its schema is asked for")]
        enum Names {
            $($(#[$doc])* $variant,)*
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for Score {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                "Score".into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let aliases: Vec<&str> = Self::built_in().filter_map(|score| score.alias()).collect();
                let names = Names::json_schema(generator);
                schemars::json_schema!({ "anyOf": [names, { "enum": aliases }] })
            }
        }

        impl Score {
            /// All built-in ones.
            pub fn built_in() -> impl Iterator<Item = Self> {
                [$(Self::$variant),*].into_iter()
            }

            /// What it does.
            pub fn scoring(&self) -> &dyn Scoring {
                match self {
                    $(Self::$variant => &$scoring,)*
                    Self::Custom(scoring) => &**scoring,
                }
            }

            fn alias(&self) -> Option<&'static str> {
                match self {
                    $($(Self::$variant => Some($alias),)?)*
                    _ => None,
                }
            }
        }
    };
}

built_in! {
    /// |w|. Also read from upstream's name `weight`.
    #[default]
    Magnitude = magnitude::Magnitude, also "weight";
    /// |w| times the root of the second moment of its gradient that Adam and AdamW keep: what the
    /// diagonal of the empirical Fisher matrix makes of setting it to zero. With `pruned=pull` that
    /// weighs the projection (ELSA: Lee et al. 2025).
    Fisher = fisher::Fisher;
    /// |w * gradient| of the last batch: the first-order estimate of what pruning the weight does
    /// to the loss (Molchanov et al. 2017). A weight at zero scores zero.
    Saliency = saliency::Saliency;
    /// How far training has moved the weight away from zero, the sum of `-w * gradient` over all
    /// steps (Sanh, Wolf and Rush 2020); signed, the lowest is pruned first. A weight that is held
    /// at zero moves no further: `pruned=freeze` and `revive` let pruned ones go on scoring.
    Movement = movement::Movement;
    /// |w| times a running mean of how far the weight went from one mask update to the next, each
    /// tensor's changes scaled to length 1: google-research's option of this name, with
    /// [`gradient_decay_rate`](super::PruningSpec::gradient_decay_rate). Blocks pool both factors.
    FirstOrderGradient = GradientChange { second: false };
    /// As the first order, of how much each change differs from the one before.
    SecondOrderGradient = GradientChange { second: true };
    /// |w| times the length of its input over all batches seen (Wanda: Sun et al. 2023): for pruning
    /// in one shot, with [`Session::calibrate`](crate::session::Session::calibrate) and
    /// [`update_masks`](crate::session::Session::update_masks), or after dense training.
    Wanda = wanda::Wanda;
}

impl Score {
    /// A score of one's own. Settings that hold it print and serialise as its name, and read back
    /// only where it is given again: `spec.score = Score::custom(..)` after reading a file that
    /// leaves it out.
    pub fn custom(scoring: impl Scoring + 'static) -> Self {
        Self::Custom(Arc::new(scoring))
    }

    /// Refuses a name that files and strings cannot carry, or that would be read as another score.
    pub(super) fn check_name(&self) -> Result<()> {
        let (name, own) = (self.name(), matches!(self, Self::Custom(_)));
        if own && (name.parse::<Self>().is_ok() || !is_plain(name)) {
            let message = format!("{name}: must be no built-in score's name, and {PLAIN}");
            return Err(Error::argument("score", message));
        }
        Ok(())
    }

    /// What it is called in settings and files.
    pub fn name(&self) -> &str {
        self.scoring().name()
    }
}

/// By name.
impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Score {}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds a built-in score.
///
/// # Errors
/// For any other name: what the names are, and how a score of one's own is given.
impl FromStr for Score {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |score: &Self| score.name() == text || score.alias() == Some(text);
        Self::built_in().find(named).ok_or_else(|| {
            let known: Vec<Self> = Self::built_in().collect();
            let known: Vec<&str> = known.iter().map(Self::name).collect();
            format!(
                "unknown score `{text}`, built in are {}; leave out the score here and give one of your own \
                 in Rust: `spec.score = Score::custom(..)`",
                known.join(", ")
            )
        })
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
