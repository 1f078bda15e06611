// A launch may be a piece of a grid that would take too long at once: it begins at this workgroup of the whole.
fn first_group() -> vec3<u32> {
    return vec3(params.first_x, params.first_y, params.first_z);
}
