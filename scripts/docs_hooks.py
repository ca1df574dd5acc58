"""What mkdocs asks while it builds the site: pages that are generated from code, and pages that mirror files outside docs/.

Nothing here uses a network. The command-line reference comes from the typer program itself, so it cannot fall behind.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PROJECT = Path(__file__).resolve().parents[1]
NOTEBOOK = "docs/start/first-sample.ipynb"
# file of the repository -> page of the site
MIRRORED = {
    "CONTRIBUTING.md": "reference/contributing.md",
    "CHANGELOG.md": "reference/changelog.md",
    "src/lgesynthnet/weights/phantom/README.md": "evidence/model-phantom.md",
    "weights/emidec/README.md": "evidence/model-emidec.md",
}
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages = {"reference/command-line.md": command_line(), "start/first-sample.md": notebook_page(PROJECT / NOTEBOOK)}
    for source, page in MIRRORED.items():
        pages[page] = relink(without_header((PROJECT / source).read_text(encoding="utf-8")), source, page)
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that leave docs/ into links to the mirrored page, or into plain words where the site has no such page."""
    source = page.file.src_uri
    if source in MIRRORED.values():
        return markdown
    return relink(markdown, f"docs/{source}", source)


def relink(markdown: str, source: str, page: str) -> str:
    """The links of a file of the repository, rewritten for the page of the site that shows it."""

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


def without_header(text: str) -> str:
    """A model card begins with YAML between two lines of dashes; a page does not show it."""
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)


def notebook_page(path: Path) -> str:
    """The cells of a notebook as one page."""
    parts = ["<!-- made from first-sample.ipynb -->"]
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def command_line() -> str:
    """One section a command, with its options as a table."""
    import typer

    from lgesynthnet.cli.app import app

    root = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "This page is generated from the program; `lgesynthnet COMMAND --help` prints the same.",
        "Options of the program stand before the command: `lgesynthnet -q synthesize ...`.",
        "",
        "| exit code | means |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | a bug in the program |",
        "| 2 | a fault in the input; one line on stderr names the file, the cause and the remedy |",
        "| 3 | `synthesize` and `demo`: the budget was spent before enough samples were kept; the same command continues |",
        "| 130 | interrupted; the same command continues |",
        "",
    ]
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
    argument = parameter.param_type_name == "argument"
    names = parameter.name.upper() if argument else ", ".join([*parameter.opts, *parameter.secondary_opts])
    choices = getattr(parameter.type, "choices", None)
    meaning = plain(getattr(parameter, "help", None))
    if choices:
        meaning += f" One of {', '.join(f'`{getattr(choice, "value", choice)}`' for choice in choices)}."
    return f"| `{names}` | {cell(meaning)} | {cell(default(parameter))} |"


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
    """Help text without the colour marks of the terminal."""
    return re.sub(r"\[/?(?:bold|italic|dim|green|red)\]", "", text or "").replace("\f", "").strip()


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
