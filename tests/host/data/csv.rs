//! Tables: columns by name, classes by name, and every fault by line.
use super::fails;
use super::open::{Files, features, labels};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use secateur::data::{Dataset, Schema, Task};
use secateur::{Error, Result};
use std::io::Write;
use std::sync::Arc;

fn read(contents: &str, options: &str) -> Result<Arc<Dataset>> {
    Files::new().write("t.csv", contents).rows("csv", "t.csv", options)
}

fn read_by(contents: &str, schema: &Schema) -> Result<Arc<Dataset>> {
    Files::new().write("t.csv", contents).rows_by("csv", "t.csv", "", schema)
}

#[test]
fn names_and_numbers_are_classes_in_their_order() {
    let text = "height, kind ,width\r\n1.5,b,2\n\n-3e2,\"a, or so\",.5\n0,b,+7\n";
    let data = read(text, "label = 'kind'").unwrap();
    assert_eq!((data.name(), data.feature_shape()), ("t.csv", &[2][..]));
    assert_eq!(features(&data), [1.5, 2.0, -300.0, 0.5, 0.0, 7.0]);
    assert_eq!((labels(&data), data.task()), (vec![1, 0, 1], Task::classification(2)));
    let schema = data.schema();
    assert_eq!(
        (schema.columns, schema.targets),
        (vec!["height".into(), "width".into()], vec!["kind".into()])
    );
    assert_eq!(schema.class_names, ["a, or so", "b"]);

    let data = read("y,x\n10,1\n9,1\n-1,1\n010,1\n", "label = 'y'").unwrap();
    assert_eq!(
        (labels(&data), data.class_names()),
        (vec![2, 1, 0, 2], &["-1", "9", "10"].map(String::from)[..])
    );
    // One that is no whole number makes all of them names.
    let data = read("y,x\n10,1\n9,1\nten,1\n", "label = 'y'").unwrap();
    assert_eq!((labels(&data), data.task()), (vec![0, 1, 2], Task::classification(3)));
}

#[test]
fn targets_are_numbers_or_flags() {
    let text = "p,x,q\n1.5,0,-2\n0.25,1,3\n";
    let data = read(text, "targets = ['q', 'p']").unwrap();
    assert_eq!((features(&data), data.task()), (vec![0.0, 1.0], Task::Regression { outputs: 2 }));
    assert_eq!((data.targets(0), data.targets(1)), (&[-2.0, 1.5][..], &[3.0, 0.25][..]));
    assert_eq!(data.schema().targets, ["q", "p"]);
    let flags =
        read("p,x,q\n1,0,0\n0.5,1,1\n", "targets = ['p', 'q']\nmulti_label = true").unwrap();
    assert_eq!((flags.targets(1), flags.task()), (&[0.5, 1.0][..], Task::MultiLabel { labels: 2 }));
    fails(
        read(text, "targets = ['q']\nmulti_label = true"),
        &["line 2, column `q`: -2 must be in 0 to 1"],
    );
    fails(read(text, "multi_label = true"), &["`multi_label`: needs `targets`"]);
    fails(read(text, "targets = ['q', 'q']"), &["`targets`: `q` is named twice"]);
    fails(
        read(text, "targets = ['q']\nlabel = 'p'"),
        &["`label`: cannot be given beside `targets`"],
    );
}

#[test]
fn tabs_and_gzip_are_read() {
    let files = Files::new();
    files.write("t.tsv", "a\tb\n1\t2,5\n");
    fails(files.rows("csv", "t.tsv", ""), &["t.tsv: line 2, column `b`: `2,5` is no number"]);
    for (name, text) in [("g.csv.gz", "a,b\n1,2\n"), ("g.tsv.gz", "a\tb\n1\t2\n")] {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        let bytes = gzip.finish().unwrap();
        let cut = format!("cut.{name}");
        files.write(&cut, &bytes[..bytes.len() - 5]).write(name, bytes);
        assert_eq!(features(&files.rows("csv", name, "").unwrap()), [1.0, 2.0]);
        fails(files.rows("csv", &cut, ""), &["not a whole gzip file"]);
    }
    // A byte order mark is no part of a name.
    files.write("bom.csv", "\u{feff}a,b\n1,2\n");
    assert_eq!(files.rows("csv", "bom.csv", "").unwrap().schema().columns, ["a", "b"]);
}

