//! What goes between a workgroup and memory: sectors of global memory, banks of workgroup memory.
use super::Machine;
use super::value::{Lanes, Mask};

/// Bytes of a sector of global memory.
const SECTOR: u32 = 32;
/// Banks of workgroup memory, each a word wide.
const BANKS: u32 = 32;

impl Machine<'_> {
    pub(super) fn count_load(&mut self, slot: u32, offset: &Lanes, bytes: u32, mask: Mask) {
        self.counts.loaded_bytes += (mask.count() * u64::from(bytes)) as f64;
        self.counts.load_requests += mask.warps() as f64;
        if offset.is_uniform() {
            self.counts.load_sectors += mask.warps() as f64;
            self.seen.insert((slot, offset.bits[0] / SECTOR));
            return;
        }
        for lanes in mask.by_warp() {
            let sectors = distinct(&lanes, offset, bytes, SECTOR);
            self.counts.load_sectors += sectors.len() as f64;
            self.seen.extend(sectors.into_iter().map(|sector| (slot, sector)));
        }
    }

    pub(super) fn count_store(&mut self, slot: u32, offset: &Lanes, bytes: u32, mask: Mask) {
        self.counts.stored_bytes += (mask.count() * u64::from(bytes)) as f64;
        self.counts.store_requests += mask.warps() as f64;
        for lanes in mask.by_warp() {
            let sectors = distinct(&lanes, offset, bytes, SECTOR);
            self.left.extend(sectors.into_iter().map(|sector| (slot, sector)));
        }
    }

    /// Sectors that a matrix of `rows` rows of so many bytes touches.
    pub(super) fn count_rows(&mut self, slot: u32, first: u32, [rows, step, bytes]: [u32; 3]) {
        for row in 0..rows {
            let begin = first + row * step;
            let sectors = begin / SECTOR..=(begin + bytes - 1) / SECTOR;
            self.counts.load_sectors += sectors.clone().count() as f64;
            self.seen.extend(sectors.map(|sector| (slot, sector)));
        }
        self.counts.loaded_bytes += f64::from(rows * bytes);
        self.counts.load_requests += 1.0;
    }

    /// The same where they are written.
    pub(super) fn count_stored_rows(
        &mut self,
        slot: u32,
        first: u32,
        [rows, step, bytes]: [u32; 3],
    ) {
        for row in 0..rows {
            let begin = first + row * step;
            let sectors = begin / SECTOR..=(begin + bytes - 1) / SECTOR;
            self.left.extend(sectors.map(|sector| (slot, sector)));
        }
        self.counts.stored_bytes += f64::from(rows * bytes);
        self.counts.store_requests += 1.0;
    }

    /// A matrix in workgroup memory: eight rows of sixteen bytes at a time, as NVIDIA's `ldmatrix`
    /// has them.
    pub(super) fn count_shared_rows(&mut self, first: u32, [rows, step, bytes]: [u32; 3]) {
        self.counts.shared_bytes += f64::from(rows * bytes);
        self.counts.shared_requests += 1.0;
        for begin in (0..bytes).step_by(16) {
            for eight in (0..rows).step_by(8) {
                let mut banks = [0_u32; BANKS as usize];
                for row in eight..rows.min(eight + 8) {
                    let at = (first + row * step + begin) / 4;
                    (at..at + 4).for_each(|word| banks[(word % BANKS) as usize] += 1);
                }
                self.counts.shared_passes += f64::from(banks.into_iter().max().unwrap_or(0));
            }
        }
    }

    pub(super) fn count_shared(&mut self, offset: &Lanes, bytes: u32, mask: Mask) {
        self.counts.shared_bytes += (mask.count() * u64::from(bytes)) as f64;
        self.counts.shared_requests += mask.warps() as f64;
        if offset.is_uniform() {
            self.counts.shared_passes += mask.warps() as f64;
            return;
        }
        for lanes in mask.by_warp() {
            let mut banks = [0_u32; BANKS as usize];
            for word in distinct(&lanes, offset, bytes, 4) {
                banks[(word % BANKS) as usize] += 1;
            }
            let busiest = banks.into_iter().max().unwrap_or(0);
            self.counts.shared_passes += f64::from(busiest);
        }
    }
}

/// The units of so many bytes that `lanes` touch.
fn distinct(lanes: &[usize], offset: &Lanes, bytes: u32, unit: u32) -> Vec<u32> {
    let mut units = Vec::with_capacity(lanes.len());
    for &lane in lanes {
        let at = offset.get(0, lane);
        units.extend(at / unit..=(at + bytes - 1) / unit);
    }
    units.sort_unstable();
    units.dedup();
    units
}
