//! Ranks before they train: who takes which card, whether they agree, and who watches them.
mod agree;
mod cards;
mod choice;
mod watchdog;

use std::sync::Arc;
use std::thread;

use secateur::comm::{Comm, LocalComm};

/// What each of `size` ranks, a thread each, makes of `work`.
fn ranks<T: Send>(size: usize, work: impl Fn(Arc<dyn Comm>) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let group = LocalComm::group(size).into_iter();
        let threads: Vec<_> = group
            .map(|comm| {
                let work = &work;
                scope.spawn(move || work(Arc::new(comm)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
