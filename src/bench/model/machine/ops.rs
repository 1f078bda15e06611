//! Arithmetic of expressions, and what it counts as.
use wgpu::naga::{BinaryOperator, MathFunction, RelationalFunction, UnaryOperator};

use super::value::{Kind, Lanes};

fn f(bits: u32) -> f32 {
    f32::from_bits(bits)
}

pub(super) fn unary(op: UnaryOperator, x: &Lanes, lanes: usize) -> Lanes {
    let kind = x.kind;
    Lanes::map([x], kind, lanes, |[x]| match (op, kind.is_float()) {
        (UnaryOperator::Negate, true) => (-f(x)).to_bits(),
        (UnaryOperator::Negate, false) => x.wrapping_neg(),
        (UnaryOperator::LogicalNot, _) => 1 - x,
        (UnaryOperator::BitwiseNot, _) => !x,
    })
}

pub(super) fn binary(op: BinaryOperator, x: &Lanes, y: &Lanes, lanes: usize) -> Lanes {
    use BinaryOperator as Op;
    let compares = matches!(
        op,
        Op::Equal | Op::NotEqual | Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual
    );
    let kind = if compares { Kind::Bool } else { x.kind };
    let of = x.kind;
    Lanes::map([x, y], kind, lanes, |[x, y]| match of {
        Kind::F32 | Kind::F16 => floats(op, f(x), f(y)),
        Kind::I32 => signed(op, x as i32, y as i32),
        Kind::U32 | Kind::Bool => unsigned(op, x, y),
    })
}

fn floats(op: BinaryOperator, x: f32, y: f32) -> u32 {
    use BinaryOperator as Op;
    let value = match op {
        Op::Add => x + y,
        Op::Subtract => x - y,
        Op::Multiply => x * y,
        Op::Divide => x / y,
        Op::Modulo => x % y,
        Op::Equal => return u32::from(x == y),
        Op::NotEqual => return u32::from(x != y),
        Op::Less => return u32::from(x < y),
        Op::LessEqual => return u32::from(x <= y),
        Op::Greater => return u32::from(x > y),
        _ => return u32::from(x >= y),
    };
    value.to_bits()
}

fn signed(op: BinaryOperator, x: i32, y: i32) -> u32 {
    use BinaryOperator as Op;
    match op {
        Op::Divide => x.checked_div(y).unwrap_or(x) as u32,
        Op::Modulo => x.checked_rem(y).unwrap_or(0) as u32,
        Op::Less => u32::from(x < y),
        Op::LessEqual => u32::from(x <= y),
        Op::Greater => u32::from(x > y),
        Op::GreaterEqual => u32::from(x >= y),
        Op::ShiftRight => x.wrapping_shr(y as u32) as u32,
        _ => unsigned(op, x as u32, y as u32),
    }
}

fn unsigned(op: BinaryOperator, x: u32, y: u32) -> u32 {
    use BinaryOperator as Op;
    match op {
        Op::Add => x.wrapping_add(y),
        Op::Subtract => x.wrapping_sub(y),
        Op::Multiply => x.wrapping_mul(y),
        Op::Divide => x.checked_div(y).unwrap_or(x),
        Op::Modulo => x.checked_rem(y).unwrap_or(0),
        Op::Equal => u32::from(x == y),
        Op::NotEqual => u32::from(x != y),
        Op::Less => u32::from(x < y),
        Op::LessEqual => u32::from(x <= y),
        Op::Greater => u32::from(x > y),
        Op::GreaterEqual => u32::from(x >= y),
        Op::And | Op::LogicalAnd => x & y,
        Op::ExclusiveOr => x ^ y,
        Op::InclusiveOr | Op::LogicalOr => x | y,
        Op::ShiftLeft => x.wrapping_shl(y),
        Op::ShiftRight => x.wrapping_shr(y),
    }
}

pub(super) fn relational(fun: RelationalFunction, x: &Lanes, lanes: usize) -> Lanes {
    let ready = x.ready;
    let of = match fun {
        RelationalFunction::IsNan => {
            return Lanes::map([x], Kind::Bool, lanes, |[x]| u32::from(f(x).is_nan()));
        }
        RelationalFunction::IsInf => {
            return Lanes::map([x], Kind::Bool, lanes, |[x]| u32::from(f(x).is_infinite()));
        }
        RelationalFunction::All => BinaryOperator::LogicalAnd,
        RelationalFunction::Any => BinaryOperator::LogicalOr,
    };
    let parts = (1..x.size).map(|c| x.component(c));
    let folded = parts.fold(x.component(0), |sum, part| binary(of, &sum, &part, lanes));
    Lanes { ready, ..folded }
}

