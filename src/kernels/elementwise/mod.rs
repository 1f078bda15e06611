//! What is done to each element, or adds elements up.

use super::kernels;

kernels! {
    activate: Activate(ActivateParams);
    activation;
    add: Add(AddParams);
    column_sum: ColumnSum(ColumnSumParams);
    dropout: Dropout(DropoutParams);
    gate: Gate(GateParams);
    mul: Mul(MulParams);
    pair_sum: PairSum(PairSumParams);
    random;
    rearrange: Rearrange(RearrangeParams);
}
