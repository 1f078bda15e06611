//! Messages as bytes: what is written is read, and what is no message is an error.
use allocation_counter::measure;
use proptest::prelude::*;
use secateur::Error;
use secateur::data::Cursor;
use secateur::train::token::{Report, ToServer, ToWorker, Token};

fn tokens() -> impl Strategy<Value = Token> {
    (any::<u64>(), any::<u64>(), any::<u64>())
        .prop_map(|(step, epoch, row)| Token { step, cursor: Cursor { epoch, row } })
}

/// Any bits, NaN among them.
fn floats() -> impl Strategy<Value = Vec<Vec<f32>>> {
    let float = any::<u32>().prop_map(f32::from_bits);
    prop::collection::vec(prop::collection::vec(float, 0..9), 0..5)
}

fn parts<T>(all: &[Vec<T>]) -> Vec<&[T]> {
    all.iter().map(Vec::as_slice).collect()
}

fn bits(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|x| x.to_bits()).collect()
}

/// That these bytes are an error or a message, for both readers; which of the two reads them.
fn readers(bytes: &[u8]) -> [bool; 2] {
    let read = [
        ToServer::read(3, bytes.to_vec()).map(|_| ()),
        ToWorker::read(3, bytes.to_vec()).map(|_| ()),
    ];
    read.map(|read| match read {
        Ok(()) => true,
        Err(Error::Message { from: 3, message }) => {
            assert!(!message.is_empty());
            false
        }
        Err(error) => panic!("{error}"),
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        token in tokens(), rows: usize, loss: f32, metric: Option<f64>, seconds in 0.0..1e9,
        waited in 0.0..1e9, values in floats(), rank: usize, text: String,
        masks in prop::option::of(prop::collection::vec(prop::collection::vec(any::<u32>(), 0..9), 0..4)),
    ) {
        let report = Report { token, rows, loss, metric, seconds, waited };
        let bytes = ToServer::gradient(&report, &parts(&values));
        prop_assert_eq!(readers(&bytes), [true, false]);
        let ToServer::Gradient(found, read) = ToServer::read(0, bytes).unwrap() else { panic!() };
        prop_assert_eq!(found, report);
        prop_assert_eq!(bits(&read.floats()), bits(&values.concat()));
        prop_assert_eq!(read.masks(), None);

        let words = masks.as_ref().map(|masks| parts(masks));
        let bytes = ToWorker::work(token, &parts(&values), words.as_deref());
        prop_assert_eq!(readers(&bytes), [false, true]);
        let ToWorker::Work(found, read) = ToWorker::read(0, bytes).unwrap() else { panic!() };
        prop_assert_eq!(found, token);
        prop_assert_eq!(bits(&read.floats()), bits(&values.concat()));
        prop_assert_eq!(read.masks().map(|words| words.to_vec()), masks.map(|masks| masks.concat()));

        prop_assert_eq!(ToServer::read(0, ToServer::hello(rank)).unwrap(), ToServer::Hello { rank });
        let failed = ToServer::read(0, ToServer::failed(&text)).unwrap();
        prop_assert_eq!(failed, ToServer::Failed { message: text.clone() });
        let stop = ToWorker::read(0, ToWorker::stop(&text)).unwrap();
        prop_assert_eq!(stop, ToWorker::Stop { why: text });
    }

    /// A byte changed, a piece cut off or added: never a panic, and never more values than bytes.
    #[test]
    fn damaged_messages_are_errors_or_messages(
        token in tokens(), values in floats(), at: prop::sample::Index, to: u8,
        length in 0usize..400, which in 0usize..5,
    ) {
        let report = Report { token, ..Report::default() };
        let words = [7_u32, 8];
        let mut bytes = match which {
            0 => ToServer::gradient(&report, &parts(&values)),
            1 => ToWorker::work(token, &parts(&values), Some(&[&words])),
            2 => ToServer::hello(5),
            3 => ToServer::failed("no room"),
            _ => ToWorker::stop("the limit is reached"),
        };
        let whole = bytes.len();
        // Any other length is stated by no header.
        let mut other = bytes.clone();
        other.resize(length, to);
        prop_assert!(length == whole || readers(&other) == [false, false]);
        let at = at.index(bytes.len());
        bytes[at] = to;
        readers(&bytes);
        if let Ok(ToServer::Gradient(_, read)) = ToServer::read(3, bytes.clone()) {
            prop_assert!(4 * read.floats().len() < whole);
        }
        if let Ok(ToWorker::Work(_, read)) = ToWorker::read(3, bytes) {
            let words = read.masks().map_or(0, |words| words.len());
            prop_assert!(4 * (read.floats().len() + words) < whole);
        }
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(readers(&bytes), [false, false]);
        // Behind the right first word.
        let mut begun = ToServer::hello(1)[..4].to_vec();
        begun.extend(&bytes);
        readers(&begun);
        // And of a kind that there is, with numbers that are not.
        begun = [&begun[..4], &[bytes.len() as u8 % 6, 0, 0, 0], &bytes].concat();
        readers(&begun);
    }
}

#[test]
fn errors_have_both_numbers() {
    let read = |bytes: &[u8]| ToServer::read(2, bytes.to_vec()).unwrap_err().to_string();
    let whole = ToServer::gradient(&Report::default(), &[&[1.0, 2.0]]);
    let header = whole.len() - 8;
    for (bytes, part) in [
        (&whole[..9], format!("has 9 bytes, a header has {header}")),
        (&whole[..whole.len() - 1], "has 7 bytes after its header, which states 8".to_owned()),
        (&vec![0; header], "begins with 00000000, not 73637431".to_owned()),
        (&ToWorker::stop("x"), "is of kind 5".to_owned()),
    ] {
        let error = read(bytes);
        let begin = format!("a message of rank 2 {part}");
        assert!(error.starts_with(&begin) && error.contains("the same build"), "{error}");
    }
}

/// Writing makes one copy, and reading none.
#[test]
fn values_are_copied_once() {
    const N: usize = 1 << 20;
    let values = vec![0.5_f32; N];
    let halves = [&values[..N / 3], &values[N / 3..]];
    let masks = vec![7_u32; N / 32];
    let mut bytes = Vec::new();
    let written = measure(|| bytes = ToServer::gradient(&Report::default(), &halves));
    assert_eq!(written.count_total, 1);
    assert!(written.bytes_total < 4 * N as u64 + 200, "{written:?}");
    let mut sum = 0.0;
    let read = measure(|| {
        let message = ToServer::read(0, std::mem::take(&mut bytes)).unwrap();
        let ToServer::Gradient(_, values) = message else { panic!("{message:?}") };
        sum = values.floats().iter().sum();
    });
    assert_eq!((read.count_total, sum), (0, N as f32 / 2.0));
    let written = measure(|| bytes = ToWorker::work(Token::default(), &halves, Some(&[&masks])));
    assert_eq!(written.count_total, 1);
    let read = measure(|| {
        let message = ToWorker::read(0, std::mem::take(&mut bytes)).unwrap();
        let ToWorker::Work(_, values) = message else { panic!("{message:?}") };
        assert_eq!((values.floats()[N - 1], values.masks().unwrap()[N / 32 - 1]), (0.5, 7));
    });
    assert_eq!(read.count_total, 0);
}
