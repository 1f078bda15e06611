//! Event files: read back record by record.
#[cfg(target_os = "linux")]
mod full_disk;
mod histogram;

use std::fs;
use std::path::{Path, PathBuf};

use secateur::Error;
use secateur::train::histogram::Histogram;
use secateur::train::summary::{EventWriter, Hparam, SummaryWriter};

#[derive(Debug, Default, PartialEq)]
struct Event {
    step: u64,
    file_version: String,
    scalar: Option<(String, u32)>,
    histogram: Option<(String, Fields)>,
    metadata: Option<(String, Vec<u8>)>,
    session: Option<Fields>,
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
                        9 => event.metadata = Some((tag, content.clone())),
                        other => panic!("value {other}"),
                    }
                }
                7 => event.session = Some(fields(&content)),
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

/// What a session log says: its status, and the checkpoint's path where there is one.
fn session(step: u64, status: u64, path: Option<&str>) -> Event {
    let path = path.map(|path| (2, path.as_bytes().to_vec()));
    let log = [(1, status.to_le_bytes().to_vec())].into_iter().chain(path).collect();
    Event { step, session: Some(log), ..Event::default() }
}

fn only_file(logdir: &Path) -> Vec<Event> {
    let [file] = &files(logdir)[..] else { panic!("one file") };
    decode(file)
}

#[test]
fn records_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    let long = "layer/\u{e9} \"x\"\n".repeat(20);
    let scalars = [
        ("loss", 61, 0.0),
        ("loss", 300, f32::from_bits(0x7fc0_0001)),
        (long.as_str(), u64::from(u32::MAX) + 7, -1.5),
    ];
    writer.start(61).unwrap();
    for (tag, step, value) in scalars {
        writer.scalar(tag, step, value).unwrap();
    }
    writer.checkpoint(300, "log dir/ckpt-000000000300".as_ref()).unwrap();
    writer.start(301).unwrap();
    writer.close(400).unwrap();

    let scalar = |(tag, step, value): (&str, u64, f32)| Event {
        step,
        scalar: Some((tag.into(), value.to_bits())),
        ..Event::default()
    };
    let version = Event { file_version: "brain.Event:2".into(), ..Event::default() };
    let mut expected = vec![version, session(61, 1, None)];
    expected.extend(scalars.map(scalar));
    expected.push(session(300, 3, Some("log dir/ckpt-000000000300")));
    expected.extend([session(301, 1, None), session(400, 2, None)]);
    assert_eq!(only_file(dir.path()), expected);
}

#[test]
fn hyperparameters_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    let hparams = [
        ("learning_rate", Hparam::Number(0.1)),
        ("model", Hparam::Text("mlp:300-100".into())),
        ("nesterov", Hparam::Bool(true)),
    ];
    writer.hparams(&hparams).unwrap();
    writer.close(7).unwrap();

    let events = only_file(dir.path());
    let infos: Vec<_> = events.iter().filter_map(|event| event.metadata.as_ref()).collect();
    let [(start_tag, start), (end_tag, end)] = infos[..] else { panic!("start and end") };
    assert_eq!(start_tag, "_hparams_/session_start_info");
    assert_eq!(end_tag, "_hparams_/session_end_info");

    // A key is field 1 of an entry; a number is field 2 of its value, a text 3, a switch 4.
    let values: Vec<_> = info(start, 3)
        .iter()
        .filter(|(field, _)| *field == 1)
        .map(|(_, entry)| {
            let [(1, key), (2, value)] = &fields(entry)[..] else { panic!("key, value") };
            (String::from_utf8(key.clone()).unwrap(), fields(value))
        })
        .collect();
    let expected = [
        ("learning_rate", 2, 0.1f64.to_le_bytes().to_vec()),
        ("model", 3, b"mlp:300-100".to_vec()),
        ("nesterov", 4, 1u64.to_le_bytes().to_vec()),
    ];
    assert_eq!(values, expected.map(|(key, kind, value)| (key.to_owned(), vec![(kind, value)])));
    let seconds = |(field, time): &(u64, Vec<u8>)| (*field, f64::from_bits(number(time)) > 1.7e9);
    assert_eq!(seconds(info(start, 3).last().unwrap()), (5, true));
    let end = info(end, 4);
    assert_eq!(end[0], (1, 1u64.to_le_bytes().to_vec()), "success");
    assert_eq!(seconds(&end[1]), (2, true));
}

