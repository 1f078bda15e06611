//! Functions, and what is known within one.
use std::rc::Rc;

use wgpu::naga::{Expression, Function, Handle, TypeInner};

use super::memory::Local;
use super::statements::Left;
use super::value::{Lanes, Mask, Place, Value};
use super::{Answer, Frame, Machine};

impl<'a> Machine<'a> {
    /// Calls `function` in the lanes of `mask`; its result.
    pub(super) fn call(
        &mut self,
        function: &'a Function,
        arguments: Vec<Value>,
        mask: Mask,
    ) -> Answer<Option<Value>> {
        let mut locals = Vec::new();
        for (_, variable) in function.local_variables.iter() {
            let mut local = Local::new(self.text.bytes(variable.ty)?);
            if let TypeInner::CooperativeMatrix { columns, rows, .. } =
                self.text.module.types[variable.ty].inner
            {
                local.matrix = u64::from(columns as u32 * rows as u32).div_ceil(32);
            }
            locals.push(local);
        }
        let (values, returned) = (vec![None; function.expressions.len()], Mask::default());
        let (result, named) = (None, 0);
        let frame = Frame { function, values, arguments, locals, mask, returned, result, named };
        self.frames.push(frame);
        for (handle, variable) in function.local_variables.iter() {
            if let Some(init) = variable.init {
                let value = self.text.constant(&function.expressions, init)?;
                self.initialise(handle, &value)?;
            }
        }
        self.block(&function.body, mask, &mut Left::default())?;
        let frame = self.frames.pop().expect("was pushed");
        Ok(frame.result)
    }

    pub(super) fn frame(&self) -> &Frame<'a> {
        self.frames.last().expect("a function is in execution")
    }

    pub(super) fn frame_mut(&mut self) -> &mut Frame<'a> {
        self.frames.last_mut().expect("a function is in execution")
    }

    pub(super) fn set(&mut self, handle: Handle<Expression>, value: Value) {
        self.frame_mut().values[handle.index()] = Some(Rc::new(value));
    }

    /// What `handle` is worth: as it was emitted, or where it need not be.
    pub(super) fn operand(&mut self, handle: Handle<Expression>) -> Answer<Rc<Value>> {
        if let Some(value) = &self.frame().values[handle.index()] {
            return Ok(Rc::clone(value));
        }
        let value = Rc::new(self.compute(handle, self.frame().mask, false)?);
        // It is the same whenever it is asked for.
        self.frame_mut().values[handle.index()] = Some(Rc::clone(&value));
        Ok(value)
    }

    pub(super) fn lanes_of(&mut self, handle: Handle<Expression>) -> Answer<Lanes> {
        match &*self.operand(handle)? {
            Value::Lanes(lanes) => Ok(lanes.clone()),
            other => Err(format!("no number: {other:?}")),
        }
    }

    pub(super) fn place(&mut self, handle: Handle<Expression>) -> Answer<Place> {
        match &*self.operand(handle)? {
            Value::Place(place) => Ok(place.clone()),
            other => Err(format!("no place: {other:?}")),
        }
    }

    /// The clock goes on to when what is `ready` then has arrived.
    pub(super) fn wait_for(&mut self, ready: u64) {
        if ready > self.clock {
            self.counts.waited += (ready - self.clock) as f64;
            self.clock = ready;
        }
    }

    /// What is `ready` then is used in this turn.
    pub(super) fn uses(&mut self, ready: u64) {
        self.due = self.due.max(ready);
    }

    /// All that was used has arrived.
    pub(super) fn catch_up(&mut self) {
        self.wait_for(self.due);
    }

    /// Notes the registers of a value that the text names.
    pub(super) fn name(&mut self, handle: Handle<Expression>, value: &Value) {
        if !self.frame().function.named_expressions.contains_key(&handle) {
            return;
        }
        self.frame_mut().named += value.registers();
        let of = |frame: &Frame<'_>| {
            frame.named + frame.locals.iter().map(Local::registers).sum::<u64>()
        };
        let private: u64 = self.private.values().map(Local::registers).sum();
        let registers = self.frames.iter().map(of).sum::<u64>() + private;
        self.counts.registers = self.counts.registers.max(registers as f64);
    }
}
