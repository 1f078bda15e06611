//! What a network's answers are measured by.
use serde::Serialize;

/// A figure of the answers on rows with known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Share of the rows, or of their positions, whose label has the highest logit.
    Accuracy,
    /// Share of the rows, or of their positions, whose label is among the five highest logits.
    Top5Accuracy,
    /// Mean over rows and their positions of the softmax cross-entropy, where the loss is another
    /// one.
    CrossEntropy,
    /// Share of the labels of all rows that the sign of their logit tells rightly.
    LabelAccuracy,
    /// Mean over rows and outputs of the squared difference.
    MeanSquaredError,
    /// Mean over rows and outputs of the absolute difference.
    MeanAbsoluteError,
}

impl Metric {
    /// As JSON, TensorBoard and tables call it, with `_` between the words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::Top5Accuracy => "top_5_accuracy",
            Self::CrossEntropy => "cross_entropy",
            Self::LabelAccuracy => "label_accuracy",
            Self::MeanSquaredError => "mean_squared_error",
            Self::MeanAbsoluteError => "mean_absolute_error",
        }
    }

    /// Whether it is a share of 1, of which more is better; else an error, of which less is.
    pub fn is_share(self) -> bool {
        match self {
            Self::Accuracy | Self::Top5Accuracy | Self::LabelAccuracy => true,
            Self::CrossEntropy | Self::MeanSquaredError | Self::MeanAbsoluteError => false,
        }
    }

    /// What it is times where answers are times `scale`.
    pub(crate) fn unit(self, scale: f64) -> f64 {
        match self {
            Self::Accuracy | Self::Top5Accuracy | Self::CrossEntropy | Self::LabelAccuracy => 1.0,
            Self::MeanSquaredError => scale * scale,
            Self::MeanAbsoluteError => scale,
        }
    }

    /// Whether the tensor that measures it is a mean over the rows of a batch; else it is a sum.
    pub(crate) fn is_mean(self) -> bool {
        matches!(self, Self::CrossEntropy | Self::MeanSquaredError)
    }

    /// Answers of a row that the sum counts, where a row has `positions` of them.
    pub(crate) fn of_a_row(self, positions: usize) -> usize {
        match self {
            Self::Accuracy | Self::Top5Accuracy => positions.max(1),
            Self::CrossEntropy
            | Self::LabelAccuracy
            | Self::MeanSquaredError
            | Self::MeanAbsoluteError => 1,
        }
    }
}

/// Some figures with their values, the network's first one first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(Vec<(Metric, f64)>);

impl Figures {
    /// These values.
    pub fn new(figures: impl IntoIterator<Item = (Metric, f64)>) -> Self {
        Self(figures.into_iter().collect())
    }

    /// The value of `metric`, if it was measured.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.0.iter().find(|(other, _)| *other == metric).map(|&(_, value)| value)
    }

    /// Each with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        self.0.iter().copied()
    }

    /// The one that the network names first.
    pub fn first(&self) -> Option<(Metric, f64)> {
        self.0.first().copied()
    }
}

/// As an object: each name with its value.
impl Serialize for Figures {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(metric, value)| (metric.name(), value)))
    }
}
