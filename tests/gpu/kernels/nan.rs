//! A NaN stays one through what may swallow it: a run that has gone wrong must show it.
use secateur::kernels::*;

use crate::common::{Rig, gpu};

#[test]
fn activations_pass_a_nan_on() {
    let Some(gpu) = gpu() else { return };
    let values = [f32::NAN, -f32::NAN, 1.0, f32::INFINITY, f32::NEG_INFINITY];
    for activation in Activation::ALL {
        let mut rig = Rig::new(gpu);
        let (x, out) = (rig.slot("x", &values), rig.output("out", values.len()));
        rig.push(Activate { x, activation, out, len: values.len() as u32 });
        let got: Vec<f32> = rig.run().read(out);
        assert!(got[0].is_nan() && got[1].is_nan(), "{activation:?}: {got:?}");
        assert!(!got[2].is_nan(), "{activation:?}: {got:?}");
    }
}

#[test]
fn the_largest_of_a_window_with_a_nan_is_nan() {
    let Some(gpu) = gpu() else { return };
    for at in 0..4 {
        let mut values = [1.0f32, 5.0, -2.0, 3.0];
        values[at] = f32::NAN;
        let shape = Convolution {
            images: 1,
            size: [2, 2],
            channels: 1,
            kernel: [2, 2],
            stride: [2, 2],
            dilation: [1, 1],
            pad: [0, 0],
            out: [1, 1],
            outputs: 1,
            groups: 1,
        };
        let mut rig = Rig::new(gpu);
        let (x, y) = (rig.slot("x", &values), rig.output("y", 1));
        rig.push(Pool { shape, pooling: Pooling::Max, x, y });
        let got: Vec<f32> = rig.run().read(y);
        assert!(got[0].is_nan(), "a NaN at {at} gives {got:?}");
    }
}

#[test]
fn a_limit_does_not_hide_a_nan() {
    let Some(gpu) = gpu() else { return };
    let values = [f32::NAN, 9.0, -9.0, 0.5];
    let mut rig = Rig::new(gpu);
    let (x, out) = (rig.slot("x", &values), rig.output("out", 4));
    let strides = Strides { begin: 0, outer: 4, inner: 4 };
    let mut moved = Rearrange::new([x, out], [1, 1, 4], [strides; 2]);
    moved.limit = Some(1.0);
    rig.push(moved);
    let got: Vec<f32> = rig.run().read(out);
    assert!(got[0].is_nan(), "{got:?}");
    assert_eq!(got[1..], [1.0, -1.0, 0.5]);
}
