//! File systems that can be filled, stopped and pulled out.
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::needs::{TOOLS, missing, say};

/// A file system of its own, gone when dropped.
pub struct Mount {
    folder: TempDir,
}

impl Mount {
    /// Mounts with these arguments of `mount`; `None`, with a line on stderr, where that is
    /// refused.
    pub fn new(args: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("mount").args(args).arg(folder.path())).then(|| Self { folder })
    }

    /// A tmpfs with these options.
    pub fn tmpfs(options: &str) -> Option<Self> {
        Self::new(&["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    /// Mounts it again, with `rw` or `ro`.
    pub fn remount(&self, mode: &str) {
        let mode = format!("remount,{mode}");
        assert!(run(Command::new("mount").args(["-o", &mode]).arg(self.path())));
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(why) = work(Command::new("umount").arg("--lazy").arg(self.path())) {
            say(&format!("{} stays mounted: {why}", self.path().display()));
        }
    }
}

/// Whether the command did its work; else a line on stderr.
///
/// # Panics
/// Where it did not and `SECATEUR_REQUIRE_TOOLS=1`.
pub fn run(command: &mut Command) -> bool {
    let Err(why) = work(command) else { return true };
    let name = command.get_program().display();
    missing(TOOLS, format_args!("`{name}` is needed here, some of it as root; it says: {why}"));
    false
}

/// What it says where it does not work.
fn work(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.trim().lines().next().unwrap_or_default();
    if output.status.success() { Ok(()) } else { Err(first.to_owned()) }
}
