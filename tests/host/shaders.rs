//! Every kernel's Rust declaration against its WGSL.
mod probes;
mod recurrent;
mod texts;
mod variants;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess, TypeInner};
use secateur::gpu::{Access, Kernel, Operand, PlanBuilder, Precision, Target, read, write};
use secateur::kernels::*;
use secateur::raw::{Uniform, common};

type Layout = &'static [(&'static str, usize)];

/// WebGPU's default limits.
const MAX_OPERANDS: usize = 8;
const MAX_INVOCATIONS: u32 = 256;

#[test]
fn declarations_match_the_wgsl() {
    let wrong: Vec<String> = all().filter_map(|kernel| check(kernel).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all().count() > 80, "{} kernels are listed", all().count());
}

#[test]
fn every_file_belongs_to_a_kernel() {
    let mut listed = BTreeSet::new();
    for kernel in all() {
        for text in texts(kernel) {
            let files = files(text);
            assert_eq!(files.last(), Some(&format!("{}.wgsl", kernel.name).as_str()));
            listed.extend(files);
        }
    }
    let root = crate::paths::project().join("shaders");
    let mut present = BTreeSet::new();
    for dir in ["", "common/"] {
        for entry in std::fs::read_dir(root.join(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            present.extend(name.ends_with(".wgsl").then(|| format!("{dir}{name}")));
        }
    }
    assert_eq!(listed, present.iter().map(String::as_str).collect());
}

/// Both ways: a constant that the WGSL lacks, and an `override` that nothing sets.
#[test]
fn constants_are_overrides() {
    let mut set: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let (software, any) = (true, Target::default());
    let lanes = Target { software, subgroup: Some(8), ..any };
    let mixed = Target { precision: Precision::Mixed, ..lanes };
    let workgroup_bytes = 48 << 10;
    let coop = |side| Target { cooperative: Some(side), workgroup_bytes, ..mixed };
    let targets = [any, Target { software, ..any }, lanes, mixed, coop(8), coop(16)];
    let text: String = targets.map(|target| everything(target).to_string()).concat();
    for line in text.lines().filter(|line| line.starts_with("  ")) {
        let mut tokens = line.split_whitespace();
        let kernel = tokens.next().unwrap().to_owned();
        let names = tokens.filter_map(|t| t.split_once(':')).map(|(name, _)| name.to_owned());
        set.entry(kernel).or_default().extend(names);
    }
    for kernel in all() {
        let mut overrides = BTreeSet::new();
        for text in texts(kernel) {
            let module = naga::front::wgsl::parse_str(text).unwrap();
            overrides.extend(module.overrides.iter().filter_map(|(_, o)| o.name.clone()));
        }
        let set = set.get(kernel.name).cloned().unwrap_or_default();
        assert_eq!(set, overrides, "{}", kernel.name);
    }
}

#[test]
fn shared_constants_agree() {
    let wgsl = |text| constants(text).into_iter().collect::<BTreeMap<_, _>>();
    let activation = wgsl(common::ACTIVATION);
    let code = |(name, a): (&str, Activation)| (name.to_owned(), a.code() as u32);
    let name = |a| serde_json::to_string(&a).unwrap().trim_matches('"').to_uppercase();
    let kinds = Activation::ALL.map(|a| (name(a), a));
    assert_eq!(activation, kinds.iter().map(|(name, a)| code((name, *a))).collect());

    let mut plan = PlanBuilder::default();
    let slot = plan.persistent("slot", 1);
    let code = |(name, mode): (&str, Option<Pruned>)| {
        let mask = mode.map(|mode| (slot, mode));
        let on = Weights { gradient: slot, mask, step: slot, weights: slot, len: 1 };
        let sgd = SgdUpdate { on, decay: 0.0 };
        (name.to_owned(), sgd.constants()[0].1 as u32)
    };
    let modes = [
        ("DENSE", None),
        ("ZERO", Some(Pruned::Zero)),
        ("REVIVE", Some(Pruned::Revive)),
        ("FREEZE", Some(Pruned::Freeze)),
    ];
    assert_eq!(wgsl(include_str!("../../shaders/common/pruned.wgsl")), modes.map(code).into());

    let states = [
        (include_str!("../../shaders/common/topk.wgsl"), TopkState::LAYOUT),
        (include_str!("../../shaders/common/mask_state.wgsl"), MaskState::LAYOUT),
    ];
    for (text, layout) in states {
        let mut constants = wgsl(text);
        constants.remove("PROTECTED");
        let fields = layout.iter().map(|(n, at)| (n.to_uppercase(), *at as u32 / 4));
        assert_eq!(constants, fields.collect());
    }
}

/// The check itself must be able to fail.
#[test]
fn wrong_declarations_are_caught() {
    assert_eq!(check(&KernelInfo::of::<Lying<Right>>(AddParams::LAYOUT)), Ok(()));
    let caught = |result: Result<(), String>, what| {
        let message = result.unwrap_err();
        assert!(message.contains(what), "{message}");
    };
    caught(check(&KernelInfo::of::<Lying<Swapped>>(AddParams::LAYOUT)), "storage bindings");
    caught(check(&KernelInfo::of::<Lying<Wrong>>(AddParams::LAYOUT)), "storage bindings");
    caught(check(&KernelInfo::of::<Lying<Right>>(&[("length", 0)])), "uniform");
    caught(check(&KernelInfo::of::<Lying<Right>>(&[("len", 4)])), "uniform");
    caught(check(&KernelInfo::of::<Lying<Long>>(AddParams::LAYOUT)), "uniform");
    caught(agree("x", struct_of("Params", Add::WGSL), STEP), "uniform");
}

const STEP: (Layout, usize) = (Step::LAYOUT, size_of::<Step>());

/// All that may be launched under the kernel's name.
fn texts(kernel: &KernelInfo) -> impl Iterator<Item = &'static str> {
    [kernel.wgsl].into_iter().chain(kernel.variants.iter().map(|v| v.wgsl))
}

