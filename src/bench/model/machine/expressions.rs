//! Expressions, each in all lanes at once.
use wgpu::naga::{BinaryOperator, CooperativeData, Expression, Handle, Literal, Scalar, TypeInner};

use super::value::{Kind, Lanes, Mask, Place, Shape, Space, Value};
use super::{Answer, Machine, WARP, ops};

/// Slots of an operation that is rare, and of a division of whole numbers.
const SPECIAL: u64 = 4;
const DIVISION: u64 = 16;

pub(super) fn literal(of: Literal) -> Answer<Value> {
    Ok(match of {
        Literal::F32(value) => Value::uniform(Kind::F32, value.to_bits()),
        Literal::F16(value) => Value::uniform(Kind::F16, f32::from(value).to_bits()),
        Literal::U32(value) => Value::uniform(Kind::U32, value),
        Literal::I32(value) => Value::uniform(Kind::I32, value as u32),
        Literal::Bool(value) => Value::uniform(Kind::Bool, u32::from(value)),
        Literal::AbstractInt(value) => Value::uniform(Kind::I32, value as u32),
        Literal::AbstractFloat(value) => Value::uniform(Kind::F32, (value as f32).to_bits()),
        other => return Err(format!("a literal is {other:?}")),
    })
}

/// What an operation counts as.
enum Class {
    MultiplyAdd,
    Float,
    Special,
    Integer,
    Division,
}

