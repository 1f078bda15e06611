//! A model's folder with other values in it, written block by block by a job that can be
//! interrupted at any moment.
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::floats::{misfit, narrow, widen};
use super::job::Job;
use super::journal::Note;
use super::output::{check_apart, check_is_folder};
use super::place::{CONFIG, Place};
use super::positioned::write_at;
use super::replace::sync_folder;
use super::reserve::reserve;
use super::{Companions, Folder, Header, MadeFolder, Replace, TensorInfo, Weights, replace};
use crate::{Error, Result};

/// Most elements that are written at once.
const PIECE: usize = 1 << 18;

/// An output folder in work: the input's files, whose tensors are replaced in place.
///
/// It is `OUT.unfinished` until [`finish`](Self::finish), and stays there when it is dropped or its
/// process is killed, if a block is done: the same job goes on from there. A block that is done has
/// all its values on the disk; all other tensors have the input's.
#[derive(Debug)]
pub struct Patch {
    /// Dropped first: Windows removes no folder whose files are open.
    now: Folder,
    files: Vec<File>,
    job: Job,
    place: Place,
    force: bool,
    companions: Companions,
    /// Files that were written to since they were synced.
    touched: BTreeSet<usize>,
    unfinished: Unfinished,
    /// Folders that were made for it.
    _made: MadeFolder,
}

/// Removes the unfinished folder of a job that has done nothing.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    stays: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.stays {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

impl Patch {
    /// Begins the folder `output`, or takes it up where `job` was interrupted: a text that is the
    /// same for the same input and options. Weights are copied with header and layout, and so is
    /// what lies beside them; where the disk is too small for that, it shows here.
    ///
    /// `force` replaces files that are in `output`, and drops what another job has done for it.
    ///
    /// # Errors
    /// [`Error::Argument`] for an output that is the input or that is there; [`Error::File`] where
    /// another job's unfinished output is there, or another process is at work on it;
    /// [`Error::Io`].
    pub fn begin(input: &Folder, output: &Path, force: bool, job: &str) -> Result<Self> {
        check_is_folder(output, "a folder")?;
        let place = Place::of(output)?;
        let taken = Job::take_up(&place, job, force)?;
        let replaces = force || taken.as_ref().is_some_and(|taken| taken.placing);
        let companions = check(input, &place.output, replaces)?;
        let made = match taken {
            Some(_) => MadeFolder::default(),
            None => MadeFolder::create(&place.unfinished)?,
        };
        let mut unfinished = Unfinished { path: place.unfinished.clone(), stays: false };
        let mut job = match taken {
            Some(job) => job,
            None => Job::begin(&place.unfinished, job)?,
        };
        unfinished.stays = job.placing || !job.done.is_empty();
        if !job.copied {
            job.reserve(input.tensors().map(|tensor| tensor.name.as_str()))?;
            copy(input, &place.unfinished, &companions)?;
            job.note(Note::Copied)?;
        }
        let (now, files) = open(input, &place)?;
        let touched = BTreeSet::new();
        let mut this =
            Self { now, files, job, place, force, companions, touched, unfinished, _made: made };
        if !this.job.placing {
            this.restore(input)?;
        }
        Ok(this)
    }

    /// Whether [`begin`](Self::begin) could begin with this input and output, as far as that can be
    /// told without writing.
    ///
    /// # Errors
    /// [`Error::Argument`] for an output that is the input or that is there.
    pub fn check(input: &Folder, output: &Path, force: bool) -> Result<()> {
        check_is_folder(output, "a folder")?;
        check(input, output, force).map(drop)
    }

    /// The blocks that are done, in the order in which they were.
    pub fn done(&self) -> &[String] {
        &self.job.done
    }

    /// What was remarked of a block when it was done.
    pub fn remark(&self, block: &str) -> Option<&str> {
        let at = self.job.done.iter().position(|done| done == block)?;
        Some(&self.job.remarks[at])
    }

    /// The weights as they are now.
    pub fn weights(&self) -> &Folder {
        &self.now
    }

    /// The values of a tensor as they are now.
    ///
    /// # Errors
    /// As [`Folder::read_f32`].
    pub fn read(&self, name: &str) -> Result<Vec<f32>> {
        self.now.read_f32(name)
    }

