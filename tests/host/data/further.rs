//! Rows to train further on: as a model knows them, told apart by a fingerprint.
use super::open::{Files, features, options};
use super::{digits, fails};
use secateur::data::{BatchSource, Batches, OpenOptions, Prefetch, absolute, open_for};

#[test]
fn a_text_is_mapped_by_the_characters_of_the_model() {
    let files = Files::new();
    files.write("a.txt", "abcdef".repeat(10)).write("b.txt", "fdb".repeat(20));
    files.write("c.txt", format!("{}x", "fdb".repeat(20)));
    let schema = files.split("text", "a.txt", "length = 3").unwrap().train.schema();
    let name = |file| files.name("text", file);
    let split = open_for(&name("b.txt"), &OpenOptions::default(), &schema).unwrap();
    assert_eq!(features(&split.train)[..6], [5.0, 3.0, 1.0, 5.0, 3.0, 1.0]);
    assert_eq!((split.train.schema(), split.test.schema()), (schema.clone(), schema.clone()));
    let unknown = open_for(&name("c.txt"), &OpenOptions::default(), &schema);
    fails(unknown, &["c.txt", "character 60, 'x', is not one of the 6"]);
}

#[test]
fn classes_columns_and_scaling_are_those_of_the_model() {
    let files = Files::new();
    let table = |rows: &[&str]| format!("x,kind\n{}\n", rows.join("\n"));
    files.write("a.csv", table(&["0,ash", "1,ash", "2,oak", "3,oak", "4,elm", "5,elm"]));
    files.write("b.csv", table(&["10,oak", "20,oak", "30,ash", "40,ash"]));
    files.write("c.csv", table(&["10,oak", "20,pine", "30,ash", "40,ash"]));
    let how = "label = 'kind'\nstandardise = true\ntest = '0.5'";
    let schema = files.split("csv", "a.csv", how).unwrap().train.schema();
    let split = open_for(&files.name("csv", "b.csv"), &options(how), &schema).unwrap();
    assert_eq!(split.train.schema(), schema, "not scaled by its own means");
    assert_eq!(split.train.class_names(), ["ash", "elm", "oak"]);
    let other = open_for(&files.name("csv", "c.csv"), &options(how), &schema);
    fails(other, &["c.csv", "`pine`", "ash, elm, oak"]);
}

#[test]
fn a_fingerprint_is_of_the_rows() {
    let data = digits().train;
    let print = |rows: usize| data.head(rows).unwrap().fingerprint();
    assert_eq!(print(20), print(20));
    assert_ne!(print(20), print(21));
    let files = Files::new();
    let written = |last: &str| {
        files.write("t.csv", format!("x,y\n1,2\n3,{last}\n"));
        let split = files.rows("csv", "t.csv", "targets = ['y']").unwrap();
        let batches = Batches::new(split, 2, None).unwrap();
        assert_eq!(Prefetch::new(batches.clone()).fingerprint(), batches.fingerprint());
        batches.fingerprint().unwrap()
    };
    assert_eq!(written("4"), written("4.0"));
    assert_ne!(written("4"), written("5"), "a target");
}

#[test]
fn paths_are_found_from_any_folder() {
    let here = std::env::current_dir().unwrap();
    let whole = |file: &str| here.join(file).to_string_lossy().into_owned();
    let of = |name: &str, text: &str| absolute(name, &options(text)).unwrap();
    assert_eq!(of("digits", ""), ("digits".to_owned(), OpenOptions::default()));
    let (name, with) = of("csv:t.csv", "label = 'kind'\ntest = 'u.csv'");
    assert_eq!(name, format!("csv:{}", whole("t.csv")));
    assert_eq!((with.test, with.label), (Some(whole("u.csv")), Some("kind".into())));
    assert_eq!(of("csv:t.csv", "test = '0.25'").1.test.as_deref(), Some("0.25"));
    let (_, with) = of("npy:x.npy", "targets = ['y.npy']");
    assert_eq!(with.targets, [whole("y.npy")], "of an npy they are files");
    assert!(absolute("nist:x", &OpenOptions::default()).is_err());
}
