//! Control flow in step.
use std::rc::Rc;

use wgpu::naga::{
    AtomicFunction, Block, CollectiveOperation, Expression, Handle, Statement, SubgroupOperation,
    SwitchValue,
};

use super::value::{Kind, Lanes, Mask, Shape, Value};
use super::{Answer, Machine, SLOTS, WARP};

/// Lanes that have left a loop, or a switch, or this turn of a loop.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Left {
    broken: Mask,
    continued: Mask,
}

impl<'a> Machine<'a> {
    /// Executes `block` by the lanes of `mask`; those that reach its end.
    pub(super) fn block(&mut self, block: &'a Block, mask: Mask, left: &mut Left) -> Answer<Mask> {
        let named = self.frame().named;
        let mut mask = mask;
        for statement in block.iter() {
            if mask.is_empty() {
                break;
            }
            mask = self.statement(statement, mask, left)?;
        }
        self.frame_mut().named = named;
        Ok(mask)
    }

    fn statement(&mut self, of: &'a Statement, mask: Mask, left: &mut Left) -> Answer<Mask> {
        match of {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    let value = self.compute(handle, mask, true)?;
                    self.name(handle, &value);
                    self.set(handle, value);
                }
            }
            Statement::Block(block) => return self.block(block, mask, left),
            Statement::If { condition, accept, reject } => {
                let holds = self.condition(*condition, mask)?;
                let then = self.block(accept, mask.and(holds), left)?;
                let otherwise = self.block(reject, mask.without(holds), left)?;
                return Ok(then.or(otherwise));
            }
            Statement::Switch { selector, cases } => {
                let selector = self.lanes_of(*selector)?;
                self.wait_for(selector.ready);
                let mut inner = Left::default();
                let (mut rest, mut falling, mut out) = (mask, Mask::default(), Mask::default());
                for case in cases {
                    let is = match case.value {
                        SwitchValue::I32(value) => Some(value as u32),
                        SwitchValue::U32(value) => Some(value),
                        SwitchValue::Default => None,
                    };
                    let other = |lane| {
                        let value = selector.get(0, lane);
                        !cases.iter().any(|c| match c.value {
                            SwitchValue::I32(of) => of as u32 == value,
                            SwitchValue::U32(of) => of == value,
                            SwitchValue::Default => false,
                        })
                    };
                    let here = Mask::where_(self.lanes, |lane| match is {
                        Some(value) => selector.get(0, lane) == value,
                        None => other(lane),
                    });
                    let here = rest.and(here).or(falling);
                    rest = rest.without(here);
                    let ended = self.block(&case.body, here, &mut inner)?;
                    falling = if case.fall_through { ended } else { Mask::default() };
                    out = out.or(if case.fall_through { Mask::default() } else { ended });
                }
                left.continued = left.continued.or(inner.continued);
                return Ok(out.or(rest).or(falling).or(inner.broken));
            }
            Statement::Loop { body, continuing, break_if } => {
                return self.turns(body, continuing, *break_if, mask);
            }
            Statement::Break => {
                left.broken = left.broken.or(mask);
                return Ok(Mask::default());
            }
            Statement::Continue => {
                left.continued = left.continued.or(mask);
                return Ok(Mask::default());
            }
            Statement::Return { value } => {
                let value = value.map(|value| self.operand(value)).transpose()?;
                let lanes = self.lanes;
                let frame = self.frame_mut();
                if let Some(value) = value {
                    let earlier = frame.result.take().filter(|_| !frame.returned.is_empty());
                    frame.result = Some(match earlier {
                        Some(earlier) => merged(&earlier, &value, mask, lanes)?,
                        None => (*value).clone(),
                    });
                }
                frame.returned = frame.returned.or(mask);
                return Ok(Mask::default());
            }
            Statement::ControlBarrier(_) => self.barrier(mask),
            Statement::MemoryBarrier(_) => {}
            Statement::Store { pointer, value } => {
                let place = self.place(*pointer)?;
                let value = self.operand(*value)?;
                self.store(&place, &value, mask)?;
            }
            Statement::Atomic { pointer, fun, value, result } => {
                let place = self.place(*pointer)?;
                let (value, compare) = (self.lanes_of(*value)?, self.compared(fun)?);
                if compare.is_some() {
                    return Err("an exchange that compares".to_owned());
                }
                let old = self
                    .atomic(&place, &value, mask, &|old, new| changed(fun, value.kind, old, new))?;
                if let Some(result) = result {
                    self.set(*result, Value::Lanes(old));
                }
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                self.barrier(mask);
                let place = self.place(*pointer)?;
                let value = self.load(&place, mask)?;
                self.barrier(mask);
                self.set(*result, value);
            }
            Statement::Call { function, arguments, result } => {
                let function = &self.text.module.functions[*function];
                let arguments = arguments.iter().map(|&a| Ok((*self.operand(a)?).clone()));
                let arguments = arguments.collect::<Answer<_>>()?;
                let value = self.call(function, arguments, mask)?;
                if let (Some(result), Some(value)) = (result, value) {
                    self.name(*result, &value);
                    self.set(*result, value);
                }
            }
            Statement::CooperativeStore { data, .. } => {
                self.move_matrix(data, mask, true)?;
            }
            Statement::SubgroupCollectiveOperation {
                op: SubgroupOperation::Max,
                collective_op: CollectiveOperation::Reduce,
                argument,
                result,
            } => {
                let argument = self.lanes_of(*argument)?;
                let most = self.most_of_warps(&argument, mask)?;
                self.set(*result, Value::Lanes(most));
            }
            other => return Err(format!("a statement is {other:?}")),
        }
        Ok(mask)
    }

    /// The largest of whole numbers in each warp, in a tree: each level is a move and a comparison.
    fn most_of_warps(&mut self, of: &Lanes, mask: Mask) -> Answer<Lanes> {
        if of.kind != Kind::U32 || of.size != 1 {
            return Err(format!("the largest of {:?} in a subgroup", of.kind));
        }
        self.uses(of.ready);
        self.issue(2 * u64::from(WARP.ilog2()) * mask.warps());
        let mut bits = vec![0; self.lanes];
        for lanes in mask.by_warp() {
            let most = lanes.iter().map(|&lane| of.get(0, lane)).max().unwrap_or(0);
            lanes.iter().for_each(|&lane| bits[lane] = most);
        }
        Ok(Lanes { kind: Kind::U32, size: 1, bits, ready: of.ready, known: false })
    }

    fn turns(
        &mut self,
        body: &'a Block,
        continuing: &'a Block,
        break_if: Option<Handle<Expression>>,
        mask: Mask,
    ) -> Answer<Mask> {
        let (mut active, mut out) = (mask, Mask::default());
        self.depth += 1;
        while !active.is_empty() {
            let mut left = Left::default();
            let ended = self.block(body, active, &mut left)?.or(left.continued);
            out = out.or(left.broken);
            active = self.block(continuing, ended, &mut Left::default())?;
            self.catch_up();
            if let Some(condition) = break_if.filter(|_| !active.is_empty()) {
                let done = self.condition(condition, active)?;
                out = out.or(active.and(done));
                active = active.without(done);
            }
        }
        self.depth -= 1;
        Ok(out)
    }

    fn condition(&mut self, of: Handle<Expression>, mask: Mask) -> Answer<Mask> {
        let condition = self.lanes_of(of)?;
        self.wait_for(condition.ready);
        if !condition.is_uniform() {
            self.counts.slots += mask.warps() as f64;
            self.clock += mask.warps();
        }
        Ok(Mask::where_(self.lanes, |lane| condition.get(0, lane) != 0))
    }

    fn barrier(&mut self, mask: Mask) {
        self.catch_up();
        self.counts.barriers += 1.0;
        self.counts.slots += mask.warps() as f64;
        // Of as many cycles as a warp's instruction has to travel, at least.
        self.clock += mask.warps().max(5 * SLOTS);
    }

    fn compared(&mut self, fun: &AtomicFunction) -> Answer<Option<Rc<Value>>> {
        match fun {
            AtomicFunction::Exchange { compare: Some(compare) } => {
                Ok(Some(self.operand(*compare)?))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn shape_of(&self, shape: Shape) -> Option<Kind> {
        match shape {
            Shape::Scalar(kind) => Some(kind),
            Shape::Type(ty) => self.text.module.types[ty].inner.scalar().map(Kind::of),
        }
    }
}

fn changed(fun: &AtomicFunction, kind: Kind, old: u32, new: u32) -> u32 {
    let signed = kind == Kind::I32;
    match fun {
        AtomicFunction::Add => old.wrapping_add(new),
        AtomicFunction::Subtract => old.wrapping_sub(new),
        AtomicFunction::And => old & new,
        AtomicFunction::ExclusiveOr => old ^ new,
        AtomicFunction::InclusiveOr => old | new,
        AtomicFunction::Min if signed => (old as i32).min(new as i32) as u32,
        AtomicFunction::Max if signed => (old as i32).max(new as i32) as u32,
        AtomicFunction::Min => old.min(new),
        AtomicFunction::Max => old.max(new),
        AtomicFunction::Exchange { .. } => new,
    }
}

/// `new` where `mask` says so, else `old`.
pub(super) fn merged(old: &Value, new: &Value, mask: Mask, lanes: usize) -> Answer<Value> {
    Ok(match (old, new) {
        (Value::Lanes(old), Value::Lanes(new)) => {
            if old.is_uniform() && new.is_uniform() && old.bits == new.bits {
                return Ok(Value::Lanes(new.clone()));
            }
            let mut bits = Vec::with_capacity(new.size * lanes);
            for c in 0..new.size {
                let of = |lane| if mask.has(lane) { new.get(c, lane) } else { old.get(c, lane) };
                bits.extend((0..lanes).map(of));
            }
            let ready = old.ready.max(new.ready);
            Value::Lanes(Lanes { kind: new.kind, size: new.size, bits, ready, known: false })
        }
        (Value::Parts(old), Value::Parts(new)) => {
            let parts = old.iter().zip(new).map(|(old, new)| merged(old, new, mask, lanes));
            Value::Parts(parts.collect::<Answer<_>>()?)
        }
        (Value::Matrix { ready: old, .. }, &Value::Matrix { ready, words }) => {
            Value::Matrix { ready: ready.max(*old), words }
        }
        _ => return Err("values of two kinds in one place".to_owned()),
    })
}
