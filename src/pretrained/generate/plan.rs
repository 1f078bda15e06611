//! What is launched for a part of a sequence, and for the logits behind it: pure, no GPU.
use super::options::GenerateOptions;
use super::weights::Weights;
use crate::gpu::{Memory, Phase, PlanBuilder, Precision, Slot, Target};
use crate::graph::{Bindings, Graph, Mode, Shape, Tensor, lower};
use crate::kernels::STEP_WORDS;
use crate::pretrained::architectures::{Answer, Input};
use crate::pretrained::layers::{Layers, Source};
use crate::pretrained::model::Pretrained;
use crate::{Error, Result};

/// Everything that a generator launches, before it is built.
pub(super) struct GeneratorPlan<'m> {
    pub(super) plan: PlanBuilder,
    pub(super) weights: Weights<'m>,
    /// Longest first; the last one is of one position.
    pub(super) parts: Vec<Part>,
    /// Logits of the last position of the part before it.
    pub(super) head: Phase,
    pub(super) logits: Slot,
}

/// The next positions of a sequence, all blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Positions.
    pub(super) length: u32,
    /// `[length, width]`, the tokens' rows.
    pub(super) tokens: Slot,
    /// `[length]`, numbers of the positions, as f32.
    pub(super) positions: Slot,
    /// Which of them is the last one, as f32, where there are several.
    pub(super) last: Option<Slot>,
    pub(super) phase: Phase,
}

/// Layers of a part.
pub(super) struct PartGraph {
    pub(super) graph: Graph,
    pub(super) sources: Vec<Source>,
    tokens: Tensor,
    positions: Tensor,
    last: Option<Tensor>,
    caches: Vec<[Tensor; 2]>,
    /// What comes out of the last block for the last position `[1, width]`.
    output: Tensor,
}

/// Layers of the head for one position.
pub(super) struct HeadGraph {
    pub(super) graph: Graph,
    pub(super) sources: Vec<Source>,
    /// `[1, width]`
    features: Tensor,
    output: Tensor,
}

impl HeadGraph {
    pub(super) fn new(model: &Pretrained, width: u32) -> Result<Self> {
        let mut layers = Layers::new("");
        let features = layers.graph.features(1, width);
        let x = layers.graph.reshape(features, [1, 1, width])?;
        let output = model.architecture().head(&mut layers, x)?;
        let Layers { graph, sources, .. } = layers;
        Ok(Self { graph, sources, features, output })
    }
}

impl PartGraph {
    pub(super) fn new(model: &Pretrained, [length, width, capacity]: [u32; 3]) -> Result<Self> {
        let architecture = model.architecture();
        let mut layers = Layers::new("");
        let positions = layers.part_by_part(length, capacity)?;
        let tokens = layers.graph.features(1, length.saturating_mul(width));
        let x = layers.graph.reshape(tokens, [1, length, width])?;
        let mut x = architecture.embed(&mut layers, x, None)?;
        for block in 0..architecture.blocks() {
            for part in 0..architecture.parts(block) {
                x = architecture.part(&mut layers, block, part, x)?;
            }
        }
        let x = layers.graph.reshape(x, [length, width])?;
        let (last, output) = match length {
            1 => (None, x),
            _ => {
                let last = layers.graph.features(1, 1);
                (Some(last), layers.graph.embedding(last, x)?)
            }
        };
        let Layers { graph, sources, cached, .. } = layers;
        let caches = cached.map_or_else(Vec::new, |cached| cached.caches);
        Ok(Self { graph, sources, tokens, positions, last, caches, output })
    }
}

