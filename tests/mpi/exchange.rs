//! Jobs of the command line.
use serde_json::Value;

use crate::launch::mpirun;
use crate::paths;

#[test]
fn the_exchange_is_measured_by_all_ranks_and_told_by_one() {
    for ranks in [2, 4] {
        let Some(job) = mpirun(ranks) else { return };
        let arguments = ["bench", "--exchange", "--quick", "--json"];
        let ended = job.program(&paths::program(), &arguments).run().expect(0);
        let report: Value = serde_json::from_str(&ended.stdout).expect("one line of JSON");
        assert_eq!(report["ranks"], ranks);
        assert_eq!(report["machines"], 1);
        let rows = report["rows"].as_array().expect("rows");
        let positive = |row: &Value| row["seconds"].as_f64().is_some_and(|s| s > 0.0);
        assert!(rows.len() == 3 && rows.iter().all(positive), "{report}");
    }
}
