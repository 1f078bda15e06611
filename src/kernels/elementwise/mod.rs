//! What is done to each element, or adds elements up.

use super::kernels;

kernels! {
    activate: Activate(ActivateParams);
    activation;
    column_sum: ColumnSum(ColumnSumParams);
    dropout: Dropout(DropoutParams);
    gate: Gate(GateParams);
    pad: Pad(PadParams);
    pair_sum: PairSum(PairSumParams);
    random;
    rearrange: Rearrange(RearrangeParams);
    repeated: Add(AddParams), Mul(MulParams);
}
