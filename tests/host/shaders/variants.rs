//! Launches that set the constants of optimizers and of what layers are made of.
use secateur::gpu::{PlanBuilder, Slot};
use secateur::graph::{Shape, Stored, Weight};
use secateur::kernels::*;
use secateur::optim::Update;

/// The optimizers that differ from Adam in their operands, and what clips gradients.
pub fn how_weights_move(plan: &mut PlanBuilder, on: Weights, [first, second]: [Slot; 2]) {
    let (gradient, len, bits) = (on.gradient, on.len, on.mask.map(|(bits, _)| bits));
    let [decay, momentum, epsilon, initial, l2] = [0.5; 5];
    let (mean_square, velocity) = (first, second);
    plan.push(RmsPropUpdate { on, mean_square, velocity, decay, momentum, epsilon, l2 }).unwrap();
    let squares = first;
    plan.push(AdagradUpdate { on, squares, initial, epsilon, l2 }).unwrap();
    let (beta1, beta2) = (0.9, 0.99);
    plan.push(LionUpdate { on, first, beta1, beta2, decay, l2 }).unwrap();
    let (partials, value, multiplier) = (second, Some(1.0), 1.0);
    plan.push(GradientNorm { gradient, mask: bits, partials, first: 0, len }).unwrap();
    plan.push(ClipValue { gradient, len, multiplier, value }).unwrap();
}

/// Every optimizer over two tensors, one of them with a mask.
pub fn together(plan: &mut PlanBuilder, step: Slot) {
    for name in ["sgd", "momentum", "adam", "adamw", "rmsprop", "adagrad", "lion"] {
        let optimizer = Optimizer::named(name, 0.1).unwrap();
        let mut update = |masked: bool| {
            let mut slot = |name| plan.persistent(name, 8);
            let [values, mask, gradient] = ["values", "mask", "gradient"].map(&mut slot);
            let slots = optimizer.slots().iter().map(|name| (*name, slot(*name))).collect();
            let zero = Stored::pruned(values, mask, Pruned::Zero);
            let stored = if masked { zero } else { values.into() };
            let weight = Weight::new("weights", Shape::new([8]), stored).with_slots(slots);
            Update::new(weight, gradient, step)
        };
        let updates = [true, false].map(&mut update);
        optimizer.push_all(plan, &updates).unwrap();
    }
}

/// The variants of what layers are made of.
pub fn layers(plan: &mut PlanBuilder, [a, b, mask, c]: [Slot; 4], shape: Convolution) {
    plan.push(Activate { x: a, activation: Activation::Gelu, out: c, len: 1 }).unwrap();
    let (shape, pooling) = (Convolution { kernel: [1, 1], ..shape }, Pooling::Mean);
    plan.push(Pool { shape, pooling, x: a, y: c }).unwrap();
    plan.push(PoolGradient { shape, pooling, gradient: a, x: b, out: c }).unwrap();
    let rows = Rows { rows: 1, columns: 1, epsilon: 1.0, centred: true };
    plan.push(Normalise { rows, x: a, y: c }).unwrap();
    plan.push(NormaliseGradient { rows, gradient: a, x: b, out: c }).unwrap();
    let (positions, rows, columns) = (40_000, 1, 1);
    let (tokens, table, masked) = (a, b, Some(mask));
    plan.push(Embedding { tokens, table, mask: masked, out: c, positions, rows, columns }).unwrap();
    TableGradient { tokens, gradient: b, out: c, positions, rows, columns }.push(plan).unwrap();
    let shape = Heads::new([1, 2, 1, 1]).kv_heads(1).causal(true).window(Some(1)).masked(true);
    let of = Attended { shape, queries: a, keys: b, values: b, seen: Some(mask) };
    let logs = plan.persistent("logs", shape.queries());
    Attention { of, logs, out: c }.push(plan).unwrap();
    let one = |form, adds| Matvec {
        form,
        a,
        b,
        bias: Some(mask),
        activation: Activation::Gelu,
        c,
        n: 4,
        k: 4,
        adds,
    };
    plan.push(one(Form::NT, true)).unwrap();
    // A window, and a team of all invocations.
    let heads = Heads::new([1, 1, 1, 256]).causal(true).window(Some(1));
    let shape = CachedHeads { heads, capacity: 1 };
    let [queries, keys, values] = ["q", "k", "v"].map(|name| plan.persistent(name, 256));
    let (positions, out) = (a, plan.persistent("out", 256));
    plan.push(CacheRows {
        shape,
        keys: out,
        values: out,
        positions,
        to_keys: keys,
        to_values: values,
    })
    .unwrap();
    plan.push(AttentionCached { shape, queries, keys, values, positions, out }).unwrap();
    let shape = Turned {
        rows: 1,
        length: 1,
        channels: 2,
        turned: 2,
        width: 2,
        pairs: 1,
        interleaved: true,
    };
    plan.push(Rotary { shape, x: a, table: b, out: c, back: true }).unwrap();
    let [batch, classes, repeat] = [1, 2_000, 1];
    let (logits, labels, step, right) = (a, b, mask, c);
    plan.push(TopK { logits, labels, step, right, batch, classes, repeat, k: 1 }).unwrap();
    let correct = c;
    plan.push(Correct { logits, labels, step, correct, batch, classes, repeat }).unwrap();
    super::recurrent::variants(plan, [a, b, mask, c]);
    outputs_first(plan, [a, b, mask, c]);
    let rows = plan.persistent("rows", of.shape.rows());
    let shape = of.shape;
    plan.push(AttentionRows { shape, logs, result: a, gradient: b, rows }).unwrap();
    AttentionQueryGradient { of, gradient: b, rows, out: c }.push(plan).unwrap();
    AttentionKeyGradient { of, gradient: b, rows, out: c, member: 0 }.push(plan).unwrap();
    // So many positions are added up part by part.
    let shape = Heads::new([1, 1, 40_000, 1]);
    let of = Attended { shape, queries: a, keys: b, values: b, seen: None };
    let [logs, rows] = [shape.queries(), shape.rows()].map(|words| plan.persistent("rows", words));
    Attention { of, logs, out: c }.push(plan).unwrap();
    AttentionQueryGradient { of, gradient: b, rows, out: c }.push(plan).unwrap();
    // Wide heads have wide slices, but for their keys.
    let shape = Heads::new([1, 1, 1, 128]);
    let of = Attended { shape, ..of };
    Attention { of, logs, out: c }.push(plan).unwrap();
    AttentionQueryGradient { of, gradient: b, rows, out: c }.push(plan).unwrap();
    AttentionKeyGradient { of, gradient: b, rows, out: c, member: 0 }.push(plan).unwrap();
}

