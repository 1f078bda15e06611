//! Event files on a full disk.
use std::fs;
use std::io::ErrorKind;

use secateur::Error;
use secateur::train::summary::{EventWriter, SummaryWriter};

use crate::mount::Mount;

#[test]
fn a_full_disk_is_an_error_value() {
    let Some(disk) = Mount::tmpfs("size=64k") else { return };
    let full = |error: Error| match error {
        Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull => {}
        other => panic!("{other}"),
    };
    let mut writer = EventWriter::create(disk.path()).unwrap();
    let failed = (0..10_000).find_map(|step| writer.scalar("loss", step, 0.5).err());
    full(failed.expect("64 KB do not hold 10,000 values"));
    full(writer.flush().unwrap_err());
    full(writer.scalar("loss", 10_001, 0.5).and_then(|()| writer.flush()).unwrap_err());
    full(writer.close(10_002).unwrap_err());
    let entry = fs::read_dir(disk.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(entry.metadata().unwrap().len(), 64 << 10);
    // There is room for the name of one more, not for what it says.
    full(EventWriter::create(disk.path()).unwrap_err());
}
