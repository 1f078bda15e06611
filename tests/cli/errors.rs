//! What goes wrong: the exit code says what kind it is, the message names the thing.
use std::process::id;

use secateur::checkpoint::Lock;

use crate::folder::{Folder, Run};
use crate::train::train;

/// A budget is refused with both numbers, the largest tensors and the way out.
const OVER: [&str; 6] = [
    "KiB), the memory budget is 102400 (100.0 KiB)",
    "the largest tensors: ",
    " fc1.weight (32.0 KiB, persistent)",
    "smaller batch",
    "`recompute`",
    "--memory-budget",
];

#[test]
fn a_memory_budget_is_refused_before_anything_is_written() {
    let Some(folder) = Folder::with_gpu() else { return };
    let over = ["the memory budget is 102400 (100.0 KiB)", " fc1.weight (32.0 KiB, persistent)"];
    folder.run("train --memory-budget 100KiB").fails(2, &over);
    folder.run("train --memory-budget 100KiB --logdir run").fails(2, &over);
    let mut command = folder.command("train --logdir run");
    Run::of(command.env("SECATEUR_MEMORY", "100KiB")).fails(2, &over);
    folder.run(&format!("{} --memory-budget 1GB", train("--steps 12 --logdir run"))).ok();
    folder.run("eval run --memory-budget 1KB").fails(2, &["the memory budget is 1000 (1000 B)"]);
    assert_eq!(folder.list("."), ["run"]);
}

#[test]
fn wrong_usage_is_named() {
    let folder = Folder::new();
    let recipe = "data = 'digits'\nmodel = 'mlp:8'\nbatch = 4\nsteps = 1\nstepz = 2\n\
                  optimizer = { name = 'sgd', lr = 0.1 }\n";
    folder.write("unknown.toml", recipe);
    folder.write("broken.toml", "data = ");
    let cases: &[(&str, &[&str])] = &[
        ("train --stepz 5", &["--stepz", "'--steps'"]),
        ("trian", &["trian", "'train'"]),
        ("train --steps five", &["five", "--steps"]),
        ("train --data nist", &["nist", "digits, mnist:DIR"]),
        ("train --data mnist:nowhere", &["nowhere"]),
        ("train --data cifar10:nowhere", &["nowhere", "missing"]),
        ("train --data cifar10:home", &["home: holds 0 files *.bin"]),
        ("train --data text:nowhere", &["nowhere"]),
        ("train --data text:broken.toml", &["broken.toml: has 7 characters", "of 64 need 641"]),
        ("train --data text:broken.toml --length 0", &["`length`: 0"]),
        ("train --model vgg", &["vgg", "mlp:"]),
        ("train --model mlp:0", &["`0` in `mlp:0`"]),
        ("train --optimizer adagad", &["adagad", "adamw", "adagrad"]),
        ("train --pruning target_sparcity=0.9", &["target_sparcity", "`target_sparsity`?"]),
        ("train --pruning target_sparsity=1.5", &["target_sparsity", "1.5"]),
        ("train --pruning pruning_frequency=ten", &["pruning_frequency", "ten"]),
        ("train unknown.toml", &["unknown.toml", "stepz"]),
        ("train broken.toml", &["broken.toml"]),
        ("train missing.toml", &["missing.toml"]),
        ("train --memory-budget lots", &["`lots` must be a number of bytes like 2GiB"]),
        ("train --plan --recompute 9", &["`recompute`: 9 layers", "network of 3; use 1 to 2"]),
        ("train --plan --memory-budget 100KiB", &OVER),
        ("train --startup-delay-steps 5", &["required", "--async"]),
        ("train --max-staleness 5", &["required", "--async"]),
        ("train --async --replicas-to-aggregate 2", &["cannot be used with", "--async"]),
        ("train --async --carry kept", &["cannot be used with", "--async"]),
        ("train --carry some", &["some", "all, kept"]),
        ("train --watchdog soon", &["soon", "a number of seconds, 0 or more"]),
        ("eval missing", &["missing"]),
        ("eval home", &["home", "no checkpoint"]),
    ];
    std::fs::create_dir(folder.path("home")).expect("a folder");
    for (args, parts) in cases {
        folder.run(args).fails(2, parts);
    }
    assert_eq!(folder.list("."), ["broken.toml", "home", "unknown.toml"], "nothing is written");
}

