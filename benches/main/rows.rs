//! Rows of results: criterion's figure, and below it the share of the adapter's measured ceilings.
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use secateur::bench::{Ceilings, Effort, Prepared, Row, Sampled, Workload, median};
use secateur::gpu::Gpu;
use secateur::{Error, Result};
use serde_json::{Value, json};

/// Samples of a row.
const SAMPLES: usize = 10;

/// The rows so far.
pub struct Rows<'g> {
    pub gpu: &'g Gpu,
    /// Whether everything runs once, at a tiny size.
    pub tiny: bool,
    criterion: Criterion,
    ceilings: Ceilings,
    rows: Vec<Value>,
}

impl<'g> Rows<'g> {
    /// Measures the ceilings and prints them.
    pub fn new(gpu: &'g Gpu, tiny: bool) -> Result<Self> {
        let effort = if tiny { Effort::QUICK } else { Effort::FULL };
        let ceilings = Ceilings::measure(gpu, &effort)?;
        println!(
            "ceilings: copy {:.1} GiB/s, f32 multiply-adds {:.1} GFLOP/s",
            ceilings.copy_bytes_per_second / f64::from(1 << 30),
            ceilings.fma_flops_per_second / 1e9
        );
        let criterion = Criterion::default()
            .sample_size(SAMPLES)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2))
            .configure_from_args();
        Ok(Self { gpu, tiny, criterion, ceilings, rows: Vec::new() })
    }

    /// A row of `group`; `time` repeats it so many times and says how long that took. Nothing where
    /// it was not asked for.
    pub fn row(
        &mut self,
        group: &str,
        id: &str,
        throughput: Option<Throughput>,
        mut time: impl FnMut(u64) -> Result<Duration>,
    ) {
        if let Some(sampled) = self.sample(group, id, throughput, &mut time) {
            self.push(group, id, sampled);
        }
    }

    fn push(&mut self, group: &str, id: &str, Sampled { seconds, samples }: Sampled) {
        let name = format!("{group}/{id}");
        self.rows.push(json!({ "name": name, "seconds": seconds, "samples": samples }));
    }

    /// The same of a workload whose work is counted, with its share of the ceilings.
    pub fn workload(&mut self, group: &str, id: &str, workload: &Workload) {
        let limit = self.gpu.report().max_binding.min(self.gpu.report().max_buffer);
        if workload.largest_tensor() > limit {
            let bytes = workload.largest_tensor();
            println!("{group}/{id} left out: {bytes} bytes in a tensor, the limit is {limit}");
            return;
        }
        let throughput = workload.work().and_then(|work| match workload {
            Workload::TrainStep(_) => None,
            Workload::Add { .. } => Some(Throughput::Bytes(work.bytes as u64)),
            _ => Some(Throughput::Elements(work.flops as u64)),
        });
        let (gpu, mut prepared) = (self.gpu, None::<Prepared>);
        let sampled = self.sample(group, id, throughput, &mut |repetitions| match &mut prepared {
            Some(prepared) => prepared.time(repetitions),
            none => none.insert(workload.prepare(gpu)?).time(repetitions),
        });
        let Some(sampled) = sampled else { return };
        let Some(row) = Row::new(workload, sampled, &self.ceilings) else {
            return self.push(group, id, sampled);
        };
        if !self.tiny {
            let (share, limit) = (row.share * 100.0, format!("{:?}", row.limit).to_lowercase());
            println!("{:24}{:.4} {}: {share:.1} % of the {limit}", "", row.throughput, row.unit);
        }
        let mut value = serde_json::to_value(&row).expect("a row is JSON");
        value["name"] = format!("{group}/{id}").into();
        self.rows.push(value);
    }

    fn sample(
        &mut self,
        group: &str,
        id: &str,
        throughput: Option<Throughput>,
        time: &mut dyn FnMut(u64) -> Result<Duration>,
    ) -> Option<Sampled> {
        let mut seconds = Vec::new();
        let mut group = self.criterion.benchmark_group(group);
        if let Some(throughput) = throughput {
            group.throughput(throughput);
        }
        group.bench_function(id, |b| {
            b.iter_custom(|repetitions| {
                let taken = time(repetitions).unwrap_or_else(|e| panic!("{e}"));
                seconds.push(taken.as_secs_f64() / repetitions as f64);
                taken
            });
        });
        group.finish();
        // Those before them warm up.
        let counted = seconds.len().saturating_sub(SAMPLES);
        let seconds = &mut seconds[counted..];
        (!seconds.is_empty()).then(|| Sampled { samples: seconds.len(), seconds: median(seconds) })
    }

    /// Writes the adapter, its ceilings and all rows to `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Self { gpu, ceilings, rows, .. } = self;
        let all = json!({ "adapter": gpu.report(), "ceilings": ceilings, "rows": rows });
        std::fs::write(path, all.to_string()).map_err(Error::io("write", path))
    }

    /// Criterion's last words.
    pub fn finish(&self) {
        self.criterion.final_summary();
    }
}