/// Fields of the plugin's message `kind` in a value's metadata.
fn info(metadata: &[u8], kind: u64) -> Fields {
    let [(1, plugin_data)] = &fields(metadata)[..] else { panic!("plugin data") };
    let [(1, name), (2, content)] = &fields(plugin_data)[..] else { panic!("name, content") };
    assert_eq!(name, b"hparams");
    let [(found, info)] = &fields(content)[..] else { panic!("one message") };
    assert_eq!(*found, kind);
    fields(info)
}

#[test]
fn hyperparameters_that_are_not_finite_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    for number in [f64::NAN, f64::INFINITY] {
        let hparams = [("seed", Hparam::Number(1.0)), ("decay", Hparam::Number(number))];
        let error = writer.hparams(&hparams).unwrap_err().to_string();
        assert!(error.contains("`decay`") && error.contains(&number.to_string()), "{error}");
    }
    writer.close(0).unwrap();
    assert!(only_file(dir.path()).iter().all(|event| event.metadata.is_none()));
}

/// A writer that has only what a writer must have.
#[derive(Default)]
struct Curve(Vec<(u64, f32)>);

impl SummaryWriter for Curve {
    fn start(&mut self, step: u64) -> secateur::Result<()> {
        self.0.retain(|(at, _)| *at < step);
        Ok(())
    }

    fn scalar(&mut self, _tag: &str, step: u64, value: f32) -> secateur::Result<()> {
        self.0.push((step, value));
        Ok(())
    }

    fn histogram(&mut self, _: &str, _: u64, _: &Histogram) -> secateur::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> secateur::Result<()> {
        Ok(())
    }

    fn close(&mut self, _step: u64) -> secateur::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_of_ones_own_needs_only_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut curve = Curve::default();
    let mut events = EventWriter::create(dir.path()).unwrap();
    for writer in [&mut curve as &mut dyn SummaryWriter, &mut events] {
        writer.start(1).unwrap();
        writer.hparams(&[("seed", Hparam::Number(1.0))]).unwrap();
        writer.scalar("loss", 1, 0.5).unwrap();
        writer.scalar("loss", 2, 0.25).unwrap();
        writer.checkpoint(1, dir.path()).unwrap();
        writer.start(2).unwrap();
        writer.close(2).unwrap();
    }
    assert_eq!(curve.0, [(1, 0.5)]);
    assert_eq!(only_file(dir.path()).len(), 9);
}

#[test]
fn names_are_unique_and_sort_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let writers: Vec<_> = (0..3).map(|_| EventWriter::create(dir.path()).unwrap()).collect();
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
    let mut writer = EventWriter::create(dir.path()).unwrap();
    let file = &files(dir.path())[0];
    assert_eq!(decode(file).len(), 1);
    writer.start(1).unwrap();
    assert_eq!(decode(file).len(), 2);
    writer.scalar("loss", 1, 1.0).unwrap();
    writer.flush().unwrap();
    assert_eq!(decode(file).len(), 3);
}

#[test]
fn refusals_are_values() {
    let dir = tempfile::tempdir().unwrap();
    let error = EventWriter::create(&dir.path().join("missing")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn histograms_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(dir.path()).unwrap();
    let values = [-1.0f32, 0.0, 0.0, 0.5, 3.0];
    let histogram = Histogram::of(values.into_iter()).unwrap();
    writer.histogram("fc1.weight", 7, &histogram).unwrap();
    writer.close(7).unwrap();
    let event = only_file(dir.path()).into_iter().find(|e| e.histogram.is_some()).unwrap();
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
