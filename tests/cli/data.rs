//! Data sets by name: images that are changed at random, texts in windows.
use crate::folder::Folder;

/// 60 records in the format of CIFAR-10, of which the last 6 are to test; the label is in the red.
fn records() -> Vec<u8> {
    let record = |i: usize| {
        let label = (i % 10) as u8;
        let pixel = move |at: usize| match at / 1024 {
            0 if at % 32 / 3 == i % 10 => 250,
            _ => (at.wrapping_mul(0x9e37_79b9).wrapping_add(i * 77) >> 16) as u8 / 4,
        };
        [label].into_iter().chain((0..3072).map(pixel))
    };
    (0..60).flat_map(record).collect()
}

#[test]
fn cifar10_trains_resumes_and_is_evaluated() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("some.bin", records());
    let train = |logdir: &str, steps: u64| {
        let run = format!("--steps {steps} --batch 8 --lr 0.01 --logdir {logdir} --json");
        folder.run(&format!("train --data cifar10:some.bin --model mlp:16 {run}"))
    };
    // Step 10 is within the second epoch of 54 rows.
    let straight = train("straight", 20).json();
    train("halves", 10).ok();
    let halves = train("halves", 20).json();
    for name in ["loss", "train_accuracy", "test_accuracy"] {
        assert_eq!(straight[name], halves[name], "{name}");
    }
    let file = "ckpt-000000000020/model.safetensors";
    assert!(folder.read(&format!("straight/{file}")) == folder.read(&format!("halves/{file}")));

    let evaluated = folder.run("eval straight --json").json();
    assert_eq!(evaluated["test_accuracy"], straight["test_accuracy"]);
    let prune = "prune straight -o p.safetensors --score wanda --sparsity 0.5 --rows 40 --json";
    let pruned = folder.run(prune).json();
    assert!((pruned["sparsity"].as_f64().expect("a number") - 0.5).abs() < 1e-3, "{pruned}");
    folder.run("eval p.safetensors --data cifar10:some.bin").ok();
}

#[test]
fn a_text_needs_a_model_that_answers_each_place() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("some.txt", "to be, or not to be, that is the question ".repeat(9));
    let train = "train --data text:some.txt --model mlp:4 --steps 5 --batch 4";
    let places = |length: &str, places: &str| {
        let run = folder.run(&format!("{train}{length} --logdir run"));
        run.fails(2, &["mlp:4", "gives 1 answers a row", &format!("has {places} labels a row")]);
    };
    places(" --length 8", "8");
    folder.write(
        "recipe.toml",
        "data = 'text:some.txt'\ndata_options = { length = 16 }\nmodel = 'mlp:4'\nbatch = 4\n\
                  steps = 1\noptimizer = { name = 'sgd', lr = 0.1 }\n",
    );
    let run = folder.run("train recipe.toml --logdir run");
    run.fails(2, &["the data has 16 labels a row"]);
    // 378 characters hold no window of 64 in their last tenth.
    folder.run(&format!("{train} --logdir run")).fails(2, &["378 characters", "of 64 need 641"]);
}