/// What looks at the output units of a matrix, which may be its first axis.
fn outputs_first(plan: &mut PlanBuilder, [values, counts, mask_state, mask]: [Slot; 4]) {
    let (of, selection) = (Units::new([1, 1]).layout(Layout::OutIn), 0);
    NmMask { values, counts, selection, mask_state, mask, of, m: 4 }.push(plan).unwrap();
    let blocks = Blocks { rows: 1, columns: 1, height: 1, width: 1 };
    BlockMask { block_mask: values, mask_state, mask, blocks }.push(plan).unwrap();
    ThresholdMask { values, mask_state, mask, len: 1 }.push(plan).unwrap();
    plan.push(UnitMask { values, counts, selection, mask_state, mask, of }).unwrap();
    let (peaks, protect) = (mask_state, mask);
    plan.push(UnitPeak { values, peaks, of }).unwrap();
    plan.push(UnitFloor { peaks, protect, of }).unwrap();
    plan.push(Wanda { weights: values, norm: counts, score: mask, of }).unwrap();
    let on = AdmmOperands {
        weights: values,
        scale: counts,
        product: values,
        dual: mask_state,
        of,
        first: true,
    };
    plan.push(AdmmScore { on, score: mask }).unwrap();
    let difference = plan.persistent("difference", 1);
    plan.push(AdmmStep { on, mask, difference }).unwrap();
    let (weights, errors) = (difference, plan.persistent("errors", 2));
    let on = AdmmOperands { weights, first: false, ..on };
    plan.push(AdmmEnd { on, mask }).unwrap();
    let (factor, block) = (values, InputBlock { first: 0, count: 2, diagonal: 0 });
    let (of, goes) = (Units::new([2, 1]).layout(Layout::OutIn), Goes::Groups { n: 1, m: 2 });
    let weights = plan.persistent("weights", 2);
    plan.push(ObsSweep { factor, goes, weights, errors, mask, mask_state, of, block }).unwrap();
}

