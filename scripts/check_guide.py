#!/usr/bin/env python3
"""Runs every command of the tutorials, and checks the book that they are in.

    scripts/check_guide.py [--page NAME] [--mpi PROGRAM] SECATEUR    run the commands with this program
    scripts/check_guide.py                                           the book alone

The tutorials are the chapters of docs/SUMMARY.md before its part Reference. The blocks ```sh of a
page are run in their order in one temporary folder by `bash -euo pipefail`, with `secateur` on the
path and CLONE set to this clone. What they print is not compared, and each must exit with 0. A
comment on the line before a block changes that:

    <!-- sh: exit 2 -->              it must exit with 2
    <!-- sh: needs torch -->         it needs a package of Python, or (mpi) a program with that feature
    <!-- sh: not run: WHY -->        a reader does it, and this script does not

`<!-- sh: setup` begins a comment whose lines are run like a block, for what a reader has anyway.
Where something that is needed is missing, the rest of the page is SKIPPED, or fails with
SECATEUR_REQUIRE_TOOLS=1.

In the book each document of docs/ is a chapter, links between documents lead to chapters, and pages
with Rust are compiled by src/lib.rs. Where mdbook is on the path it is built, and all links and
pictures of its pages are followed.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"(?P<notes>(?:^ *<!-- sh: (?!setup\b)[^\n]*-->\n)*)^(?P<indent> *)```sh\n(?P<code>.*?)^ *```$"
    r"|^<!-- sh: setup\n(?P<setup>.*?)^-->$",
    re.M | re.S,
)
NOTE = re.compile(r"<!-- sh: (?:exit (?P<exit>\d+)|needs (?P<needs>\w+)|not run: (?P<why>\S.*)) -->")
SECONDS = 900


def chapters():
    """Paths of the chapters in docs/, and how many of them are tutorials."""
    summary = (DOCS / "SUMMARY.md").read_text()
    tutorials = summary.partition("\n# Reference\n")[0]
    found = [re.findall(r"^(?:- )?\[.*\]\((.*)\)$", text, re.M) for text in (summary, tutorials)]
    return found[0], found[1]


def blocks(text):
    """Line, code and notes of each block."""
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["setup"] is not None:
            yield line, match["setup"], {}
            continue
        notes = {}
        for note in match["notes"].splitlines():
            said = NOTE.fullmatch(note.strip())
            if not said:
                sys.exit(f"line {line}: {note.strip()}: is no note that this script knows")
            notes.update({key: value for key, value in said.groupdict().items() if value})
        yield line, textwrap.dedent(match["code"]), notes


def has(need, mpi):
    return bool(mpi and shutil.which("mpirun")) if need == "mpi" else find_spec(need) is not None


def run_page(name, program, mpi):
    """How many blocks of a page passed and failed."""
    passed = 0
    with tempfile.TemporaryDirectory() as work:
        programs = Path(work, "bin")
        programs.mkdir()
        environment = dict(os.environ, CLONE=str(ROOT))
        environment["PATH"] = os.pathsep.join(
            [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        )
        # What Open MPI asks for in a container, and on a machine with few cores.
        for key in "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM":
            environment.setdefault(key, "1")
        for key in "OMPI_MCA_rmaps_base_oversubscribe", "OMPI_MCA_mpi_yield_when_idle":
            environment.setdefault(key, "1")
        environment.setdefault("OMPI_MCA_hwloc_base_binding_policy", "none")
        if not (shutil.which("ssh") or shutil.which("rsh")):
            environment.setdefault("OMPI_MCA_plm", "isolated")
        folder = Path(work, "folder")
        folder.mkdir()
        for line, code, notes in blocks((DOCS / name).read_text()):
            place, need = f"docs/{name}:{line}", notes.get("needs")
            if "why" in notes:
                continue
            if need and not has(need, mpi):
                required = os.environ.get("SECATEUR_REQUIRE_TOOLS") == "1"
                print(f"{place}: {'FAILED' if required else 'SKIPPED'}: there is no {need}")
                return passed, int(required)
            link = programs / "secateur"
            link.unlink(missing_ok=True)
            link.symlink_to(mpi if need == "mpi" else program)
            started, expected = time.monotonic(), int(notes.get("exit", 0))
            command = ["bash", "-euo", "pipefail", "-c", code]
            try:
                done = subprocess.run(
                    command, cwd=folder, env=environment, timeout=SECONDS, text=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )
                code_there, said = done.returncode, done.stdout
            except subprocess.TimeoutExpired as e:
                code_there, said = f"no end within {SECONDS} s", (e.stdout or b"").decode()
            if code_there != expected:
                print(f"{place}: FAILED: exit {code_there}, not {expected}:\n{code}\n{said[-3000:]}")
                return passed, 1
            passed += 1
            print(f"{place}: {time.monotonic() - started:.1f} s", flush=True)
    return passed, 0


def structure():
    """What is wrong with the book's sources."""
    all_chapters, tutorials = chapters()
    paths = {(DOCS / name).resolve() for name in all_chapters}
    findings = [f"docs/SUMMARY.md: {name}: no such file" for name in all_chapters if not (DOCS / name).is_file()]
    twice = {name for name in all_chapters if all_chapters.count(name) > 1}
    findings += [f"docs/SUMMARY.md: {name} is there twice" for name in twice]
    compiled = (ROOT / "src/lib.rs").read_text()
    for path in sorted(DOCS.rglob("*.md")):
        name = path.relative_to(DOCS)
        if path.name == "SUMMARY.md":
            continue
        if path not in paths:
            findings.append(f"docs/{name}: is no chapter of docs/SUMMARY.md")
        text = path.read_text()
        for link in re.findall(r"\]\(([^)\s:]+\.md)(?:#[^)]*)?\)", text):
            if (path.parent / link).resolve() not in paths:
                findings.append(f"docs/{name}: {link} is no chapter, so the book has no such page")
        if str(name) in tutorials and re.search(r"^ *```rust", text, re.M) and f"docs/{name}" not in compiled:
            findings.append(f"docs/{name}: src/lib.rs does not compile its Rust")
        if str(name) in tutorials:
            shown = len(re.findall(r"^ *```sh$", text, re.M))
            found = sum(1 for match in BLOCK.finditer(text) if match["setup"] is None)
            if shown != found:
                findings.append(f"docs/{name}: {shown} blocks of sh, of which {found} can be read")
    return findings


