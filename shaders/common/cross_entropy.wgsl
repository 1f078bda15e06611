// The loss of a row and its slopes, for the sums over its classes that another file makes; divided by the valid rows.
fn loss_of(sum: f32, shifts: f32, of_label: f32, rows: u32) -> f32 {
    let spread = params.smoothing / f32(params.classes);
    let hit = 1.0 - params.smoothing;
    return (log(sum) - hit * of_label - spread * shifts) * (1.0 / f32(rows));
}

fn slope_of(exponential: f32, sum: f32, is_label: bool, rows: u32) -> f32 {
    let spread = params.smoothing / f32(params.classes);
    let hit = 1.0 - params.smoothing;
    return (exponential / sum - select(0.0, hit, is_label) - spread) * (1.0 / f32(rows));
}
