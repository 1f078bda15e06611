//! Counts of this crate's kernels that stay, or get better.
use secateur::bench::model::{KernelRow, LATENCY, ModelRow, Modelled, SLOTS, model, subjects};
use secateur::kernels::{
    Attended, Attention, AttentionKeyGradient, AttentionQueryGradient, Conv2d, Convolution, Form,
    Heads, MASK_STATE_WORDS, Matmul, Ranked, Selection, mask_words,
};

use super::{h100, launches, launches_in};

fn row(name: &str) -> ModelRow {
    let [subject] = &subjects(name)[..] else { panic!("{name}") };
    model(subject, h100()).unwrap()
}

fn kernel<'a>(row: &'a ModelRow, name: &str) -> &'a KernelRow {
    row.kernels.iter().find(|k| k.modelled.kernel == name).unwrap()
}

/// Each tile loads its rows and columns once, and reads workgroup memory in vectors.
#[test]
fn products_in_tiles() {
    let terms = 32_u32;
    for (n, tile, registers) in [(128, 32.0, 64.0), (1024, 64.0, 64.0), (4096, 128.0, 112.0)] {
        for form in [Form::NN, Form::NT, Form::TN] {
            let [product] = &launches(|plan| {
                let words = [n * terms, n * terms, n * n];
                let [a, b, c] = words.map(|words| plan.persistent("", words));
                Matmul::new(form, [a, b, c], [n, n, terms]).push(plan).unwrap();
            })[..] else {
                panic!("one launch");
            };
            let of = product.of_workgroup;
            let made = tile * tile * f64::from(terms);
            assert_eq!(of.multiply_adds, made, "{form:?} {n}");
            // Of rows and of columns, a word each.
            assert_eq!(of.unique_sectors * 32.0 / made, 8.0 / tile, "{form:?} {n}");
            assert_eq!(of.loop_divisions, 0.0);
            assert!(of.registers <= registers, "{form:?} {n}: {}", of.registers);
            // Two vectors of four a term for 16 multiply-adds, or four for 64; and the staging.
            let read = if tile > 100.0 { 1.0 } else { 2.0 };
            assert_eq!(of.shared_bytes / made, read + 8.0 / tile, "{form:?} {n}");
        }
    }
}

/// Eight subgroups share tiles of 256 x 128 sums, half of an H100's registers: each half of an
/// operand is loaded once for 128 or 256 multiply-adds. 128 FLOP a byte would take 256 x 256 sums,
/// which are all of its registers.
#[test]
fn products_on_cooperative_matrices_share_tiles() {
    let row = row("f16 matmul NN 4096");
    let product = kernel(&row, "f16_matmul");
    let of = product.modelled.of_workgroup;
    assert_eq!((product.modelled.variant, product.modelled.invocations), (Some("coop_16"), 8 * 32));
    assert!(product.flops_per_byte >= 85.0, "{}", product.flops_per_byte);
    assert_eq!(of.matrix_multiply_adds, 256.0 * 128.0 * 4096.0);
    // Whole sectors, no clashes between banks beyond what staging has, and no multiply-add of a lane.
    assert!(of.shared_passes * 128.0 / of.shared_bytes < 1.2, "{of:?}");
    assert_eq!((of.multiply_adds, of.loop_divisions), (0.0, 0.0));
    // What a lane of NVIDIA's has.
    assert!(product.registers < 255.0, "{}", product.registers);
    assert!(row.seconds < 265e-6, "{} s", row.seconds);
}

/// Fours of halves from one pixel to the next, of neighbouring lanes together, and no sums past the
/// edges: 64 outputs are one tile wide.
#[test]
fn convolutions_over_halves_step_without_divisions() {
    let needed = 100_352.0 * 64.0 * 576.0;
    for (form, seconds) in [("forward", 35e-6), ("input", 35e-6), ("weight", 45e-6)] {
        let row = row(&format!("conv2d f16 {form}"));
        let product = kernel(&row, "f16_conv2d");
        let of = product.modelled.of_workgroup;
        assert_eq!(product.modelled.variant, Some("coop_16"), "{form}");
        assert_eq!((of.multiply_adds, of.loop_divisions), (0.0, 0.0), "{form}");
        // Parts of a sum end within a tile of terms.
        let made = of.matrix_multiply_adds * product.modelled.workgroups;
        assert!((needed..1.01 * needed).contains(&made), "{form}: {}", made / needed);
        assert!(product.sectors_per_load <= 8.0, "{form}: {}", product.sectors_per_load);
        assert!(product.registers < 255.0, "{form}: {}", product.registers);
        assert!(row.seconds < seconds, "{form}: {} s", row.seconds);
    }
}

