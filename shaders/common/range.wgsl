// The range of ranks that a selection has come down to. MODE says how it goes on:
const OPEN: u32 = 0u; // the range is to be narrowed
const WHOLE: u32 = 1u; // all values in it go the same way: pruned, or kept where LEFT is 0
const LISTED: u32 = 2u; // they are few and are ranked one by one
const TIED: u32 = 3u; // they all have the same rank, and lowest indices stay
const LISTED_MOST: u32 = 4096u;

// Rounds have a state and a histogram each, that of the last round first; the state before that is
// what the rounds have come to.
const STATE: u32 = 8u; // words of a state
const ROUND: u32 = 2051u; // words of a histogram

// A histogram: values below the range, values that are LOW, values between LOW and NEXT, and 2,048
// bins of equal width from NEXT on, LOW left out.
const BELOW: u32 = 0u;
const AT: u32 = 1u;
const BETWEEN: u32 = 2u;
const FIRST: u32 = 3u;

// Log2 of the width of bins from NEXT on, for a range that reaches `reach` above NEXT.
fn bin_shift(reach: u32) -> u32 {
    return 21u - min(countLeadingZeros(reach), 21u);
}
