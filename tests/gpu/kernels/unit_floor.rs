//! `unit_peak` and `unit_floor`: which weight of each output unit is protected.
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, gpu};

#[test]
fn each_unit_keeps_its_first_highest_weight() {
    let Some(gpu) = gpu() else { return };
    let shapes =
        [(1, 1), (1, 33), (33, 1), (17, 16), (31, 15), (257, 100), (1000, 10), (2, 70_001)];
    for (rows, columns) in shapes {
        let len = rows * columns;
        // Few values: most columns have ties for the highest.
        let choice = Noise::new(len as u64).below(len, 4);
        let few = choice.iter().map(|&c| [0.0, -2.0, 0.5, 2.0][c as usize]).collect();
        let values = [few, Noise::new(1).floats(len, 1.0), vec![-0.0; len]];
        for (layout, values) in [Layout::InOut, Layout::OutIn]
            .into_iter()
            .flat_map(|layout| values.iter().map(move |values| (layout, values)))
        {
            let mut rig = Rig::new(gpu);
            let outputs_first = |values: &[f32]| outputs_first(values, columns);
            let slot = match layout {
                Layout::InOut => rig.slot("values", values),
                Layout::OutIn => rig.slot("values", &outputs_first(values)),
            };
            let peaks = rig.output("peaks", columns);
            let protect = rig.output("protect", len.div_ceil(32));
            let of = Units::new([rows as u32, columns as u32]).layout(layout);
            rig.push(UnitPeak { values: slot, peaks, of });
            rig.push(UnitFloor { peaks, protect, of });
            let bench = rig.run();
            let want = unit_peak_reference(values, columns);
            let context = |e| panic!("{of:?}: {e}");
            Tol::Exact.check(&bench.read::<u32>(peaks), &want).unwrap_or_else(context);
            let want = match layout {
                Layout::InOut => unit_floor_reference(&want, len),
                Layout::OutIn => super::mask_of(&unit_floor_reference(&want, len), len, columns),
            };
            Tol::Exact.check(&bench.read::<u32>(protect), &want).unwrap_or_else(context);
        }
    }
}

/// More than 65,535 workgroups fold into a second dimension.
#[test]
fn many_units_fold_the_grid() {
    let Some(gpu) = gpu() else { return };
    let columns = 16 * 65_535 + 17;
    let values = Noise::new(3).floats(2 * columns, 1.0);
    let mut rig = Rig::new(gpu);
    let slot = rig.slot("values", &values);
    let peaks = rig.output("peaks", columns);
    rig.push(UnitPeak { values: slot, peaks, of: Units::new([2, columns as u32]) });
    let got: Vec<u32> = rig.run().read(peaks);
    Tol::Exact
        .check(&got, &unit_peak_reference(&values, columns))
        .unwrap_or_else(|e| panic!("{e}"));
}
