//! What the program makes of the environment that launchers leave.
use crate::folder::Folder;

/// Each of the processes would train the whole run, in one logdir.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_ranks_are_refused_by_a_build_without_mpi() {
    let folder = Folder::new();
    for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"] {
        let mut command = folder.command("train --logdir run");
        let run = crate::folder::Run::of(command.env(variable, "4"));
        run.fails(2, &[variable, "4 ranks", "cargo install secateur --features mpi"]);
    }
    assert_eq!(folder.list("."), [""; 0]);
}

#[test]
fn one_process_exchanges_with_itself() {
    let folder = Folder::new();
    let report = folder.run("bench --exchange --quick --json").json();
    assert_eq!(report["ranks"], 1);
    assert_eq!(report["machines"], 1);
    assert_eq!(report["command"], "secateur bench --exchange --quick --json");
    let rows = report["rows"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["collective of 4 bytes", "sum in the order of ranks, 1000 bytes"]);
    let table = folder.run("bench --exchange --quick").ok().out;
    for part in names.iter().chain(&["ranks: 1, on machines: 1", "--quick"]) {
        assert!(table.contains(part), "{part}: {table}");
    }
    folder.run("bench --exchange --plot x.svg").fails(2, &["--exchange", "--plot"]);
}
