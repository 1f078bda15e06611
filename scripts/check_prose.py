#!/usr/bin/env python3
"""Checks the documents: width of prose, links, anchors, pictures. Needs nothing but Python.

    scripts/check_prose.py [ROOT]

A finding is `file:line: what`, and the exit status is then 1. In README, ARCHITECTURE, CONTRIBUTING,
CHANGELOG and all of docs/

- a line of prose has at most 100 columns; tables, code blocks and definitions of links may be wider;
- a relative link leads to a file or folder, and its `#anchor` to a heading there;
- each picture in docs/ is shown by one of the documents.

In the templates of .github and in python/README.md only the links are checked.
"""
import re
import sys
from pathlib import Path
from urllib.parse import unquote

COLUMNS = 100
PICTURES = {".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp"}
PROSE = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md"]
LINKS_ONLY = ["python/README.md", ".github/*.md", ".github/ISSUE_TEMPLATE/*.md"]

FENCE = re.compile(r"^\s*(?:>\s*)?(`{3,}|~{3,})")
CODE = re.compile(r"(`+)(?:(?!\1).|\1`+)*?\1(?!`)", re.S)
INLINE = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+[\"'][^)]*)?\)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)")
TAG = re.compile(r"""<(?:img|a|source)\b[^>]*\b(?:src|href|srcset)=["']([^"'\s]+)""")
SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.I)


def lines_outside_code(text):
    """Number and line of each line that is not in a fenced block."""
    fence = None
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence = mark[1]
        elif fence is None:
            yield number, line
        elif mark and mark[1].startswith(fence) and line.strip(" >") == mark[1]:
            fence = None


def blank_code(lines):
    """The same lines with code spans blanked, those over the end of a line among them."""
    result, run = [], []

    def flush():
        text = "\n".join(line for _, line in run)
        text = CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
        result.extend(zip((number for number, _ in run), text.split("\n")))
        run.clear()

    for number, line in lines:
        if run and (not line.strip() or number != run[-1][0] + 1 or line.startswith("|")):
            flush()
        run.append((number, line))
    if run:
        flush()
    return result


def anchors(text):
    """What headings are called in links, as GitHub makes it."""
    found, seen = set(), {}
    for _, line in lines_outside_code(text):
        heading = re.match(r"^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$", line)
        if not heading:
            continue
        title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found


def is_wide(line):
    table = line.lstrip().startswith("|")
    return len(line) > COLUMNS and not table and not DEFINITION.match(line)


def main(root):
    findings, shown, headings = [], set(), {}
    prose = sorted({path for pattern in PROSE for path in root.glob(pattern)})
    others = sorted({path for pattern in LINKS_ONLY for path in root.glob(pattern)})
    if not prose:
        sys.exit(f"{root} has none of {', '.join(PROSE)}")
    for path in prose + others:
        name = path.relative_to(root)
        lines = list(lines_outside_code(path.read_text(encoding="utf-8")))
        if path in prose:
            for number, line in lines:
                if is_wide(line):
                    findings.append((name, number, f"{len(line)} columns, at most {COLUMNS}"))
        for number, line in blank_code(lines):
            targets = INLINE.findall(line) + DEFINITION.findall(line) + TAG.findall(line)
            for target in targets:
                if SCHEME.match(target) or target.startswith("//"):
                    continue
                file, _, anchor = unquote(target).partition("#")
                to = (path.parent / file).resolve() if file else path.resolve()
                if not to.is_relative_to(root) or not to.exists():
                    findings.append((name, number, f"{target}: no such file"))
                    continue
                shown.add(to)
                if anchor and to.suffix == ".md":
                    if to not in headings:
                        headings[to] = anchors(to.read_text(encoding="utf-8"))
                    if anchor not in headings[to]:
                        findings.append((name, number, f"{target}: no such heading"))
    for picture in sorted((root / "docs").rglob("*")):
        if picture.suffix in PICTURES and picture.resolve() not in shown:
            findings.append((picture.relative_to(root), 1, "no document shows this picture"))
    for name, number, what in findings:
        print(f"{name}:{number}: {what}")
    print(f"{len(prose) + len(others)} documents, {len(findings)} findings", file=sys.stderr)
    return bool(findings)


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent
    sys.exit(main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default))
