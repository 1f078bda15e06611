//! `secateur export`: the weights in one file, whole and shrunk, and their evaluation.
use crate::folder::Folder;

#[test]
fn a_shrunk_network_is_smaller_and_answers_the_same() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = "train --data digits --model mlp:40-20 --steps 150 --batch 64 --lr 0.005 --seed 3 \
                --logdir run --pruning target_sparsity=0.6,pattern=channel,pruning_frequency=10";
    folder.run(args).ok();
    let whole = folder.run("export run -o whole.safetensors --json").json();
    let small = folder.run("export run -o small.safetensors --shrink --json").json();
    assert_eq!(whole["model"], "mlp:40-20");
    assert_eq!(small["whole_model"], "mlp:40-20");
    // 60 % of the units are pruned; a unit that reads nothing is gone.
    assert_eq!(small["model"], "mlp:16-8");
    let number = |report: &serde_json::Value, key: &str| report[key].as_u64().unwrap();
    assert_eq!(number(&small, "parameters"), 65 * 16 + 17 * 8 + 9 * 10);
    assert!(number(&small, "bytes") * 2 < number(&whole, "bytes"));
    let eval = |what: &str| {
        let report = folder.run(&format!("eval {what} --data digits --json")).json();
        (report["test_accuracy"].as_f64().unwrap(), report["test_loss"].as_f64().unwrap())
    };
    let (accuracy, loss) = eval("run");
    assert!(accuracy > 0.5, "{accuracy}");
    assert_eq!(eval("whole.safetensors"), (accuracy, loss));
    let (small_accuracy, small_loss) = eval("small.safetensors");
    assert_eq!(small_accuracy, accuracy);
    // Sums of the same numbers in another order, in f32.
    assert!((small_loss - loss).abs() < 1e-5 * (1.0 + loss), "{small_loss} is not {loss}");
    let text = folder.run("export run -o small.safetensors --shrink --force").ok().out;
    assert!(text.contains("mlp:16-8") && text.contains("shrunk from"), "{text}");
}

#[test]
fn refusals_say_the_way_out() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run("train --data digits --model mlp:4 --steps 2 --pruning none --logdir run").ok();
    folder.run("export run -o a.safetensors").ok();
    for (args, parts) in [
        ("export run -o a.safetensors", &["--force"][..]),
        ("export run -o a.onnx --format sparse", &["--format", "*.safetensors"]),
        ("export run -o b.safetensors --values f16", &["--format"]),
        ("export a.safetensors -o b.bin --format sparse", &["must end in .safetensors"]),
        ("export a.safetensors -o a.safetensors --format sparse", &["--force"]),
        ("export a.safetensors -o b.safetensors --format sparse --shrink", &["--shrink"]),
        ("export run -o a.bin", &["must end in .safetensors or .onnx"]),
        ("export none -o b.safetensors", &["none"]),
        ("eval a.safetensors", &["--data"]),
    ] {
        folder.run(args).fails(2, parts);
    }
    folder.run("prune a.safetensors -o c.safetensors --sparsity 0.5").ok();
    folder.run("eval c.safetensors --data digits").ok();
}

/// The same network answers the same, whatever its file looks like.
#[test]
fn packed_files_are_smaller_and_answer_the_same() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = "train --data digits --model mlp:40-20 --steps 60 --batch 64 --lr 0.005 --seed 3 \
                --logdir run --pruning target_sparsity=0.9,pruning_frequency=10";
    folder.run(args).ok();
    folder.run("export run -o whole.safetensors").ok();
    let eval = |what: &str| {
        let report = folder.run(&format!("eval {what} --data digits --json")).json();
        (report["test_accuracy"].clone(), report["test_loss"].clone())
    };
    let whole = eval("whole.safetensors");
    for (format, packing) in [("sparse", "csr"), ("bitmask", "bitmask")] {
        for input in ["run", "whole.safetensors"] {
            let args = format!("export {input} -o p.safetensors --format {format} --force --json");
            let report = folder.run(&args).json();
            let tensors = report["tensors"].as_array().unwrap();
            let of = |name: &str| tensors.iter().find(|t| t["name"] == name).unwrap();
            assert_eq!(of("fc1.weight")["packing"], packing);
            assert_eq!(of("fc1.bias")["packing"], serde_json::Value::Null);
            let bytes = |key: &str| report[key].as_u64().unwrap();
            assert!(bytes("bytes") * 2 < bytes("dense_bytes"), "{report}");
            assert_eq!(eval("p.safetensors"), whole, "{format} of {input}");
        }
    }
    let text = folder.run("export run -o p.safetensors --format bitmask --force").ok().out;
    assert!(text.contains("3 of 6 tensors are packed"), "{text}");
    folder.run("export p.safetensors -o dense.safetensors --format dense").ok();
    assert_eq!(eval("dense.safetensors"), whole);
}

