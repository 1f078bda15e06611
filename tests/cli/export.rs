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
        ("export run -o a.onnx --format bitmask", &["*.onnx there is --format sparse"]),
        ("export run -o a.onnx --values f16", &["--values", "*.safetensors"]),
        ("export run -o a.gguf", &["no folder of a language model"]),
        ("export run -o a.safetensors --format gguf", &["must end in .gguf"]),
        ("export a.safetensors -o b.safetensors --values f16 --length 3", &["--length", "--data"]),
        ("export a.safetensors -o b.bin --format sparse", &["must end in .safetensors"]),
        ("export a.safetensors -o a.safetensors --format sparse", &["--force"]),
        ("export a.safetensors -o b.safetensors --format sparse --shrink", &["--shrink"]),
        ("export run -o a.safetensors --format onnx", &["--format onnx makes a file *.onnx"]),
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
    let packings = [("sparse", "csr"), ("bitmask", "bitmask"), ("smallest", "gaps of 4 bits")];
    for (format, packing) in packings {
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
    assert!(text.contains("--format smallest would take"), "{text}");
    folder.run("export p.safetensors -o dense.safetensors --format dense").ok();
    assert_eq!(eval("dense.safetensors"), whole);
}

/// Codes of eight bits are as good as what they stand for, and the table says what they cost.
#[test]
fn codes_are_evaluated_before_and_after() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = "train --data digits --model mlp:30 --steps 150 --batch 64 --lr 0.005 --seed 3 \
                --logdir run --pruning target_sparsity=0.8,pruning_frequency=10";
    folder.run(args).ok();
    let args = "export run -o q.safetensors --format smallest --values int8 --data digits --json";
    let report = folder.run(args).json();
    let tensor = report["tensors"].as_array().unwrap().iter().find(|t| t["name"] == "fc1.weight");
    let (tensor, number) = (tensor.unwrap(), |v: &serde_json::Value| v.as_f64().unwrap());
    assert_eq!(tensor["dtype"], "I8");
    // Half a scale of the largest weight; a mean error of some hundredths of it.
    let loss = &tensor["loss"];
    assert!(number(&loss["largest"]) > 0.0 && number(&loss["largest"]) < 0.02, "{loss}");
    assert!(number(&loss["relative"]) > 1e-4 && number(&loss["relative"]) < 0.02, "{loss}");
    // A unit is a column of what secateur trains.
    let file = secateur::storage::Header::open(&folder.path("q.safetensors")).unwrap();
    let scales = file.tensors.iter().find(|t| t.name == "fc1.weight.scales").unwrap();
    assert_eq!(scales.shape, [1, 30]);
    let evaluation = &report["evaluation"];
    let of = |when: &str, name: &str| {
        let all = evaluation[when].as_array().unwrap();
        number(&all.iter().find(|figure| figure["name"] == name).unwrap()["value"])
    };
    let eval = folder.run("eval q.safetensors --data digits --json").json();
    assert_eq!(of("after", "test loss"), number(&eval["test_loss"]));
    assert_ne!(of("before", "test loss"), of("after", "test loss"));
    let cost = of("before", "test accuracy") - of("after", "test accuracy");
    assert!(of("after", "test accuracy") > 0.8 && cost.abs() < 0.02, "{evaluation}");
    let text = folder.run(&args.replace("--json", "--force")).ok().out;
    for part in ["largest error", "mean error", "test accuracy on digits:", "before,"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

/// What is only for training is gone, and the answers are the same to the bit.
#[test]
fn an_export_lists_zeros_and_what_it_drops() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = "train --data digits --model mlp:20 --steps 60 --batch 64 --lr 0.005 --seed 3 \
                --average 0.9 --logdir run --pruning \
                target_sparsity=0.75,pruning_frequency=10,sparsity_function_end_step=40";
    folder.run(args).ok();
    let report = folder.run("export run -o a.safetensors --json").json();
    let tensors = report["tensors"].as_array().unwrap();
    let of = |name: &str| tensors.iter().find(|t| t["name"] == name).unwrap();
    assert_eq!(of("fc1.weight")["zeros"], 64 * 20 * 3 / 4);
    assert_eq!(of("fc2.weight")["sparsity"], 0.75);
    assert_eq!(tensors.len(), 4);
    let dropped = report["dropped"].as_array().unwrap();
    let bytes = |what: &str| {
        let found = dropped.iter().find(|d| d["what"].as_str().unwrap().contains(what));
        let found = found.unwrap_or_else(|| panic!("{what} is not in {dropped:?}"));
        (found["tensors"].as_u64().unwrap(), found["bytes"].as_u64().unwrap())
    };
    // Masks are 32 to a word; Adam has two slots a weight and a bias.
    assert_eq!(bytes("masks"), (2, (64 * 20 / 32 + (20 * 10_u64).div_ceil(32)) * 4));
    assert_eq!(bytes("thresholds"), (2, 8));
    let values = 64 * 20 + 20 + 20 * 10 + 10;
    assert_eq!(bytes("averages"), (4, values * 4));
    assert_eq!(bytes("optimizer slots"), (8, values * 2 * 4));
    for (what, to) in [("run", "a.npy"), ("a.safetensors", "b.npy")] {
        folder.run(&format!("predict {what} --data digits -o {to}")).ok();
    }
    assert_eq!(folder.read("a.npy"), folder.read("b.npy"));
    let text = folder.run("export run -o a.safetensors --force").ok().out;
    assert!(text.contains("dropped: masks") && text.contains("75.00 %"), "{text}");
}

