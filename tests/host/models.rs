//! Models by name and by layers: their weights, their text, what does not fit.
use secateur::data::Task;
use secateur::graph::{Graph, Op};
use secateur::kernels::Activation;
use secateur::nn::layers::*;
use secateur::nn::{Input, Model};

fn text(length: usize) -> Input {
    Input { shape: vec![length], task: Task::Classification { classes: 65, positions: length } }
}

fn image(shape: [usize; 3]) -> Input {
    Input { shape: shape.to_vec(), task: Task::classification(10) }
}

/// Weights that a pruning may mask, by name.
fn masked(graph: &Graph) -> Vec<(String, u32)> {
    let masked = graph.parameters().iter().filter(|p| p.masked);
    masked.map(|p| (p.name.clone(), p.shape.elements().unwrap())).collect()
}

fn check_masked(model: &str, input: &Input, want: &[(&str, u32)]) {
    let model: Model = model.parse().unwrap();
    let network = model.network(3, input).unwrap();
    let want: Vec<_> = want.iter().map(|&(name, n)| (name.to_owned(), n)).collect();
    assert_eq!(masked(&network.graph), want);
}

/// The counts of upstream's example, layer by layer: 1,067,584 in all.
#[test]
fn cifar10_is_upstreams() {
    let want = [
        ("conv1.weight", 4_800),
        ("conv2.weight", 102_400),
        ("local3.weight", 884_736),
        ("local4.weight", 73_728),
        ("softmax_linear.weight", 1_920),
    ];
    check_masked("cifar10", &image([24, 24, 3]), &want);
    assert_eq!(want.iter().map(|w| w.1).sum::<u32>(), 1_067_584);
    let network = Model::Cifar10.network(2, &image([24, 24, 3])).unwrap();
    let decays = network.graph.parameters().iter().filter(|p| p.decay > 0.0);
    let decays: Vec<_> = decays.map(|p| (p.name.as_str(), p.decay)).collect();
    assert_eq!(decays, [("local3.weight", 0.004), ("local4.weight", 0.004)]);
}

#[test]
fn the_zoo_has_the_weights_that_it_says() {
    let lenet = [
        ("conv1.weight", 500),
        ("conv2.weight", 25_000),
        ("fc1.weight", 400_000),
        ("fc2.weight", 5_000),
    ];
    let grey = Input { shape: vec![28, 28], ..image([1; 3]) };
    check_masked("lenet5", &grey, &lenet);
    check_masked("lenet5", &image([28, 28, 1]), &lenet);
    check_masked(
        "mlp:300-100",
        &grey,
        &[("fc1.weight", 235_200), ("fc2.weight", 30_000), ("fc3.weight", 1_000)],
    );
    let lstm = [("lstm1.weight", 64 * 128), ("lstm2.weight", 64 * 128), ("fc1.weight", 32 * 65)];
    check_masked("charlstm:32x2", &text(20), &lstm);
    check_masked(
        "chargpt:16x1x2",
        &text(20),
        &[
            ("attention1.qkv.weight", 768),
            ("attention1.out.weight", 256),
            ("fc1.weight", 1_024),
            ("fc2.weight", 1_024),
            ("fc3.weight", 1_040),
        ],
    );
}

#[test]
fn names_and_layers_survive_text() {
    for name in ["mlp:300-100", "lenet5", "cifar10", "charlstm:128x2", "chargpt:64x2x4"] {
        let model: Model = name.parse().unwrap();
        assert_eq!(model.to_string(), name);
        // The same as a stack of one's own, which is another text.
        let layers = Model::Layers(model.layers());
        assert_eq!(layers.to_string().parse::<Model>().unwrap(), layers, "{name}");
        let toml =
            toml::to_string(&std::collections::BTreeMap::from([("model", &layers)])).unwrap();
        let mut back: std::collections::BTreeMap<String, Model> = toml::from_str(&toml).unwrap();
        assert_eq!(back.remove("model").unwrap(), layers, "{toml}");
    }
    assert_eq!("charlstm:64".parse::<Model>().unwrap().to_string(), "charlstm:64x1");
}