/// As tables of measurements are published: with words, and with values that are missing.
#[test]
fn columns_are_ignored_and_rows_without_a_value_dropped() {
    let text = "kind,island,x,y\na,north,1,2\nb,south,NA,3\nb,north,4,5\na,,,\nNA,north,6,7\n";
    let all = "label = 'kind'\nignore = ['island']\ndrop_missing = true";
    let data = read(text, all).unwrap();
    assert_eq!((features(&data), labels(&data)), (vec![1.0, 2.0, 4.0, 5.0], vec![0, 1]));
    assert_eq!(data.schema().columns, ["x", "y"]);
    fails(
        read(text, "label = 'kind'"),
        &["line 2, column `island`: `north` is no number", "`ignore` it"],
    );
    fails(
        read(text, "label = 'kind'\nignore = ['island']"),
        &["line 3, column `x`: `NA` is no number", "`drop_missing`"],
    );
    // All at once: words in two columns and rows that lack values; then the one that is left.
    let two = "kind,island,x,sex\na,north,1,f\nb,south,NA,m\nb,north,,f\n";
    fails(
        read(two, "label = 'kind'"),
        &[
            "line 2, column `island`: `north` is no number; name the column in `categories`",
            "there are words, too, in `sex` (`f`); 2 of the rows from there on lack a value: \
             `drop_missing` leaves them out",
        ],
    );
    fails(
        read(two, "label = 'kind'\nignore = ['island']\ndrop_missing = true"),
        &["line 2, column `sex`: `f` is no number", "make it the label"],
    );
    fails(
        read(two, "label = 'kind'\nignore = ['island', 'sex']"),
        &["line 3, column `x`: `NA` is no number", "; 2 of the rows from there on lack a value"],
    );
    fails(read(text, "label = 'kind'\nignore = ['sland']"), &["has no column `sland`"]);
    fails(read(text, "label = 'kind'\nignore = ['kind']"), &["`ignore`: `kind` is the label"]);
    let none = "x,y\n?,1\nnull,2\n";
    fails(read(none, "drop_missing = true"), &["lacks a value in each of its 2 rows"]);
    // New rows by the schema, with what was ignored in training or without.
    let schema = data.schema();
    fails(read_by("y,x,island\n1,2,north\n", &schema), &["`island`", "`ignore` it"]);
    let new = Files::new();
    new.write("t.csv", "y,x,island\n1,2,north\n");
    let rows = new.rows_by("csv", "t.csv", "ignore = ['island', 'else']", &schema).unwrap();
    assert_eq!(features(&rows), [2.0, 1.0]);
}

/// Each word is a feature, in the order of the words, at the place of their column.
#[test]
fn words_become_features() {
    let text = "a,island,x,sex,kind\n1,north,2,f,p\n3,south,4,m,q\n5,north,6,m,p\n";
    let all = "label = 'kind'\ncategories = ['sex', 'island']";
    let data = read(text, all).unwrap();
    let schema = data.schema();
    assert_eq!(schema.columns, ["a", "island=north", "island=south", "x", "sex=f", "sex=m"]);
    assert_eq!(
        features(&data),
        [
            [1.0, 1.0, 0.0, 2.0, 1.0, 0.0],
            [3.0, 0.0, 1.0, 4.0, 0.0, 1.0],
            [5.0, 1.0, 0.0, 6.0, 0.0, 1.0]
        ]
        .concat()
    );
    // By a schema that went through a file: columns in any order, words to the same features.
    let schema: Schema = serde_json::from_str(&serde_json::to_string(&schema).unwrap()).unwrap();
    let new = read_by("x,sex,island,a\n7,m,south,8\n", &schema).unwrap();
    assert_eq!(features(&new), [8.0, 0.0, 1.0, 7.0, 0.0, 1.0]);
    assert_eq!(new.schema().columns, schema.columns);
    fails(
        read_by("x,sex,island,a\n7,m,west,8\n", &schema),
        &["line 2, column `island`: word `west` is not one that the model knows (north, south)"],
    );
    fails(read_by("x,sex,a\n7,m,8\n", &schema), &["has no column `island`"]);
    fails(
        read_by("x,sex,island,a,b\n7,m,west,8,1\n", &schema),
        &["column `b` is not one", "it knows a, island, x, sex"],
    );

    fails(read(text, "label = 'kind'"), &["column `island`: `north` is no number", "`categories`"]);
    let twice = "label = 'kind'\ncategories = ['kind']";
    fails(read(text, twice), &["`categories`: `kind` is the label, a target or ignored"]);
    fails(read(text, "label = 'kind'\ncategories = ['isle']"), &["has no column `isle`"]);
    fails(
        read("a,b,y\n1,,p\n2,w,q\n", "label = 'y'\ncategories = ['b']"),
        &["line 2, column `b`: is empty"],
    );
    let dropped = "label = 'y'\ncategories = ['b']\ndrop_missing = true";
    let data = read("a,b,y\n1,,p\n2,w,q\n3,v,p\n", dropped).unwrap();
    assert_eq!(features(&data), [2.0, 0.0, 1.0, 3.0, 1.0, 0.0]);
    // Words alone.
    let data = read("b,y\nu,p\nv,q\n", "label = 'y'\ncategories = ['b']").unwrap();
    assert_eq!((features(&data), data.rows()), (vec![1.0, 0.0, 0.0, 1.0], 2));
}

