//! A workgroup of a launch, executed from naga's IR of the very text that is compiled, and counted.
//!
//! All invocations go through the IR in step, those that do not take part masked out, as a GPU's
//! warps do it: so a barrier needs no waiting, and the addresses that 32 neighbouring invocations
//! load from are known. Values are computed, since control flow and addresses may depend on them;
//! what memory holds is the caller's to say, or made up ([`Contents`]).
//!
//! The clock is that of one workgroup which has a multiprocessor for itself. A warp's instruction
//! takes one of four slots a cycle. A compiler is taken to begin all loads of a loop's turn before
//! it uses any, and to move nothing from turn to turn or past a barrier: so what a turn uses has
//! arrived at its end, at a barrier, and where a branch depends on it. Workgroup memory answers at
//! once, as loops over it have few turns, which compilers unroll.
mod calls;
mod count;
mod expressions;
mod memory;
mod ops;
mod statements;
mod traffic;
mod value;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use wgpu::naga::{
    Arena, BuiltIn, Expression, Function, GlobalVariable, Handle, Module, Override, Type, TypeInner,
};

pub use count::Counts;
use memory::Local;
use value::{Kind, Lanes, Mask, Value};

/// Why a text cannot be executed: what it has that no kernel of this crate had.
pub(super) type Answer<T> = Result<T, String>;

/// Slots of a cycle: warps of which a multiprocessor issues one instruction each.
pub const SLOTS: u64 = 4;
/// Cycles from a load of global memory to its use, where nothing stands in the way.
pub const LATENCY: u64 = 500;
/// Invocations of a warp.
pub const WARP: usize = 32;

/// A word of an operand before a launch.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The kernel.
    pub kernel: &'a str,
    /// Which of its launches in the phase, from 0.
    pub nth: usize,
    /// The operand.
    pub operand: &'a str,
    /// Place of the word.
    pub word: u32,
}

/// What a word holds; `None` for what is made up: even numbers between 0 and 1 for floats, and
/// zeros for whole numbers.
pub type Contents = fn(Asked<'_>) -> Option<u32>;

/// An operand of a launch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) name: &'a str,
    /// Which memory it is.
    pub(super) slot: u32,
    pub(super) words: u32,
}

/// What is launched.
pub(super) struct Launch<'a> {
    pub(super) kernel: &'a str,
    pub(super) nth: usize,
    pub(super) operands: &'a [Operand<'a>],
    pub(super) params: &'a [u8],
    pub(super) grid: [u32; 3],
    pub(super) contents: Contents,
}

/// What a workgroup did.
pub(super) struct Done {
    pub(super) counts: Counts,
    /// Of each operand, the sectors that it loaded and those that it wrote.
    pub(super) sectors: Vec<[f64; 2]>,
}

/// A text with its constants.
pub(super) struct Text {
    module: Module,
    overrides: HashMap<String, f64>,
}

impl Text {
    pub(super) fn new(wgsl: &str, constants: impl Iterator<Item = (String, f64)>) -> Answer<Self> {
        let module = wgpu::naga::front::wgsl::parse_str(wgsl);
        let module = module.map_err(|e| e.emit_to_string(wgsl))?;
        Ok(Self { module, overrides: constants.collect() })
    }

    /// Invocations of a workgroup in each direction.
    pub(super) fn workgroup(&self) -> Answer<[u32; 3]> {
        let entry = self.module.entry_points.first().ok_or("no entry point")?;
        let mut size = entry.workgroup_size;
        for (extent, of) in size.iter_mut().zip(entry.workgroup_size_overrides.unwrap_or_default())
        {
            if let Some(of) = of {
                let Value::Lanes(lanes) = self.constant(&self.module.global_expressions, of)?
                else {
                    return Err("a workgroup's size is no number".to_owned());
                };
                *extent = lanes.bits[0];
            }
        }
        Ok(size)
    }

    /// Bytes of workgroup memory.
    pub(super) fn workgroup_bytes(&self) -> Answer<u32> {
        let shared = |v: &&GlobalVariable| v.space == wgpu::naga::AddressSpace::WorkGroup;
        let vars = self.module.global_variables.iter().map(|(_, var)| var).filter(shared);
        vars.map(|var| self.bytes(var.ty)).sum()
    }

    /// Bytes that a variable of the type takes.
    fn bytes(&self, ty: Handle<Type>) -> Answer<u32> {
        Ok(match self.module.types[ty].inner {
            TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => Kind::of(scalar).bytes(),
            TypeInner::Vector { size, scalar } => size as u32 * Kind::of(scalar).bytes(),
            TypeInner::Array { size, stride, .. } => stride * self.elements(size)?,
            TypeInner::Struct { span, .. } => span,
            TypeInner::CooperativeMatrix { .. } => 0,
            ref other => return Err(format!("a variable is {other:?}")),
        })
    }