/// Products of halves, of few and of many cooperative matrices.
pub fn halves(plan: &mut PlanBuilder, [a, b, mask, bias, gate, c]: [Slot; 6]) {
    let peaks = plan.persistent("peaks", 2);
    plan.push(F16Begin { peaks }).unwrap();
    let [large_a, large_c] = [32 * 2048, 2048 * 2048].map(|words| plan.persistent("l", words));
    let copy = F16Copy { mask: Some(mask), ..F16Copy::new([a, peaks, b], 0, [1, 1]) };
    plan.push(copy).unwrap();
    let half = |copy, at| F16Operand { copy, at };
    let (activation, at) = (Activation::Tanh, half);
    for (form, k) in [(Form::TN, 40_000), (Form::NT, 1)] {
        let (a, b, bias, gate) =
            (at(large_a, 0), at(large_a, 1), Some(bias), Some((gate, activation)));
        let long = plan.persistent("long", 16 * 40_000 / 2);
        let [a, b] = if k > 1 { [half(long, 0), half(long, 1)] } else { [a, b] };
        let mut product = F16Matmul::new(form, [a, b], [peaks, c], [1, 1, k]);
        (product.bias, product.activation, product.gate) = (bias, activation, gate);
        product.push(plan).unwrap();
    }
    let operands = [half(large_a, 0), half(large_a, 1)];
    let mut product = F16Matmul::new(Form::NN, operands, [peaks, large_c], [2048, 2048, 1]);
    product.activation = activation;
    product.push(plan).unwrap();
    let blocks = F16Copy { block: 2, ..F16Copy::new([a, peaks, large_a], 0, [4, 1]) };
    plan.push(blocks).unwrap();
    images_of_halves(plan, [peaks, bias, gate, c]);
}

/// Convolutions of halves: with strides and many terms, and of many pixels.
fn images_of_halves(plan: &mut PlanBuilder, [peaks, bias, gate, c]: [Slot; 4]) {
    let one = Convolution {
        images: 1,
        size: [1, 1],
        channels: 1,
        kernel: [60, 60],
        stride: [2, 1],
        dilation: [1, 1],
        pad: [0, 0],
        out: [1, 1],
        outputs: 1,
        groups: 1,
    };
    let size = [512, 256];
    let large = Convolution { size, out: size, kernel: [1, 1], outputs: 256, ..one };
    let [images, kernel, large_c] =
        [1 << 20, 3_600, 1 << 25].map(|words| plan.persistent("l", words));
    let half = |copy, at| F16Operand { copy, at };
    let activation = Activation::Tanh;
    for (form, shape, c) in
        [(Form::NT, one, c), (Form::TN, one, kernel), (Form::NN, large, large_c)]
    {
        let mut product =
            F16Conv2d::new(form, shape, [half(images, 0), half(images, 1)], [peaks, c]);
        product.activation = activation;
        if form == Form::NT {
            (product.bias, product.gate) = (Some(bias), Some((gate, activation)));
        }
        product.push(plan).unwrap();
    }
}

/// Products that leave out terms, as [`Matmul`] has them.
pub fn live(plan: &mut PlanBuilder, [a, b, mask, bias, gate, c]: [Slot; 6]) {
    let of = Units::new([1, 1]).layout(Layout::OutIn);
    plan.push(LiveInputs { mask, live: c, of }).unwrap();
    let activation = Activation::Tanh;
    for (form, terms, k) in [
        (Form::TN, LiveTerms::Inputs, 40_000),
        (Form::NT, LiveTerms::Units, 1),
        (Form::TN, LiveTerms::RowsOfInputs, 1),
        (Form::TN, LiveTerms::RowsOfUnits, 1),
    ] {
        let live = Live { slot: gate, terms };
        let mut product = Matmul::new(form, [a, b, c], [1, 1, k]);
        (product.mask, product.bias, product.activation) = (Some(mask), Some(bias), activation);
        product.gate = Some((gate, activation));
        LiveMatmul::new(product, live).push(plan).unwrap();
        LiveMatmul::new(product, live).push_onto(plan).unwrap();
        (product.gate, product.c) = (None, plan.persistent("large", 2048 * 2048));
        (product.m, product.n, product.k) = (2048, 2048, 1);
        LiveMatmul::new(product, live).push(plan).unwrap();
    }
}

/// Products with packed matrices: every row of one on a software adapter, halves, and blocks for many
/// rows.
pub fn packed(plan: &mut PlanBuilder, [a, bias, c]: [Slot; 3]) {
    let of = Units::new([1000, 1]).layout(Layout::OutIn);
    let weights = [&[1.0; 400][..], &[0.0; 600]].concat();
    let sparse: Vec<f32> = (0..1000).map(|i| if i % 100 == 0 { 1.0 } else { 0.0 }).collect();
    for form in PackedForm::ALL {
        for weights in [&weights, &sparse] {
            let (values, target) = (PackedValues::F16, plan.target());
            let matrix = PackedMatrix::pack(form, of, weights, values, target).unwrap();
            let b = matrix.declare(plan, "packed");
            let mut product = PackedProduct::new(a, b, c, 3);
            (product.bias, product.activation) = (Some(bias), Activation::Tanh);
            product.onto = true;
            product.push(plan).unwrap();
        }
    }
    let kept = KeptBlocks::of(&[1.0; 480], Units::new([12, 40]), [3, 8]).unwrap();
    let matrix = PackedMatrix::of_blocks(&kept, PackedValues::F16).unwrap();
    for m in [3, 100] {
        PackedProduct::new(a, matrix.declare(plan, "packed"), c, m).push(plan).unwrap();
    }
}
