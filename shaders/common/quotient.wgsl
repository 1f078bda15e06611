// x / y to the nearest f32, for finite bits of numbers that are not negative, x not above y and y not 0. WGSL's own
// division may be off by 2.5 units in the last place, which moves what is compared with it. A quotient below the normal
// numbers is 0.
fn quotient(x: u32, y: u32) -> f32 {
    let a = scaled(x);
    let b = scaled(y);
    if a.mantissa == 0u {
        return 0.0;
    }
    // So that the quotient of the mantissas, times 2^shift, has 24 bits.
    let shift = select(24u, 23u, a.mantissa >= b.mantissa);
    var q = u32(f32(a.mantissa) / f32(b.mantissa) * f32(1u << shift));
    // The rest is small, so that its low 32 bits are all of it.
    var rest = bitcast<i32>((a.mantissa << shift) - q * b.mantissa);
    let one = i32(b.mantissa);
    // Off by three at most. At the nearest it is at most one half of b; never one half itself, as no quotient of f32 is between two of them.
    for (var n = 0u; n < 3u; n += 1u) {
        if 2 * rest > one {
            q += 1u;
            rest -= one;
        } else if 2 * rest < -one {
            q -= 1u;
            rest += one;
        }
    }
    // 2^24 is the next power of two.
    let carry = q >> 24u;
    let exponent = a.exponent - b.exponent - i32(shift) + i32(carry) + 150;
    if exponent <= 0 {
        return 0.0;
    }
    return bitcast<f32>((u32(exponent) << 23u) | (select(q, 0u, carry > 0u) & 0x7fffffu));
}

// mantissa * 2^(exponent - 150), the mantissa with 24 bits, or 0.
struct Scaled {
    mantissa: u32,
    exponent: i32,
}

fn scaled(bits: u32) -> Scaled {
    if bits >= 0x800000u {
        return Scaled((bits & 0x7fffffu) | 0x800000u, i32(bits >> 23u));
    }
    if bits == 0u {
        return Scaled(0u, 0);
    }
    let shift = countLeadingZeros(bits) - 8u;
    return Scaled(bits << shift, 1 - i32(shift));
}
