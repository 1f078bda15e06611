//! A user's own rows: trained, evaluated, predicted, through the command line alone.
use crate::folder::Folder;

/// Two measurements and a kind, which one of them tells; 90 rows.
fn flowers() -> String {
    let row = |i: usize| {
        let (kind, noise) = (i % 3, (i * 37 % 17) as f32 / 40.0);
        let name = ["iris", "rose", "\"tulip, red\""][kind];
        format!("{},{},{name}\n", 10.0 * kind as f32 + noise, 3.0 - noise)
    };
    "petal,sepal,kind\n".to_owned() + &(0..90).map(row).collect::<String>()
}

#[test]
fn a_table_is_trained_evaluated_and_predicted() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("flowers.csv", flowers());
    let how = "--label kind --standardise --model mlp:8 --lr 0.02 --steps 300 --batch 16";
    let pruning = "--pruning target_sparsity=0.5,sparsity_function_end_step=100";
    let train = format!("train --data csv:flowers.csv {how} {pruning} --logdir run --json");
    let report = folder.run(&train).json();
    assert_eq!(report["test_accuracy"], 1.0, "{report}");
    assert!(report["test_top_5_accuracy"].is_null(), "three classes have no five highest");
    let evaluated = folder.run("eval run --json").json();
    assert_eq!((&evaluated["test_accuracy"], &evaluated["rows"]), (&1.0.into(), &18.into()));

    // Columns in another order, without the kind, and of another scale than 0 to 1.
    folder.write("new.csv", "sepal,petal\n2.9,20.1\n2.9,0.1\n2.8,10.2\n");
    folder.run("export run -o model.safetensors").ok();
    for model in ["run", "model.safetensors"] {
        let predicted = folder.run(&format!("predict {model} --data csv:new.csv")).ok().out;
        let lines: Vec<&str> = predicted.lines().collect();
        assert_eq!(lines[0], "class,p_iris,p_rose,\"p_tulip, red\"");
        let kinds: Vec<&str> =
            lines[1..].iter().map(|l| l.split(",0").next().unwrap_or(l)).collect();
        assert!(kinds[0].starts_with("\"tulip, red\""), "{predicted}");
        assert!(lines[2].starts_with("iris,") && lines[3].starts_with("rose,"), "{predicted}");
    }
    let predict = "predict run --data csv:new.csv -o new.npy --json";
    assert_eq!(folder.run(predict).json()["rows"], 3);
    let npy = folder.read("new.npy");
    assert!(npy.starts_with(b"\x93NUMPY") && npy.len() == 128 + 3 * 3 * 4, "{} bytes", npy.len());
    folder.run(predict).fails(2, &["new.npy is there already", "--force"]);
    // The exported file evaluates all rows of a file by what it knows of them.
    let all = folder.run("eval model.safetensors --data csv:flowers.csv --json").json();
    assert_eq!((&all["rows"], &all["test_accuracy"]), (&90.into(), &1.0.into()));

    folder.write("other.csv", "sepal,leaf\n2.9,20.1\n");
    folder.run("predict run --data csv:other.csv").fails(2, &["petal"]);
    folder.write("odd.csv", "sepal,petal,kind\n2.9,20.1,daisy\n");
    folder.run("eval run --data csv:odd.csv").fails(2, &["daisy"]);
    folder.run("eval run --data csv:new.csv").fails(2, &["without answers", "secateur predict"]);
}

#[test]
fn numbers_are_predicted_from_a_table() {
    let Some(folder) = Folder::with_gpu() else { return };
    let row = |i: usize| {
        let [x, y] = [(i % 10) as f32, (i / 10) as f32];
        format!("{x},{y},{},{}\n", 100.0 + 20.0 * x, x - 3.0 * y)
    };
    let table = "x,y,price,margin\n".to_owned() + &(0..100).map(row).collect::<String>();
    folder.write("houses.csv", table);
    let how = "--targets price,margin --standardise --model mlp:16 --lr 0.05 --steps 1500";
    let train = format!("train --data csv:houses.csv {how} --batch 20 --logdir run");
    let report = folder.run(&format!("{train} --json")).json();
    let error = report["test_mean_absolute_error"].as_f64().expect("a figure");
    let squared = report["test_mean_squared_error"].as_f64().expect("a figure");
    // Several targets have no unit in common: their errors are in deviations.
    assert!(error < 0.1 && squared < 0.02, "{report}");
    assert!(report["test_accuracy"].is_null(), "{report}");
    let text = folder.run("eval run").ok().out;
    assert!(text.contains("test mean absolute error") && !text.contains("accuracy"), "{text}");
    let predicted = folder.run("predict run --data csv:houses.csv").ok().out;
    assert_eq!(predicted.lines().next(), Some("price,margin"));
    assert_eq!(predicted.lines().count(), 101);
    let last: Vec<f32> =
        predicted.lines().last().unwrap().split(',').map(|x| x.parse().unwrap()).collect();
    assert!((last[0] - 280.0).abs() < 20.0 && (last[1] + 18.0).abs() < 4.0, "{last:?}");

    // One target is measured in its own unit.
    let one = "--targets price --ignore margin --standardise --model mlp:16 --lr 0.05 --steps 500";
    let train_one = format!("train --data csv:houses.csv {one} --batch 20 --logdir one --json");
    let report = folder.run(&train_one).json();
    let error = report["test_mean_absolute_error"].as_f64().expect("a figure");
    let squared = report["test_mean_squared_error"].as_f64().expect("a figure");
    // A deviation of the price is 57.
    assert!(error < 6.0 && squared >= error * error && squared > 0.02, "{report}");
    let evaluated = folder.run("eval one --json").json();
    assert_eq!(evaluated["test_mean_absolute_error"], report["test_mean_absolute_error"]);
    let stated = folder.run(&format!("{train}2 --min-test-accuracy 0.5"));
    stated_is_for_classes(&stated.err, stated.code);
}

