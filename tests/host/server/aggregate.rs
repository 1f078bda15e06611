//! Which gradients make an update: upstream's examples, and what it promises.
use secateur::data::{Answers, BatchSource, Batches, Cursor, Dataset, Features, Issue};
use secateur::train::aggregate::{Aggregate, Gradient, Offer, Update};
use secateur::train::token::Token;

/// Batches of one row, `n` of them, once.
pub fn rows(n: usize) -> Batches {
    let features = Features::U8 { bytes: vec![1; n], scale: 1.0 };
    let answers = Answers::classes(vec![0_u8; n], 2);
    Batches::new(Dataset::new("rows", &[1], features, answers).unwrap(), 1, None)
        .unwrap()
        .epochs(Some(1))
}

fn token(aggregate: &mut Aggregate<[f32; 2]>, source: &mut impl BatchSource) -> Token {
    aggregate.token(source).unwrap().unwrap()
}

/// The gradients of upstream's tests for the variables v0 and v1, by worker.
fn of_worker(worker: u8, token: Token) -> Gradient<[f32; 2]> {
    let worker = f32::from(worker);
    Gradient { token, rows: 1, values: [0.1 + 0.2 * worker, 0.9 + 0.2 * worker] }
}

/// Upstream's tests: variables at 0 and 1, and SGD with a rate of 2.
struct Variables([f32; 2]);

impl Variables {
    fn apply(&mut self, offer: Offer<[f32; 2]>) {
        let Offer::Update(update) = offer else { panic!("{offer:?}") };
        let mut mean = [0.0; 2];
        for (share, gradient) in update.shares() {
            (0..2).for_each(|i| mean[i] += share * (gradient[i] - mean[i]));
        }
        (0..2).for_each(|i| self.0[i] -= 2.0 * mean[i]);
    }

    /// Within four roundings of values up to 4.
    fn are(&self, want: [f32; 2]) {
        let off = |i: usize| (self.0[i] - want[i]).abs();
        assert!(off(0).max(off(1)) <= 8.0 * f32::EPSILON, "{:?}, not {want:?}", self.0);
    }
}

#[test]
fn upstreams_two_workers_come_out_without_the_wasted_round() {
    let (mut source, mut variables) = (rows(100), Variables([0.0, 1.0]));
    let mut sync = Aggregate::in_step(0, Issue::default(), 2).unwrap();
    for want in [[-0.4, -1.0], [-0.8, -3.0]] {
        let tokens = [0, 1].map(|_| token(&mut sync, &mut source));
        assert_eq!(sync.offer(of_worker(0, tokens[0])).unwrap(), Offer::Held);
        variables.apply(sync.offer(of_worker(1, tokens[1])).unwrap());
        variables.are(want);
    }
    // Upstream has seen three rounds by then, and dropped the gradients of one.
    assert_eq!((sync.step(), sync.dropped(), sync.issue().cursor().row), (2, 0, 4));
}

#[test]
fn upstreams_three_workers_with_a_backup_come_out_without_the_wasted_round() {
    let (mut source, mut variables) = (rows(100), Variables([0.0, 1.0]));
    let mut sync = Aggregate::in_step(0, Issue::default(), 2).unwrap();
    let first = [0, 1, 2].map(|_| token(&mut sync, &mut source));
    assert_eq!(sync.offer(of_worker(0, first[0])).unwrap(), Offer::Held);
    variables.apply(sync.offer(of_worker(2, first[2])).unwrap());
    variables.are([-0.6, -1.2]);
    let zero = token(&mut sync, &mut source);
    assert_eq!(sync.offer(of_worker(1, first[1])).unwrap(), Offer::Dropped);
    variables.are([-0.6, -1.2]);
    let one = token(&mut sync, &mut source);
    assert_eq!((one.step, one.cursor), (1, first[1].cursor), "its batch once more");
    let two = token(&mut sync, &mut source);
    assert_eq!(sync.offer(of_worker(1, one)).unwrap(), Offer::Held);
    variables.apply(sync.offer(of_worker(0, zero)).unwrap());
    variables.are([-1.0, -3.2]);
    assert_eq!(sync.offer(of_worker(2, two)).unwrap(), Offer::Dropped);
    assert_eq!((sync.step(), sync.dropped()), (2, 2));
}

/// In whatever order three ragged gradients arrive, and each row has the same weight.
#[test]
fn the_order_of_arrival_changes_no_bit_and_rows_weigh_the_same() {
    let mut seen = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut source = rows(3);
        let mut sync = Aggregate::in_step(7, Issue::default(), 3).unwrap();
        let tokens = [0, 1, 2].map(|_| sync.token(&mut source).unwrap().unwrap());
        let values = [0.1_f32, 0.7, 0.9];
        let mut last = Offer::Held;
        for i in order {
            assert_eq!(last, Offer::Held);
            let gradient = Gradient { token: tokens[i], rows: [5, 1, 3][i], values: values[i] };
            last = sync.offer(gradient).unwrap();
        }
        let Offer::Update(update) = last else { panic!("{last:?}") };
        assert_eq!((update.step, update.rows()), (8, 9));
        let mean = update.shares().fold(0.0, |mean, (share, &x)| mean + share * (x - mean));
        let want: f64 = (5.0 * 0.1 + 0.7 + 3.0 * 0.9) / 9.0;
        // Three roundings a gradient, of values up to 1.
        assert!((f64::from(mean) - want).abs() < 9.0 * f64::from(f32::EPSILON) / 2.0);
        assert_eq!(update.shares().next().unwrap().0, 1.0, "the first one is copied");
        seen.push(mean.to_bits());
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
}

