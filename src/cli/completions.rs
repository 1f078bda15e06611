//! `secateur completions`
use anyhow::Result;
use clap::CommandFactory;

use super::args::{Args, Completions};
use super::{Verdict, output};

pub fn run(args: &Completions) -> Result<Verdict> {
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    // In memory first: the generator panics on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::data(String::from_utf8(script)?.trim_end())?;
    Ok(Verdict::Done)
}