impl<'a> Machine<'a> {
    /// What `handle` is worth in the lanes of `mask`, counted where it `counts`.
    pub(super) fn compute(
        &mut self,
        handle: Handle<Expression>,
        mask: Mask,
        counts: bool,
    ) -> Answer<Value> {
        let function = self.frame().function;
        let (lanes, mask) = (self.lanes, if counts { mask } else { Mask::default() });
        Ok(match function.expressions[handle] {
            Expression::Literal(_)
            | Expression::Constant(_)
            | Expression::Override(_)
            | Expression::ZeroValue(_) => {
                self.text.constant(&function.expressions, handle)?.known()
            }
            Expression::FunctionArgument(n) => self.frame().arguments[n as usize].clone(),
            Expression::GlobalVariable(of) => {
                let shape = Shape::Type(self.text.module.global_variables[of].ty);
                let offset = Lanes::uniform(Kind::U32, &[0]);
                Value::Place(Place { space: Space::Global(of), offset, shape })
            }
            Expression::LocalVariable(of) => {
                let shape = Shape::Type(function.local_variables[of].ty);
                let space = Space::Local(self.frames.len() - 1, of);
                let offset = Lanes::uniform(Kind::U32, &[0]);
                Value::Place(Place { space, offset, shape })
            }
            Expression::Compose { ty, ref components } => {
                let parts = components.iter().map(|&c| Ok((*self.operand(c)?).clone()));
                let parts = parts.collect::<Answer<_>>()?;
                self.text.composed(ty, parts, lanes)?
            }
            Expression::Splat { size, value } => {
                let value = self.lanes_of(value)?;
                Value::Lanes(Lanes::joined(&vec![&value; size as usize], lanes))
            }
            Expression::Swizzle { size, vector, pattern } => {
                let vector = self.lanes_of(vector)?;
                let parts = pattern[..size as usize].iter().map(|&c| vector.component(c as usize));
                let parts: Vec<Lanes> = parts.collect();
                Value::Lanes(Lanes::joined(&parts.iter().collect::<Vec<_>>(), lanes))
            }
            Expression::AccessIndex { base, index } => match &*self.operand(base)? {
                Value::Lanes(vector) => Value::Lanes(vector.component(index as usize)),
                Value::Parts(parts) => parts[index as usize].clone(),
                Value::Place(place) => {
                    Value::Place(self.within(place, &Lanes::uniform(Kind::U32, &[index]))?)
                }
                Value::Matrix { .. } => return Err("an element of a matrix".to_owned()),
            },
            Expression::Access { base, index } => {
                let index = self.lanes_of(index)?;
                match &*self.operand(base)? {
                    Value::Place(place) => {
                        let place = self.within(place, &index)?;
                        // The address: one operation, where it differs between lanes.
                        if !index.is_uniform() {
                            self.count(Class::Integer, 1, mask);
                        }
                        Value::Place(place)
                    }
                    Value::Lanes(vector) => {
                        let bits = |l| vector.get(index.get(0, l) as usize % vector.size, l);
                        let bits = (0..lanes).map(bits).collect();
                        let ready = vector.ready.max(index.ready);
                        Value::Lanes(Lanes {
                            kind: vector.kind,
                            size: 1,
                            bits,
                            ready,
                            known: false,
                        })
                    }
                    Value::Parts(parts) if index.is_uniform() => {
                        parts[index.bits[0] as usize % parts.len()].clone()
                    }
                    _ => return Err("an element of a value at a place of each lane's".to_owned()),
                }
            }
            Expression::Load { pointer } => {
                let place = self.place(pointer)?;
                self.load(&place, mask)?
            }
            Expression::Unary { op, expr } => {
                let x = self.lanes_of(expr)?;
                let class = if x.kind.is_float() { Class::Float } else { Class::Integer };
                self.counted(ops::unary(op, &x, lanes), class, mask)
            }
            Expression::Binary { op, left, right } => {
                let (x, y) = (self.lanes_of(left)?, self.lanes_of(right)?);
                let divides = matches!(op, BinaryOperator::Divide | BinaryOperator::Modulo);
                let class = match (x.kind.is_float(), divides) {
                    (true, true) => Class::Special,
                    (true, false) => Class::Float,
                    (false, true) if !y.known => Class::Division,
                    (false, _) => Class::Integer,
                };
                self.counted(ops::binary(op, &x, &y, lanes), class, mask)
            }
            Expression::Select { condition, accept, reject } => {
                let of = [condition, accept, reject].map(|e| self.lanes_of(e));
                let [condition, accept, reject] = of;
                let (condition, accept, reject) = (condition?, accept?, reject?);
                let of = [&condition, &accept, &reject];
                let chosen = |[c, a, r]: [u32; 3]| if c != 0 { a } else { r };
                let class = if accept.kind.is_float() { Class::Float } else { Class::Integer };
                self.counted(Lanes::map(of, accept.kind, lanes, chosen), class, mask)
            }
            Expression::Relational { fun, argument } => {
                let x = self.lanes_of(argument)?;
                self.counted(ops::relational(fun, &x, lanes), Class::Integer, mask)
            }
            Expression::Math { fun, arg, arg1, arg2, .. } => {
                let of = [Some(arg), arg1, arg2].into_iter().flatten();
                let args = of.map(|e| self.lanes_of(e)).collect::<Answer<Vec<_>>>()?;
                let value = ops::math(fun, &args.iter().collect::<Vec<_>>(), lanes);
                let value = value.ok_or_else(|| format!("{fun:?}"))?;
                let class = match args[0].kind.is_float() {
                    true if ops::is_special(fun) => Class::Special,
                    true if fun == wgpu::naga::MathFunction::Fma => Class::MultiplyAdd,
                    true => Class::Float,
                    false => Class::Integer,
                };
                self.counted(value, class, mask)
            }
            Expression::As { expr, kind, convert } => {
                let x = self.lanes_of(expr)?;
                let to = Kind::of(Scalar { kind, width: convert.unwrap_or(4) });
                let value = ops::convert(&x, to, convert.is_some(), lanes);
                match convert {
                    Some(_) if to != x.kind => self.counted(value, Class::Float, mask),
                    // Other names for the same bits.
                    _ => Value::Lanes(value),
                }
            }
            Expression::ArrayLength(of) => {
                let place = self.place(of)?;
                let operand = self.operand_of(place.space)?;
                let Shape::Type(ty) = place.shape else { return Err("no array".to_owned()) };
                let TypeInner::Array { stride, .. } = self.text.module.types[ty].inner else {
                    return Err("no array".to_owned());
                };
                Value::uniform(Kind::U32, operand.words * 4 / stride)
            }
            Expression::CooperativeLoad { ref data, .. } => {
                let shared = self.move_matrix(data, mask, false)?;
                let words = self.matrix_words(Kind::F16);
                Value::Matrix { ready: self.answered(0, shared), words }
            }
            Expression::CooperativeMultiplyAdd { a, b, c } => {
                let ready = [a, b, c].map(|e| self.operand(e).map(|v| v.ready()));
                let mut last = self.clock;
                for ready in ready {
                    last = last.max(ready?);
                }
                self.uses(last);
                let side = f64::from(self.matrix_side());
                self.counts.matrix_multiply_adds += side.powi(3) * mask.warps() as f64;
                self.issue(mask.warps());
                Value::Matrix { ready: last, words: self.matrix_words(Kind::F32) }
            }
            ref other => return Err(format!("an expression is {other:?}")),
        })
    }