    fn elements(&self, size: wgpu::naga::ArraySize) -> Answer<u32> {
        match size {
            wgpu::naga::ArraySize::Constant(n) => Ok(n.get()),
            wgpu::naga::ArraySize::Pending(of) => match self.overridden(of)? {
                Value::Lanes(lanes) => Ok(lanes.bits[0]),
                _ => Err("an array's size is no number".to_owned()),
            },
            wgpu::naga::ArraySize::Dynamic => Err("an array has no size".to_owned()),
        }
    }

    fn overridden(&self, handle: Handle<Override>) -> Answer<Value> {
        let of = &self.module.overrides[handle];
        let TypeInner::Scalar(scalar) = self.module.types[of.ty].inner else {
            return Err("an override is no scalar".to_owned());
        };
        let set = of.name.as_ref().and_then(|name| self.overrides.get(name));
        match (set, of.init) {
            (Some(&value), _) => {
                let kind = Kind::of(scalar);
                let bits = match kind {
                    Kind::F32 | Kind::F16 => (value as f32).to_bits(),
                    Kind::I32 => value as i32 as u32,
                    Kind::U32 | Kind::Bool => value as u32,
                };
                Ok(Value::uniform(kind, bits))
            }
            (None, Some(init)) => self.constant(&self.module.global_expressions, init),
            (None, None) => Err(format!("nothing sets {:?}", of.name)),
        }
    }

    /// An expression that is the same for all lanes and launches of a pipeline.
    fn constant(&self, arena: &Arena<Expression>, handle: Handle<Expression>) -> Answer<Value> {
        let lanes = |handle| match self.constant(arena, handle)? {
            Value::Lanes(lanes) => Ok(lanes),
            other => Err(format!("a constant is {other:?}")),
        };
        Ok(match arena[handle] {
            Expression::Literal(literal) => expressions::literal(literal)?,
            Expression::Constant(of) => {
                let init = self.module.constants[of].init;
                self.constant(&self.module.global_expressions, init)?
            }
            Expression::Override(of) => self.overridden(of)?,
            Expression::ZeroValue(ty) => self.zero(ty)?,
            Expression::Compose { ty, ref components } => {
                let parts = components.iter().map(|&c| self.constant(arena, c));
                self.composed(ty, parts.collect::<Answer<_>>()?, 1)?
            }
            Expression::Splat { size, value } => {
                Value::Lanes(Lanes::joined(&vec![&lanes(value)?; size as usize], 1))
            }
            Expression::Unary { op, expr } => Value::Lanes(ops::unary(op, &lanes(expr)?, 1)),
            Expression::Binary { op, left, right } => {
                Value::Lanes(ops::binary(op, &lanes(left)?, &lanes(right)?, 1))
            }
            Expression::As { expr, kind, convert } => {
                let to = Kind::of(wgpu::naga::Scalar { kind, width: convert.unwrap_or(4) });
                Value::Lanes(ops::convert(&lanes(expr)?, to, convert.is_some(), 1))
            }
            Expression::Select { condition, accept, reject } => {
                let of = if lanes(condition)?.bits[0] != 0 { accept } else { reject };
                self.constant(arena, of)?
            }
            ref other => return Err(format!("a constant is {other:?}")),
        })
    }

    fn zero(&self, ty: Handle<Type>) -> Answer<Value> {
        Ok(match self.module.types[ty].inner {
            TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => {
                Value::uniform(Kind::of(scalar), 0)
            }
            TypeInner::Vector { size, scalar } => {
                Value::Lanes(Lanes::uniform(Kind::of(scalar), &vec![0; size as usize]))
            }
            TypeInner::Array { base, size, .. } => {
                Value::Parts(vec![self.zero(base)?; self.elements(size)? as usize])
            }
            TypeInner::Struct { ref members, .. } => {
                let zeros = members.iter().map(|member| self.zero(member.ty));
                Value::Parts(zeros.collect::<Answer<_>>()?)
            }
            TypeInner::CooperativeMatrix { .. } => Value::Matrix { ready: 0, words: 0 },
            ref other => return Err(format!("a zero of {other:?}")),
        })
    }

    fn composed(&self, ty: Handle<Type>, parts: Vec<Value>, lanes: usize) -> Answer<Value> {
        let TypeInner::Vector { .. } = self.module.types[ty].inner else {
            return Ok(Value::Parts(parts));
        };
        let of = |part: &Value| match part {
            Value::Lanes(lanes) => Ok(lanes.clone()),
            other => Err(format!("a component is {other:?}")),
        };
        let parts = parts.iter().map(of).collect::<Answer<Vec<_>>>()?;
        Ok(Value::Lanes(Lanes::joined(&parts.iter().collect::<Vec<_>>(), lanes)))
    }
}