/// Channels of a convolution that are pruned whole.
#[test]
fn convolutions_are_shrunk_and_show_their_shapes() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.write(
        "conv.toml",
        "data = 'digits'\nsteps = 40\nbatch = 32\npruning = { target_sparsity = 0.5, \
         pattern = 'channel', pruning_frequency = 5, sparsity_function_end_step = 25, \
         last_layer_sparsity = 0.0 }\n\
         [optimizer]\nname = 'adam'\nlr = 0.01\n\
         [[model]]\nkind = 'conv'\noutputs = 8\nkernel = [3, 3]\npadding = 'valid'\n\
         [[model]]\nkind = 'flatten'\n\
         [[model]]\nkind = 'linear'\nactivation = 'identity'\n",
    );
    folder.run("train conv.toml --logdir run").ok();
    folder.run("export run -o whole.safetensors").ok();
    let report = folder.run("export run -o small.safetensors --remove-dead --json").json();
    let tensors = report["tensors"].as_array().unwrap();
    let of = |name: &str| tensors.iter().find(|t| t["name"] == name).unwrap();
    assert_eq!(of("conv1.weight")["shape"], serde_json::json!([3, 3, 1, 4]));
    assert_eq!(of("conv1.weight")["whole_shape"], serde_json::json!([3, 3, 1, 8]));
    assert_eq!(of("fc1.weight")["shape"], serde_json::json!([6 * 6 * 4, 10]));
    assert_eq!(report["kept_units"][0][0], "fc1.weight");
    let eval = |what: &str| {
        let report = folder.run(&format!("eval {what} --data digits --json")).json();
        (report["test_accuracy"].as_f64().unwrap(), report["test_loss"].as_f64().unwrap())
    };
    let ((accuracy, loss), small) = (eval("whole.safetensors"), eval("small.safetensors"));
    assert_eq!(small.0, accuracy);
    // Sums of the same numbers in another order, and biases that are rounded once more.
    assert!((small.1 - loss).abs() < 1e-5 * (1.0 + loss), "{} is not {loss}", small.1);
    let text = folder.run("export run -o small.safetensors --shrink --force").ok().out;
    assert!(text.contains("shape before") && text.contains("kept all units of fc1"), "{text}");
}

