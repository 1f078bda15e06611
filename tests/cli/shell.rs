//! `completions` and `man`: what shells and readers of manuals make of the command line.
use std::process::{Command, Stdio};

use crate::folder::{Folder, Run};
use crate::needs::{TOOLS, missing};
use crate::usage::run_unread;

/// Every command, as the help lists them.
fn commands(folder: &Folder) -> Vec<String> {
    let help = folder.run("--help").ok().out;
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    let (list, _) = list.split_once("\n\n").expect("its end");
    // What a command does may go on in lines of their own.
    let line = |line: &str| {
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '))?;
        name.split_whitespace().next().map(str::to_owned)
    };
    let all: Vec<String> = list.lines().filter_map(line).filter(|name| name != "help").collect();
    assert!(all.len() > 10 && all.contains(&"man".to_owned()), "{help}");
    all
}

#[test]
fn bash_takes_the_completions() {
    let folder = Folder::new();
    let script = folder.run("completions bash").ok().out;
    folder.write("secateur.bash", &script);
    let bash = |command: &str| {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "--noprofile", "-c", command]).current_dir(folder.path("."));
        bash.stdin(Stdio::null());
        bash
    };
    if bash("true").status().is_err() {
        return missing(TOOLS, "there is no bash");
    }
    Run::of(&mut bash("bash -n secateur.bash")).ok();
    // As bash calls it for `secateur WORD<tab>`, with a cursor behind the last word.
    let complete = |words: &str| {
        let command = format!(
            "source secateur.bash; COMP_WORDS=({words} ''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _secateur secateur '' \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = Run::of(&mut bash(&command)).ok().out;
        offered.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let offered = complete("secateur");
    for command in commands(&folder) {
        assert!(offered.contains(&command), "no `{command}` in {offered:?}");
    }
    let offered = complete("secateur train");
    // One that is declared here, one of the library's list, one of the ranks.
    for option in ["--init-recipe", "--lr", "--watchdog"] {
        assert!(offered.iter().any(|o| o == option), "no `{option}` in {offered:?}");
    }
    assert_eq!(complete("secateur prune --scope"), ["layer", "global", "unit"]);
}

#[test]
fn every_shell_has_completions() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = folder.run(&format!("completions {shell}")).ok().out;
        for command in commands(&folder) {
            assert!(script.contains(&command), "{shell}: no `{command}`");
        }
        assert!(!script.contains('\u{1b}'), "{shell}: colours");
    }
    folder.run("completions tcsh").fails(2, &["tcsh", "bash", "elvish"]);
    assert_eq!(folder.list("."), [""; 0], "standard output alone");
}

#[test]
fn every_command_has_a_page() {
    let folder = Folder::new();
    let said = folder.run("man pages/man1").ok().out;
    let mut expected = vec!["secateur.1".to_owned()];
    expected.extend(commands(&folder).iter().map(|name| format!("secateur-{name}.1")));
    expected.sort();
    assert_eq!(folder.list("pages/man1"), expected);
    assert!(said.contains(&format!("{} pages", expected.len())), "{said}");
    for name in &expected {
        let page = String::from_utf8(folder.read(&format!("pages/man1/{name}"))).expect("UTF-8");
        let title = name.trim_end_matches(".1");
        assert!(page.contains(&format!("\n.TH {title} 1")), "{name}: {page}");
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
        assert!(page.contains(concat!("secateur ", env!("CARGO_PKG_VERSION"))), "{name}: {page}");
    }
    let page = |name: &str| String::from_utf8(folder.read(name)).expect("UTF-8");
    assert_eq!(folder.run("man").ok().out, page("pages/man1/secateur.1"));
    let train = page("pages/man1/secateur-train.1");
    for part in ["init\\-recipe", "watchdog", "Learning rate", "Examples:"] {
        assert!(train.contains(part), "no `{part}` in {train}");
    }
}

/// As other commands treat what is there: their own files are written anew, others are not.
#[test]
fn pages_replace_pages_only() {
    let folder = Folder::new();
    folder.run("man pages").ok();
    let page = folder.read("pages/secateur-eval.1");
    folder.write("pages/secateur-train.1", "\n.TH secateur-train 1 \"secateur 0.0.1\"\n");
    folder.run("man pages").ok();
    folder.write("pages/secateur-eval.1", "my notes");
    folder.write("pages/secateur-train.1", "\n.TH secateur-train 1 \"secateur 0.0.1\"\n");
    let old = folder.read("pages/secateur-train.1");
    folder.run("man pages").fails(2, &["secateur-eval.1 is there", "--force"]);
    assert_eq!(folder.read("pages/secateur-eval.1"), b"my notes");
    assert_eq!(folder.read("pages/secateur-train.1"), old, "all or none");
    folder.run("man pages --force").ok();
    assert_eq!(folder.read("pages/secateur-eval.1"), page);
    folder.run("man --force").fails(2, &["FOLDER"]);
    folder.write("file", "");
    folder.run("man file").fails(2, &["file"]);
}

#[test]
fn nobody_needs_to_read_on() {
    let folder = Folder::new();
    for args in ["completions bash", "completions zsh", "man", "man pages"] {
        for run in run_unread(&folder, args) {
            assert!(!run.err.contains("panicked"), "{args}: {}", run.err);
            run.ok();
        }
    }
}