fn check(kernel: &KernelInfo) -> Result<(), String> {
    // What an adapter must have is said by the text itself.
    let f16 = |wgsl: &str| match wgsl.contains("enable f16;") {
        true => Capabilities::SHADER_FLOAT16,
        // WGSL has `unpack2x16float` without a feature; it is naga that asks.
        false => Capabilities::SHADER_FLOAT16_IN_FLOAT32,
    };
    check_text(kernel, kernel.wgsl, f16(kernel.wgsl))?;
    kernel.variants.iter().try_for_each(|v| {
        let matrices = match v.name.starts_with("coop_") {
            true => Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP,
            false => Capabilities::SUBGROUP,
        };
        check_text(kernel, v.wgsl, f16(v.wgsl) | matrices)
    })
}

fn check_text(kernel: &KernelInfo, wgsl: &str, may: Capabilities) -> Result<(), String> {
    let name = kernel.name;
    let module = naga::front::wgsl::parse_str(wgsl)
        .map_err(|e| format!("{name}: {}", e.emit_to_string(wgsl)))?;
    Validator::new(ValidationFlags::all(), may)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|e| format!("{name}: {}", e.emit_to_string(wgsl)))?;

    let [main] = &module.entry_points[..] else {
        return Err(format!("{name}: {} entry points, must be 1", module.entry_points.len()));
    };
    let invocations: u32 = main.workgroup_size.iter().product();
    if main.name != "main" || invocations > MAX_INVOCATIONS || kernel.operands.len() > MAX_OPERANDS
    {
        return Err(format!("{name}: entry {}, {invocations} invocations", main.name));
    }

    let (mut storage, mut uniform) = (Vec::new(), None);
    for (_, var) in module.global_variables.iter() {
        let Some(binding) = &var.binding else { continue };
        let var_name = var.name.as_deref().unwrap_or_default();
        let ty = &module.types[var.ty];
        match var.space {
            AddressSpace::Storage { access } => {
                let stores = access.contains(StorageAccess::STORE);
                let access = if stores { Access::Write } else { Access::Read };
                storage.push((binding.group, binding.binding as usize, var_name, access));
                if let TypeInner::Struct { .. } = ty.inner {
                    agree(name, fields(ty), STEP)?;
                }
            }
            AddressSpace::Uniform => uniform = Some((binding.binding as usize, ty)),
            other => return Err(format!("{name}: {var_name} is in {other:?}")),
        }
    }
    storage.sort_by_key(|&(_, binding, ..)| binding);
    let declare = |(i, o): (usize, &Operand)| (0, i, o.name, o.access);
    let declared: Vec<_> = kernel.operands.iter().enumerate().map(declare).collect();
    if storage != declared {
        return Err(format!("{name}: storage bindings {storage:?}, declared {declared:?}"));
    }
    match uniform {
        Some((binding, ty)) if binding == kernel.operands.len() => {
            agree(name, fields(ty), (kernel.layout, kernel.uniform_bytes))
        }
        other => Err(format!("{name}: the uniform comes after the operands, found {other:?}")),
    }
}

