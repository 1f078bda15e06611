// What the last update did to one mask.
const KEPT: u32 = 0u; // bits set
const NAN: u32 = 1u; // scores that are NaN
const CHANGED: u32 = 2u; // bits that differ from those before
const THRESHOLD: u32 = 3u; // bits of the score of the last weight pruned that was not zero already
