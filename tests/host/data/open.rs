//! Data sets by name: kinds, options, halves, and rows that are read by a schema.
use super::{digits, fails};
use secateur::Result;
use secateur::data::{Dataset, OpenOptions, Schema, Split, Task, open, open_rows};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Options as a recipe says them.
pub(super) fn options(text: &str) -> OpenOptions {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A folder of files that a test writes.
pub(super) struct Files(pub(super) tempfile::TempDir);

impl Files {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file, in folders that need not be there.
    pub(super) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> &Self {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
        self
    }

    /// `kind:` and the path of `file`.
    pub(super) fn name(&self, kind: &str, file: &str) -> String {
        format!("{kind}:{}", self.path(file))
    }

    pub(super) fn path(&self, file: &str) -> String {
        self.0.path().join(file).display().to_string()
    }

    pub(super) fn rows(&self, kind: &str, file: &str, text: &str) -> Result<Arc<Dataset>> {
        open_rows(&self.name(kind, file), &options(text), None)
    }

    pub(super) fn rows_by(
        &self,
        kind: &str,
        file: &str,
        text: &str,
        schema: &Schema,
    ) -> Result<Arc<Dataset>> {
        open_rows(&self.name(kind, file), &options(text), Some(schema))
    }

    pub(super) fn split(&self, kind: &str, file: &str, text: &str) -> Result<Split> {
        open(&self.name(kind, file), &options(text))
    }
}

pub(super) fn features(data: &Dataset) -> Vec<f32> {
    let mut all = vec![0.0; data.rows() * data.width()];
    all.chunks_mut(data.width()).enumerate().for_each(|(i, row)| data.write_row(i, row));
    all
}

pub(super) fn labels(data: &Dataset) -> Vec<u32> {
    (0..data.rows()).map(|i| data.label(i)).collect()
}

/// 20 rows: a number, its negative, and a class that every fourth row has.
fn twenty() -> String {
    let row =
        |i: u32| format!("{i},-{i},{}\n", if i.is_multiple_of(4) { "rare" } else { "common" });
    format!("a,b,kind\n{}", (0..20).map(row).collect::<String>())
}

#[test]
fn unknown_kinds_and_options_are_refused_by_name() {
    let all = ["digits, mnist:DIR", "csv:FILE", "images:DIR", "safetensors:FILE"];
    for name in ["digit", "csv", "csv:", "digits:x", "", ":x"] {
        let quoted = format!("`data`: `{name}` is not one of");
        fails(open(name, &OpenOptions::default()), &[&[&quoted[..]], &all[..]].concat());
    }
    // A path alone: what it most likely is.
    let files = Files::new();
    files.write("idx/train-images-idx3-ubyte.gz", b"");
    let (folder, idx) = (files.path(""), files.path("idx"));
    for (name, kind) in [
        ("rows.csv", "csv"),
        ("C:\\rows.TSV.gz", "csv"),
        ("x.npy", "npy"),
        ("in/x.npz", "npz"),
        ("x.safetensors", "safetensors"),
        ("book.txt", "text"),
        (&folder, "images"),
        (&idx, "mnist"),
    ] {
        let hint = format!("does not say what kind of data it is; write `{kind}:{name}`");
        fails(open(name, &OpenOptions::default()), &[&[&hint[..]], &all[..]].concat());
    }
    let refused = |name: &str, text: &str, parts: &[&str]| {
        fails(open(name, &options(text)), parts);
        fails(open_rows(name, &options(text), None), parts);
    };
    refused("digits", "length = 8", &["`length`: does not apply to digits, which takes no option"]);
    refused("mnist:x", "standardise = true", &["`standardise`: does not apply to mnist:x"]);
    refused("text:x", "label = 'x'", &["`label`: does not apply to text:x, which takes length"]);
    refused("csv:x", "size = [2, 2]", &["`size`: does not apply to csv:x", "label, targets"]);
    refused("images:x", "targets = ['x']", &["`targets`: does not apply to images:x"]);
    refused("images:x", "multi_label = true", &["`multi_label`"]);
    refused("cifar10:x", "split_seed = 1", &["`split_seed`"]);
    refused("cifar10:x", "test = '0.5'", &["`test`"]);
    assert!(toml::from_str::<OpenOptions>("labels = 'x'").is_err());
    let written = "length = 3\nlabel = \"x\"\ntest = \"0.5\"\nsplit_seed = 9\n";
    assert_eq!(toml::to_string(&options(written)).unwrap(), written);
    assert_eq!(toml::to_string(&OpenOptions::default()).unwrap(), "");
}

#[test]
fn known_sets_are_opened_by_name() {
    let split = open("digits", &OpenOptions::default()).unwrap();
    assert_eq!(split, digits());
    assert_eq!(open_rows("digits", &OpenOptions::default(), None).unwrap(), split.test);
    let schema = split.train.schema();
    assert_eq!(open_rows("digits", &OpenOptions::default(), Some(&schema)).unwrap(), split.test);
    let mut other = schema.clone();
    other.shape = vec![64];
    let rows = |schema: &Schema| open_rows("digits", &OpenOptions::default(), Some(schema));
    fails(rows(&other), &["digits: rows are [8, 8], the model was trained on rows of [64]"]);
    other = schema;
    other.task = Task::classification(9);
    fails(rows(&other), &["for classification into 10 classes, the model was trained for", "9"]);
    other.task = Task::Regression { outputs: 1 };
    fails(rows(&other), &["the model was trained for regression of 1 value"]);
}

#[test]
fn a_text_is_read_in_the_alphabet_of_its_schema() {
    let files = Files::new();
    files
        .write("a.txt", "abcabcabcabcabcabcabcabc")
        .write("b.txt", "cbacba")
        .write("x.txt", "abxab");
    let split = files.split("text", "a.txt", "length = 2").unwrap();
    let schema = split.train.schema();
    let rows = files.rows_by("text", "b.txt", "", &schema).unwrap();
    assert_eq!((rows.rows(), features(&rows)), (2, vec![2.0, 1.0, 0.0, 2.0]));
    assert_eq!(files.rows_by("text", "b.txt", "length = 5", &schema).unwrap().width(), 5);
    let unknown = files.rows_by("text", "x.txt", "", &schema);
    fails(unknown, &["x.txt: character 2, 'x', is not one of the 3 that the model knows"]);
    let whole = files.rows("text", "a.txt", "length = 2").unwrap();
    assert_eq!(whole.rows(), 11);
    let default = files.split("text", "a.txt", "");
    fails(default, &["has 24 characters, windows of 64 need 641"]);
}

#[test]
fn a_share_is_split_off_from_every_class() {
    let files = Files::new();
    files.write("t.csv", twenty());
    let split = |text: &str| files.split("csv", "t.csv", &format!("label = 'kind'\n{text}"));
    let count = |data: &Dataset| labels(data).iter().filter(|&&label| label == 1).count();
    for (text, tested, rare) in [("", 4, 1), ("test = '0.4'", 8, 2), ("test = '0.01'", 0, 0)] {
        if tested == 0 {
            fails(split(text), &["`test`: 0.01 of the 20 rows of t.csv leaves 20 to train and 0"]);
            continue;
        }
        let Split { train, test } = split(text).unwrap();
        assert_eq!((test.rows(), count(&test), count(&train)), (tested, rare, 5 - rare));
        let mut all = [features(&train), features(&test)].concat();
        assert!(features(&train).is_sorted_by_key(|x| x.abs()));
        all.sort_by(f32::total_cmp);
        let mut wanted: Vec<f32> = (0..20).flat_map(|i| [i as f32, -(i as f32)]).collect();
        wanted.sort_by(f32::total_cmp);
        assert_eq!(all, wanted);
    }
    let seeds: Vec<_> =
        (0..9).map(|seed| split(&format!("split_seed = {seed}")).unwrap()).collect();
    assert_eq!(seeds[0], split("").unwrap());
    assert!(seeds.iter().any(|split| split != &seeds[0]), "every seed gives the same rows");
    for share in ["0", "1", "1.5", "-0.5", "NaN"] {
        fails(split(&format!("test = '{share}'")), &["`test`", "above 0 and below 1"]);
    }
}

/// However few rows a class has, one stays to train on.
#[test]
fn no_class_is_only_tested() {
    let files = Files::new();
    files.write("t.csv", "x,y\n1,a\n2,b\n3,c\n4,c\n5,c\n");
    for seed in 0..5 {
        let text = format!("label = 'y'\ntest = '0.5'\nsplit_seed = {seed}");
        let train = files.split("csv", "t.csv", &text).unwrap().train;
        assert_eq!(train.class_names(), ["a", "b", "c"]);
        for class in 0..3 {
            assert!(labels(&train).contains(&class), "class {class}, seed {seed}");
        }
    }
}

#[test]
fn a_second_file_is_read_as_the_first() {
    let files = Files::new();
    files.write("t.csv", twenty()).write("second.csv", "kind,b,a\nrare,2,1\n");
    files.write("none.csv", "b,a\n2,1\n").write("new.csv", "a,b,kind\n1,2,odd\n");
    let split = |second: &str, more: &str| {
        let second = files.path(second);
        files.split("csv", "t.csv", &format!("label = 'kind'\ntest = '{second}'\n{more}"))
    };
    let Split { train, test } = split("second.csv", "").unwrap();
    assert_eq!((train.rows(), features(&test), labels(&test)), (20, vec![1.0, 2.0], vec![1]));
    fails(split("none.csv", ""), &["none.csv: has rows without answers, which cannot be tested"]);
    fails(split("new.csv", ""), &["new.csv: line 2, column `kind`: class `odd`", "common, rare"]);
    fails(split("gone.csv", ""), &["gone.csv: is missing"]);
    fails(
        split("second.csv", "split_seed = 1"),
        &["`split_seed`: does not apply to a second file"],
    );
}

#[test]
fn scales_come_from_the_rows_to_train_on_alone() {
    let files = Files::new();
    files.write("t.csv", twenty()).write("new.csv", "a,b\n1000,7\n");
    files.write("second.csv", "a,b,kind\n5,1,rare\n");
    let second = files.path("second.csv");
    let text = format!("label = 'kind'\nstandardise = true\ntest = '{second}'");
    let Split { train, test } = files.split("csv", "t.csv", &text).unwrap();
    // 0 to 19: mean 9.5, deviation sqrt(33.25).
    let deviation = 33.25_f32.sqrt();
    assert_eq!(train.scaling().unwrap().mean, [9.5, -9.5]);
    assert_eq!(train.scaling().unwrap().scale, [deviation; 2]);
    assert_eq!(features(&test), [-4.5 / deviation, 10.5 / deviation]);
    let all = features(&train);
    let mean: f32 = all.iter().step_by(2).sum::<f32>() / 20.0;
    assert!(mean.abs() < 1e-6, "{mean}");

    // By a schema that went through a file.
    let json = serde_json::to_string(&train.schema()).unwrap();
    let schema: Schema = serde_json::from_str(&json).unwrap();
    let rows = files.rows_by("csv", "new.csv", &text, &schema).unwrap();
    assert_eq!(features(&rows), [990.5 / deviation, 16.5 / deviation]);
    assert_eq!(rows.task(), Task::Unlabelled);
    fails(
        files.rows("csv", "new.csv", "standardise = true"),
        &["`standardise`: needs the scaling"],
    );
}

#[test]
fn rows_without_answers_are_not_trained_on() {
    let files = Files::new();
    files.write("t.csv", twenty()).write("one.csv", "a,b,kind\n1,2,x\n3,4,x\n");
    let numbers = "a,b\n1,2\n3,4\n";
    files.write("numbers.csv", numbers);
    fails(
        files.split("csv", "numbers.csv", ""),
        &["numbers.csv: has rows without answers", "`label`"],
    );
    fails(files.split("csv", "one.csv", "label = 'kind'"), &["one.csv: has rows of 1 class"]);
    let rows = files.rows("csv", "numbers.csv", "").unwrap();
    assert_eq!((rows.task(), rows.rows()), (Task::Unlabelled, 2));
    assert!(Path::new(&files.path("numbers.csv")).is_file());
}