/// Rows a second, and what one batch takes.
#[test]
fn evaluations_and_predictions_say_how_fast_they_are() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.run("train --data digits --model mlp:4 --steps 2 --pruning none --logdir run").ok();
    folder.run("export run -o a.safetensors --format smallest").ok();
    for args in ["eval a.safetensors --data digits", "predict a.safetensors --data digits -o p.csv"]
    {
        let report = folder.run(&format!("{args} --batch 7 --json")).json();
        assert_eq!(report["batch"], 7, "{args}");
        let number = |v: &serde_json::Value| v.as_f64().unwrap();
        assert!(number(&report["rows_per_second"]) > 0.0 && number(&report["seconds"]) > 0.0);
        assert!(report["timed_batches"].as_u64().unwrap() >= 3, "{report}");
        let [p50, p95, p99] = ["p50", "p95", "p99"].map(|p| number(&report["latency_ms"][p]));
        assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{report}");
    }
    let text = folder.run("eval a.safetensors --data digits").ok().out;
    assert!(text.contains("rows/s") && text.contains("p50"), "{text}");
}

/// That others read it is checked by `scripts/check_gguf.py`.
#[test]
fn language_models_become_gguf_files() {
    let folder = Folder::new();
    folder.copy_model("llama");
    let report = folder.run("export llama -o llama.gguf --values f16 --json").json();
    assert_eq!(report["architecture"], "llama");
    assert_eq!(report["bytes"].as_u64(), Some(folder.read("llama.gguf").len() as u64));
    let text = folder.run("export llama -o llama.gguf --force").ok().out;
    assert!(text.contains("blk.0.attn_q.weight") && text.contains("no tokenizer.json"), "{text}");
    folder.run("export llama -o llama.gguf").fails(2, &["llama.gguf", "--force"]);
    folder.run("export llama -o l.gguf --values int8").fails(2, &["int8"]);
}

/// Which pattern costs a language model much, and what a pruned file would save.
#[test]
fn two_of_four_is_warned_of_for_language_models_alone() {
    let Some(folder) = Folder::with_gpu() else { return };
    folder.copy_model("llama");
    let warns = |args: &str| {
        let run = folder.run(args).ok();
        let said = run.err.contains("from 54 to 15 %") && run.err.contains("6:8");
        assert_eq!(said, run.err.contains("warning: 2:4"), "{}", run.err);
        (said, run.out)
    };
    let (said, out) = warns("prune llama -o halved --pattern 2:4");
    assert!(said && out.contains("--format smallest would take about 53.12 %"), "{out}");
    assert!(!warns("prune llama -o pruned --sparsity 0.5").0);
    assert!(!warns("prune llama/model.safetensors -o one.safetensors --pattern 2:4").0);
    assert!(warns("export halved -o packed --format bitmask").0);
    assert!(!warns("export pruned -o packed --format bitmask --force").0);
    let report =
        folder.run("export pruned -o packed --format smallest --values int8 --force --json");
    let report = report.json();
    let codes = |t: &&serde_json::Value| t["dtype"] == "I8";
    assert!(report["tensors"].as_array().unwrap().iter().filter(codes).count() > 10, "{report}");
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
    folder.run("export b.safetensors -o b.onnx --format onnx").ok();
    assert_eq!(folder.read("b.onnx"), bytes);
    // Without zeros nothing is sparse. Of 64 x 4 and 4 x 10 weights 26 and 4 are left.
    folder.run("export run -o same.onnx --format sparse").ok();
    assert_eq!(folder.read("same.onnx"), bytes);
    folder.run("prune b.safetensors -o z.safetensors --sparsity 0.9").ok();
    folder.run("export z.safetensors -o sparse.onnx --format sparse").ok();
    let saved = bytes.len() - folder.read("sparse.onnx").len();
    let most = 4 * (256 + 40) - 12 * (26 + 4);
    assert!((most - 2 * 64..most).contains(&saved), "{saved}");
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
