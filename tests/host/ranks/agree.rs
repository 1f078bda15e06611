//! Ranks that are about to do different things, or have come to different values.
use secateur::Error;
use secateur::train::replicas::agree::{checksums, compare};

use super::ranks;

type Items = Vec<(String, String)>;

fn items(all: &[(&str, &str)]) -> Items {
    all.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What each rank says of what all of them have.
fn compared(all: &[Items]) -> Vec<Result<(), String>> {
    ranks(all.len(), |comm| compare(&*comm, &all[comm.rank()]).map_err(|e| e.to_string()))
}

/// The error, which all ranks have.
fn refused(all: &[Items]) -> String {
    let said = compared(all);
    let first = said[0].clone().unwrap_err();
    assert!(said.iter().all(|s| s.as_ref() == Err(&first)), "{said:?}");
    first
}

#[test]
fn ranks_that_do_the_same_agree() {
    let mine = items(&[("seed", "7"), ("network", "mlp:8")]);
    assert_eq!(compared(&[mine.clone(), mine.clone(), mine]), [Ok(()), Ok(()), Ok(())]);
}

#[test]
fn a_difference_is_an_error_that_names_item_values_and_ranks() {
    let run = |seed, steps| items(&[("version", "1"), ("seed", seed), ("number_of_steps", steps)]);
    let all = [run("7", "100"), run("7", "100"), run("8", "100"), run("7", "100"), run("8", "100")];
    assert_eq!(
        refused(&all),
        "`seed`: the ranks do not agree: 7 on ranks 0, 1, 3, 8 on ranks 2, 4; start all of them \
         with the same program, options and data"
    );
    let error = refused(&[run("7", "100"), run("8", "200")]);
    assert!(error.starts_with("`seed`: ") && error.contains("(nor on number_of_steps)"), "{error}");
    let error = refused(&[run("7", "100"), items(&[("version", "1"), ("seed", "7")])]);
    assert!(error.contains("100 on rank 0, nothing on rank 1"), "{error}");
    // What only a later rank has counts as well.
    let error = refused(&[items(&[]), items(&[("seed", "7")])]);
    assert!(error.contains("nothing on rank 0, 7 on rank 1"), "{error}");
}

#[test]
fn long_values_are_shown_where_they_differ() {
    let schema = |name: &str| format!("{}{name}{}", "é".repeat(500), "z".repeat(500));
    let all = ["left", "right"].map(|name| items(&[("schema", &schema(name))]));
    let error = refused(&all);
    assert!(error.contains("...é") && error.contains("éleftz"), "{error}");
    assert!(error.contains("érightz") && error.len() < 450, "{} {error}", error.len());
}

#[test]
fn tensors_that_differ_are_named_with_the_ranks() {
    let sums = |second: u64| vec![("fc1/weights".to_owned(), 1), ("fc1/mask".to_owned(), second)];
    let check =
        |of: fn(usize) -> u64| ranks(4, |comm| checksums(&*comm, 30, &sums(of(comm.rank()))));
    assert!(check(|_| 5).iter().all(Result::is_ok));
    for said in check(|rank| if rank == 1 || rank == 3 { 6 } else { 5 }) {
        let error = said.unwrap_err();
        let Error::Diverged { step, tensor, ranks } = &error else { panic!("{error}") };
        assert_eq!((*step, tensor.as_str(), ranks.as_slice()), (30, "fc1/mask", &[1, 3][..]));
        let text = error.to_string();
        assert!(text.contains("differs from the chief's on ranks 1, 3;"), "{text}");
    }
    // Against the chief, even where it is alone.
    for said in check(|rank| rank.min(1) as u64) {
        let error = said.unwrap_err().to_string();
        assert!(error.contains("on ranks 1 to 3;"), "{error}");
    }
    let uneven = ranks(2, |comm| checksums(&*comm, 1, &sums(5)[comm.rank()..]));
    assert!(uneven.iter().all(|said| matches!(said, Err(Error::Diverged { ranks, .. })
        if ranks == &[1])));
}
