#!/usr/bin/env python3
"""Compares what other crates can use of this one with tests/public.txt, by rustdoc's pages.

    cargo doc --no-deps && scripts/public_surface.py            says what has changed
    cargo doc --no-deps && scripts/public_surface.py --accept   writes the file anew

The file has a line for each public item: its path with its declaration, each method, and each trait
that it implements, but no derived auto traits and no blanket implementations. A change of it is a
change that others see: look at it, accept it, and say in CHANGELOG.md what others have to do. The
one type that only the feature `mpi` has is left out, so pages with that feature and without agree.
"""
import difflib
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "tests/public.txt"
PAGES = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "doc/secateur"
KINDS = "struct enum union trait fn macro constant static type derive attr".split()
# Lists of what the compiler implements by itself, and what comes from other crates' traits.
OTHERS = {"synthetic-implementations-list", "blanket-implementations-list", "implementors-list"}
OF_MPI = "secateur::comm::MpiComm"
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}


class Page(HTMLParser):
    """The declarations of a page, in its order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.found, self.text = [], [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        if self.text is not None and tag in ("div", "br"):
            self.text.append(" ")
        if tag in VOID:
            return
        values = dict(attributes)
        self.open.append((tag, values.get("id") or "", values.get("class") or ""))
        classes = (values.get("class") or "").split()
        declares = (tag == "pre" and "item-decl" in classes) or (
            tag in ("h3", "h4") and "code-header" in classes
        )
        ids = {id for _, id, _ in self.open}
        # What a trait's implementation has is said by the trait; variants stand in the declaration.
        said = OTHERS & ids or (tag == "h4" and "trait-implementations-list" in ids)
        said = said or any("variant" in classes.split() for _, _, classes in self.open)
        if self.text is None and declares and not said:
            self.text, self.depth = [], len(self.open)

    def handle_endtag(self, tag):
        while self.open:
            if self.text is not None and len(self.open) == self.depth:
                self.found.append(one_line("".join(self.text)))
                self.text = None
            if self.open.pop()[0] == tag:
                break
        if self.text is not None and tag == "div":
            self.text.append(" ")

    def handle_data(self, data):
        if self.text is not None:
            self.text.append(data)


class Reexports(HTMLParser):
    """The lines `pub use` of a module's page."""

    def __init__(self, path):
        super().__init__()
        self.found, self.text = [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        if tag == "code":
            self.text = []

    def handle_endtag(self, tag):
        if tag == "code" and self.text is not None:
            line = one_line("".join(self.text))
            if line.startswith("pub use ") or line.startswith("pub extern crate "):
                self.found.append(line)
            self.text = None

    def handle_data(self, data):
        if self.text is not None:
            self.text.append(data)


def one_line(text):
    text = re.sub(r"\s+", " ", text.replace("\u200b", "").replace("ⓘ", "")).strip()
    return re.sub(r",? ([})\]])", r" \1", text)


def surface():
    lines = []
    for path in sorted(PAGES.rglob("*.html")):
        module = "::".join(("secateur", *path.relative_to(PAGES).parent.parts))
        if path.name == "index.html":
            lines += [f"{module}: {line}" for line in Reexports(path).found]
            lines.append(f"{module}: mod")
            continue
        kind, _, rest = path.name.partition(".")
        # `macro.name!.html` leads to `macro.name.html`.
        if kind not in KINDS or "!" in rest:
            continue
        name = f"{module}::{rest.removesuffix('.html')}"
        if name != OF_MPI:
            lines += [f"{name}: {line}" for line in Page(path).found]
    return sorted(set(lines))


def main():
    if not (PAGES / "index.html").is_file():
        sys.exit(f"{PAGES} has no pages: cargo doc --no-deps")
    now = [line + "\n" for line in surface()]
    if "--accept" in sys.argv[1:]:
        SNAPSHOT.write_text("".join(now))
        print(f"{len(now)} lines: {SNAPSHOT.relative_to(ROOT)}")
        return 0
    there = SNAPSHOT.read_text().splitlines(keepends=True) if SNAPSHOT.exists() else []
    changes = list(difflib.unified_diff(there, now, "tests/public.txt", "now", n=0))
    sys.stdout.writelines(changes)
    print(f"{len(now)} public lines, {'they have changed' if changes else 'as they were'}")
    if changes:
        print("scripts/public_surface.py --accept takes that for what is meant", file=sys.stderr)
    return bool(changes)


if __name__ == "__main__":
    sys.exit(main())