type Fields = (Vec<(String, usize)>, usize);

/// A WGSL struct's fields with their offsets, and its size, against the Rust side's.
fn agree(kernel: &str, wgsl: Fields, rust: (Layout, usize)) -> Result<(), String> {
    let rust = (rust.0.iter().map(|(n, at)| ((*n).to_owned(), *at)).collect(), rust.1);
    if wgsl == rust {
        return Ok(());
    }
    Err(format!("{kernel}: uniform or step is {wgsl:?}, declared {rust:?}"))
}

fn fields(ty: &naga::Type) -> Fields {
    let TypeInner::Struct { members, span } = &ty.inner else { return (Vec::new(), 0) };
    let one = |m: &naga::StructMember| (m.name.clone().unwrap_or_default(), m.offset as usize);
    (members.iter().map(one).collect(), *span as usize)
}

fn struct_of(name: &str, wgsl: &str) -> Fields {
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    let (_, ty) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(name)).unwrap();
    fields(ty)
}

/// Files that a text was put together from.
fn files(wgsl: &'static str) -> Vec<&'static str> {
    wgsl.lines().filter_map(|line| line.strip_prefix("// file: ")).collect()
}

/// Names and values of the `const` declarations.
fn constants(wgsl: &str) -> Vec<(String, u32)> {
    let module = naga::front::wgsl::parse_str(wgsl).unwrap();
    let value = |c: &naga::Constant| match module.global_expressions[c.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => value,
        ref other => panic!("{:?} is {other:?}", c.name),
    };
    let named = module.constants.iter().filter_map(|(_, c)| Some((c.name.clone()?, value(c))));
    named.collect()
}

/// A plan whose launches set every constant that there is.
fn everything(target: Target) -> PlanBuilder {
    let mut plan = PlanBuilder::new(target);
    plan.phase("test");
    let mut slot = |name| plan.persistent(name, 4096 * 16);
    let [a, b, mask, bias, gate, c] = ["a", "b", "mask", "bias", "gate", "c"].map(&mut slot);
    let [gradient, step, weights, first, second] = ["g", "s", "w", "m", "v"].map(&mut slot);
    let activation = Activation::Tanh;
    for (form, k) in [(Form::TN, 40_000), (Form::NT, 1)] {
        let mut product = Matmul::new(form, [a, b, c], [1, 1, k]);
        (product.mask, product.bias, product.activation) = (Some(mask), Some(bias), activation);
        product.gate = Some((gate, activation));
        product.push(&mut plan).unwrap();
        product.push_onto(&mut plan).unwrap();
        // Enough of the largest tiles.
        (product.gate, product.c) = (None, plan.persistent("large", 2048 * 2048));
        (product.m, product.n, product.k) = (2048, 2048, 1);
        product.push(&mut plan).unwrap();
    }
    let columns = WeightGradient::of([1, 1, 1], true, plan.target());
    columns.into_iter().for_each(|of| plan.push(of([a, b, c, gate])).unwrap());
    variants::live(&mut plan, [a, b, mask, bias, gate, c]);
    variants::halves(&mut plan, [a, b, mask, bias, gate, c]);
    variants::packed(&mut plan, [a, bias, c]);
    let [size, stride, pad] = [[1, 1], [1, 1], [0, 0]];
    let shape = Convolution {
        images: 1,
        size,
        channels: 1,
        kernel: [200, 200],
        stride,
        dilation: stride,
        pad,
        out: size,
        outputs: 1,
        groups: 1,
    };
    let (masked, gated, form) = (Some(mask), Some((gate, activation)), Form::NT);
    let strided = Convolution { stride: [2, 1], ..shape };
    let bias_of = Some(bias);
    let size = [256, 128];
    let large = Convolution { size, out: size, kernel: [1, 1], ..shape };
    for shape in [strided, large] {
        let mut product = Conv2d::new(form, shape, [a, b, c]);
        (product.mask, product.bias, product.gate) = (masked, bias_of, gated);
        product.activation = activation;
        product.push(&mut plan).unwrap();
    }
    plan.push(Gate { gradient: a, output: b, activation, out: c, len: 1 }).unwrap();
    variants::layers(&mut plan, [a, b, mask, c], shape);
    probes::variants(&mut plan, a, c);
    let (mask, len, decay) = (Some((mask, Pruned::Zero)), 1, 0.0);
    let on = Weights { gradient, mask, step, weights, len };
    plan.push(SgdUpdate { on, decay }).unwrap();
    let (velocity, momentum, nesterov) = (first, 0.9, true);
    plan.push(MomentumUpdate { on, velocity, momentum, decay, nesterov }).unwrap();
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
    let (form, l2) = (EpsilonForm::TensorFlow, 0.0);
    plan.push(AdamUpdate { on, first, second, beta1, beta2, epsilon, form, decay, l2 }).unwrap();
    variants::how_weights_move(&mut plan, on, [first, second]);
    variants::together(&mut plan, step);
    let (protect, mask_state) = (Some(bias), first);
    let (scores, many) = (true, 5_000);
    let tensor = Ranked { values: weights, protect, scores, mask_state, mask: gate, len: many };
    let selection = Selection { counts: a, selection: 0, histogram: b, state: c };
    selection.push(&mut plan, "w", &[tensor]).unwrap();
    let (history, partials, second, held) = (first, second, true, true);
    plan.push(ChangeNorm { weights, history, partials, len, second, held }).unwrap();
    let total = partials;
    plan.push(Change { weights, total, history, gradient, len, second, held, decay }).unwrap();
    let blocks = Blocks { rows: 1, columns: 1, height: 1, width: 1 };
    plan.push(BlockPool {
        values: a,
        scores: b,
        blocks,
        pooling: BlockPooling::Max,
        signed: false,
    })
    .unwrap();
    plan.push(BinCount { values: a, peak: b, bins: c, nbins: 2, len }).unwrap();
    plan
}

/// [`Add`]'s shader under a declaration that may be wrong.
struct Lying<D>(D);

trait Declared {
    type Params: Uniform<Lying<Self>>
    where
        Self: Sized;
    const OPERANDS: &'static [Operand];
}

secateur::raw::uniform! {
    /// As [`AddParams`], which serves this crate's kernels only.
    struct Like {
        len: u32,
        period: u32,
    }
}

macro_rules! declared {
    ($($name:ident: $params:ty = $operands:expr;)+) => {$(
        struct $name;
        impl Declared for $name {
            type Params = $params;
            const OPERANDS: &'static [Operand] = &$operands;
        }
    )+};
}

declared! {
    Right: Like = [read("x"), read("y"), write("out")];
    Long: [u64; 2] = [read("x"), read("y"), write("out")];
    Swapped: Like = [read("y"), read("x"), write("out")];
    Wrong: Like = [read("x"), write("y"), write("out")];
}

impl<D: Declared> Kernel for Lying<D> {
    const NAME: &'static str = Add::NAME;
    const WGSL: &'static str = Add::WGSL;
    const OPERANDS: &'static [Operand] = D::OPERANDS;
    type Params = D::Params;

    fn bind(&self) -> Vec<secateur::gpu::Bound> {
        Vec::new()
    }

    fn params(&self) -> D::Params {
        bytemuck::Zeroable::zeroed()
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
