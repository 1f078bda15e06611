//! Batches that are given out one by one.
use super::{counting, fails};
use secateur::data::{Batch, BatchSource, Batches, Cursor, Issue};

fn at(epoch: u64, row: u64) -> Cursor {
    Cursor { epoch, row }
}

fn source() -> Batches {
    Batches::new(counting(5), 2, Some(1)).unwrap().epochs(Some(2))
}

#[test]
fn places_are_those_of_the_source_and_what_comes_back_is_next() {
    let (mut source, mut issue) = (source(), Issue::default());
    let mut give = |issue: &mut Issue| issue.give_out(&mut source).unwrap();
    assert_eq!([give(&mut issue), give(&mut issue)], [Some(at(0, 0)), Some(at(0, 2))]);
    assert_eq!((issue.cursor(), issue.outstanding()), (at(0, 4), &[at(0, 0), at(0, 2)][..]));
    assert_eq!([give(&mut issue), give(&mut issue)], [Some(at(0, 4)), Some(at(1, 0))]);
    issue.used(at(0, 2)).unwrap();
    issue.take_back(at(0, 4)).unwrap();
    issue.take_back(at(0, 0)).unwrap();
    assert_eq!(issue.unused(), [at(0, 0), at(0, 4), at(1, 0)]);
    let text = serde_json::to_string(&issue.unused()).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Cursor>>(&text).unwrap(), issue.unused());
    // A run that goes on gives out what came back, and what was out, in the order of the data.
    let mut resumed = Issue::new(issue.cursor(), vec![at(1, 0), at(0, 0), at(0, 4)]);
    assert_eq!(resumed.unused(), issue.unused());
    for (issue, then) in
        [(&mut issue, vec![at(0, 0), at(0, 4)]), (&mut resumed, vec![at(0, 0), at(0, 4), at(1, 0)])]
    {
        for want in then {
            assert_eq!(give(issue), Some(want));
        }
        assert_eq!([give(issue), give(issue)], [Some(at(1, 2)), Some(at(1, 4))]);
        assert!(!issue.is_exhausted());
        assert_eq!([give(issue), give(issue)], [None, None]);
        assert!(issue.is_exhausted());
        issue.take_back(at(1, 2)).unwrap();
        assert!(!issue.is_exhausted());
        assert_eq!([give(issue), give(issue)], [Some(at(1, 2)), None]);
    }
}

/// Somebody else reads from it meanwhile.
#[test]
fn the_source_may_be_anywhere() {
    let (mut source, mut issue) = (source(), Issue::new(at(0, 2), Vec::new()));
    for want in [at(0, 2), at(0, 4), at(1, 0)] {
        source.seek(at(1, 2)).unwrap();
        source.next_batch(&mut Batch::default()).unwrap();
        assert_eq!(issue.give_out(&mut source).unwrap(), Some(want));
    }
}

#[test]
fn batches_that_go_on_from_each_other_are_not_given_to_anybody() {
    let mut streams = source().streams(true);
    let error = fails(Issue::default().give_out(&mut streams), &["`batches`", "counting"]);
    assert!(error.to_string().contains("go on from batch to batch"));
}

#[test]
fn a_batch_that_is_not_out_is_an_error() {
    let (mut source, mut issue) = (source(), Issue::new(at(0, 2), vec![at(0, 0)]));
    assert_eq!(issue.give_out(&mut source).unwrap(), Some(at(0, 0)));
    issue.take_back(at(0, 0)).unwrap();
    let before = issue.clone();
    for cursor in [at(0, 0), at(0, 2), at(7, 7)] {
        let message = format!("row {} of epoch {} is not out, 0 others", cursor.row, cursor.epoch);
        fails(issue.used(cursor), &[&message]);
        fails(issue.take_back(cursor), &[&message]);
        fails(issue.check_out(cursor), &[&message]);
    }
    assert_eq!(issue, before);
}
