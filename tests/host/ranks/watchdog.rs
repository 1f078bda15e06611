//! Ranks that stand still.
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use secateur::Error;
use secateur::comm::{Comm, Lane, LocalComm};
use secateur::train::replicas::Watchdog;

const LIMIT: Duration = Duration::from_millis(100);
/// Long after which nothing has happened that should, on any machine.
const LONG: Duration = Duration::from_secs(60);

fn pair() -> [Arc<dyn Comm>; 2] {
    let mut group = LocalComm::group(2).into_iter().map(|c| Arc::new(c) as Arc<dyn Comm>);
    [group.next().unwrap(), group.next().unwrap()]
}

/// What the watchdog of rank 1 said, seen by the chief who waits for it; and after how long.
fn ended(chief: &dyn Comm) -> (String, Duration) {
    let began = Instant::now();
    match chief.receive(Lane::Server, LONG) {
        Err(Error::Peer { rank: 1, message }) => (message, began.elapsed()),
        other => panic!("{other:?}"),
    }
}

fn lives(comm: &dyn Comm) -> bool {
    comm.receive(Lane::Server, Duration::ZERO).is_ok()
}

#[test]
fn a_rank_without_steps_ends_the_job() {
    let [chief, comm] = pair();
    let watchdog = Watchdog::new(&comm, Some(LIMIT)).unwrap();
    watchdog.step(41);
    watchdog.step(42);
    watchdog.doing("gradients of other ranks");
    let (message, after) = ended(&*chief);
    assert!(message.starts_with("no step for "), "{message}");
    assert!(message.contains(" after global step 42, 0.1 s are allowed;"), "{message}");
    assert!(message.ends_with("waits for gradients of other ranks"), "{message}");
    assert!(after >= LIMIT / 2, "{after:?}");
}

#[test]
fn the_first_step_may_take_longer() {
    let [chief, comm] = pair();
    let began = Instant::now();
    let _watchdog = Watchdog::new(&comm, Some(LIMIT / 2)).unwrap();
    let (message, _) = ended(&*chief);
    assert!(began.elapsed() >= LIMIT * 5, "{:?}", began.elapsed());
    assert!(message.contains("after the start, 0.5 s are allowed"), "{message}");
}

#[test]
fn steps_and_pauses_keep_a_job_alive() {
    let [chief, comm] = pair();
    // Load may hold a step up for as long as this, and no longer.
    let watchdog = Watchdog::new(&comm, Some(Duration::from_secs(1))).unwrap();
    for step in 1..=30 {
        watchdog.step(step);
        sleep(Duration::from_millis(10));
    }
    assert!(lives(&*chief), "steps come");
    let pause = watchdog.pause();
    let second = watchdog.pause();
    // Longer than the limit.
    sleep(Duration::from_millis(1500));
    drop(second);
    sleep(Duration::from_millis(300));
    assert!(lives(&*chief), "paused");
    drop(pause);
    watchdog.doing("the device");
    let (message, _) = ended(&*chief);
    assert!(message.contains("after global step 30, "), "{message}");
    assert!(message.ends_with("waits for the device"), "{message}");
}

/// A job of slow steps has as many of them as the limit is short of.
#[test]
fn slow_steps_have_time() {
    let [chief, comm] = pair();
    let watchdog = Watchdog::new(&comm, Some(LIMIT / 2)).unwrap();
    for step in 1..=5 {
        sleep(Duration::from_millis(40));
        watchdog.step(step);
    }
    let began = Instant::now();
    let (message, _) = ended(&*chief);
    // 20 steps of 40 ms at least.
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    assert!(message.contains("after global step 5"), "{message}");
}

#[test]
fn a_watchdog_that_is_dropped_is_gone() {
    let [chief, comm] = pair();
    let watchdog = Watchdog::new(&comm, Some(LONG)).unwrap();
    watchdog.step(1);
    let began = Instant::now();
    drop(watchdog);
    assert!(began.elapsed() < LONG / 4, "{:?}", began.elapsed());
    let watchdog = Watchdog::new(&comm, Some(LIMIT / 10)).unwrap();
    watchdog.step(1);
    drop(watchdog);
    sleep(LIMIT * 3);
    assert!(lives(&*chief));
    assert_eq!(Arc::strong_count(&comm), 1);
}

#[test]
fn nobody_watches_a_rank_alone_or_without_a_limit() {
    let alone: Arc<dyn Comm> = Arc::new(LocalComm::default());
    let [chief, comm] = pair();
    let dogs = [
        Watchdog::new(&alone, Some(LIMIT / 10)).unwrap(),
        Watchdog::new(&comm, None).unwrap(),
        Watchdog::new(&comm, Some(Duration::ZERO)).unwrap(),
    ];
    dogs.iter().for_each(|dog| dog.step(1));
    dogs.iter().for_each(|dog| dog.doing("the device"));
    sleep(LIMIT * 3);
    assert!(lives(&*chief) && lives(&*alone));
}