#[test]
fn what_cannot_be_trained_is_named() {
    let Some(folder) = Folder::with_gpu() else { return };
    let cases: &[(&str, &[&str])] = &[
        ("--lr 0", &["`lr`: 0 must be above 0"]),
        ("--steps 0", &["--steps: 0"]),
        ("--batch 0", &["--batch: 0"]),
        ("--trace-every-n-steps 0", &["`trace_every_n_steps`: 0"]),
        ("--steps 9", &["first mask update would be at step 10", "the run ends at step 9"]),
        ("--lr 1e38 --steps 20", &["not finite", "learning rate"]),
    ];
    for (args, parts) in cases {
        folder.run(&train(&format!("{args} --logdir run"))).fails(2, parts);
    }
    assert_eq!(folder.list("."), ["run"], "of the run that began and failed");
    let never = "target_sparsity=0.5,sparsity_function_begin_step=50";
    let args = format!("train --no-baseline --steps 40 --pruning {never} --logdir never");
    folder.run(&args).fails(2, &["`pruning`", "sparsity_function_begin_step 50"]);
}

#[test]
fn no_adapter_says_what_was_tried_and_the_way_out() {
    let folder = Folder::new();
    let parts = ["no GPU adapter found", "no-such-adapter", "vulkan", "scripts/setup.sh"];
    let mut devices = folder.command("devices");
    Run::of(devices.env("SECATEUR_ADAPTER", "no-such-adapter")).fails(2, &parts);
    folder.run("train --adapter no-such-adapter --json").fails(2, &parts);
    folder.run("train --adapter-index 99").fails(2, &["no GPU adapter found of number 99"]);
    folder.run("train --adapter-index 99 --plan").fails(2, &["no adapter of number 99"]);
}

#[test]
fn a_wrong_environment_is_named() {
    let folder = Folder::new();
    let (seconds, bytes) = ("a number of seconds above 0", "a number of bytes like 2GiB");
    let cases = [
        ("SECATEUR_BACKEND", "opengl", "vulkan, metal or dx12"),
        ("SECATEUR_POWER", "max", "use high or low"),
        ("SECATEUR_ADAPTER_INDEX", "first", "a number from 0"),
        ("SECATEUR_TIMEOUT", "0", seconds),
        ("SECATEUR_TIMEOUT", "-1", seconds),
        ("SECATEUR_TIMEOUT", "inf", seconds),
        ("SECATEUR_TIMEOUT", "2s", seconds),
        ("SECATEUR_PRECISION", "half", "use f32 or mixed"),
        ("SECATEUR_MEMORY", "-1", bytes),
        ("SECATEUR_MEMORY", "2 apples", bytes),
    ];
    for (name, value, allowed) in cases {
        let mut devices = folder.command("devices");
        Run::of(devices.env(name, value)).fails(2, &[name, &format!("`{value}`"), allowed]);
    }
}

/// The cause once: it is part of the message, and a cause of the error besides.
#[test]
fn a_logdir_that_cannot_be_made_is_named() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write("file", "");
    let run = folder.run(&train("--steps 45 --logdir file/run"));
    assert_eq!(run.err.matches("is a file").count(), 1, "{}", run.err);
    run.fails(2, &["file: is a file; name a folder"]);
    #[cfg(target_os = "linux")]
    {
        let run = folder.run(&train("--steps 45 --logdir /proc/none"));
        assert_eq!(run.err.matches("os error").count(), 1, "{}", run.err);
        run.fails(2, &["cannot create /proc/none"]);
    }
}