#[test]
fn convolutions_step_without_divisions() {
    let shape = Convolution {
        images: 4,
        size: [16, 16],
        channels: 16,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        out: [16, 16],
        outputs: 32,
        groups: 1,
    };
    let lens = [shape.input_len(), shape.weight_len(), shape.output_len()];
    for form in [Form::NN, Form::NT, Form::TN] {
        let all = launches(|plan| {
            let [x, w, y] = lens.map(|words| plan.persistent("", words as u32));
            let of = match form {
                Form::NN => [x, w, y],
                Form::NT => [y, w, x],
                Form::TN => [x, y, w],
            };
            Conv2d::new(form, shape, of).push(plan).unwrap();
        });
        for product in all.iter().filter(|m| m.kernel == "conv2d") {
            assert_eq!(product.of_workgroup.loop_divisions, 0.0, "{form:?}");
        }
    }
}

/// A step of a small network is its launches: three forward products, of which two are split, the
/// loss with the gradient of the logits, two products of gradients by inputs, three by weights that
/// sum biases' gradients besides, and one optimizer. Where products have terms enough for a second
/// launch to pay, and more than one tile of columns, all multiprocessors have workgroups: the other
/// ones have 10 to 128 terms.
#[test]
fn launches_of_a_step() {
    let step = row("train step 784-300-100-10");
    let workgroups = |kernel: &str| {
        let of = step.kernels.iter().map(|k| &k.modelled).filter(|m| m.kernel == kernel);
        of.map(|m| m.workgroups).collect::<Vec<_>>()
    };
    assert!(step.launches <= 12, "{} launches", step.launches);
    assert!(step.seconds <= 50e-6, "{} s", step.seconds);
    assert_eq!(workgroups("matmul"), [520.0, 160.0, 4.0, 16.0, 40.0]);
    assert_eq!(workgroups("weight_gradient"), [4.0, 40.0, 250.0]);
    // A workgroup for each 256 weights of each of six tensors.
    assert_eq!(workgroups("adam"), [919.0 + 2.0 + 118.0 + 1.0 + 4.0 + 1.0]);
}

/// Where a product has few results and many terms, these are split among workgroups, and a second
/// launch adds up what they come to.
#[test]
fn products_of_few_results_fill_a_card() {
    let most = h100().multiprocessors.into();
    for (name, seconds) in
        [("matmul NN 128x300x784", 9e-6), ("conv2d weight 32x56x56x64, 3x3", 300e-6)]
    {
        let row = row(name);
        let [product, sum] = &row.kernels[..] else {
            panic!("{name}: {} kernels", row.kernels.len())
        };
        assert_eq!(sum.modelled.kernel, "part_sum", "{name}");
        for kernel in [product, sum] {
            let Modelled { launches, workgroups, .. } = kernel.modelled;
            assert!(launches == 1 && workgroups >= most, "{name}: {workgroups} workgroups");
        }
        assert!(row.seconds <= seconds, "{name}: {} s", row.seconds);
    }
}

/// A step of a recurrent layer is a launch that waits a few times.
#[test]
fn steps_of_recurrent_layers_wait_seldom() {
    let step = row("train step charlstm:128x1, 32 rows");
    assert!(step.launches <= 134, "{} launches", step.launches);
    for name in ["lstm_product", "lstm_gradient_product"] {
        let of = kernel(&step, name).modelled.of_workgroup;
        assert!(of.waited <= (8 * LATENCY * SLOTS) as f64, "{name}: {of:?}");
    }
}

