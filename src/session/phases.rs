//! The phases of a step as launches: forward, backward, scores, clips, updates, averages.
use super::variable::Variable;
use crate::Result;
use crate::gpu::{Phase, PlanBuilder, Slot};
use crate::graph::{Bindings, Graph, Mode, Tensor, lower};
use crate::kernels::WeightAverage;
use crate::optim::{Training, Update};
use crate::prune::{LayerInput, PrunedTensor, Score};

pub(super) struct Planning<'a> {
    pub(super) graph: &'a Graph,
    pub(super) bindings: &'a Bindings,
    pub(super) plan: PlanBuilder,
    pub(super) training: &'a Training,
    /// Of the variables, the factors on their gradients.
    pub(super) multipliers: Vec<f32>,
    pub(super) variables: &'a [Variable],
    pub(super) step: Slot,
    pub(super) score: Score,
    /// Rows of a batch.
    pub(super) batch: u32,
    /// Of the variables, as the mask update sees them.
    pub(super) pruned: Vec<Option<PrunedTensor>>,
    /// Of the variables, the tensors that they are multiplied with.
    pub(super) inputs: Vec<Vec<Tensor>>,
}

impl Planning<'_> {
    pub(super) fn train(
        &mut self,
        phase: &str,
        outputs: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Phase> {
        let phase = self.plan.phase(phase);
        let slots = self.gradients(self.bindings, outputs, gradients, Mode::Train)?;
        self.update(&slots)?;
        Ok(phase)
    }

    pub(super) fn accumulate(
        &mut self,
        phase: &str,
        outputs: &[Tensor],
        gradients: &[Option<Tensor>],
        means: &[Option<Slot>],
    ) -> Result<Phase> {
        let phase = self.plan.phase(phase);
        let mut bindings = self.bindings.clone();
        for (gradient, mean) in gradients.iter().zip(means) {
            gradient
                .zip(*mean)
                .iter()
                .for_each(|&(gradient, mean)| bindings.set_mean(gradient, mean));
        }
        self.gradients(&bindings, outputs, gradients, Mode::Train)?;
        Ok(phase)
    }

    /// The phase, and whether scores read the means in it.
    pub(super) fn apply(
        &mut self,
        phase: &str,
        gradients: &[Option<Tensor>],
        means: &[Option<Slot>],
    ) -> Result<(Phase, bool)> {
        let phase = self.plan.phase(phase);
        let slots = gradients.iter().zip(means).map(|(g, &mean)| g.and(mean));
        let scored = self.update(&slots.collect::<Vec<_>>())?;
        Ok((phase, scored))
    }

    pub(super) fn calibrate(
        &mut self,
        outputs: &[Tensor],
        gradients: &[Option<Tensor>],
    ) -> Result<Phase> {
        let phase = self.plan.phase("calibrate");
        let slots = self.gradients(self.bindings, outputs, gradients, Mode::Look)?;
        self.score(&slots)?;
        Ok(phase)
    }

    /// Lowers forward and backward, and what scores take from the forward pass; where each
    /// parameter's gradient is, if it has one.
    fn gradients(
        &mut self,
        bindings: &Bindings,
        outputs: &[Tensor],
        gradients: &[Option<Tensor>],
        mode: Mode,
    ) -> Result<Vec<Option<Slot>>> {
        let inputs = self.inputs.iter().flatten();
        let gradient_tensors = gradients.iter().flatten();
        let wanted: Vec<_> =
            outputs.iter().chain(gradient_tensors).chain(inputs).copied().collect();
        let mut slots = lower(self.graph, &mut self.plan, bindings, &wanted, mode)?
            .into_iter()
            .skip(outputs.len());
        let gradients = gradients.iter().map(|g| g.and_then(|_| slots.next())).collect();
        for (pruned, inputs) in self.pruned.iter().zip(&self.inputs) {
            for (&input, x) in inputs.iter().zip(&mut slots) {
                let Some(t) = pruned else { continue };
                let shape = self.graph.shape(input);
                let rows = x.words / shape.dims().last().copied().unwrap_or(1).max(1);
                let rows = [rows, rows / self.batch.max(1)];
                let input = LayerInput::new([x, self.step], rows);
                self.score.scoring().push_forward(&mut self.plan, t, &input)?;
            }
        }
        Ok(gradients)
    }

    /// Pushes what scores take from the gradients, before the weights move; whether that is
    /// anything.
    fn score(&mut self, gradients: &[Option<Slot>]) -> Result<bool> {
        let before = self.plan.launches();
        for (pruned, gradient) in self.pruned.iter().zip(gradients) {
            let (Some(t), &Some(gradient)) = (pruned, gradient) else { continue };
            self.score.scoring().push_gradient(&mut self.plan, t, gradient)?;
        }
        Ok(self.plan.launches() > before)
    }

    /// Pushes the optimizer's kernel for each parameter that has a gradient, its score's before and
    /// what clips it between them; then every parameter's average, so that all are of as many
    /// steps. Whether scores read the gradients.
    fn update(&mut self, gradients: &[Option<Slot>]) -> Result<bool> {
        let scored = self.score(gradients)?;
        let moved = self.variables.iter().zip(gradients).zip(&self.multipliers);
        let update = |((variable, gradient), &multiplier): ((&Variable, &Option<Slot>), &f32)| {
            let mut update = Update::new(variable.weight.clone(), (*gradient)?, self.step);
            update.multiplier = multiplier;
            Some(update)
        };
        self.training.push(&mut self.plan, moved.filter_map(update).collect())?;
        for v in self.variables {
            let Some(average) = v.average() else { continue };
            let (weights, step, len) = (v.weight.values()?, self.step, v.weight.len);
            self.plan.push(WeightAverage { weights, step, average, len })?;
        }
        Ok(scored)
    }
}