    fn counted(&mut self, value: Lanes, class: Class, mask: Mask) -> Value {
        if !mask.is_empty() {
            self.uses(value.ready);
        }
        let size = value.size as u64;
        match (value.is_uniform(), &class) {
            // Once a warp, on a unit of its own or beside the lanes' work.
            (true, Class::Division) | (false, _) => self.count(class, size, mask),
            (true, _) => {}
        }
        Value::Lanes(value)
    }

    fn count(&mut self, class: Class, size: u64, mask: Mask) {
        let (of_lanes, of_warps) = ((size * mask.count()) as f64, size * mask.warps());
        let (count, slots) = match class {
            Class::MultiplyAdd => (&mut self.counts.multiply_adds, 1),
            Class::Float => (&mut self.counts.floats, 1),
            Class::Special => (&mut self.counts.specials, SPECIAL),
            Class::Integer => (&mut self.counts.integers, 1),
            Class::Division => (&mut self.counts.divisions, DIVISION),
        };
        *count += of_lanes;
        if matches!(class, Class::Division) && self.depth > 0 {
            self.counts.loop_divisions += of_lanes;
        }
        self.issue(of_warps * slots);
    }

    /// The member, element or component `index` of what is at `place`.
    fn within(&self, place: &Place, index: &Lanes) -> Answer<Place> {
        let Shape::Type(ty) = place.shape else { return Err("within a scalar".to_owned()) };
        let lanes = self.lanes;
        let at = |stride: u32| {
            Lanes::map([&place.offset, index], Kind::U32, lanes, |[offset, index]| {
                offset.wrapping_add(index.wrapping_mul(stride))
            })
        };
        let (offset, shape) = match &self.text.module.types[ty].inner {
            TypeInner::Struct { members, .. } => {
                let member = &members[index.bits[0] as usize];
                let offset = Lanes::map([&place.offset], Kind::U32, lanes, |[o]| o + member.offset);
                (offset, Shape::Type(member.ty))
            }
            &TypeInner::Array { base, stride, .. } => (at(stride), Shape::Type(base)),
            &TypeInner::Vector { scalar, .. } => {
                let kind = Kind::of(scalar);
                (at(kind.bytes()), Shape::Scalar(kind))
            }
            other => return Err(format!("within {other:?}")),
        };
        Ok(Place { space: place.space, offset, shape })
    }

    /// Rows, columns and terms of the text's cooperative matrices.
    fn matrix_side(&self) -> u32 {
        let side = |ty: &wgpu::naga::Type| match ty.inner {
            TypeInner::CooperativeMatrix { columns, .. } => Some(columns as u32),
            _ => None,
        };
        self.text.module.types.iter().find_map(|(_, ty)| side(ty)).unwrap_or(0)
    }

    /// Words that a lane has of a matrix.
    fn matrix_words(&self, kind: Kind) -> u64 {
        let side = u64::from(self.matrix_side());
        (side * side * u64::from(kind.bytes()) / 4).div_ceil(WARP as u64)
    }

    /// A matrix between memory and a subgroup; whether that is workgroup memory.
    pub(super) fn move_matrix(
        &mut self,
        data: &CooperativeData,
        mask: Mask,
        stores: bool,
    ) -> Answer<bool> {
        let (place, stride) = (self.place(data.pointer)?, self.lanes_of(data.stride)?);
        let kind = self.shape_of(place.shape).ok_or("a matrix of what?")?;
        let Shape::Type(element) = place.shape else {
            return Err("a matrix from a component".to_owned());
        };
        // The stride is in elements of the array, which may be vectors.
        let (side, element) = (self.matrix_side(), self.text.bytes(element)?);
        let shared = self.is_shared(place.space);
        for lanes in mask.by_warp() {
            self.issue(1);
            let first = place.offset.get(0, lanes[0]);
            let rows = [side, stride.get(0, lanes[0]) * element, side * kind.bytes()];
            if shared {
                self.count_shared_rows(first, rows);
                continue;
            }
            let slot = self.operand_of(place.space)?.slot;
            match stores {
                true => self.count_stored_rows(slot, first, rows),
                false => self.count_rows(slot, first, rows),
            }
        }
        Ok(shared)
    }
}
