// What the kernels of dense matrices say of rows, columns and terms.
override TRANS_A: bool = false;
override TRANS_B: bool = false;

alias Row = u32;
alias Term = u32;

fn row_of(i: u32) -> Row {
    return i;
}

fn term_of(k: u32) -> Term {
    return k;
}

fn next_term(k: Term) -> Term {
    return k + 1u;
}

fn term_after(k: Term, count: u32) -> Term {
    return k + count;
}

// How many terms from k on have neighbouring places in b, where columns have none.
fn neighbours(k: Term) -> u32 {
    return 32u;
}

// Whether words of a are neighbours where rows are, and words of b where columns are; else terms.
fn rows_are_neighbours() -> bool {
    return TRANS_A;
}

fn columns_are_neighbours() -> bool {
    return !TRANS_B;
}

fn has_row(i: u32) -> bool {
    return i < params.m;
}

fn rows_of_c() -> u32 {
    return params.m;
}

fn unit_of(j: u32) -> u32 {
    return j;
}

fn group_count() -> u32 {
    return 1u;
}
