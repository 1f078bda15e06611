// How many of `rows` rows part `p` has, where the parts take turns of sixteen.
fn rows_of_part(rows: u32, parts: u32, p: u32) -> u32 {
    let round = 16u * parts;
    let left = rows % round;
    return rows / round * 16u + min(left - min(left, p * 16u), 16u);
}
