//! File systems that can be filled, stopped and pulled out.
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::fixture::say;

/// A file system of its own, gone when dropped.
pub struct Mount {
    folder: TempDir,
}

impl Mount {
    /// Mounts with these arguments of `mount`; `None`, with a line on stderr, where that is refused.
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
        run(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

/// Whether the command did its work; else a line on stderr.
pub fn run(command: &mut Command) -> bool {
    let why = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let name = command.get_program().display();
    let why = why.lines().next().unwrap_or_default();
    say(&format!("SKIPPED: `{name}` is needed here, some of it as root; it says: {why}"));
    false
}