/// Eight launches, two reads of the values, and of what a workgroup counts one atomic on a word. Bins
/// get one for each value in them, which are two or three, and words of the mask two where one bit of
/// it is settled.
#[test]
fn selections() {
    for (name, seconds) in [("10^6", 35e-6), ("10^8", 275e-6)] {
        let selection = row(&format!("selection of mask update {name}"));
        assert!(selection.launches <= 8, "{name}: {} launches", selection.launches);
        assert!(selection.seconds <= seconds, "{name}: {} s", selection.seconds);
        // A bit of a mask besides; where values are few, the counts of a round by each workgroup.
        let loaded: f64 = selection.kernels.iter().map(|k| k.loaded_bytes).sum();
        let besides = if name == "10^8" { 0.2 } else { 1.1 };
        assert!(loaded < 8.0 + besides, "{name}: {loaded} B a value");
        for of in &selection.kernels {
            let Modelled { kernel, of_workgroup, .. } = of.modelled;
            let most = match kernel {
                "topk_histogram" => 3.0,
                "topk_settle" => 2.0,
                _ => 1.0,
            };
            assert!(of_workgroup.hottest <= most, "{name}: {kernel}: {}", of_workgroup.hottest);
        }
    }
}

/// No round for values that are all sampled, and no launch but the first for ties that cannot be.
#[test]
fn few_values_take_fewer_launches() {
    for (len, most) in [(2_048, 3), (2_049, 6), (4_096, 6), (4_097, 8)] {
        let all = launches(|plan| {
            let words = [len, 1, MASK_STATE_WORDS, mask_words(len)];
            let [values, counts, mask_state, mask] = words.map(|n| plan.persistent("", n));
            let words = [Selection::HISTOGRAM_WORDS, Selection::STATE_WORDS];
            let [histogram, state] = words.map(|n| plan.persistent("", n));
            let ranked = Ranked { values, protect: None, scores: true, mask_state, mask, len };
            let selection = Selection { counts, selection: 0, histogram, state };
            selection.push(plan, "w", &[ranked]).unwrap();
        });
        assert_eq!(all.iter().map(|of| of.launches).sum::<usize>(), most, "{len}");
    }
}

/// What a mask has kept and changed is added up in a workgroup first.
#[test]
fn masks() {
    for name in ["threshold mask 10^8", "2:4 mask 10^8"] {
        let [of] = &row(name).kernels[..] else { panic!("{name}") };
        assert!(of.modelled.of_workgroup.hottest <= 17.0, "{name}: {of:?}");
    }
}

/// Enough workgroups for a card, and no row of logits for one invocation.
#[test]
fn sums_and_losses_fill_a_card() {
    for name in ["moments 100352x64", "column sum 4096x768", "cross-entropy 128x1000"] {
        let row = row(name);
        let first = &row.kernels[0].modelled;
        assert!(first.workgroups >= 128.0, "{name}: {} workgroups", first.workgroups);
        let waited: f64 = row.kernels.iter().map(|k| k.modelled.of_workgroup.waited).sum();
        assert!(waited < (200 * LATENCY * SLOTS) as f64, "{name}: {waited} slots");
    }
}

/// Products load a tile while they use the one before.
#[test]
fn products_hide_their_loads() {
    let [product] = &launches(|plan| {
        let [a, b, c] = [1024 * 128, 1024 * 128, 1 << 20].map(|words| plan.persistent("", words));
        Matmul::new(Form::NN, [a, b, c], [1024, 1024, 128]).push(plan).unwrap();
    })[..] else {
        panic!("one launch");
    };
    let of = product.of_workgroup;
    // Eight tiles, of which only the first keeps anybody waiting for long.
    assert!(of.waited < 5.0 * (LATENCY * SLOTS) as f64, "{of:?}");
}

/// The result of attention and both parts of its gradient.
fn attention(mixed: bool, shape: Heads) -> [Modelled; 3] {
    let all = launches_in(mixed, |plan| {
        let len = shape.length * shape.heads * shape.width;
        let [queries, keys, values, gradient, out] = [len; 5].map(|n| plan.persistent("", n));
        let [logs, rows] = [shape.queries(), shape.rows()].map(|n| plan.persistent("", n));
        let back = plan.persistent("", 2 * len);
        let of = Attended { shape, queries, keys, values, seen: None };
        Attention { of, logs, out }.push(plan).unwrap();
        AttentionQueryGradient { of, gradient, rows, out }.push(plan).unwrap();
        AttentionKeyGradient { of, gradient, rows, out: back, member: 0 }.push(plan).unwrap();
    });
    all.try_into().expect("three launches")
}

