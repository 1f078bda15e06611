//! `matvec`: a product of one row, as a model has them that makes one token after the other.
use super::matmul::{Form, Matmul};
use crate::gpu::{
    Bound, Cut, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, Target, read, write,
};
use crate::kernels::Activation;

/// Invocations of a workgroup, as in the WGSL.
const LANES: u32 = 32;

/// `c = activation(a op(b) + bias)` of one row `a`, to the bits of [`Matmul`].
#[derive(Debug, Clone, Copy)]
pub struct Matvec {
    /// [`Form::NN`], or [`Form::NT`].
    pub form: Form,
    /// `[k]`
    pub a: Slot,
    /// `[k, n]`, or `[n, k]` in the form NT.
    pub b: Slot,
    /// `[n]`
    pub bias: Option<Slot>,
    /// Applied after the bias.
    pub activation: Activation,
    /// `[n]`
    pub c: Slot,
    /// Columns: fours of them in the form NN.
    pub n: u32,
    /// Terms of each sum: fours of them.
    pub k: u32,
    /// Whether it is added to what `c` holds, before bias and activation.
    pub adds: bool,
}

crate::uniform! {
    /// Uniform of [`Matvec`].
    pub struct MatvecParams {
        /// Columns.
        n: u32,
        /// Terms.
        k: u32,
        /// First workgroup of this launch.
        first_x: u32,
        /// The same along y.
        first_y: u32,
        /// The same along z.
        first_z: u32,
    }
}

impl Matvec {
    /// What does the same as `product`, added to what is there or not, where that is of one row and
    /// `target` is an adapter that it is the faster one on: software, whose loads of four words cost
    /// what those of one do. On others nobody has measured it.
    pub fn of(product: &Matmul, adds: bool, target: Target) -> Option<Self> {
        let &Matmul { form, a, b, mask, bias, activation, gate, c, m, n, k, .. } = product;
        let whole = product.begin == [0; 2] && product.terms.is_none() && product.first_column == 0;
        let bare = mask.is_none() && gate.is_none() && whole;
        let one = Self { form, a, b, bias, activation, c, n, k, adds };
        let suits = target.software && m == 1 && bare && one.check().is_ok();
        suits.then_some(one)
    }

    /// Columns of an invocation.
    fn columns(&self) -> u32 {
        if self.form == Form::NT { 2 } else { 4 }
    }
}

impl Kernel for Matvec {
    const NAME: &'static str = "matvec";
    const WGSL: &'static str =
        crate::wgsl!("common/activation.wgsl", "common/cut.wgsl", "matvec.wgsl");
    const OPERANDS: &'static [Operand] = &[read("a"), read("b"), read("bias"), write("c")];
    type Params = MatvecParams;

    fn bind(&self) -> Vec<Bound> {
        let [n, k] = [self.n, self.k].map(u64::from);
        vec![
            self.a.needs(k),
            self.b.needs(n * k),
            self.bias.map_or(Bound::NONE, |slot| slot.needs(n)),
            self.c.needs(n),
        ]
    }

    fn params(&self) -> MatvecParams {
        let Self { n, k, .. } = *self;
        MatvecParams { n, k, ..MatvecParams::default() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let flag = |set: bool| f64::from(u8::from(set));
        let all = [
            ("TRANS_B", flag(self.form == Form::NT)),
            ("BIAS", flag(self.bias.is_some())),
            ("ACTIVATION", self.activation.code()),
            ("ACCUMULATE", flag(self.adds)),
        ];
        all.into_iter().filter(|&(_, value)| value != 0.0).collect()
    }

    fn grid(&self) -> [u32; 3] {
        [self.n.div_ceil(LANES * self.columns()), 1, 1]
    }

    fn cut(&self) -> Option<Cut> {
        let first = std::mem::offset_of!(MatvecParams, first_x);
        Some(Cut { operations: u64::from(self.n) * u64::from(self.k), first })
    }

    fn check(&self) -> Result<(), String> {
        let Self { form, n, k, .. } = *self;
        let fours = k.is_multiple_of(4) && (form == Form::NT || n.is_multiple_of(4));
        if form == Form::TN || n == 0 || k == 0 || !fours {
            return Err(format!("{form:?}, n {n}, k {k}: NN or NT of whole fours"));
        }
        // Longer sums are made in parts, which matters to their bits.
        if k > MAX_LOOP_ITERATIONS {
            return Err(format!("{k} terms are over {MAX_LOOP_ITERATIONS}"));
        }
        match n.checked_mul(k) {
            Some(_) => Ok(()),
            None => Err(format!("n {n}, k {k}: a matrix has 2^32 elements or more")),
        }
    }
}