    /// Replaces the values of a tensor, rounded to what its file has (to the nearest, of two to the
    /// even one; zeros are +0), and gives them as they are there now.
    ///
    /// # Errors
    /// [`Error::File`] where there is no such tensor of floats, for a value that is not finite or
    /// would not be in its dtype, for a tensor of a block that is done; [`Error::Shape`] for
    /// another number of values; [`Error::Io`].
    pub fn put(&mut self, name: &str, values: &[f32]) -> Result<Vec<f32>> {
        let (file, info) = self.now.floats(name)?;
        let (info, path) = (info.clone(), &self.now.files()[file].path);
        check_values(path, &info, values)?;
        let block = self.job.settled.get(name).map(String::as_str);
        if let Some(done) = block.or(self.job.placing.then_some("the output")) {
            let message = format!("{name} is of {done}, which is done; drop it with --force");
            return Err(Error::file(path, message));
        }
        if !self.job.open.contains(name) {
            self.job.note(Note::Put(name.to_owned()))?;
        }
        self.touched.insert(file);
        let (size, mut offset) = (info.element_bytes(), info.offset);
        let mut bytes = vec![0; values.len().min(PIECE) * size];
        let mut rounded = vec![0.0; values.len()];
        for (values, rounded) in values.chunks(PIECE).zip(rounded.chunks_mut(PIECE)) {
            let bytes = &mut bytes[..values.len() * size];
            narrow(&info.dtype, values, bytes);
            widen(&info.dtype, bytes, rounded);
            write_at(&self.files[file], bytes, offset).map_err(Error::io("write", path))?;
            offset += bytes.len() as u64;
        }
        Ok(rounded)
    }

    /// Takes note that all tensors of `block` are there: those that were put since the last one.
    /// They are on the disk before the note is. `remark` is kept with it, for whoever takes up the
    /// job.
    ///
    /// # Errors
    /// [`Error::Argument`] for a block that is done; [`Error::Io`], and then it is not.
    pub fn mark_done(&mut self, block: &str, remark: &str) -> Result<()> {
        if self.job.done.iter().any(|done| done == block) {
            return Err(Error::argument("block", format!("{block} is done already")));
        }
        self.sync()?;
        self.job.note(Note::Done { block: block.to_owned(), remark: remark.to_owned() })?;
        self.unfinished.stays = true;
        Ok(())
    }

    /// Puts the folder in its place, with `config` as its `config.json` if that is to change: at
    /// once where no folder is there, else file by file, and then that file last. What became of
    /// the files beside the weights.
    ///
    /// # Errors
    /// [`Error::Argument`] where files have come to be in the output meanwhile; [`Error::Io`]. The
    /// same job goes on from there.
    pub fn finish(mut self, config: Option<&[u8]>) -> Result<Companions> {
        self.unfinished.stays = true;
        self.sync()?;
        if !self.job.placing {
            if let Some(config) = config {
                replace(&self.place.unfinished.join(CONFIG), config)?;
            }
            self.place.check(self.force)?;
            sync_folder(&self.place.unfinished);
            self.job.note(Note::Placing)?;
        }
        let Self { now, files, job, place, companions, .. } = self;
        drop((now, files));
        // Windows renames no folder in which a file is open; elsewhere the lock lasts to the end.
        let lock = cfg!(not(windows)).then_some(job);
        place.settle()?;
        drop(lock);
        Ok(companions)
    }

