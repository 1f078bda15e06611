//! `--tui`: it ends with the run, however that ends, and leaves the terminal as it was.
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::needs::{TOOLS, missing};
use crate::paths;

const RUN: &str = "train --model mlp:8 --batch 16 --logdir";
/// The other screen of a terminal: its beginning and its end, and the cursor is seen.
const ENTERS: &str = "\u{1b}[?1049h";
const LEAVES: &str = "\u{1b}[?1049l";
const CURSOR: &str = "\u{1b}[?25h";

/// What a run in a terminal came to.
struct Seen {
    code: i32,
    /// All that was written to the terminal.
    said: String,
    /// Its settings before and after.
    settings: [String; 2],
}

/// What ends a run that would take long.
enum Ends {
    /// It does by itself.
    Itself,
    Key(&'static [u8]),
    Signal(&'static str),
}

/// The program in a terminal of its own. What ends it comes once the dashboard is drawn; `None`
/// where there is no program that makes terminals.
fn in_terminal(folder: &Folder, term: &str, args: &str, ends: Ends) -> Option<Seen> {
    let program = paths::program();
    // The shell becomes the program: a process of a shell in the background has no Ctrl-C.
    let lines = format!(
        "stty rows 30 cols 100\nstty -a >before\n\
         sh -c 'echo $$ >pid; exec \"$@\"' sh {} {args}\necho $? >code\nstty -a >after\n",
        program.display()
    );
    folder.write("run.sh", lines);
    // As the program is run elsewhere here, with its home in the folder.
    let own = folder.command("");
    let mut script = Command::new("script");
    script.envs(own.get_envs().filter_map(|(key, value)| Some((key, value?))));
    script.args(["-qec", "sh run.sh", "/dev/null"]).current_dir(folder.path("."));
    script.env("TERM", term).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        missing(TOOLS, "there is no script");
        return None;
    };
    let (mut out, mut said) = (child.stdout.take().expect("piped"), Vec::new());
    let mut keys = child.stdin.take().expect("piped");
    let (mut piece, mut ends, begun) = ([0; 4096], Some(ends), Instant::now());
    loop {
        let count = out.read(&mut piece).expect("a terminal");
        if count == 0 {
            break;
        }
        said.extend_from_slice(&piece[..count]);
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", String::from_utf8_lossy(&said));
        // Steps are made.
        let runs = |said: &[u8]| String::from_utf8_lossy(said).contains("steps/s");
        match ends.take_if(|_| runs(&said)) {
            None | Some(Ends::Itself) => {}
            Some(Ends::Key(key)) => keys.write_all(key).expect("a terminal"),
            Some(Ends::Signal(signal)) => {
                let pid = String::from_utf8(folder.read("pid")).expect("a number");
                let sent = Command::new("kill").args([signal, pid.trim()]).status();
                assert!(sent.expect("kill runs").success());
            }
        }
    }
    child.wait().expect("script ends");
    let text = |name: &str| fs::read_to_string(folder.path(name)).expect("a file of the shell");
    Some(Seen {
        code: text("code").trim().parse().expect("an exit code"),
        said: String::from_utf8_lossy(&said).into_owned(),
        settings: [text("before"), text("after")],
    })
}

impl Seen {
    /// What is on the screen that stays.
    ///
    /// # Panics
    /// Unless the terminal is as it was.
    fn left(&self) -> &str {
        let said = &self.said;
        assert_eq!(self.settings[0], self.settings[1], "{said}");
        let (shown, left) = said.rsplit_once(LEAVES).expect("the other screen is left");
        assert_eq!(shown.matches(ENTERS).count(), 1 + shown.matches(LEAVES).count(), "{said}");
        assert!(left.contains(CURSOR), "{said}");
        left
    }
}

#[test]
fn a_run_ends_and_leaves_the_terminal_as_it_was() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = format!("{RUN} run --steps 400 --sparsity 0.5 --tui");
    let Some(seen) = in_terminal(&folder, "xterm-256color", &args, Ends::Itself) else { return };
    let left = seen.left();
    assert_eq!(seen.code, 0, "{left}");
    // Words: the spaces between them are not written where there are some already.
    for part in ["sparsity:", "accuracy:", "digits,", "mlp:8", "device", "messages", "Ctrl-C:"] {
        assert!(seen.said.contains(part), "no `{part}` in {}", seen.said);
    }
    // The table, and what was said meanwhile.
    for part in ["fc1.weight", "50.00 %", "test accuracy", "saved step 400"] {
        assert!(left.contains(part), "no `{part}` in {left}");
    }
}

/// Keys and signals do the same: the step in hand is finished and saved.
#[test]
fn it_can_be_stopped() {
    let Some(folder) = Folder::with_gpu() else { return };
    let all = [
        ("q", Ends::Key(b"q"), 130),
        ("control-c", Ends::Key(b"\x03"), 130),
        ("int", Ends::Signal("-INT"), 130),
        ("term", Ends::Signal("-TERM"), 143),
    ];
    for (name, ends, code) in all {
        let args = format!("{RUN} {name} --steps 2000000 --tui");
        let Some(seen) = in_terminal(&folder, "xterm-256color", &args, ends) else { return };
        let left = seen.left();
        assert_eq!(seen.code, code, "{name}: {left}");
        assert!(left.contains("stopped at global step"), "{name}: {left}");
        let report = folder.run(&format!("inspect {name} --json")).json();
        assert!(report["manifest"]["global_step"].as_u64() > Some(0), "{name}: {report}");
    }
}

#[test]
fn an_error_is_said_on_the_screen_that_stays() {
    let Some(folder) = Folder::with_gpu() else { return };
    let args = format!("{RUN} run --steps 400 --lr 1e30 --tui");
    let Some(seen) = in_terminal(&folder, "xterm-256color", &args, Ends::Itself) else { return };
    let left = seen.left();
    assert_eq!(seen.code, 2, "{left}");
    assert!(left.contains("secateur: "), "{left}");
}

/// A bar or log lines, and a line that says why.
#[test]
fn without_a_terminal_progress_is_as_it_was() {
    let Some(folder) = Folder::with_gpu() else { return };
    let run = folder.run(&format!("{RUN} piped --steps 40 --tui")).ok();
    assert!(run.err.contains("--tui: standard error is no terminal"), "{}", run.err);
    assert!(run.err.contains("global step 40") && !run.err.contains('\u{1b}'), "{}", run.err);
    let args = format!("{RUN} dumb --steps 40 --tui");
    let Some(seen) = in_terminal(&folder, "dumb", &args, Ends::Itself) else { return };
    assert_eq!((seen.code, &seen.settings[0]), (0, &seen.settings[1]), "{}", seen.said);
    assert!(seen.said.contains("TERM=dumb") && !seen.said.contains(ENTERS), "{}", seen.said);
}