/// A function in execution.
struct Frame<'a> {
    function: &'a Function,
    values: Vec<Option<Rc<Value>>>,
    arguments: Vec<Value>,
    locals: Vec<Local>,
    /// Lanes that called it, and those that have returned.
    mask: Mask,
    returned: Mask,
    result: Option<Value>,
    /// Words of named values that are in scope.
    named: u64,
}

/// A workgroup in execution.
pub(super) struct Machine<'a> {
    text: &'a Text,
    launch: &'a Launch<'a>,
    lanes: usize,
    frames: Vec<Frame<'a>>,
    shared: HashMap<Handle<GlobalVariable>, Vec<u32>>,
    private: HashMap<Handle<GlobalVariable>, Local>,
    /// Words that the workgroup has written, by memory.
    written: HashMap<(u32, u32), u32>,
    /// Sectors of 32 bytes that it has loaded, and that it has written.
    seen: HashSet<(u32, u32)>,
    left: HashSet<(u32, u32)>,
    /// Atomics on each word.
    hits: HashMap<(u32, u32), u64>,
    /// Loops that it is in.
    depth: usize,
    clock: u64,
    /// When all that was used in this turn of a loop has arrived.
    due: u64,
    counts: Counts,
}

impl<'a> Machine<'a> {
    /// Executes workgroup `id` of `launch`.
    pub(super) fn run(text: &'a Text, launch: &'a Launch<'a>, id: [u32; 3]) -> Answer<Done> {
        let size = text.workgroup()?;
        let lanes = size.iter().product::<u32>() as usize;
        if lanes > 256 {
            return Err(format!("{lanes} invocations, at most 256"));
        }
        let mut machine = Self {
            text,
            launch,
            lanes,
            frames: Vec::new(),
            shared: HashMap::new(),
            private: HashMap::new(),
            written: HashMap::new(),
            seen: HashSet::new(),
            left: HashSet::new(),
            hits: HashMap::new(),
            depth: 0,
            clock: 0,
            due: 0,
            counts: Counts::default(),
        };
        let entry = &text.module.entry_points[0].function;
        let argument = |of: &wgpu::naga::FunctionArgument| match of.binding {
            Some(wgpu::naga::Binding::BuiltIn(of)) => built_in(of, size, launch.grid, id),
            ref other => Err(format!("an argument of main is {other:?}")),
        };
        let arguments = entry.arguments.iter().map(argument).collect::<Answer<_>>()?;
        machine.call(entry, arguments, Mask::first(lanes))?;
        machine.catch_up();
        Ok(machine.finished())
    }

    fn finished(self) -> Done {
        let hottest = self.hits.values().copied().max().unwrap_or(0);
        let of = |slot: u32, sectors: &HashSet<(u32, u32)>| {
            sectors.iter().filter(|(s, _)| *s == slot).count() as f64
        };
        let slots = self.launch.operands.iter().map(|operand| operand.slot);
        let sectors = slots.map(|slot| [of(slot, &self.seen), of(slot, &self.left)]).collect();
        let counts = Counts {
            unique_sectors: self.seen.len() as f64,
            stored_sectors: self.left.len() as f64,
            hottest: hottest as f64,
            clock: self.clock as f64,
            ..self.counts
        };
        Done { counts, sectors }
    }
}

fn built_in(of: BuiltIn, size: [u32; 3], grid: [u32; 3], id: [u32; 3]) -> Answer<Value> {
    let lanes = size.iter().product::<u32>();
    let local = |lane: u32| [lane % size[0], lane / size[0] % size[1], lane / size[0] / size[1]];
    let each = |of: &dyn Fn(u32, usize) -> u32| {
        let bits = (0..3).flat_map(|axis| (0..lanes).map(move |lane| (lane, axis)));
        let bits = bits.map(|(lane, axis)| of(lane, axis)).collect();
        Value::Lanes(Lanes { kind: Kind::U32, size: 3, bits, ready: 0, known: false })
    };
    let one = |of: &dyn Fn(u32) -> u32| {
        let bits = (0..lanes).map(of).collect();
        Value::Lanes(Lanes { kind: Kind::U32, size: 1, bits, ready: 0, known: false })
    };
    let warp = WARP as u32;
    Ok(match of {
        BuiltIn::WorkGroupId => Value::Lanes(Lanes::uniform(Kind::U32, &id)),
        BuiltIn::NumWorkGroups => Value::Lanes(Lanes::uniform(Kind::U32, &grid)),
        BuiltIn::LocalInvocationId => each(&|lane, axis| local(lane)[axis]),
        BuiltIn::GlobalInvocationId => {
            each(&|lane, axis| id[axis] * size[axis] + local(lane)[axis])
        }
        BuiltIn::LocalInvocationIndex => one(&|lane| lane),
        BuiltIn::SubgroupInvocationId => one(&|lane| lane % warp),
        BuiltIn::SubgroupId => one(&|lane| lane / warp),
        BuiltIn::SubgroupSize => Value::uniform(Kind::U32, warp),
        other => return Err(format!("main asks for {other:?}")),
    })
}
