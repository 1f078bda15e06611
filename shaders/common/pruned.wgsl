// What becomes of a pruned weight in an optimizer.
const DENSE: u32 = 0u; // there is no mask
const ZERO: u32 = 1u; // weight and slots held at zero
const REVIVE: u32 = 2u; // no data gradient; momentum and decay still move the raw value
const FREEZE: u32 = 3u; // neither the raw value nor the slots move
override PRUNED: u32 = DENSE;
