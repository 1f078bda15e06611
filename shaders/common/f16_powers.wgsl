// What undoes the power of two of the tensor with this peak.
fn power_back(peak: u32) -> f32 {
    return power_of_two(254u - f16_power(peaks[peak]));
}