/// `None` where it is a function that no kernel of this crate calls.
pub(super) fn math(fun: MathFunction, args: &[&Lanes], lanes: usize) -> Option<Lanes> {
    use MathFunction as M;
    let kind = args[0].kind;
    let one = |f: &dyn Fn(u32) -> u32| Lanes::map([args[0]], kind, lanes, |[x]| f(x));
    let of = |g: fn(f32) -> f32| one(&|x| g(f(x)).to_bits());
    let less = |x: u32, y: u32| match kind {
        Kind::F32 | Kind::F16 => f(x) < f(y),
        Kind::I32 => (x as i32) < (y as i32),
        _ => x < y,
    };
    let min = |x: u32, y: u32| if less(y, x) { y } else { x };
    let max = |x: u32, y: u32| if less(x, y) { y } else { x };
    let two =
        |g: &dyn Fn(u32, u32) -> u32| Lanes::map([args[0], args[1]], kind, lanes, |[x, y]| g(x, y));
    let three = |g: &dyn Fn(u32, u32, u32) -> u32| {
        Lanes::map([args[0], args[1], args[2]], kind, lanes, |[x, y, z]| g(x, y, z))
    };
    Some(match fun {
        M::Abs if kind.is_float() => of(f32::abs),
        M::Abs => one(&|x| if kind == Kind::I32 { (x as i32).unsigned_abs() } else { x }),
        M::Min => two(&min),
        M::Max => two(&max),
        M::Clamp => three(&|x, low, high| min(max(x, low), high)),
        M::Saturate => of(|x| x.clamp(0.0, 1.0)),
        M::Cos => of(f32::cos),
        M::Sin => of(f32::sin),
        M::Tanh => of(f32::tanh),
        M::Ceil => of(f32::ceil),
        M::Floor => of(f32::floor),
        M::Round => of(f32::round_ties_even),
        M::Trunc => of(f32::trunc),
        M::Fract => of(|x| x - x.floor()),
        M::Exp => of(f32::exp),
        M::Exp2 => of(f32::exp2),
        M::Log => of(f32::ln),
        M::Log2 => of(f32::log2),
        M::Sqrt => of(f32::sqrt),
        M::InverseSqrt => of(|x| x.sqrt().recip()),
        M::Sign => of(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        M::Pow => two(&|x, y| f(x).powf(f(y)).to_bits()),
        M::Step => two(&|edge, x| f32::from(u8::from(f(x) >= f(edge))).to_bits()),
        // The bits do not matter here, and one rounding more is much cheaper.
        M::Fma => three(&|x, y, z| (f(x) * f(y) + f(z)).to_bits()),
        M::Mix => three(&|x, y, t| (f(x) + (f(y) - f(x)) * f(t)).to_bits()),
        M::CountOneBits => one(&u32::count_ones),
        M::CountLeadingZeros => one(&u32::leading_zeros),
        M::CountTrailingZeros => one(&u32::trailing_zeros),
        M::ReverseBits => one(&u32::reverse_bits),
        M::FirstTrailingBit => one(&|x| if x == 0 { u32::MAX } else { x.trailing_zeros() }),
        M::FirstLeadingBit => one(&|x| 31_u32.wrapping_sub(x.leading_zeros())),
        M::Dot => {
            let products = binary(BinaryOperator::Multiply, args[0], args[1], lanes);
            let parts = (1..products.size).map(|c| products.component(c));
            let add = |sum: Lanes, part: Lanes| binary(BinaryOperator::Add, &sum, &part, lanes);
            parts.fold(products.component(0), add)
        }
        _ => return None,
    })
}

/// A conversion of values where it has a width, else the same bits.
pub(super) fn convert(x: &Lanes, to: Kind, converts: bool, lanes: usize) -> Lanes {
    let from = x.kind;
    Lanes::map([x], to, lanes, |[x]| match (from, to, converts) {
        (_, _, false) => x,
        (Kind::Bool, Kind::F32 | Kind::F16, _) => f32::from(u8::from(x != 0)).to_bits(),
        (_, Kind::Bool, _) => u32::from(if from.is_float() { f(x) != 0.0 } else { x != 0 }),
        (Kind::F32 | Kind::F16, Kind::U32, _) => f(x) as u32,
        (Kind::F32 | Kind::F16, Kind::I32, _) => f(x) as i32 as u32,
        (Kind::U32, Kind::F32 | Kind::F16, _) => (x as f32).to_bits(),
        (Kind::I32, Kind::F32 | Kind::F16, _) => (x as i32 as f32).to_bits(),
        _ => x,
    })
}

/// Whether the unit for what is rare computes it, at a quarter of the rate or less.
pub(super) fn is_special(fun: MathFunction) -> bool {
    use MathFunction as M;
    matches!(
        fun,
        M::Cos
            | M::Sin
            | M::Tanh
            | M::Exp
            | M::Exp2
            | M::Log
            | M::Log2
            | M::Sqrt
            | M::InverseSqrt
            | M::Pow
    )
}