/// As tables are published: without names, and with semicolons, as in countries that write a comma
/// in numbers.
#[test]
fn tables_without_names_and_with_semicolons_are_read() {
    let iris = "5.1,3.5,rose\n4.9,3.0,iris\n";
    let data = read(iris, "label = 'column_3'\nno_header = true").unwrap();
    assert_eq!((features(&data), labels(&data)), (vec![5.1, 3.5, 4.9, 3.0], vec![1, 0]));
    assert_eq!(data.schema().columns, ["column_1", "column_2"]);
    fails(read(iris, "label = 'kind'\nno_header = true"), &["no column `kind`", "`column_1`"]);
    let wine = "\"fixed, acidity\";pH;quality\n7.4;3.51;5\n7.8;3.2;6\n";
    let data = read(wine, "label = 'quality'").unwrap();
    assert_eq!(features(&data), [7.4, 3.51, 7.8, 3.2]);
    assert_eq!(data.schema().columns, ["fixed, acidity", "pH"]);
    fails(
        read("a;b\n7,4;1\n", ""),
        &["line 2, column `a`: `7,4` is no number; write a point in place of the comma"],
    );
    assert_eq!(features(&read("a\tb\n1\t2\n", "").unwrap()), [1.0, 2.0]);
    assert_eq!(features(&read("a|b\n1|2\n", "").unwrap()), [1.0, 2.0]);
    assert_eq!(read("sepal length\n5.1\n", "").unwrap().schema().columns, ["sepal length"]);
    // One comma makes it a table with commas.
    assert_eq!(read("a;b,c\n1,2\n", "").unwrap().schema().columns, ["a;b", "c"]);
    // Whole numbers may be names.
    assert_eq!(read("y,0,1\nk,1,2\n", "label = 'y'").unwrap().schema().columns, ["0", "1"]);
}

#[test]
fn faults_are_named_by_line_and_column() {
    let label = "label = 'y'";
    let all: &[(&str, &str, &[&str])] = &[
        ("x,y\n1,a\nred,b\n", label, &["t.csv: line 3, column `x`: `red` is no number"]),
        ("x,y\n1,a\n\n,b\n", label, &["line 4, column `x`: is empty"]),
        ("\u{feff}x,y\r\n1,a\r\n\r\n2,\r\n", label, &["line 4, column `y`: is empty"]),
        ("x,y\n\"1\",\"a\nb\"\nred,b\n", label, &["line 4, column `x`: `red`"]),
        ("x,y\n1,a\n\n1,2,3\n", label, &["line 4 has 3 fields"]),
        ("x,y\n1,a\n2,\n", label, &["line 3, column `y`: is empty"]),
        ("x,y\nnan,a\n", label, &["line 2, column `x`: `nan` is not finite"]),
        ("x,y\n1e39,a\n", label, &["`1e39` is not finite as an f32"]),
        ("x,y\n1,a\n1,2,3\n", label, &["line 3 has 3 fields, the line of names has 2"]),
        ("x,y\n1\n", label, &["line 2 has 1 fields"]),
        ("2,1,no,y\n1,2\n", label, &["repair it, or line 1 if it does not name the columns"]),
        ("x y\n1  a\n", label, &["has spaces between its fields; write commas"]),
        (" [{\"x\": 1}]\n", label, &["is JSON, not a table; write it as CSV"]),
        ("{\"x\": [1]}\n", label, &["is JSON, not a table"]),
        ("x,y\n", label, &["has a line of names and no row"]),
        ("", label, &["t.csv: is empty"]),
        ("1,2\n3,4\n", label, &["line 1 must name the columns, and has the number 1;"]),
        ("5.1,2,rose\n3,4,iris\n", label, &["has the number 5.1", "`no_header`", "column_1"]),
        ("x,,y\n1,2,a\n", label, &["line 1: column 2 of 3 has no name"]),
        ("x,x,y\n1,2,a\n", label, &["line 1: two columns are called `x`"]),
        ("x,z\n1,2\n", label, &["has no column `y`; it has `x`, `z`"]),
        ("x,z\n1,2\n", "targets = ['x', 'w']", &["has no column `w`"]),
        ("y\na\n", label, &["has no column of features beside `y`"]),
    ];
    for (text, options, parts) in all {
        let error = fails(read(text, options), parts);
        assert!(matches!(error, Error::File { .. }), "{text}: {error:?}");
    }
    let files = Files::new();
    files.write("t.csv", b"x,y\n1,a\n2,\xff\n");
    fails(files.rows("csv", "t.csv", label), &["line 3 is not UTF-8"]);
    fails(files.rows("csv", "no.csv", label), &["no.csv: is missing"]);
}