/// Words are features like any others, from the table to the predictions of new rows.
#[test]
fn words_of_a_table_are_learnt_from() {
    let Some(folder) = Folder::with_gpu() else { return };
    let row = |i: usize| {
        let (city, size) = ([("Oslo", 500), ("Bergen", 100)][i % 2], (i * 37 % 11) as f32);
        format!("{};{size};{}\n", city.0, city.1 as f32 + 10.0 * size)
    };
    let table = "city;size;price\n".to_owned() + &(0..110).map(row).collect::<String>();
    folder.write("houses.csv", table);
    let how = "--targets price --categories city --standardise --model mlp:16 --lr 0.02";
    folder
        .run(&format!("train --data csv:houses.csv {how} --epochs 60 --batch 16 --logdir run"))
        .ok();
    folder.write("new.csv", "size;city\n4;Oslo\n4;Bergen\n");
    let predicted = folder.run("predict run --data csv:new.csv").ok().out;
    let prices: Vec<f32> = predicted.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert!((prices[0] - 540.0).abs() < 30.0 && (prices[1] - 140.0).abs() < 30.0, "{predicted}");
    folder.write("odd.csv", "size;city\n4;Paris\n");
    folder.run("predict run --data csv:odd.csv").fails(2, &["Paris", "Oslo"]);
    // Each row gets an answer, so none can be left out.
    for hole in ["", "NA"] {
        folder.write("odd.csv", format!("size;city\n4;Oslo\n{hole};Oslo\n{hole};Oslo\n"));
        let run = folder.run("predict run --data csv:odd.csv");
        assert!(!run.err.contains("drop"), "{}", run.err);
        run.fails(2, &["line 3, column `size`", "fill it in, as each row gets an answer"]);
    }
    let drops = "predict run --data csv:odd.csv --drop-missing";
    folder.run(drops).fails(2, &["--drop-missing", "fill in the values"]);
}

/// Whoever has a table of words and holes is told of all of them at once, and of numbers that are
/// too large to learn from.
#[test]
fn what_a_table_needs_is_said_in_one_message() {
    let Some(folder) = Folder::with_gpu() else { return };
    let text = "kind,place,mass,sex\nA,south,3750,f\nB,north,NA,m\nA,north,4200,\n";
    folder.write("birds.csv", text);
    let train = "train --data csv:birds.csv --label kind --model mlp:4 --steps 2 --test 0.5";
    folder.run(train).fails(
        2,
        &["line 2, column `place`: `south` is no number", "too, in `sex` (`f`)", "2 of the rows"],
    );
    let rows: String = (0..20).map(|i| format!("{},{},f\n", i % 2, 3000 + 100 * i)).collect();
    folder.write("birds.csv", "kind,mass,sex\n".to_owned() + &rows);
    let train = format!("{train} --ignore sex --logdir run");
    let raw = folder.run(&train).ok().err;
    assert!(raw.contains("warning: `mass` has mean") && raw.contains("--standardise"), "{raw}");
    let scaled = folder.run(&format!("{train}2 --standardise")).ok().err;
    assert!(!scaled.contains("warning: `mass`"), "{scaled}");
}

/// Whose answer is whose.
#[test]
fn answers_for_pictures_have_the_names_of_their_files() {
    let Some(folder) = Folder::with_gpu() else { return };
    for (class, i) in (0..12).map(|i| (["dark", "light"][i % 2], i)) {
        let path = folder.path(&format!("all/{class}/{i}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let value = if class == "dark" { 10 + i as u8 } else { 200 + i as u8 };
        image::GrayImage::from_pixel(4, 3, [value].into()).save(path).unwrap();
    }
    folder.run("train --data images:all --standardise --model mlp:8 --steps 60 --logdir run").ok();
    let all = folder.run("predict run --data images:all").ok().out;
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!((lines[0], lines.len()), ("file,class,p_dark,p_light", 13));
    assert!(lines[1].starts_with("dark/0.png,dark,"), "{all}");
    assert!(lines[12].starts_with("light/9.png,light,"), "{all}");
    let one = folder.run("predict run --data images:all/light/9.png").ok().out;
    let lines: Vec<&str> = one.lines().collect();
    assert!(lines.len() == 2 && lines[1].starts_with("all/light/9.png,light,"), "{one}");
    folder.run("train --data images:all/light/9.png --logdir no").fails(2, &["9.png"]);
}

fn stated_is_for_classes(err: &str, code: i32) {
    assert!(code == 2 && err.contains("--min-test-accuracy is for classes"), "{code}: {err}");
}

#[test]
fn what_does_not_apply_is_refused_before_anything_is_written() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("flowers.csv", flowers());
    for (options, parts) in [
        ("--data csv:flowers.csv", &["label"][..]),
        ("--data csv:flowers.csv --label colour", &["colour", "petal"]),
        ("--data csv:flowers.csv --label kind --size 8x8", &["size", "does not apply"]),
        ("--data digits --label kind", &["label", "does not apply"]),
        ("--data parquet:f", &["parquet:f", "csv:FILE"]),
        ("--data csv:flowers.csv --label petal", &["column `kind`", "--categories", "--ignore it"]),
    ] {
        folder.run(&format!("train {options} --model mlp:8 --logdir run")).fails(2, parts);
        assert!(!folder.path("run").exists(), "{options}");
    }
}