#[test]
fn a_damaged_checkpoint_is_never_loaded_nor_replaced() {
    let Some(folder) = Folder::with_gpu() else { return };
    // No save but the last one, however slow the machine is.
    let train = train("--steps 12 --save-secs 0 --logdir run");
    folder.run(&train).ok();
    for file in ["model.safetensors", "optimizer.safetensors", "manifest.json"] {
        let path = format!("run/ckpt-000000000012/{file}");
        let whole = folder.read(&path);
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        folder.write(&path, &damaged);
        for args in [&train, "eval run", "inspect run"] {
            folder.run(args).fails(73, &["ckpt-000000000012", file]);
        }
        assert!(folder.read(&path) == damaged, "{file} is left as it is");
        folder.write(&path, whole);
    }
    folder.run("eval run").ok();
}

#[test]
fn an_older_checkpoint_takes_over_from_a_damaged_one() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&train("--steps 12 --logdir run")).ok();
    folder.run(&train("--steps 24 --logdir run")).ok();
    let path = "run/ckpt-000000000024/model.safetensors";
    let whole = folder.read(path);
    folder.write(path, &whole[..whole.len() - 1]);
    let report = folder.run("eval run --json");
    assert!(report.err.contains("skipped ckpt-000000000024"), "{}", report.err);
    assert_eq!(report.json()["global_step"].as_u64(), Some(12));
    folder.run(&train("--steps 24 --logdir run")).ok();
    assert!(folder.read(path) == whole, "the same steps again");
}

#[test]
fn a_logdir_in_use_is_left_alone() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run(&train("--steps 12 --logdir run")).ok();
    let (files, recipe) = (folder.list("run"), folder.read("run/recipe.toml"));
    let lock = Lock::acquire(&folder.path("run")).expect("nobody else has it");
    let refused = folder.run(&train("--steps 20 --logdir run"));
    refused.fails(74, &["run is in use", &format!("process {}", id())]);
    assert_eq!(folder.list("run"), files);
    assert!(folder.read("run/recipe.toml") == recipe, "the recipe is that of the holder");
    drop(lock);
    folder.run(&train("--steps 20 --logdir run")).ok();
    // Another run's logdir: its recipe stays as well.
    let recipe = folder.read("run/recipe.toml");
    folder.run(&train("--steps 30 --seed 9 --logdir run")).fails(2, &["seed 1 -> 9", "--override"]);
    folder
        .run("train --model mlp:9 --steps 30 --logdir run")
        .fails(2, &["model mlp:25-5 -> mlp:9"]);
    assert!(folder.read("run/recipe.toml") == recipe, "the recipe is that of the run");
}

/// A run that is refused, at whatever point before its first step, leaves what was there.
#[test]
fn a_refused_run_leaves_nothing() {
    let Some(folder) = Folder::with_gpu() else { return };
    let refused = [
        ("train --steps 9 --no-baseline --pruning sparsity_function_begin_step=50", "`pruning`"),
        ("train --model lenet5 --no-baseline --pruning none --steps 5", "does not fit"),
        (
            "train --batch 100000 --no-baseline --pruning none --steps 5 --memory-budget 1MB",
            "budget",
        ),
    ];
    for (args, part) in refused {
        folder.run(&format!("{args} --logdir a/b")).fails(2, &[part]);
        folder.run(args).fails(2, &[part]);
        assert_eq!(folder.list("."), [""; 0], "{args}");
    }
    folder.run(&train("--steps 12 --logdir run")).ok();
    let files = folder.list("run");
    folder.run(&train("--steps 30 --seed 9 --logdir run")).fails(2, &["seed 1 -> 9"]);
    assert_eq!(folder.list("run"), files);
    // A logdir that was there and was empty is there and empty.
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    folder.run(&format!("{} --logdir empty", refused[0].0)).fails(2, &["`pruning`"]);
    assert_eq!(folder.list("empty"), [""; 0]);
}
