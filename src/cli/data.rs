//! What says which data, and how it is opened.
use clap::Args as ClapArgs;
use secateur::data::OpenOptions;

/// The data, and how it is opened. A recipe has the same in `data` and `[data_options]`.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Data")]
pub struct Data {
    /// `digits`, `mnist:DIR`, `fashion-mnist:DIR`, `cifar10:PATH`, `text:FILE`, or your own:
    /// `csv:FILE`, `npz:FILE`, `npy:FILE`, `safetensors:FILE`, `images:DIR` (a folder a class).
    /// docs/data.md says what each may hold.
    #[arg(long)]
    pub data: Option<String>,
    /// Of a text, characters in a window, 64 by default.
    #[arg(long)]
    pub length: Option<usize>,
    /// The column, array or file that holds the class of each row.
    #[arg(long)]
    pub label: Option<String>,
    /// The columns, array or file that hold the numbers to predict, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub targets: Vec<String>,
    /// The targets are labels that a row has (1) or has not (0), several at once.
    #[arg(long)]
    pub multi_label: bool,
    /// Columns of a table that are neither features nor answers, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Columns of a table that hold words, separated by commas: each word becomes a feature.
    #[arg(long, value_delimiter = ',')]
    pub categories: Vec<String>,
    /// The first line of a table is a row; columns are called column_1, column_2, ...
    #[arg(long)]
    pub no_header: bool,
    /// Leave out the rows of a table that lack a value (empty, NA, NaN, null, ?).
    #[arg(long)]
    pub drop_missing: bool,
    /// What to test on: a share of the rows like 0.2, which is the default, or a second file or
    /// folder.
    #[arg(long)]
    pub test: Option<String>,
    /// Height and width that images are brought to, like 32x32.
    #[arg(long, value_parser = size)]
    pub size: Option<[usize; 2]>,
    /// Bring each feature (of images each channel) and each target of a regression to mean 0 and
    /// deviation 1 by the training rows; kept with the model, whose predictions are in the units of
    /// the data.
    #[arg(long)]
    pub standardise: bool,
}

impl Data {
    /// Puts what is given into `options`.
    pub fn change(&self, options: &mut OpenOptions) {
        let Self { data: _, length, label, targets, multi_label, .. } = self;
        let Self { categories, no_header, ignore, drop_missing, test, size, standardise, .. } =
            self;
        options.length = length.or(options.length);
        options.label = label.clone().or(options.label.take());
        if !targets.is_empty() {
            options.targets.clone_from(targets);
        }
        options.multi_label |= multi_label;
        if !ignore.is_empty() {
            options.ignore.clone_from(ignore);
        }
        if !categories.is_empty() {
            options.categories.clone_from(categories);
        }
        options.no_header |= no_header;
        options.drop_missing |= drop_missing;
        options.test = test.clone().or(options.test.take());
        options.size = size.or(options.size);
        options.standardise |= standardise;
    }
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let extents = text.split_once('x').and_then(|(h, w)| Some([h.parse().ok()?, w.parse().ok()?]));
    extents.filter(|e| !e.contains(&0)).ok_or_else(|| "must be HEIGHTxWIDTH, like 32x32".into())
}