    /// Gives the job up: nothing of it is left.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn discard(mut self) -> Result<()> {
        self.unfinished.stays = true;
        let Self { now, files, job, place, .. } = self;
        drop((now, files, job));
        fs::remove_dir_all(&place.unfinished).map_err(Error::io("remove", &place.unfinished))
    }

    fn sync(&mut self) -> Result<()> {
        for &file in &self.touched {
            let path = &self.now.files()[file].path;
            self.files[file].sync_data().map_err(Error::io("sync", path))?;
        }
        self.touched.clear();
        Ok(())
    }

    /// Gives the tensors of a block that was in work the input's values again.
    fn restore(&mut self, input: &Folder) -> Result<()> {
        if self.job.open.is_empty() {
            return Ok(());
        }
        for name in &self.job.open {
            let (from, old) = input.floats(name)?;
            let (to, info) = self.now.floats(name)?;
            let mut bytes = vec![0; info.bytes.min(PIECE as u64) as usize];
            let mut at = 0;
            while at < info.bytes {
                let piece = (info.bytes - at).min(bytes.len() as u64) as usize;
                input.files()[from].read(old.offset + at, &mut bytes[..piece])?;
                let wrote = write_at(&self.files[to], &bytes[..piece], info.offset + at);
                wrote.map_err(Error::io("write", &self.now.files()[to].path))?;
                at += piece as u64;
            }
            self.touched.insert(to);
        }
        self.sync()?;
        self.job.note(Note::Dropped)
    }
}

/// That a tensor can have these values.
pub(super) fn check_values(path: &Path, info: &TensorInfo, values: &[f32]) -> Result<()> {
    let name = &info.name;
    if values.len() as u64 != info.len() {
        let message = format!("{} values for {:?}", values.len(), info.shape);
        return Err(Error::shape(name, message));
    }
    match misfit(&info.dtype, values) {
        None => Ok(()),
        Some((place, wrong)) => {
            Err(Error::file(path, format!("value {place} of {name} cannot be written: {wrong}")))
        }
    }
}

/// That the files of `input` may be replaced by outputs of theirs in the folder `output`, and what
/// lies beside them.
pub(super) fn check(input: &Folder, output: &Path, force: bool) -> Result<Companions> {
    input.check_dense()?;
    let index = input.index().map(|index| index.path.clone());
    let taken: Vec<_> = input.files().iter().map(|file| file.path.clone()).chain(index).collect();
    for path in &taken {
        check_apart(path, &output.join(path.file_name().unwrap_or_default()), force)?;
    }
    Companions::find(&input.path(), &taken, output, force)
}

/// Copies all files of `input` to `folder`, onto the disk.
fn copy(input: &Folder, folder: &Path, companions: &Companions) -> Result<()> {
    let begin = |header: &Header| {
        let path = folder.join(header.path.file_name().unwrap_or_default());
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        reserve(&file, header.file_bytes()).map_err(Error::io("reserve room for", &path))?;
        Ok((path, file))
    };
    // Room for all of them, before the first is copied.
    let begun = input.files().iter().map(begin).collect::<Result<Vec<_>>>()?;
    let mut beside = companions.copy(&input.path(), folder)?;
    if let Some(index) = input.index() {
        let mut copy = Replace::create(&folder.join(index.path.file_name().unwrap_or_default()))?;
        copy.write(&index.bytes)?;
        beside.push(copy);
    }
    Replace::finish_all(beside)?;
    for (header, (path, mut file)) in input.files().iter().zip(begun) {
        let mut source = File::open(&header.path).map_err(Error::io("open", &header.path))?;
        let copied = io::copy(&mut source, &mut file).map_err(Error::io("copy to", &path))?;
        if copied != header.file_bytes() {
            let message = format!("{copied} bytes, it had {} before", header.file_bytes());
            return Err(Error::file(&header.path, format!("{message}; it must not change")));
        }
        file.sync_all().map_err(Error::io("sync", &path))?;
    }
    sync_folder(folder);
    folder.parent().into_iter().for_each(sync_folder);
    Ok(())
}

/// The output's files, wherever they are on their way to their places.
fn open(input: &Folder, place: &Place) -> Result<(Folder, Vec<File>)> {
    let (mut headers, mut files) = (Vec::new(), Vec::new());
    for header in input.files() {
        let name = header.path.file_name().unwrap_or_default();
        let unfinished = place.unfinished.join(name);
        let path = if unfinished.exists() { unfinished } else { place.output.join(name) };
        let found = Header::open(&path)?;
        if found.bytes != header.bytes {
            let message = format!("is not laid out as {}", header.path.display());
            return Err(Error::file(path, format!("{message}; drop it with --force")));
        }
        let file = File::options().write(true).open(&path).map_err(Error::io("open", &path))?;
        headers.push(found);
        files.push(file);
    }
    Ok((Folder::of(Weights { index: None, files: headers })?, files))
}
