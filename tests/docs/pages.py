"""What the tests of the documents share: the pages, their links, their code blocks and their commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
NOTEBOOK = DOCS / "start" / "first-sample.ipynb"
ROOT_PAGES = [PROJECT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "AGENTS.md", "CHANGELOG.md")]
CARDS = [PROJECT / "weights" / "emidec" / "README.md", PROJECT / "src" / "lgesynthnet" / "weights" / "phantom" / "README.md"]
PAGES = [*ROOT_PAGES, *CARDS, *sorted(DOCS.rglob("*.md"))]
HOW_TO = [PROJECT / "README.md", *sorted((DOCS / "start").glob("*.md")), *sorted((DOCS / "guides").glob("*.md"))]
BLOCK = re.compile(r"^(<!-- run -->\n)?```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        runnable: marked with `<!-- run -->`; it is executed on simulated hearts.
    """

    page: Path
    language: str
    text: str
    runnable: bool

    def __str__(self) -> str:
        return f"{name_of(self.page)}: {self.text.splitlines()[0]}"


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def text_of(page: Path) -> str:
    """The Markdown of a page; of a notebook, that of its cells."""
    if page.suffix != ".ipynb":
        return page.read_text(encoding="utf-8")
    return "\n\n".join("".join(cell["source"]) for cell in notebook_cells() if cell["cell_type"] == "markdown")


def notebook_cells() -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return cells


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in these languages."""
    return [
        Block(page=page, language=match[2], text=match[3], runnable=match[1] is not None)
        for match in BLOCK.finditer(text_of(page))
        if match[2] in languages
    ]


def links(page: Path) -> list[str]:
    """Relative targets of a page, pictures included; code is left out."""
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", text_of(page)))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """The anchors that the headings of a page get."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text_of(page)), re.M)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())).strip("-") for heading in headings}


def shell_lines(text: str) -> Iterator[list[str]]:
    """The words of each command of a bash block: lines joined, comments dropped, variables of the block put in."""
    variables: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        for name, value in variables.items():
            line = line.replace(f"${name}", value)
        words = shlex.split(line, comments=True)
        if len(words) == 1 and (assigned := re.fullmatch(r"([A-Z]+)=(.*)", words[0])):
            variables[assigned[1]] = assigned[2]
        elif words:
            yield words


def commands(block: Block) -> list[list[str]]:
    """The `lgesynthnet` commands of a block, without the program's name and without redirections."""
    return [words[1:] for words in shell_lines(block.text) if words[0] == "lgesynthnet"]
