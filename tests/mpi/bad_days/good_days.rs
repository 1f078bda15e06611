//! What the bad days are measured by.
use crate::jobs::{STEPS, Training, Way, straight};
use crate::launch::mpirun;

#[test]
fn each_way_ends_at_just_the_steps_that_were_asked_for() {
    let Some(straight) = straight() else { return };
    for way in Way::ALL {
        for ranks in [way.ranks(), 4] {
            let Some(training) = Training::new(way) else { return };
            training.ends_as(Some(straight), ranks, STEPS);
        }
    }
}

#[test]
fn masks_are_the_same_on_all_ranks() {
    for scenario in ["masks_in_step", "masks_with_backup", "masks_async"] {
        let Some(training) = Training::new(Way::InStep) else { return };
        let Some(job) = mpirun(3) else { return };
        let over = training.launch(job.scenario(scenario)).end().expect(0);
        let masks: Vec<&String> = over.said.iter().filter(|l| l.contains("masks ")).collect();
        let sum = |line: &String| line.split("masks ").nth(1).map(str::to_owned);
        assert_eq!(masks.len(), 3, "{over:?}");
        assert!(masks.iter().all(|line| sum(line) == sum(masks[0])), "{masks:?}");
    }
}