/// A workgroup with 64 queries, or keys, loads what these meet once, and nothing that grows faster
/// than with the length; wide heads have their channels in one sum. What a causal mask hides from
/// all of a workgroup is not loaded.
#[test]
fn attention_loads_what_it_meets_once_for_64_rows() {
    for width in [64_u32, 128] {
        let of = |length| attention(false, Heads::new([1, 1, length, width]));
        let causal = attention(false, Heads::new([1, 1, 192, width]).causal(true));
        let all = of(64).into_iter().zip(of(192)).zip(causal).enumerate();
        for (n, ((short, long), causal)) in all {
            let loaded = |of: &Modelled| 32.0 * of.of_workgroup.unique_sectors;
            // Two operands of 128 positions more; keys hear two numbers of each query.
            let heard = if n == 2 { 8.0 } else { 0.0 };
            let more = 128.0 * (2.0 * 4.0 * f64::from(width) + heard);
            assert_eq!(loaded(&long) - loaded(&short), more, "{}", long.kernel);
            assert!(loaded(&causal) < 0.8 * loaded(&long), "{}", long.kernel);
            // As many bytes for each of the rows of a workgroup.
            assert_eq!(long.workgroups / short.workgroups, 3.0, "{}", long.kernel);
            let slices = if n == 2 { f64::from(width / 64) } else { 1.0 };
            assert_eq!(long.workgroups, 3.0 * slices, "{}", long.kernel);
            let of = long.of_workgroup;
            let made = [2.0, 3.0, 2.0 * slices + 2.0][n] / slices * 64.0 * 192.0 * f64::from(width);
            assert_eq!(of.multiply_adds, made, "{}", long.kernel);
            // What is staged, and three vectors for 32 multiply-adds, or four for 64.
            assert!(of.shared_bytes / of.multiply_adds < 1.8, "{}: {of:?}", long.kernel);
            assert!(long.workgroup_bytes <= 16_384, "{} B", long.workgroup_bytes);
            assert_eq!(of.loop_divisions, 0.0, "{}", long.kernel);
            // So that two workgroups fit a multiprocessor at least.
            assert!(long.registers() < 256.0, "{}: {of:?}", long.kernel);
        }
    }
}

/// On matrices too: tiles of halves are made of what is loaded once, for 64 rows, or for 32 where
/// four operands of wide heads are in memory. No multiply-add of a product is a lane's.
#[test]
fn attention_on_matrices_loads_what_it_meets_once() {
    for width in [64_u32, 128] {
        let of = |length| attention(true, Heads::new([1, 1, length, width]));
        for (n, (short, long)) in of(64).into_iter().zip(of(192)).enumerate() {
            let loaded = |of: &Modelled| 32.0 * of.of_workgroup.unique_sectors;
            let heard = if n == 2 { 8.0 } else { 0.0 };
            let more = 128.0 * (2.0 * 4.0 * f64::from(width) + heard);
            assert_eq!(loaded(&long) - loaded(&short), more, "{}", long.kernel);
            assert_eq!(long.variant, Some("coop_16"));
            let rows = if n > 0 && width > 64 { 32.0 } else { 64.0 };
            assert_eq!(long.workgroups, 192.0 / rows, "{}", long.kernel);
            let of = long.of_workgroup;
            let made = [2.0, 3.0, 4.0][n] * rows * 192.0 * f64::from(width);
            assert_eq!(of.matrix_multiply_adds, made, "{}", long.kernel);
            assert!(of.multiply_adds * 100.0 < made, "{}: {of:?}", long.kernel);
            assert!(of.shared_passes * 128.0 / of.shared_bytes < 1.4, "{}: {of:?}", long.kernel);
            assert!(long.workgroup_bytes <= 48 << 10, "{} B", long.workgroup_bytes);
            assert_eq!(of.loop_divisions, 0.0, "{}", long.kernel);
            assert!(long.registers() < 255.0, "{}: {of:?}", long.kernel);
        }
    }
}
