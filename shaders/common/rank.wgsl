// The rank of a score: the protected ones first, whatever their score.
override PROTECT: bool = false;

fn rank(x: f32, i: u32, word: u32) -> u32 {
    let s = score(x);
    return select(s, s | PROTECTED, PROTECT && bit(word, i));
}
