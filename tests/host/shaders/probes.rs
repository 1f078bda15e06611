//! The kernels that measure an adapter in every variant.
use secateur::gpu::{PlanBuilder, Slot};
use secateur::kernels::{CopyProbe, FmaProbe};

pub fn variants(plan: &mut PlanBuilder, x: Slot, out: Slot) {
    plan.push(CopyProbe { x, out, len: 16, vectors: 4 }).unwrap();
    plan.push(FmaProbe { out, len: 1, iterations: 1, chains: 8, fused: true }).unwrap();
}
