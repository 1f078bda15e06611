// State of one selection, shared by the topk kernels.
const LOW: u32 = 0u; // the range: lowest rank that the last value to prune may have
const NEXT: u32 = 1u; // where the range's bins of equal width begin
const HIGH: u32 = 2u; // highest rank of the range
const PRUNE: u32 = 3u; // values to prune
const LEFT: u32 = 4u; // values to prune of those in the range
const COUNT: u32 = 5u; // values in the range
const MODE: u32 = 6u; // what becomes of those in the range; see range.wgsl
const TIES_KEPT: u32 = 7u; // tied: values of the range that stay, lowest index first
const PROTECTED: u32 = 0x80000000u; // above every score
