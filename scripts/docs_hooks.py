"""Hooks of mkdocs: add pages that are generated from code, and pages that mirror files outside docs/.

No hook uses a network. The command-line reference is generated from the typer program, so it is always up to date.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOK = "docs/start/first-sample.ipynb"
# file of the repository -> page of the site
MIRRORED = {
    "CONTRIBUTING.md": "reference/contributing.md",
    "SECURITY.md": "reference/security.md",
    "CHANGELOG.md": "reference/changelog.md",
    "src/lgesynthnet/weights/phantom/README.md": "evidence/model-phantom.md",
    "weights/emidec/README.md": "evidence/model-emidec.md",
}
COMMAND_LINE = "reference/command-line.md"
GLOSSARY = "reference/glossary.md"
REMOTE_WORKER, OFFLINE_WORKER = "https://unpkg.com/iframe-worker/shim", "assets/offline-search.js"
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    pages = {"start/first-sample.md": notebook_page(PROJECT / NOTEBOOK)}
    for source, page in MIRRORED.items():
        pages[page] = relink(without_header((PROJECT / source).read_text(encoding="utf-8")), source, page)
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace links that leave docs/ by links to the mirrored page, or by plain text if the site has no such page."""
    source = page.file.src_uri
    if source == COMMAND_LINE:
        markdown += "\n" + command_line()
    elif source not in MIRRORED.values():
        markdown = relink(markdown, f"docs/{source}", source)
    return link_words(markdown, source, glossary_words())


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Replace a script that the theme would load from a server by the copy in the site."""
    return output.replace(REMOTE_WORKER, os.path.relpath(OFFLINE_WORKER, os.path.dirname(page.file.dest_uri) or "."))


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for pages without Markdown (404)."""
    return output.replace(REMOTE_WORKER, f"/{OFFLINE_WORKER}")


def relink(markdown: str, source: str, page: str) -> str:
    """Rewrite the links of a file of the repository for the page of the site that shows it."""

    def rewrite(match: re.Match[str]) -> str:
        label, target = match.groups()
        path, _, anchor = target.partition("#")
        if "://" in target or not path or target.startswith("mailto:"):
            return match[0]
        resolved = os.path.normpath(os.path.join(os.path.dirname(source), path))
        if resolved == NOTEBOOK:
            resolved = NOTEBOOK.replace(".ipynb", ".md")
        if resolved == "docs/decisions":
            resolved = "docs/decisions/index.md"
        inside = MIRRORED.get(resolved) or (resolved.removeprefix("docs/") if resolved.startswith("docs/") else None)
        if inside is None:
            return label[1:-1]
        relative = os.path.relpath(inside, os.path.dirname(page) or ".")
        return f"{label}({relative}{'#' + anchor if anchor else ''})"

    return LINK.sub(rewrite, markdown)


def glossary_words() -> list[str]:
    """The headings of the glossary, longest first, so that "pool of hosts" is found before "host"."""
    text = (PROJECT / "docs" / GLOSSARY).read_text(encoding="utf-8")
    return sorted(re.findall(r"^### (.+)$", text, re.M), key=len, reverse=True)


def link_words(markdown: str, page: str, words: list[str]) -> str:
    """Link the first use of each word of the glossary in the running text of a page; code, headings and links stay."""
    if page == GLOSSARY or page.startswith(("decisions/", "evidence/model-")) or page in (COMMAND_LINE, "reference/changelog.md"):
        return markdown
    place = os.path.relpath(GLOSSARY, os.path.dirname(page) or ".")
    left, lines, fenced = list(words), [], False
    for line in markdown.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and not line.lstrip().startswith(("#", "```", "<", "!", ":::")):
            line = link_line(line, left, place)
        lines.append(line)
    return "\n".join(lines)


def link_line(line: str, left: list[str], place: str) -> str:
    """Link the words in `left` that this line uses, and remove them from the list."""
    for word in list(left):
        pieces = re.split(r"(`[^`]*`|!?\[[^\]]*\]\([^)]*\))", line)
        for number in range(0, len(pieces), 2):  # every other piece is code or a link
            pattern = rf"(?<![\w-])({re.escape(word)}s?)(?![\w-])"
            linked, count = re.subn(pattern, rf"[\1]({place}#{anchor_of(word)})", pieces[number], count=1, flags=re.I)
            if count:
                pieces[number] = linked
                left.remove(word)
                break
        line = "".join(pieces)
    return line


def anchor_of(word: str) -> str:
    return re.sub(r"[^\w]+", "-", word.lower()).strip("-")


def without_header(text: str) -> str:
    """The text without the YAML header of a model card, which a page does not show."""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)


def notebook_page(path: Path) -> str:
    """The cells of a notebook as one page."""
    parts = ["<!-- made from first-sample.ipynb -->"]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def command_line() -> str:
    """One section for each command, with its options as a table."""
    import typer

    from lgesynthnet.cli.app import app

    root = typer.main.get_command(app)
    lines: list[str] = []
    for words, command in commands("lgesynthnet", root):
        lines += section(words, command)
    return "\n".join(lines)


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The program, then every command and subcommand, in the order of the help."""
    yield name, command
    for child, sub in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {child}", sub)


def section(words: str, command: Any) -> list[str]:
    """Heading, help text and option table of one command."""
    heading = "#" * min(4, 2 + max(0, len(words.split()) - 2)) if " " in words else "##"
    lines = [f"{heading} {words}", "", plain(command.help), ""]
    rows = [row(parameter) for parameter in command.params if not skipped(parameter)]
    if rows:
        lines += ["| option | meaning | default |", "|---|---|---|", *rows, ""]
    return lines


def skipped(parameter: Any) -> bool:
    return getattr(parameter, "hidden", False) or {"--help", "--install-completion", "--show-completion"} & set(parameter.opts)


def row(parameter: Any) -> str:
    """One option as a line of the table."""
    argument = not parameter.opts[0].startswith("-")
    names = parameter.name.upper() if argument else ", ".join([*parameter.opts, *parameter.secondary_opts])
    choices = choices_of(parameter)
    meaning = plain(getattr(parameter, "help", None))
    if choices:
        meaning += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    return f"| `{names}` | {cell(meaning)} | {cell(default(parameter))} |"


def choices_of(parameter: Any) -> list[str]:
    """The values that an option accepts; empty if it accepts any value."""
    annotation = parameter.type_descriptor.annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return [str(choice.value) for choice in kind]
    return []


def default(parameter: Any) -> str:
    """The default in words."""
    shown, value = getattr(parameter, "show_default", None), parameter.default
    if parameter.required:
        return "required"
    if isinstance(shown, str):
        return shown
    if value is None or callable(value) or value == () or "UNSET" in str(value).upper():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{getattr(value, 'value', value)}`"


def plain(text: str | None) -> str:
    """Help text without the colour codes of the terminal."""
    return re.sub(r"\[/?(?:bold|italic|dim|green|red)\]", "", text or "").replace("\f", "").strip()


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
