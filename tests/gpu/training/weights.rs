//! Averages of weights.
