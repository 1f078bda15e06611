// The list of values in the range, where they are few.
const LENGTH: u32 = 0u; // values so far
const HIGHEST: u32 = 1u; // highest rank that was pruned with the whole range
const RANKS: u32 = 2u;
const PLACES: u32 = 4098u; // index, counted through all tensors of the selection
