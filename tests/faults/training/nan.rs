//! A loss that is no number ends a run, and takes nothing of it along.
use secateur::checkpoint::newest;

use super::trainee::{Job, Said, Trainee, adapter, files, straight};

#[test]
fn the_checkpoint_before_a_bad_step_is_the_newest() {
    if !adapter() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let job = Job { steps: 120, ..Job::new(dir.path()) };
    let trainee = Trainee::start(&Job { nan_at: Some(100), ..job.clone() });
    let said = trainee.end_slowly();
    let Some(Said::Failed(error)) = said.last() else { panic!("{said:?}") };
    assert!(error.contains("global step 100: ") && error.contains("not finite"), "{error}");
    assert!(!said.contains(&Said::Step(100)), "{said:?}");
    let saved = said.iter().rev().find_map(|said| match said {
        Said::Saved(step) => Some(*step),
        _ => None,
    });
    let saved = saved.expect("one of 14 saves, in 100 slow steps");
    let found = newest(dir.path()).unwrap().unwrap();
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    let step = found.manifest.global_step;
    assert!((saved..100).contains(&step), "{step} is there, {saved} was acknowledged");
    assert!(files(dir.path(), step) == straight(step));
    // Without the bad step the run goes on from there.
    let said = Trainee::start(&job).end();
    assert_eq!((said.first(), said.last()), (Some(&Said::Start(step)), Some(&Said::Done(120))));
    assert!(files(dir.path(), 120) == straight(120));
}
