// State of one selection, shared by the topk kernels.
const SCORE: u32 = 0u; // score of the last weight to prune, found digit by digit
const PRUNE: u32 = 1u; // weights still to prune among those with that score
const TIES_KEPT: u32 = 2u; // weights with that score that stay, lowest index first
const KEPT: u32 = 3u; // bits set in the mask
const NAN: u32 = 4u; // weights that are NaN
const THRESHOLD: u32 = 5u; // score of the last weight pruned that was not zero already
