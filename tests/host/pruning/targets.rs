//! What each tensor is pruned to: rules, budgets, groups.
use proptest::prelude::*;
use secateur::graph::{Graph, Parameter};
use secateur::nn::{Input, Model};
use secateur::prune::{Targets, pruned_count};

use super::spec;

const LENET: &[(&str, [u32; 2])] = &[("fc1", [784, 300]), ("fc2", [300, 100]), ("fc3", [100, 10])];

/// A network of these masked matrices, each with a bias.
fn parameters(layers: &[(&str, [u32; 2])]) -> Vec<Parameter> {
    let mut graph = Graph::default();
    for (name, shape) in layers {
        let weight = graph.parameter(format!("{name}.weight"), *shape).unwrap();
        graph.apply_mask(weight).unwrap();
        graph.parameter(format!("{name}.bias"), [shape[1]]).unwrap();
    }
    graph.parameters().to_vec()
}

fn targets(text: &str) -> Result<Targets, String> {
    let spec = spec(text);
    spec.validate().map_err(|e| e.to_string())?;
    Targets::new(&spec, &parameters(LENET)).map_err(|e| e.to_string())
}

fn sparsities(text: &str, total: f64) -> Vec<f64> {
    targets(text).unwrap_or_else(|e| panic!("{text}: {e}")).sparsities(total)
}

fn close(got: &[f64], want: &[f64]) {
    let near = got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12);
    assert!(near && got.len() == want.len(), "{got:?} is not {want:?}");
}

#[test]
fn uniform_is_the_same_for_all() {
    close(&sparsities("target_sparsity=0.9", 0.4), &[0.4, 0.4, 0.4]);
}

#[test]
fn a_map_gives_targets_of_their_own() {
    // As upstream: in proportion to the target, when all start from 0.
    let map = "target_sparsity=0.8,weight_sparsity_map=[fc1:0.4, weight$:0.6]";
    assert!(targets(map).unwrap_err().contains("fc1.weight is matched by `fc1:0.4` and by"));
    let map = "target_sparsity=0.8,weight_sparsity_map=[fc1:0.4]";
    close(&sparsities(map, 0.4), &[0.2, 0.4, 0.4]);
    close(&sparsities(map, 0.8), &[0.4, 0.8, 0.8]);
    // From any initial sparsity, down too.
    let map = "initial_sparsity=0.5,target_sparsity=0.9,weight_sparsity_map=[fc1:0.3,fc2:0.7]";
    close(&sparsities(map, 0.5), &[0.3, 0.5, 0.5]);
    close(&sparsities(map, 0.7), &[0.3, 0.6, 0.7]);
    close(&sparsities(map, 0.9), &[0.3, 0.7, 0.9]);
    // A schedule that stands still is at its end.
    let map = "initial_sparsity=0.5,target_sparsity=0.5,weight_sparsity_map=[fc1:0.3]";
    close(&sparsities(map, 0.5), &[0.3, 0.5, 0.5]);
    assert!(
        targets("weight_sparsity_map=[fc9:0.3]")
            .unwrap_err()
            .contains("matches none of fc1.weight, fc2")
    );
}

#[test]
fn first_and_last_layer_have_rules() {
    let rules =
        targets("target_sparsity=0.9,first_layer_sparsity=0.5,last_layer_sparsity=0").unwrap();
    close(&rules.sparsities(0.9), &[0.5, 0.9]);
    assert!(rules.prunes("fc1.weight") && !rules.prunes("fc3.weight"));
    // The map says more than the rule.
    let both = "target_sparsity=0.9,last_layer_sparsity=0,weight_sparsity_map=[fc3:0.6]";
    close(&sparsities(both, 0.9), &[0.9, 0.9, 0.6]);
    let none = targets("do_not_prune=[fc1,fc2],last_layer_sparsity=0").unwrap_err();
    assert!(none.contains("nothing to prune"), "{none}");
}

#[test]
fn scope_and_groups_say_what_is_ranked_together() {
    let selections = |text| targets(text).unwrap().selections();
    assert_eq!(selections(""), [vec![0], vec![1], vec![2]]);
    assert_eq!(selections("scope=global"), [vec![0, 1, 2]]);
    assert_eq!(selections("scope=global,last_layer_sparsity=0.5"), [vec![0, 1], vec![2]]);
    assert_eq!(selections("groups=[ends:fc1,ends:fc3]"), [vec![0, 2], vec![1]]);
    assert_eq!(selections("groups=[a:fc2|fc3]"), [vec![0], vec![1, 2]]);
    assert_eq!(selections("groups=[a:fc2|fc3],scope=global"), [vec![0], vec![1, 2]]);
    assert!(
        targets("groups=[a:fc1,b:fc]").unwrap_err().contains("matched by `a:fc1` and by `b:fc`")
    );
    assert!(targets("groups=[a:conv]").unwrap_err().contains("matches none of"));
}

#[test]
fn channels_leave_the_last_layer_dense() {
    let channels = targets("pattern=channel").unwrap();
    assert!(channels.prunes("fc2.weight") && !channels.prunes("fc3.weight"));
    close(&sparsities("pattern=channel,last_layer_sparsity=0.3", 0.5), &[0.5, 0.5, 0.3]);
    assert!(targets("block_dims_map=[fc:2x2,fc1:4x4]").unwrap_err().contains("matched by"));
    assert!(targets("block_dims_map=[conv:2x2]").unwrap_err().contains("matches none of"));
}

