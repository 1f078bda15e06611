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
        for values in [few, Noise::new(1).floats(len, 1.0), vec![-0.0; len]] {
            let mut rig = Rig::new(gpu);
            let slot = rig.slot("values", &values);
            let peaks = rig.output("peaks", columns);
            let protect = rig.output("protect", len.div_ceil(32));
            let size = (rows as u32, columns as u32);
            rig.push(UnitPeak { values: slot, peaks, rows: size.0, columns: size.1 });
            rig.push(UnitFloor { peaks, protect, len: len as u32, columns: size.1 });
            let bench = rig.run();
            let want = unit_peak_reference(&values, columns);
            let context = |e| panic!("{rows}x{columns}: {e}");
            Tol::Exact.check(&bench.read::<u32>(peaks), &want).unwrap_or_else(context);
            let want = unit_floor_reference(&want, len);
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
    rig.push(UnitPeak { values: slot, peaks, rows: 2, columns: columns as u32 });
    let got: Vec<u32> = rig.run().read(peaks);
    Tol::Exact
        .check(&got, &unit_peak_reference(&values, columns))
        .unwrap_or_else(|e| panic!("{e}"));
}
