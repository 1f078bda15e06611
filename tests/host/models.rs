//! Models by name and by layers: their weights, their text, what does not fit.
use secateur::graph::Graph;
use secateur::nn::layers::*;
use secateur::nn::{Input, Model};

fn text(length: usize) -> Input {
    Input { shape: vec![length], places: length, classes: 65 }
}

fn image(shape: [usize; 3]) -> Input {
    Input { shape: shape.to_vec(), places: 1, classes: 10 }
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

/// A stack of every kind of layer for images, and one for sequences, as a recipe declares them.
#[test]
fn every_layer_can_be_declared() {
    let images = r#"
        [[model]]
        kind = "conv"
        outputs = 8
        kernel = [3, 3]
        stride = [2, 2]
        padding = "valid"
        normalizer = "batch_norm"
        [[model]]
        kind = "conv"
        name = "depthwise"
        outputs = 8
        kernel = [3, 3]
        groups = 8
        dilation = [2, 2]
        padding = { explicit = [[2, 2], [2, 2]] }
        activation = "identity"
        masked = false
        [[model]]
        kind = "activate"
        activation = "silu"
        [[model]]
        kind = "local_response_norm"
        radius = 2
        bias = 1.0
        alpha = 0.1
        beta = 0.75
        [[model]]
        kind = "residual"
        [[model.layers]]
        kind = "conv"
        outputs = 8
        kernel = [1, 1]
        [[model.layers]]
        kind = "batch_norm"
        decay = 0.9
        [[model]]
        kind = "pool"
        pooling = "max"
        window = [2, 2]
        [[model]]
        kind = "pool"
        pooling = "mean"
        window = [3, 3]
        stride = [1, 1]
        padding = "same"
        [[model]]
        kind = "dropout"
        rate = 0.5
        [[model]]
        kind = "global_mean_pool"
        [[model]]
        kind = "flatten"
        [[model]]
        kind = "linear"
        outputs = 12
        bias_init = 0.1
        weight_decay = 0.004
        init = { truncated_normal = 0.04 }
        [[model]]
        kind = "softmax"
        [[model]]
        kind = "linear"
        activation = "identity"
        bias = false
        init = "he"
    "#;
    let sequences = r#"
        [[model]]
        kind = "embedding"
        outputs = 12
        positions = true
        masked = true
        [[model]]
        kind = "conv"
        outputs = 12
        kernel = [1, 3]
        [[model]]
        kind = "lstm"
        units = 9
        peepholes = true
        projection = 6
        cell_clip = 10.0
        projection_clip = 3.0
        [[model]]
        kind = "gru"
        units = 8
        [[model]]
        kind = "rms_norm"
        [[model]]
        kind = "attention"
        heads = 2
        causal = false
        [[model]]
        kind = "layer_norm"
        epsilon = 0.001
        [[model]]
        kind = "linear"
        activation = "identity"
        normalizer = "rms_norm"
    "#;
    #[derive(serde::Deserialize)]
    struct Recipe {
        model: Model,
    }
    for (toml, input, parameters) in [(images, image([13, 11, 3]), 14), (sequences, text(7), 24)] {
        let model = toml::from_str::<Recipe>(toml).unwrap().model;
        let network = model.network(4, &input).unwrap();
        let names: Vec<_> = network.graph.parameters().iter().map(|p| &p.name).collect();
        assert_eq!(names.len(), parameters, "{names:?}");
        let mut graph = network.graph.clone();
        let gradients = secateur::graph::gradients(&mut graph, network.loss).unwrap();
        let trained = network.graph.parameters().iter().zip(&gradients);
        for (p, gradient) in trained {
            assert_eq!(p.trainable, gradient.is_some(), "{}", p.name);
        }
        assert_eq!(model.to_string().parse::<Model>().unwrap(), model);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let refused = |result: secateur::Result<secateur::nn::Network>, what: &[&str]| {
        let error = result.err().expect("refused").to_string();
        what.iter().for_each(|what| assert!(error.contains(what), "{error} lacks {what}"));
    };
    refused(Model::Lenet5.network(2, &image([8, 8, 1])), &["conv2d", "[5, 5]", "[2, 2]"]);
    refused(Model::Lenet5.network(2, &text(20)), &["conv1", "rank 2"]);
    refused(Model::Cifar10.network(0, &image([24, 24, 3])), &["batch", "0 must be 1"]);
    let gpt: Model = "chargpt:10x1x4".parse().unwrap();
    refused(gpt.network(2, &text(5)), &["attention", "30 channels", "4 heads"]);
    refused(Model::mlp(&[4]).network(2, &text(5)), &["mlp:4", "1 answers a row", "5 labels a row"]);
    let twice = Linear { name: Some("a".into()), ..Linear::new(10) };
    let stack = Model::Layers(vec![twice.clone().into(), twice.into()]);
    refused(stack.network(2, &Input::flat(10, 10)), &["a.weight", "there already"]);
    let negative = Linear { weight_decay: -1.0, ..Linear::logits() };
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