/// One rule with files: a weight whose inputs M does not divide stays dense.
#[test]
fn what_m_does_not_divide_stays_dense() {
    let skipped = |targets: &Targets| -> Vec<(String, u32)> {
        targets.skipped().iter().map(|s| (s.name.clone(), s.inputs)).collect()
    };
    assert!(skipped(&targets("pattern=2:4").unwrap()).is_empty());
    let some = targets("pattern=1:8,target_sparsity=0.875").unwrap();
    assert!(some.prunes("fc1.weight") && !some.prunes("fc2.weight"));
    let both = [("fc2.weight".to_owned(), 300), ("fc3.weight".to_owned(), 100)];
    assert_eq!(skipped(&some), both);
    // What is left out anyway is not among them.
    let fewer = targets("pattern=1:8,target_sparsity=0.875,do_not_prune=[fc3]").unwrap();
    assert_eq!(skipped(&fewer), both[..1]);
    let none = targets("pattern=1:32,target_sparsity=0.96875").unwrap_err();
    assert!(none.contains("1:32") && none.contains("fc1.weight with 784 inputs"), "{none}");
    // Of a convolution its channels: one image of one colour is no group of 4.
    let network = Model::Lenet5.network(1, &Input { shape: vec![28, 28], ..Input::flat(784, 10) });
    let graph = network.unwrap().graph;
    let lenet5 = Targets::of(&spec("pattern=2:4"), &graph, 1).unwrap();
    assert_eq!(skipped(&lenet5), [("conv1.weight".to_owned(), 1)]);
}

/// From the definition: densities in proportion to (n_in + n_out) / (n_in n_out), one factor for
/// all, the total as asked.
#[test]
fn erk_divides_by_extents() {
    let got = sparsities("budget=erk,target_sparsity=0.9", 0.9);
    let (lens, sums) = ([235_200.0, 30_000.0, 1_000.0], [1084.0, 400.0, 110.0]);
    // fc3 would be denser than dense: it stays dense, and the others share the rest.
    let left = 26_620.0 - lens[2];
    let scale = left / (sums[0] + sums[1]);
    close(&got, &[1.0 - scale * sums[0] / lens[0], 1.0 - scale * sums[1] / lens[1], 0.0]);
    close(&sparsities("budget=erk", 0.0), &[0.0; 3]);
    close(&sparsities("budget=erk", 1.0), &[1.0; 3]);
    let own = sparsities("budget=erk,target_sparsity=0.9,last_layer_sparsity=0.3", 0.9);
    close(&own[2..], &[0.3]);
}

#[test]
fn a_target_for_the_whole_network_is_met() {
    let kept = |text: &str| {
        let targets = targets(text).unwrap();
        let lens = [235_200, 30_000, 1_000];
        let sparsities = targets.sparsities(targets.target());
        lens.iter().zip(sparsities).map(|(&n, s)| n - pruned_count(n, s)).sum::<u64>()
    };
    // 410 biases stay.
    for budget in ["uniform", "erk"] {
        let left = kept(&format!("target_parameters=20000,budget={budget}")) + 410;
        assert!(left.abs_diff(20_000) <= 3, "{budget}: {left}");
        let flops = 2 * kept(&format!("target_flops=20000,budget={budget}"));
        assert!(flops.abs_diff(20_000) <= 6, "{budget}: {flops}");
    }
    assert_eq!(kept("target_parameters=266610"), 266_200);
    assert_eq!(kept("target_parameters=410"), 0);
    let dense_last = "target_parameters=20000,last_layer_sparsity=0";
    assert!(
        targets(dense_last).unwrap().target()
            > targets("target_parameters=20000").unwrap().target()
    );
    let few = targets("target_parameters=409").unwrap_err();
    assert!(few.contains("409") && few.contains("410") && few.contains("266610"), "{few}");
    assert!(targets("target_flops=532401").unwrap_err().contains("532400"));
}

proptest! {
    /// The total is as asked, whatever the shapes, and no tensor is denser than dense.
    #[test]
    fn erk_meets_the_total(
        shapes in prop::collection::vec((1u32..500, 1u32..500), 1..8), total in 0.0f64..=1.0,
    ) {
        let names: Vec<String> = (0..shapes.len()).map(|i| format!("fc{i}")).collect();
        let layers: Vec<(&str, [u32; 2])> =
            names.iter().zip(&shapes).map(|(n, &(a, b))| (n.as_str(), [a, b])).collect();
        let targets = Targets::new(&spec("budget=erk"), &parameters(&layers)).unwrap();
        let sparsities = targets.sparsities(total);
        prop_assert!(sparsities.iter().all(|s| (-1e-12..=1.0).contains(s)), "{:?}", sparsities);
        let lens: Vec<f64> = shapes.iter().map(|&(a, b)| f64::from(a) * f64::from(b)).collect();
        let pruned: f64 = lens.iter().zip(&sparsities).map(|(n, s)| n * s).sum();
        let asked = total * lens.iter().sum::<f64>();
        prop_assert!((pruned - asked).abs() <= 1e-9 * (1.0 + asked), "{} of {}", pruned, asked);
    }
}
