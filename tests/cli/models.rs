//! Every model by name, and stacks of a recipe's own, from training to the exported file.

use serde_json::Value;

use crate::folder::{Folder, Run};

const PRUNING: &str =
    "--pruning target_sparsity=0.5,pruning_frequency=1,sparsity_function_end_step=3";

/// Trains `data` with `model`, `more` being options; checks counts, evaluation, resume and export.
fn whole_way(folder: &Folder, model: &str, data: &str, more: &str) -> Value {
    let train = |logdir: &str, steps: u64| {
        let run = format!("--steps {steps} --batch 4 --logdir {logdir} --json {more} {PRUNING}");
        folder.run(&format!("train --data {data} --model {model} {run}")).json()
    };
    let straight = train("straight", 5);
    train("halves", 4);
    assert_eq!(train("halves", 5)["loss"], straight["loss"], "{model}: resume");
    let file = |logdir: &str| folder.read(&format!("{logdir}/ckpt-000000000005/model.safetensors"));
    assert!(file("straight") == file("halves"), "{model}");
    for layer in straight["layers"].as_array().expect("layers") {
        let number = |v: &Value| v.as_u64().expect("a whole number");
        let shape = layer["shape"].as_array().expect("a shape");
        let total: u64 = shape.iter().map(number).product();
        let pruned = (total as f64 * 0.5).round_ties_even() as u64;
        assert_eq!(total - number(&layer["nonzero"]), pruned, "{model}: {layer}");
    }
    let evaluated = folder.run("eval straight --json").json();
    assert_eq!(evaluated["test_accuracy"], straight["test_accuracy"], "{model}");
    folder.run("export straight -o model.safetensors --force").ok();
    let batch = if data.starts_with("text") { "--batch 4" } else { "" };
    let exported =
        folder.run(&format!("eval model.safetensors --data {data} {batch} --json")).json();
    // A text that is named is read whole, a known set gives its test half.
    let evaluated = match data.starts_with("text") {
        true => folder.run(&format!("eval straight --data {data} --json")).json(),
        false => evaluated,
    };
    assert_eq!(exported["test_accuracy"], evaluated["test_accuracy"], "{model}");
    assert_eq!(exported["test_loss"], evaluated["test_loss"], "{model}");
    folder.run("inspect straight --pictures pictures").ok();
    let pictures = folder.list("pictures").len();
    assert_eq!(pictures, straight["layers"].as_array().expect("layers").len(), "{model}");
    straight
}

fn clear(folder: &Folder) {
    for name in ["straight", "halves", "pictures"] {
        std::fs::remove_dir_all(folder.path(name)).expect("a folder");
    }
}

/// 40 records in the format of CIFAR-10.
fn records() -> Vec<u8> {
    let noise = |i: usize, at: usize| ((i * 3072 + at).wrapping_mul(0x9e37_79b9) >> 16) as u8;
    let record = |i| [(i % 10) as u8].into_iter().chain((0..3072).map(move |at| noise(i, at)));
    (0..40).flat_map(record).collect()
}

#[test]
fn cifar10_as_upstream_has_it() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("some.bin", records());
    let report = whole_way(&folder, "cifar10", "cifar10:some.bin", "--average 0.9");
    let layers = report["layers"].as_array().expect("layers");
    let nonzero: Vec<u64> =
        layers.iter().map(|l| l["nonzero"].as_u64().expect("a count")).collect();
    assert_eq!(nonzero, [2_400, 51_200, 442_368, 36_864, 960]);
}

#[test]
fn models_of_characters() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("some.txt", "to be, or not to be, that is the question ".repeat(9));
    for (model, more) in [
        ("charlstm:8x2", "--length 6 --optimizer rmsprop --lr 0.01 --clip-norm 1"),
        ("chargpt:8x1x2", "--length 6 --optimizer adamw --lr 0.01"),
    ] {
        whole_way(&folder, model, "text:some.txt", more);
        clear(&folder);
    }
    folder
        .run("train --data text:some.txt --model charlstm:8 --steps 1 --logdir run --length 6")
        .ok();
    // Nothing of it is dead.
    let report = folder.run("export run -o small.safetensors --shrink --json").json();
    assert_eq!(report["model"], "charlstm:8x1");
}

#[test]
fn a_recipe_declares_any_stack() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write(
        "recipe.toml",
        r#"
        data = "digits"
        batch = 16
        steps = 120
        average = 0.9
        [[model]]
        kind = "conv"
        outputs = 8
        kernel = [3, 3]
        activation = "identity"
        [[model]]
        kind = "batch_norm"
        decay = 0.8
        [[model]]
        kind = "activate"
        activation = "relu"
        [[model]]
        kind = "pool"
        pooling = "max"
        window = [2, 2]
        [[model]]
        kind = "residual"
        [[model.layers]]
        kind = "conv"
        outputs = 8
        kernel = [3, 3]
        [[model]]
        kind = "flatten"
        [[model]]
        kind = "dropout"
        rate = 0.1
        [[model]]
        kind = "linear"
        activation = "identity"
        [optimizer]
        name = "lion"
        lr = 0.003
        [schedule.decay]
        name = "cosine"
        steps = 120
        [pruning]
        target_sparsity = 0.5
        pruning_frequency = 5
        sparsity_function_end_step = 60
        "#,
    );
    let report = folder.run("train recipe.toml --logdir run --json").json();
    let accuracy = report["test_accuracy"].as_f64().expect("a number");
    assert!(accuracy > 0.5, "120 steps teach it more than {accuracy}");
    // What the run wrote is the same recipe.
    let again = folder.run("train run/recipe.toml --logdir again --json").json();
    assert_eq!(again["loss"], report["loss"]);
    assert_eq!(folder.run("eval run --json").json()["test_accuracy"], report["test_accuracy"]);
    folder.run("export run -o model.safetensors").ok();
    let exported = folder.run("eval model.safetensors --data digits --json").json();
    assert_eq!(exported["test_accuracy"], report["test_accuracy"]);

    let recipe = String::from_utf8(folder.read("recipe.toml")).expect("text");
    folder.write("wrong.toml", recipe.replace("kind = \"pool\"", "kind = \"pol\""));
    folder.run("train wrong.toml --logdir other").fails(2, &["pol", "unknown variant"]);
    folder.write("wrong.toml", recipe.replace("rate = 0.1", "rate = 1.1"));
    folder.run("train wrong.toml --logdir other").fails(2, &["rate", "1.1 must be at least 0"]);
}

/// The recipes that come with the program can be read, and say which data they lack.
#[test]
fn every_recipe_can_be_read() {
    let Some(folder) = Folder::with_gpu() else { return };
    let recipes = crate::paths::project().join("recipes");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(recipes).expect("recipes") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name != "digits.toml" {
            // Apart from the words: the path may have spaces.
            let mut command = folder.command("train --logdir run");
            Run::of(command.arg(&path)).fails(2, &["data/"]);
        }
        names.push(name);
    }
    names.sort();
    let known = "chargpt charlstm-tenth charlstm cifar10 digits fashion-mnist lenet300-mnist lenet5-mnist lenet5";
    let known: Vec<String> = known.split(' ').map(|name| format!("{name}.toml")).collect();
    assert_eq!(names, known);
}
