//! A network on the device for tests: inputs, parameters, masks, and gradients to read back.
use bytemuck::Pod;
use secateur::gpu::{Encoder, Gpu, Phase, PlanBuilder, Program, Slot, Target};
use secateur::graph::{Bindings, Mode, Stored, Tensor, gradients, lower};
use secateur::kernels::{Pruned, STEP_WORDS, Step, mask_words};
use secateur::nn::Network;

/// The forward and backward pass of a network, everything persistent.
pub struct OnDevice<'g> {
    gpu: &'g Gpu,
    pub program: Program,
    phase: Phase,
    pub inputs: [Slot; 3],
    pub loss: Slot,
    pub parameters: Vec<Slot>,
    pub masks: Vec<Option<Slot>>,
    pub gradients: Vec<Slot>,
}

impl<'g> OnDevice<'g> {
    /// Plans `network`; `more` may append launches, given the step, parameters, masks and
    /// gradients.
    pub fn new(
        gpu: &'g Gpu,
        network: &Network,
        more: impl FnOnce(&mut PlanBuilder, Slot, &[Slot], &[Option<Slot>], &[Slot]),
    ) -> Self {
        Self::for_target(gpu, gpu.target(), network, more)
    }

    /// The same in the variants that `target` chooses, which must run on `gpu`.
    pub fn for_target(
        gpu: &'g Gpu,
        target: Target,
        network: &Network,
        more: impl FnOnce(&mut PlanBuilder, Slot, &[Slot], &[Option<Slot>], &[Slot]),
    ) -> Self {
        let mut graph = network.graph.clone();
        let wanted = gradients(&mut graph, network.loss).unwrap();
        let mut plan = PlanBuilder::new(target);
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let mut place = |plan: &mut PlanBuilder, name: &str, tensor: Tensor| {
            let slot = plan.persistent(name, graph.shape(tensor).elements().unwrap());
            bindings.set(tensor, slot);
            slot
        };
        let features = place(&mut plan, "features", network.features);
        let labels = place(&mut plan, "labels", network.answers);
        let loss = place(&mut plan, "loss", network.loss);
        let all = graph.parameters();
        let parameters: Vec<Slot> =
            all.iter().map(|p| place(&mut plan, &p.name, p.tensor)).collect();
        let gradients: Vec<Slot> =
            wanted.iter().flatten().map(|g| place(&mut plan, "gradient", *g)).collect();
        let masks: Vec<Option<Slot>> = all
            .iter()
            .zip(&parameters)
            .map(|(p, &weights)| {
                let words = mask_words(p.shape.elements().unwrap());
                let mask = p.masked.then(|| plan.persistent("mask", words))?;
                bindings.set(p.tensor, Stored::pruned(weights, mask, Pruned::Revive));
                Some(mask)
            })
            .collect();
        let phase = plan.phase("test");
        let wanted: Vec<Tensor> =
            [network.loss].into_iter().chain(wanted.into_iter().flatten()).collect();
        lower(&graph, &mut plan, &bindings, &wanted, Mode::Train).unwrap();
        more(&mut plan, step, &parameters, &masks, &gradients);
        let program = plan.build(gpu).unwrap();
        let inputs = [features, labels, step];
        Self { gpu, program, phase, inputs, loss, parameters, masks, gradients }
    }

    pub fn upload<T: Pod>(&self, slot: Slot, data: &[T]) {
        self.program.upload(self.gpu, slot, data);
    }

    pub fn upload_batch(&self, features: &[f32], labels: &[u32], step: Step) {
        let [f, l, s] = self.inputs;
        self.upload(f, features);
        self.upload(l, labels);
        self.upload(s, &[step]);
    }

    /// Runs one step on poisoned scratch: a stale read would be NaN.
    pub fn run(&self) {
        self.program.poison_scratch(self.gpu);
        let mut encoder = Encoder::new(self.gpu);
        self.program.encode(self.phase, &mut encoder);
        encoder.submit().unwrap();
    }

    pub fn read(&self, slot: Slot) -> Vec<f32> {
        self.program.download(self.gpu, slot).unwrap()
    }
}
