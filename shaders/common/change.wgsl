// How far a weight moved, or, of second order, how much that differs from its move before.
override SECOND: bool = false;
// Whether a weight at 0 is held there, and does not change.
override HELD: bool = false;

fn change(w: f32, old: f32, older: f32) -> f32 {
    if HELD && w == 0.0 {
        return 0.0;
    }
    // Differences of neighbours first: close weights lose nothing in them.
    if SECOND {
        return abs((w - old) - (old - older));
    }
    return abs(w - old);
}