class Targets(HTMLParser):
    """What a page of HTML points to, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.ids = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ("href", "src") and value:
                self.targets.append(value)
            if key in ("id", "name") and value:
                self.ids.add(value)


def build():
    """What is wrong with the book as mdbook makes it."""
    if not shutil.which("mdbook"):
        required = os.environ.get("SECATEUR_REQUIRE_TOOLS") == "1"
        print("FAILED: there is no mdbook" if required else "SKIPPED: there is no mdbook")
        return ["mdbook is missing: pip install -r scripts/tools.txt"] if required else []
    # Beside docs, as the book's own settings have it: links to sources lead out of the book.
    with tempfile.TemporaryDirectory(prefix=".book-", dir=ROOT) as out:
        command = ["mdbook", "build", str(DOCS / "guide"), "--dest-dir", out]
        done = subprocess.run(command, capture_output=True, text=True)
        said = done.stdout + done.stderr
        if done.returncode or " WARN " in said or " ERROR " in said:
            return [f"mdbook: {said}"]
        pages = {path: Targets(path) for path in Path(out).rglob("*.html")}
        findings = []
        for path, page in pages.items():
            # All of the book on one page, for printers, and a page whose place nobody knows.
            if path.name in ("print.html", "404.html", "toc.html"):
                continue
            for target in page.targets:
                if re.match(r"[a-z][a-z0-9+.-]*:|//", target):
                    continue
                file, _, anchor = unquote(target).partition("#")
                to = (path.parent / file).resolve() if file else path
                place = f"{path.relative_to(out)}: {target}"
                if not to.exists():
                    findings.append(f"{place}: no such page")
                elif anchor and to in pages and anchor not in pages[to].ids:
                    findings.append(f"{place}: no such heading")
        print(f"the book has {len(pages)} pages")
        return findings


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    parser.add_argument("program", nargs="?")
    parser.add_argument("--page", help="this tutorial alone, by a part of its name")
    parser.add_argument("--mpi", help="a program with the feature mpi")
    args = parser.parse_args()
    findings = structure() + build()
    for finding in findings:
        print(finding)
    passed, failed = 0, len(findings)
    if args.program:
        program, mpi = (Path(p).resolve() if p else None for p in (args.program, args.mpi))
        for path in filter(None, (program, mpi)):
            if not path.is_file():
                sys.exit(f"{path}: no such program")
        for name in chapters()[1]:
            if not args.page or args.page in name:
                page = run_page(name, program, mpi)
                passed, failed = passed + page[0], failed + page[1]
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