impl<'m> GeneratorPlan<'m> {
    /// Plans the generation of text by `model`, for a device that `target` says. Products are in f32
    /// whatever it says of precision: copies in f16 would be made anew for each token.
    pub(super) fn new(
        model: &'m Pretrained,
        target: Target,
        options: &GenerateOptions,
    ) -> Result<Self> {
        let [vocabulary, width] = vocabulary_and_width(model)?;
        options.validate(model.architecture().input())?;
        let mut plan = PlanBuilder::new(Target { precision: Precision::F32, ..target });
        let step = plan.persistent("step", STEP_WORDS);
        let hidden = plan.persistent("hidden", width);
        let logits = plan.persistent("logits", vocabulary);
        let mut weights = Weights::new(model, target, options.weights)?;
        let mut caches = Vec::new();
        let (mut parts, mut first) = (Vec::new(), None);
        for length in options.lengths() {
            let of = PartGraph::new(model, [length, width, options.positions])?;
            let PartGraph { mut graph, sources, tokens, positions, last, output, .. } = of;
            graph.share_constants(first.get_or_insert_with(|| graph.clone()));
            let mut bindings = Bindings::new(&graph, step);
            let stored = weights.place(&mut plan, &graph, sources)?;
            let parameters = graph.parameters().iter().zip(stored);
            parameters.for_each(|(parameter, stored)| bindings.set(parameter.tensor, stored));
            for (at, &tensor) in of.caches.iter().flatten().enumerate() {
                if at == caches.len() {
                    let words = words(&graph, tensor)?;
                    caches.push(plan.persistent(&*graph.nodes()[tensor.index()].name, words));
                }
                bindings.set(tensor, caches[at]);
            }
            let mut place = |name: &str, tensor| {
                let slot = plan.persistent(format!("{name}.{length}"), words(&graph, tensor)?);
                bindings.set(tensor, slot);
                Ok::<_, Error>(slot)
            };
            let tokens = place("tokens", tokens)?;
            let positions = place("positions", positions)?;
            let last = last.map(|last| place("last", last)).transpose()?;
            bindings.set(output, hidden);
            let phase = plan.phase(format!("part.{length}"));
            lower(&graph, &mut plan, &bindings, &[output], Mode::Evaluate)?;
            parts.push(Part { length, tokens, positions, last, phase });
        }
        let head = head(model, &mut plan, &mut weights, [step, hidden, logits])?;
        // What the host reads back, and the tokens that it writes.
        let longest = parts.first().map_or(0, |part| part.tokens.words);
        plan.stage(4 * (u64::from(logits.words) + u64::from(longest)));
        Ok(Self { plan, weights, parts, head, logits })
    }
}

/// Tokens that `model` knows, and the width of what stands for one of them.
///
/// # Errors
/// [`Error::Argument`] where it is no language model.
pub(super) fn vocabulary_and_width(model: &Pretrained) -> Result<[u32; 2]> {
    let architecture = model.architecture();
    match (architecture.answer(), architecture.input()) {
        (Answer::NextToken, Input::Tokens { vocabulary, width, types: None, .. }) => {
            Ok([vocabulary, width])
        }
        _ => {
            let message = format!("{} is no language model", model.path().display());
            Err(Error::argument("model", message))
        }
    }
}

/// The phase that makes logits of the last position.
fn head(
    model: &Pretrained,
    plan: &mut PlanBuilder,
    weights: &mut Weights<'_>,
    [step, hidden, logits]: [Slot; 3],
) -> Result<Phase> {
    let HeadGraph { graph, sources, features, output } = HeadGraph::new(model, hidden.words)?;
    let mut bindings = Bindings::new(&graph, step);
    let stored = weights.place(plan, &graph, sources)?;
    let parameters = graph.parameters().iter().zip(stored);
    parameters.for_each(|(parameter, stored)| bindings.set(parameter.tensor, stored));
    bindings.set(features, hidden);
    bindings.set(output, logits);
    let phase = plan.phase("head");
    let wanted = graph.shape(output);
    if wanted.elements() != Some(logits.words) {
        let want = Shape::new([1, 1, logits.words]);
        return Err(Error::shape("head", format!("logits {wanted} must be {want}")));
    }
    lower(&graph, plan, &bindings, &[output], Mode::Evaluate)?;
    Ok(phase)
}

fn words(graph: &Graph, tensor: Tensor) -> Result<u32> {
    let shape = graph.shape(tensor);
    let name = &graph.nodes()[tensor.index()].name;
    let large = || Error::shape(name, format!("{shape} has 2^32 elements or more"));
    shape.elements().ok_or_else(large)
}

impl Pretrained {
    /// Bytes on a device that [`generator`](Self::generator) takes there.
    ///
    /// # Errors
    /// As [`generator`](Self::generator), but for those of the device and the values of the files.
    pub fn generate_memory(&self, target: Target, options: &GenerateOptions) -> Result<Memory> {
        Ok(GeneratorPlan::new(self, target, options)?.plan.memory())
    }
}
