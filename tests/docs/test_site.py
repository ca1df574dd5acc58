"""The built site: strict, offline, every page within two clicks. Skipped without the extra `docs`, which `make docs` installs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import PROJECT

pytest.importorskip("mkdocs", reason="mkdocs is not installed; `make docs` installs it")
# Tags that make a browser fetch something while it shows the page. A link that a reader may click is not among them.
FETCHES = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(https?:|//)|<link\b[^>]*\bhref=["']?(https?:|//)|@import|url\(["']?https?:"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "docs"
    build = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr[-2000:]
    return folder


def test_no_page_fetches_anything_from_elsewhere(site):
    assert not [page for page in site.rglob("*.html") if FETCHES.search(page.read_text(encoding="utf-8"))]


def test_every_page_is_reached_in_two_clicks(site):
    pages = {page.resolve() for page in site.rglob("*.html")} - {(site / "404.html").resolve()}
    reached = {(site / "index.html").resolve()}
    for _ in range(2):
        reached |= {target for page in reached for target in linked(page)}
    assert pages - reached == set()


def linked(page: Path) -> set[Path]:
    targets = re.findall(r'<a\b[^>]*href="([^"#:]+\.html)', page.read_text(encoding="utf-8"))
    return {path for target in targets if (path := (page.parent / target).resolve()).is_file()}


def test_the_search_works_from_a_folder_and_knows_the_pages(site):
    index = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    entries = json.loads(index[index.index("{") : index.rindex("}") + 1])["docs"]
    places = {entry["location"].split("#")[0] for entry in entries}
    assert {"guides/export.html", "reference/command-line.html", "start/first-sample.html"} <= places
    assert 'src="../assets/offline-search.js"' in (site / "guides" / "export.html").read_text(encoding="utf-8")
    assert (site / "assets" / "offline-search.js").is_file()


def test_pages_link_their_words_to_the_glossary(site):
    for page in sorted((site / "guides").glob("*.html")):
        assert "glossary.html#" in page.read_text(encoding="utf-8").split("<article")[1], page.name
