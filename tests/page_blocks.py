"""Code blocks of the pages: found, told apart, and marked where they are not run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = re.compile(r"\*Not run by the tests[^:]*: .+\*")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^`]*)$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes
    ----------
    line
        Line number of the opening fence.
    not_run
        The visible line that says why it is not executed; empty for the others.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str

    @property
    def id(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self):
        """Return the commands of a shell block, without comments, as lists of words."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(page):
    """Return the blocks of a page in order; a marker is the last line of text before one."""
    found, open_at, language, body, before = [], 0, "", [], ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = FENCE.match(line)
        if open_at and fence and not fence["language"]:
            marker = before if NOT_RUN.fullmatch(before) else ""
            found.append(Block(page, open_at, language, "\n".join(body) + "\n", marker))
            open_at, before = 0, ""
        elif open_at:
            body.append(line)
        elif fence:
            open_at, language, body = number, fence["language"], []
        elif line.strip():
            before = line.strip()
    assert not open_at, f"{page.name}: the block at line {open_at} does not end"
    return found


def all_blocks(language):
    return [block for page in PAGES for block in blocks_of(page) if block.language == language]
