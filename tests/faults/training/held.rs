//! A second signal to a program that the first cannot end.
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::iter;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::signals::Program;
use super::trainee::adapter;
use crate::needs::say;

/// One signal waits for the step in hand and the lines that are to be said, the second for nothing.
/// The program has nobody who reads its lines, so that the first signal cannot end it, however fast
/// the device is.
#[test]
fn a_second_signal_is_taken_at_once() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (child, pipe) = Program::spawn(dir.path(), "--model mlp:32 --steps 100000000");
    let other = pipe.try_clone().unwrap();
    let lines = BufReader::new(pipe).lines().map_while(Result::ok);
    let mut program = Program { child, lines: Box::new(lines) };
    program.says("from step");
    fill(&other);
    program.signal("-INT");
    sleep(Duration::from_millis(300));
    assert_eq!(program.child.try_wait().unwrap(), None, "it ended with a line unsaid");
    let sent = Instant::now();
    program.signal("-INT");
    while program.child.try_wait().unwrap().is_none() {
        assert!(sent.elapsed().as_secs() < 10, "the second signal is not taken");
        sleep(Duration::from_millis(1));
    }
    say(&format!("the second SIGINT to exit: {:.3} s", sent.elapsed().as_secs_f64()));
    let (code, said) = program.end();
    assert_eq!(code, 130, "{said:?}");
    assert!(!said.iter().any(|line| line.contains("stopped at")), "{said:?}");
}

/// Leaves no room in a pipe: who writes to it waits until somebody reads.
fn fill(pipe: &PipeReader) {
    // Opened anew, since this writer alone must not wait.
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut writer = OpenOptions::new().write(true).custom_flags(flags).open(path).unwrap();
    for size in [4096, 1] {
        let full = iter::repeat_with(|| writer.write(&vec![b'.'; size])).find_map(Result::err);
        assert_eq!(full.map(|e| e.kind()), Some(io::ErrorKind::WouldBlock));
    }
}