/// That other engines compute the same is checked by `scripts/check_onnx.py`.
#[test]
fn onnx_files_are_written_and_name_the_layer_that_cannot_be() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run("train --data digits --model mlp:4 --steps 2 --pruning none --logdir run").ok();
    let report = folder.run("export run -o a.onnx --json").json();
    let bytes = folder.read("a.onnx");
    assert_eq!(report["bytes"].as_u64(), Some(bytes.len() as u64));
    // The version of the format as the first field.
    assert_eq!(bytes[..2], [8, 8]);
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("fc1.weight") && holds("MatMul") && holds("features"));
    folder.run("export run -o b.safetensors").ok();
    folder.run("export b.safetensors -o b.onnx").ok();
    assert_eq!(folder.read("b.onnx"), bytes);
    folder.run("export run -o a.onnx").fails(2, &["a.onnx", "--force"]);
    folder.write("text.txt", "to be or not to be\n".repeat(30));
    folder.write(
        "projected.toml",
        "data = 'text:text.txt'\nsteps = 1\nbatch = 2\n[data_options]\nlength = 8\n\
         [optimizer]\nname = 'sgd'\nlr = 0.1\n[[model]]\nkind = 'embedding'\noutputs = 4\n\
         [[model]]\nkind = 'lstm'\nunits = 4\nprojection = 3\n[[model]]\nkind = 'linear'\n\
         activation = 'identity'\n",
    );
    folder.run("train projected.toml --logdir projected").ok();
    folder.run("export projected -o p.onnx").fails(2, &["lstm1", "standard operators"]);
    assert!(!folder.path("p.onnx").exists());
}

/// What `train` reports is by the averages, and so is what `eval` and `export` make of its
/// checkpoint.
#[test]
fn averages_are_what_is_evaluated_and_exported() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write(
        "averaged.toml",
        "data = 'digits'\nmodel = 'mlp:25-5'\nbatch = 64\nsteps = 45\n\
         optimizer = { name = 'rmsprop', lr = 0.02 }\nclip = { norm = 0.5 }\n\
         multipliers = [{ name = 'bias', factor = 2.0 }]\n\
         [schedule]\nwarmup_steps = 5\ndecay = { name = 'cosine', steps = 90 }\n",
    );
    for mode in ["zero", "revive"] {
        let args = format!(
            "train averaged.toml --average 0.99 --clip-norm 2 --logdir {mode} --json \
             --pruning target_sparsity=0.6,pruning_frequency=10,pruned={mode}"
        );
        let trained = folder.run(&args).json();
        let eval = |what: &str| {
            let report = folder.run(&format!("eval {what} --data digits --json")).json();
            (report["test_accuracy"].clone(), report["test_loss"].clone())
        };
        let (accuracy, loss) = eval(mode);
        assert_eq!(accuracy, trained["test_accuracy"], "{mode}");
        folder.run(&format!("export {mode} -o {mode}.safetensors")).ok();
        assert_eq!(eval(&format!("{mode}.safetensors")), (accuracy, loss.clone()), "{mode}");
        // Without an average the same weights are evaluated as they are.
        let again =
            folder.run(&args.replace(" --average 0.99", "").replace("--logdir ", "--logdir raw-"));
        again.json();
        assert_ne!(eval(&format!("raw-{mode}")).1, loss, "{mode}");
        // The logdir's recipe is the run.
        let recipe = String::from_utf8(folder.read(&format!("{mode}/recipe.toml"))).unwrap();
        for part in ["average = 0.99", "warmup_steps = 5", "global_norm = 2", "norm = 0.5", "bias"]
        {
            assert!(recipe.contains(part), "{recipe}");
        }
        let report = folder.run(&format!("train {mode}/recipe.toml --logdir {mode} --json")).json();
        assert_eq!(report["test_accuracy"], trained["test_accuracy"]);
    }
}
