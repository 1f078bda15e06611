//! Two processes, one logdir.
use secateur::Error;
use secateur::checkpoint::Lock;

use crate::child::Process;

#[test]
fn the_second_process_hears_of_the_first_and_a_kill_frees_the_logdir() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let holder = Process::start("holder", dir.path());
        let error = Lock::acquire(dir.path()).unwrap_err();
        let Error::Locked { logdir, pid } = &error else { panic!("{error}") };
        assert_eq!((logdir.as_path(), pid.as_str()), (dir.path(), &*holder.id().to_string()));
        holder.kill();
        Lock::acquire(dir.path()).unwrap();
    }
}