/// The input of the layers is added to what they make of it.
#[test]
fn a_residual_leaps_over_its_layers() {
    let layers = vec![Linear::new(4).activation(Activation::Identity).into()];
    let model = Model::Layers(vec![Residual::new(layers).into()]);
    let network = model.network(2, &Input::flat(4, 4)).unwrap();
    let nodes = network.graph.nodes();
    let sum = nodes.iter().find(|n| matches!(n.op, Op::Add(_))).expect("a sum");
    assert_eq!(sum.inputs[0], network.features);
    assert!(matches!(nodes[sum.inputs[1].index()].op, Op::Matmul(_)));
}

#[test]
fn what_does_not_fit_is_named() {
    let refused = |result: secateur::Result<secateur::nn::Network>, what: &[&str]| {
        let error = result.expect_err("refused").to_string();
        what.iter().for_each(|what| assert!(error.contains(what), "{error} lacks {what}"));
    };
    refused(Model::Lenet5.network(2, &image([8, 8, 1])), &["conv2d", "[5, 5]", "[2, 2]"]);
    refused(Model::Lenet5.network(2, &text(20)), &["conv1", "rank 2"]);
    refused(Model::Cifar10.network(0, &image([24, 24, 3])), &["batch", "0 must be 1"]);
    let gpt: Model = "chargpt:10x1x4".parse().unwrap();
    refused(gpt.network(2, &text(5)), &["attention", "10 channels", "4 heads"]);
    refused(Model::mlp(&[4]).network(2, &text(5)), &["mlp:4", "1 answers a row", "5 labels a row"]);
    let twice = Linear::new(10).name(Some("a".into()));
    let stack = Model::Layers(vec![twice.clone().into(), twice.into()]);
    refused(stack.network(2, &Input::flat(10, 10)), &["a.weight", "there already"]);
    let negative = Linear::logits().weight_decay(-1.0);
    let stack = Model::Layers(vec![negative.into()]);
    refused(stack.network(2, &Input::flat(10, 10)), &["weight_decay", "-1 must be at least 0"]);
    refused(Model::Layers(vec![]).network(2, &Input::flat(9, 10)), &["9 classes", "of 10 classes"]);

    let wrong = |text: &str, what: &str| {
        let error = text.parse::<Model>().unwrap_err().to_string();
        assert!(error.contains(what), "{error} lacks {what}");
    };
    wrong("lenet", "`lenet` is not a model; known: mlp:WIDTH");
    wrong("mlp:", "is not a model");
    wrong("charlstm:0", "`0` in `charlstm:0`");
    wrong("chargpt:64x2", "is not a model");
    wrong(r#"layers:[{"kind":"linear","outputz":3}]"#, "outputz");
    wrong(r#"layers:[{"kind":"liner"}]"#, "liner");
}

/// Layers that turn alike share one table; those of another base or of other heads have their own.
#[test]
fn rotary_layers_share_their_table() {
    let attention =
        |heads, base| -> Layer { Attention::new(heads).rotary(true).rotary_base(base).into() };
    let layers = vec![
        Embedding::new(8, false).into(),
        attention(2, 10_000.0),
        attention(2, 10_000.0),
        attention(2, 100.0),
        attention(1, 100.0),
        Linear::logits().into(),
    ];
    let network = Model::Layers(layers).network(2, &text(5)).unwrap();
    let tables: Vec<usize> = network.graph.constants().iter().map(|table| table.len()).collect();
    let turns = |pairs| network.graph.shape(network.features).dims()[1] as usize * pairs * 2;
    assert_eq!(tables, [turns(2), turns(2), turns(4)]);
    let odd = vec![
        Embedding::new(6, false).into(),
        Attention::new(2).rotary(true).into(),
        Linear::logits().into(),
    ];
    let error = Model::Layers(odd).network(2, &text(5)).unwrap_err().to_string();
    assert!(error.contains("heads of 3 channels have no pairs to turn"), "{error}");
}