#[test]
fn the_rest_is_an_update_once_nobody_can_add_to_it() {
    let mut source = rows(4);
    let mut sync = Aggregate::in_step(0, Issue::default(), 3).unwrap();
    let gradient = |token| Gradient { token, rows: 1, values: () };
    let tokens: Vec<Token> = (0..4).map(|_| sync.token(&mut source).unwrap().unwrap()).collect();
    for token in &tokens[..3] {
        assert_eq!(sync.rest().unwrap(), None);
        sync.offer(gradient(*token)).unwrap();
    }
    assert_eq!(sync.step(), 1);
    assert_eq!(sync.token(&mut source).unwrap(), None);
    assert_eq!(sync.rest().unwrap(), None, "nothing waits");
    assert_eq!(sync.offer(gradient(tokens[3])).unwrap(), Offer::Dropped);
    assert_eq!(sync.rest().unwrap(), None, "a batch is to be given out");
    let again = sync.token(&mut source).unwrap().unwrap();
    assert_eq!((again.step, again.cursor), (1, tokens[3].cursor));
    assert_eq!(sync.offer(gradient(again)).unwrap(), Offer::Held);
    assert_eq!(sync.issue().unused(), [again.cursor], "not used before it is applied");
    let rest = Update { step: 2, gradients: vec![gradient(again)] };
    assert_eq!(sync.rest().unwrap(), Some(rest));
    assert_eq!((sync.rest().unwrap(), sync.issue().unused()), (None, vec![]));
}

#[test]
fn staleness_is_counted_and_bounded() {
    let mut source = rows(100);
    let mut free = Aggregate::asynchronous(5, Issue::default(), Some(2));
    let gradient = |token| Gradient { token, rows: 1, values: () };
    let tokens: Vec<Token> = (0..5).map(|_| free.token(&mut source).unwrap().unwrap()).collect();
    assert!(tokens.iter().all(|token| token.step == 5));
    for (i, token) in tokens.iter().enumerate() {
        let offer = free.offer(gradient(*token)).unwrap();
        match i {
            0..3 => assert!(matches!(offer, Offer::Update(u) if u.step == 6 + i as u64)),
            _ => assert_eq!(offer, Offer::Dropped),
        }
    }
    assert_eq!(
        free.staleness().iter().map(|(s, n)| (*s, *n)).collect::<Vec<_>>(),
        [(0, 1), (1, 1), (2, 1)]
    );
    assert_eq!((free.step(), free.dropped()), (8, 2));
    assert_eq!(free.issue().unused(), [tokens[3].cursor, tokens[4].cursor]);
    let mut unbounded = Aggregate::asynchronous(0, Issue::default(), None);
    source.seek(Cursor::default()).unwrap();
    let old = unbounded.token(&mut source).unwrap().unwrap();
    for _ in 0..50 {
        let token = unbounded.token(&mut source).unwrap().unwrap();
        assert!(matches!(unbounded.offer(gradient(token)).unwrap(), Offer::Update(_)));
    }
    assert!(matches!(unbounded.offer(gradient(old)).unwrap(), Offer::Update(_)));
    assert_eq!(unbounded.staleness().last_key_value(), Some((&50, &1)));
}

#[test]
fn what_cannot_be_is_an_error_and_changes_nothing() {
    let error = Aggregate::<()>::in_step(0, Issue::default(), 0).unwrap_err().to_string();
    assert!(error.contains("`replicas_to_aggregate`: 0 gradients"), "{error}");
    let mut source = rows(9);
    let mut sync = Aggregate::in_step(3, Issue::default(), 2).unwrap();
    let out = sync.token(&mut source).unwrap().unwrap();
    let never = Token { step: 3, cursor: Cursor { epoch: 0, row: 5 } };
    let stale = Token { step: 2, ..never };
    let refused = |sync: &mut Aggregate<()>, token, rows, part: &str| {
        let error = sync.offer(Gradient { token, rows, values: () }).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    refused(&mut sync, never, 1, "row 5 of epoch 0 is not out, 1 others are");
    refused(&mut sync, stale, 1, "row 5 of epoch 0 is not out");
    refused(&mut sync, out, 0, "0 rows");
    assert_eq!(sync.offer(Gradient { token: out, rows: 1, values: () }).unwrap(), Offer::Held);
    refused(&mut sync, out, 1, "a rank answers once");
    assert_eq!((sync.step(), sync.dropped(), sync.staleness()[&0]), (3, 0, 1));
    assert_eq!(sync.issue().outstanding(), [out.cursor]);
}
