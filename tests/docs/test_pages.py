"""Pages agree with the program: links lead somewhere, commands and options exist, lists of columns and layers are complete."""

from __future__ import annotations

import ast
import importlib
import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pages import DOCS, HOW_TO, NOTEBOOK, PAGES, PROJECT, Block, anchors, blocks, commands, links, name_of, notebook_cells, text_of

from lgesynthnet.cli.app import app

ROOT = typer.main.get_command(app)
GUIDES = sorted((DOCS / "guides").glob("*.md"))
# Options of other programs that pages name: pip, nnU-Net, torchrun, and this project's scripts and experiments.
FOREIGN = {"--no-deps", "--find-links", "--verify_dataset_integrity", "--nproc_per_node", "--help"}


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK], ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and not _generated(file, anchor) and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def _generated(file: Path, anchor: str) -> bool:
    """The command-line reference gets its sections while the site is built; there the strict build checks the anchor."""
    return file.name == "command-line.md" and anchor.startswith("lgesynthnet")


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "bash")], ids=str)
def test_every_command_of_a_page_exists_with_its_options(block):
    faults = [f"{' '.join(words)}: {fault}" for words in commands(block) if (fault := fault_of(words, whole=True))]
    assert not faults


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_running_text_exists(page):
    if page.name == "CHANGELOG.md" or "decisions" in page.parts:
        return  # history keeps the names of its time
    spans = re.findall(r"`lgesynthnet ([a-z][^`]*)`", text_of(page))
    faults = [f"{span}: {fault}" for span in spans if (fault := fault_of(span.split(), whole=False))]
    assert not faults


@pytest.mark.parametrize("page", [*HOW_TO, *sorted((DOCS / "reference").glob("*.md"))], ids=name_of)
def test_every_option_in_running_text_exists_in_some_command(page):
    known = {name for command in leaves(ROOT) for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    named = {option for span in re.findall(r"`([^`\n]+)`", text_of(page)) for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
    scripts = {option for span in re.findall(r"`(python [^`\n]+)`", text_of(page)) for option in re.findall(r"--[a-z][\w-]*", span)}
    assert named - known - scripts - FOREIGN == set()


def fault_of(words: list[str], *, whole: bool) -> str | None:
    """What is wrong with a command line, without its program's name; None where nothing is.

    Args:
        whole: the command stands in a block, so what is required must be there.
    """
    command: Any = ROOT
    words = [word for word in words if not re.fullmatch(r"-[qv]", word)] if words[0].startswith("-") else list(words)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands"):
        return None if not whole and (not words or words[0] in ("COMMAND", "...")) else f"is no command: {' '.join(words[:1])}"
    if ">" in words:
        words = words[: words.index(">")]
    options = {name: parameter for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given, places, shortened = set(), 0, "..." in words
    while words:
        word = words.pop(0)
        if word.startswith("-") and word not in ("-", "..."):
            name, _, value = word.partition("=")
            if name not in options:
                return None if name in ("--help", "-h") else f"has no option {name}"
            given.add(options[name].name)
            if not getattr(options[name], "is_flag", False) and not value:
                if not words and whole:
                    return f"{name} lacks its value"
                words = words[1:]
        elif word != "...":
            places += 1
    arguments = [parameter for parameter in command.params if not parameter.opts[0].startswith("-")]
    if places > len(arguments):
        return f"takes {len(arguments)} arguments, got {places}"
    lacking = [p.opts[0] for p in command.params if p.required and p.opts[0].startswith("-") and p.name not in given]
    return f"lacks {', '.join(lacking)}" if whole and lacking and not shortened else None


def leaves(command: Any) -> list[Any]:
    return [command, *(leaf for child in getattr(command, "commands", {}).values() for leaf in leaves(child))]


def test_the_check_of_commands_sees_faults():
    assert fault_of(["synthesize", "--hosts", "a", "--count", "2", "--out", "b"], whole=True) is None
    assert fault_of(["synthesise", "a"], whole=True)
    assert fault_of(["synthesize", "--hosts", "a", "--count", "2"], whole=True) == "lacks --out"
    assert fault_of(["synthesize", "--no-such-option"], whole=False) == "has no option --no-such-option"
    assert fault_of(["phantom", "a", "b"], whole=True) == "takes 1 arguments, got 2"


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page, "python")], ids=str)
def test_every_python_block_compiles_and_its_imports_exist(block: Block):
    tree = ast.parse(block.text)
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lgesynthnet")
        for alias in node.names
        if not hasattr(importlib.import_module(node.module or ""), alias.name)
    ]
    assert not missing


def test_the_notebook_is_stored_without_outputs_and_uses_the_public_api_alone():
    assert json.loads(NOTEBOOK.read_text())["nbformat"] == 4
    for cell in notebook_cells():
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            assert "from lgesynthnet." not in "".join(cell["source"])


@pytest.mark.parametrize("page", GUIDES, ids=name_of)
def test_a_how_to_page_says_what_is_needed_what_is_seen_and_what_can_go_wrong(page):
    text = text_of(page)
    if page.name != "trouble.md":
        assert "**You need**" in text
        assert re.search(r"^#+ (What you see|Where the scar lands|Which slices can be hosts)", text, re.M)
        assert re.search(r"^## What can go wrong$", text, re.M)
    assert not re.search(r"\d\.\d+ \[[-+]?\d", text), "a measured result belongs on a page of docs/evidence"


