// State of one selection, shared by the topk kernels.
const SCORE: u32 = 0u; // score of the last weight to prune, found digit by digit
const PRUNE: u32 = 1u; // weights still to prune among those with that score
const TIES_KEPT: u32 = 2u; // weights with that score that stay from here on, lowest index first
const TIES: u32 = 3u; // weights with that score in the tensor that topk_scan saw last
const PROTECTED: u32 = 0x80000000u; // above every score
