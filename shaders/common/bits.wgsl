// Bit `i` of a mask packed 32 to a word, lowest bit first.
fn bit(word: u32, i: u32) -> bool {
    return ((word >> (i & 31u)) & 1u) == 1u;
}
