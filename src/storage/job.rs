//! How far a job is: what its journal says.
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use super::journal::{Journal, Note};
use super::output::check_folder;
use super::place::Place;
use super::unfinished::sweep;
use crate::{Error, Result};

/// How the journal's name begins; what a job keeps beside its output has such names too.
pub(super) const JOURNAL: &str = ".secateur-job";

/// A job, whose journal this process has.
#[derive(Debug)]
pub(super) struct Job {
    journal: Journal,
    /// What the job is, where its first note is whole.
    text: Option<String>,
    /// Whether the input's files are there.
    pub(super) copied: bool,
    /// Whether all is written, and on its way to its place.
    pub(super) placing: bool,
    /// The blocks that are done, in their order.
    pub(super) done: Vec<String>,
    /// What was remarked of each.
    pub(super) remarks: Vec<String>,
    /// The block of each tensor of these.
    pub(super) settled: HashMap<String, String>,
    /// The tensors that were put since.
    pub(super) open: BTreeSet<String>,
}

impl Job {
    /// Reads the journal in `folder`.
    fn open(folder: &Path) -> Result<Self> {
        let (journal, notes) = Journal::open(&folder.join(JOURNAL))?;
        let mut this = Self {
            journal,
            text: None,
            copied: false,
            placing: false,
            done: Vec::new(),
            remarks: Vec::new(),
            settled: HashMap::new(),
            open: BTreeSet::new(),
        };
        notes.into_iter().for_each(|note| this.apply(note));
        Ok(this)
    }

    /// Begins the job `text` in `folder`, of which nothing is there.
    pub(super) fn begin(folder: &Path, text: &str) -> Result<Self> {
        let mut this = Self::open(folder)?;
        this.note(Note::Job(text.to_owned()))?;
        Ok(this)
    }

    /// What is there already of the job `text`, if anything.
    ///
    /// # Errors
    /// [`Error::File`] where another job's output is there, but for `force`, which drops it; where
    /// it is somebody else's folder; where a process is at work on it.
    pub(super) fn take_up(place: &Place, text: &str, force: bool) -> Result<Option<Self>> {
        if place.output.join(JOURNAL).is_file() {
            // The folder is in its place: all is done but the removal of the journal.
            let job = Self::open(&place.output)?;
            if job.placing && job.text.as_deref() == Some(text) {
                return Ok(Some(job));
            }
            if job.placing {
                let path = place.output.join(JOURNAL);
                fs::remove_file(&path).map_err(Error::io("remove", path))?;
            }
        }
        let folder = &place.unfinished;
        if fs::symlink_metadata(folder).is_err() {
            return Ok(None);
        }
        check_folder(folder)?;
        sweep(folder);
        let entries = || fs::read_dir(folder).map_err(Error::io("list", folder));
        if !folder.join(JOURNAL).exists() {
            if entries()?.next().is_none() {
                fs::remove_dir(folder).ok();
                return Ok(None);
            }
            let message = "is there, and no unfinished output of this program; move it away";
            return Err(Error::file(folder, message));
        }
        let mut job = Self::open(folder)?;
        match &job.text {
            Some(found) if found == text => return Ok(Some(job)),
            // Its process was killed when it had not done anything yet.
            None if entries()?.count() == 1 => {
                job.note(Note::Job(text.to_owned()))?;
                return Ok(Some(job));
            }
            _ if force || job.copied && job.done.is_empty() && !job.placing => {}
            Some(_) => {
                let (done, output) = (job.done.len(), place.output.display());
                let message = format!("holds what another job has done for {output}");
                let message =
                    format!("{message} ({done} blocks); finish that with its own options");
                return Err(Error::file(folder, format!("{message}, or drop it with --force")));
            }
            None => {
                let message = "holds an unfinished output whose journal is damaged";
                return Err(Error::file(folder, format!("{message}; drop it with --force")));
            }
        }
        log::info!("drops {}, the unfinished output of another job", folder.display());
        fs::remove_dir_all(folder).map_err(Error::io("remove", folder))?;
        Ok(None)
    }

    /// Makes room for the notes of tensors of these names.
    pub(super) fn reserve<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        // A put, a block with its remark, and the rest.
        let of = |name: &str| 2 * name.len() as u64 + 256;
        let text = self.text.as_ref().map_or(0, |text| 2 * text.len() as u64);
        self.journal.reserve(names.map(of).sum::<u64>() + text + 4096)
    }

    /// Takes a note, which is on the disk afterwards.
    pub(super) fn note(&mut self, note: Note) -> Result<()> {
        self.journal.add(&note)?;
        self.apply(note);
        Ok(())
    }

    fn apply(&mut self, note: Note) {
        match note {
            Note::Job(text) => self.text = Some(text),
            Note::Copied => self.copied = true,
            Note::Put(tensor) => drop(self.open.insert(tensor)),
            Note::Done { block, remark } => {
                let open = std::mem::take(&mut self.open);
                self.settled.extend(open.into_iter().map(|tensor| (tensor, block.clone())));
                self.done.push(block);
                self.remarks.push(remark);
            }
            Note::Dropped => self.open.clear(),
            Note::Placing => self.placing = true,
        }
    }
}
