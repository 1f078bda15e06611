//! Event files: read back record by record.
use std::fs;
use std::path::{Path, PathBuf};

use secateur::Error;
use secateur::train::histogram::Histogram;
use secateur::train::summary::EventWriter;

#[derive(Debug, Default, PartialEq)]
struct Event {
    step: u64,
    file_version: String,
    scalar: Option<(String, u32)>,
    histogram: Option<(String, Fields)>,
    status: Option<u64>,
}

type Fields = Vec<(u64, Vec<u8>)>;

/// Field number and content of each field of a message; numbers as their little-endian bytes.
fn fields(mut bytes: &[u8]) -> Fields {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                all.push((key >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (content, rest) = bytes.split_at(length);
        all.push((key >> 3, content.to_vec()));
        bytes = rest;
    }
    all
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

/// CRC-32C bit by bit, independent of the crate that wrote it.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| (c >> 1) ^ (0x82f6_3b78 & (c & 1).wrapping_neg()))
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn decode(path: &Path) -> Vec<Event> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[..];
    let mut events = Vec::new();
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    while !rest.is_empty() {
        let length = number(&rest[..8]) as usize;
        assert_eq!(word(&rest[8..12]), masked_crc(&rest[..8]));
        let data = &rest[12..12 + length];
        assert_eq!(word(&rest[12 + length..16 + length]), masked_crc(data));
        rest = &rest[16 + length..];
        let mut event = Event::default();
        for (field, content) in fields(data) {
            match field {
                1 => assert!(f64::from_bits(number(&content)) > 1.7e9, "wall time"),
                2 => event.step = number(&content),
                3 => event.file_version = String::from_utf8(content).unwrap(),
                5 => {
                    let [(1, value)] = &fields(&content)[..] else { panic!("one value") };
                    let parts = fields(value);
                    let [(1, tag), (kind, content)] = &parts[..] else { panic!("tag, value") };
                    let tag = String::from_utf8(tag.clone()).unwrap();
                    match kind {
                        2 => event.scalar = Some((tag, word(content))),
                        5 => event.histogram = Some((tag, fields(content))),
                        other => panic!("value {other}"),
                    }
                }
                7 => event.status = Some(number(&fields(&content)[0].1)),
                other => panic!("field {other}"),
            }
        }
        events.push(event);
    }
    events
}

fn files(logdir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(logdir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn records_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), 61).unwrap();
    let long = "layer/\u{e9} \"x\"\n".repeat(20);
    let scalars = [
        ("loss", 61, 0.0),
        ("loss", 300, f32::from_bits(0x7fc0_0001)),
        (long.as_str(), u64::from(u32::MAX) + 7, -1.5),
    ];
    for (tag, step, value) in scalars {
        writer.scalar(tag, step, value).unwrap();
    }
    writer.close(400).unwrap();

    let [file] = &files(dir.path())[..] else { panic!("one file") };
    let events = decode(file);
    let version = Event { file_version: "brain.Event:2".into(), ..Event::default() };
    let session = |step, status| Event { step, status: Some(status), ..Event::default() };
    let scalar = |(tag, step, value): (&str, u64, f32)| Event {
        step,
        scalar: Some((tag.into(), value.to_bits())),
        ..Event::default()
    };
    let mut expected = vec![version, session(61, 1)];
    expected.extend(scalars.map(scalar));
    expected.push(session(400, 2));
    assert_eq!(events, expected);
}

#[test]
fn names_are_unique_and_sort_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let writers: Vec<_> =
        (0..3).map(|step| EventWriter::create(dir.path(), step).unwrap()).collect();
    drop(writers);
    let names = files(dir.path());
    assert_eq!(names.len(), 3);
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let rest = name.strip_prefix("events.out.tfevents.").unwrap();
        let (seconds, rest) = rest.split_once('.').unwrap();
        assert!(seconds.len() == 10 && seconds.parse::<u64>().is_ok(), "{name}");
        let mut rest = rest.rsplitn(3, '.');
        assert!(rest.next().unwrap().parse::<u32>().unwrap() < 3, "{name}");
        assert_eq!(rest.next().unwrap(), std::process::id().to_string(), "{name}");
        assert!(!rest.next().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn flushed_records_are_visible() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), 0).unwrap();
    let file = &files(dir.path())[0];
    assert_eq!(decode(file).len(), 2);
    writer.scalar("loss", 1, 1.0).unwrap();
    writer.flush().unwrap();
    assert_eq!(decode(file).len(), 3);
}

#[test]
fn refusals_are_values() {
    let dir = tempfile::tempdir().unwrap();
    let error = EventWriter::create(&dir.path().join("missing"), 0).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn histograms_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path(), 0).unwrap();
    let values = [-1.0f32, 0.0, 0.0, 0.5, 3.0];
    let histogram = Histogram::of(values.into_iter()).unwrap();
    writer.histogram("fc1.weight", 7, &histogram).unwrap();
    writer.close(7).unwrap();
    let [file] = &files(dir.path())[..] else { panic!("one file") };
    let event = decode(file).into_iter().find(|e| e.histogram.is_some()).unwrap();
    let (tag, parts) = event.histogram.unwrap();
    assert_eq!((tag.as_str(), event.step), ("fc1.weight", 7));
    let doubles =
        |bytes: &[u8]| -> Vec<f64> { bytes.chunks(8).map(|b| f64::from_bits(number(b))).collect() };
    let part = |field| doubles(&parts.iter().find(|(f, _)| *f == field).unwrap().1);
    let numbers: Vec<f64> = (1..=5).flat_map(part).collect();
    assert_eq!(numbers, [-1.0, 3.0, 5.0, 2.5, 10.25], "min, max, num, sum, sum of squares");
    let (limits, counts) = (part(6), part(7));
    assert_eq!((limits.len(), counts.len()), (64, 64));
    assert!(limits.is_sorted() && limits[63] == 3.0);
    // Bins are 1/16 wide; 0 and 0.5 lie on edges and count to the bins on their left.
    let nonzero: Vec<(usize, f64)> =
        counts.iter().copied().enumerate().filter(|(_, n)| *n > 0.0).collect();
    assert_eq!(nonzero, [(0, 1.0), (15, 2.0), (23, 1.0), (63, 1.0)]);
}

#[test]
fn a_histogram_counts_every_value_in_its_bin() {
    assert_eq!(Histogram::of([].into_iter()), None);
    let one = Histogram::of([2.5f32; 9].into_iter()).unwrap();
    assert_eq!((one.limits, one.counts), (vec![2.5], vec![9]));
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 1e-3).collect();
    let histogram = Histogram::of(values.iter().copied()).unwrap();
    for (bin, &limit) in histogram.limits.iter().enumerate() {
        let below: u64 = histogram.counts[..=bin].iter().sum();
        let want = values.iter().filter(|&&v| f64::from(v) <= limit).count() as u64;
        assert_eq!(below, want, "up to bin {bin}");
    }
}