#[test]
fn a_schema_finds_columns_and_classes_by_name() {
    let schema = read("a,b,y\n1,2,no\n3,4,yes\n", "label = 'y'").unwrap().schema();
    let data = read_by("y,b,a\nyes,2,1\nyes,4,3\n", &schema).unwrap();
    assert_eq!((features(&data), labels(&data)), (vec![1.0, 2.0, 3.0, 4.0], vec![1, 1]));
    assert_eq!(data.schema(), schema);
    let data = read_by("b,a\n2,1\n", &schema).unwrap();
    assert_eq!((features(&data), data.task()), (vec![1.0, 2.0], Task::Unlabelled));
    fails(read_by("a,y\n1,no\n", &schema), &["has no column `b`; it has `a`, `y`"]);
    fails(
        read_by("a,b,c\n1,2,3\n", &schema),
        &["column `c` is not one that the model was trained on", "a, b"],
    );
    fails(
        read_by("a,b,y\n1,2,maybe\n", &schema),
        &["line 2, column `y`: class `maybe`", "no, yes"],
    );

    let schema = read("a,p,q\n1,2,3\n", "targets = ['p', 'q']").unwrap().schema();
    let data = read_by("q,a,p\n3,1,2\n", &schema).unwrap();
    assert_eq!((data.targets(0), data.schema()), (&[2.0, 3.0][..], schema.clone()));
    assert_eq!(read_by("a\n1\n", &schema).unwrap().task(), Task::Unlabelled);
    fails(read_by("a,p\n1,2\n", &schema), &["has no column `q`"]);
}

/// Of rows that had no names: columns in their order, classes by number.
#[test]
fn a_schema_without_names_takes_columns_in_their_order() {
    let mut schema = Schema::default();
    (schema.shape, schema.task) = (vec![2], Task::classification(3));
    let by = |text: &str| {
        Files::new().write("t.csv", text).rows_by("csv", "t.csv", "label = 'y'", &schema)
    };
    let data = by("a,y,b\n1,2,3\n").unwrap();
    assert_eq!(
        (features(&data), labels(&data), data.task()),
        (vec![1.0, 3.0], vec![2], Task::classification(3))
    );
    fails(by("a,y,b\n1,3,3\n"), &["class `3` is not one of the 3 that the model knows"]);
    fails(by("a,y\n1,2\n"), &["t.csv: rows are [1], the model was trained on rows of [2]"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Any bytes are read or refused, as rows to train on and by a schema.
    #[test]
    fn no_table_panics(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[a-c,\"\n0-9.e-]{0,120}".prop_map(String::into_bytes),
        "a,b,c\n([0-9]{1,2},[0-9]{1,2},[xyz]\n){0,9}".prop_map(String::into_bytes),
    ]) {
        let files = Files::new();
        files.write("t.csv", bytes);
        let mut schema = Schema::default();
        (schema.shape, schema.task) = (vec![2], Task::classification(3));
        schema.columns = vec!["a".into(), "b".into()];
        for options in ["", "label = 'c'", "targets = ['b']"] {
            files.rows("csv", "t.csv", options).ok();
            files.split("csv", "t.csv", options).ok();
        }
        files.rows_by("csv", "t.csv", "label = 'c'", &schema).ok();
    }

    /// What is written is read, to the bit.
    #[test]
    fn tables_go_round(rows in proptest::collection::vec((any::<f32>(), any::<f32>(), 0..4_i64), 1..20)) {
        let finite = |x: f32| if x.is_finite() { x } else { 0.5 };
        let line = |&(a, b, y): &(f32, f32, i64)| format!("{},{:e},{y}\n", finite(a), finite(b));
        let text: String = rows.iter().map(line).collect();
        let data = read(&format!("a,b,y\n{text}"), "label = 'y'").unwrap();
        let wanted: Vec<u32> =
            rows.iter().flat_map(|r| [finite(r.0).to_bits(), finite(r.1).to_bits()]).collect();
        prop_assert_eq!(features(&data).iter().map(|x| x.to_bits()).collect::<Vec<_>>(), wanted);
        for (label, row) in labels(&data).into_iter().zip(rows) {
            prop_assert_eq!(&data.class_names()[label as usize], &row.2.to_string());
        }
    }
}