def test_the_navigation_reaches_every_page():
    settings = yaml.safe_load((PROJECT / "mkdocs.yml").read_text())
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} - {"decisions/template.md"}
    generated = {*hooks().MIRRORED.values(), "start/first-sample.md"}
    assert sorted(targets(settings["nav"])) == sorted(pages | generated)


def targets(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    return [page for entry in (nav if isinstance(nav, list) else nav.values()) for page in targets(entry)]


def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("docs_hooks", PROJECT / "scripts" / "docs_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_line_reference_names_every_command_and_option():
    text = hooks().command_line()
    for command in leaves(ROOT):
        for parameter in command.params:
            if parameter.opts[0] not in ("--help", "--install-completion", "--show-completion"):
                assert plain(parameter.opts[0]) in plain(text)
    assert "## lgesynthnet synthesize" in text
    assert "### lgesynthnet train reward" in text


def plain(text: str) -> str:
    return text.lower().lstrip("-").replace("-", "_")


def test_links_of_a_mirrored_file_are_rewritten_for_its_page():
    relink = hooks().relink
    assert relink("[a](docs/guides/data.md#x)", "CONTRIBUTING.md", "reference/contributing.md") == "[a](../guides/data.md#x)"
    assert relink("[a](../../weights/emidec/README.md)", "docs/evidence/limits.md", "evidence/limits.md") == "[a](model-emidec.md)"
    assert relink("see [the licence](LICENSE).", "README.md", "index.md") == "see the licence."
    assert relink("[a](https://example.org/b)", "README.md", "index.md") == "[a](https://example.org/b)"


def test_the_first_use_of_a_word_is_linked_to_the_glossary():
    link = hooks().link_words
    text = "# Hosts\n\nA `host` is a host; hosts are many.\n\n| host |\n"
    assert link(text, "guides/x.md", ["host"]) == text.replace("is a host", "is a [host](../reference/glossary.md#host)")
    assert link("The pool of hosts.", "index.md", ["pool of hosts", "host"]).count("](") == 1
    assert link("[a host](b.md)", "index.md", ["host"]) == "[a host](b.md)"


def test_the_glossary_has_about_twenty_words_in_order():
    words = re.findall(r"^### (.+)$", (DOCS / "reference" / "glossary.md").read_text(), re.M)
    assert 18 <= len(words) <= 30
    assert words == sorted(words, key=str.lower)
    assert "glossary.md" in (PROJECT / "README.md").read_text()


def test_the_page_of_the_run_folder_names_every_column_reason_and_file():
    from lgesynthnet.quality.verdict import Reason
    from lgesynthnet.run.sample_row import SampleRow

    text = (DOCS / "reference" / "run-folder.md").read_text()
    names = {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.split(r"[\s,/]+", span)}
    assert {field.name for field in fields(SampleRow)} - names == set()
    assert {reason.value for reason in Reason} - names == set()


def test_the_page_of_the_python_api_names_what_the_package_exports():
    import lgesynthnet

    table = (DOCS / "reference" / "python-api.md").read_text().split("## What to paint")[0]
    rows = "".join(line for line in table.splitlines() if line.startswith("|"))
    assert sorted(re.findall(r"`(\w+)`", rows)) == sorted(set(lgesynthnet.__all__) - {"__version__"})


def test_the_picture_of_the_layers_shows_the_layers():
    [contract] = [
        c for c in tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"] if c["type"] == "layers"
    ]
    packages = {name.strip(" ()") for layer in contract["layers"] for name in re.split("[|:]", layer)}
    shown = re.findall(r'class="name"[^>]*>([^<]+)<', (DOCS / "pictures" / "layers.svg").read_text())
    names = {name.replace("(to come)", "").strip() for line in shown for name in line.split(",")}
    assert {name for name in packages if (PROJECT / "src" / "lgesynthnet" / name).is_dir() or name == "studio"} - names == set()
    assert names - packages == set()


def test_every_make_target_of_a_page_exists():
    known = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.M))
    named = {target for page in PAGES for block in blocks(page, "bash") for target in re.findall(r"^make ([a-z-]+)", block.text, re.M)}
    assert {"demo", "test", "lint", "docs"} <= named
    assert named <= known


def test_every_tool_of_the_site_is_pinned_in_the_tested_set():
    wanted = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    pins = {line.split("==")[0].lower() for line in (PROJECT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {re.split(r"[\[>=]", name)[0] for name in wanted} - pins == set()


def test_the_citation_names_the_version_and_the_paper():
    import lgesynthnet

    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert citation["version"] == lgesynthnet.__version__
    paper = citation["preferred-citation"]["identifiers"][0]["value"].removeprefix("arXiv:")
    assert paper in (PROJECT / "README.md").read_text()


def test_the_documents_speak_of_this_repository_alone():
    for page in [*PAGES, NOTEBOOK]:
        assert ".." + "/shared" not in text_of(page), page


def test_the_readme_is_short_and_in_order():
    text = (PROJECT / "README.md").read_text()
    assert len(text.splitlines()) <= 130
    headings = re.findall(r"^## (.+)$", text, re.M)
    wanted = ["Install", "Try it", "Your own data", "What to expect", "How it works", "What it is not for", "Cite", "Contribute", "Licence"]
    assert headings == wanted
    assert text.index("lgesynthnet split") < text.index("lgesynthnet synthesize")
