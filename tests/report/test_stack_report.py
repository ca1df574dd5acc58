"""The report and the data card of a run of stacks: counts, order of the slices, volumes, the map of the prescription, and no names."""

from __future__ import annotations

import base64
import io
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from factories import SPACING_MM, write_hosts
from PIL import Image

from lgesynthnet.anatomy.aha import segment_at
from lgesynthnet.data.declaration import DECLARATION, write_declaration
from lgesynthnet.data.label_maps import LABEL_MAPS
from lgesynthnet.data.source import CohortSource
from lgesynthnet.data.stack import read_stack
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.scar import Arc, Pattern
from lgesynthnet.records import Level
from lgesynthnet.report.bullseye import HALF, heart_svg
from lgesynthnet.report.data_card import render_card
from lgesynthnet.report.panels import INTENDED_RGB
from lgesynthnet.report.report import render, write_report
from lgesynthnet.report.stack_cards import StackCard, stack_card
from lgesynthnet.report.stack_panels import find_order, stack_panels
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.run.sample_files import INTENDED, LABELS
from lgesynthnet.run.summary import RunSummary
from lgesynthnet.synthesis.synthesize import synthesize_run
from lgesynthnet.terms import Prior

VOXEL_ML = SPACING_MM * SPACING_MM * 10.0 / 1000  # slices lie 10 mm apart
HEART = HeartScar(segments=frozenset({7, 8, 13, 14}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.7, irregularity=0.0, seed=5)


def make_run(hosts: Path, out: Path, **options: object) -> Path:
    """Four attempts at the hearts of three patients in turn: the scar reaches the mid and the apical slice, and not the basal one."""
    lines = out.with_suffix(".jsonl")
    lines.write_text(HEART.to_json() + "\n")
    request = SynthesisRequest(
        hosts=CohortSource(root=hosts, **options), stacks=True, model="paste", prescriptions=lines, count=4, per_host=2, keep_all=True
    )
    synthesize_run(request, out)
    return out


@pytest.fixture(scope="module")
def hosts(tmp_path_factory) -> Path:
    return write_hosts(tmp_path_factory.mktemp("named") / "hosts", 3, rv=True)


@pytest.fixture(scope="module")
def apex_first(hosts) -> Path:
    """The same patients, in files that begin with the apex; every voxel lies where it lay."""
    turned = hosts.parent / "apex-first"
    shutil.copytree(hosts, turned)
    for path in turned.rglob("*.nii.gz"):
        stored = nib.load(path)
        voxels = np.asarray(stored.dataobj)[:, :, ::-1]
        affine = stored.affine.copy()
        affine[:3, 3] += (voxels.shape[2] - 1) * affine[:3, 2]
        affine[:3, 2] *= -1
        nib.save(nib.Nifti1Image(voxels, affine), path)
    (turned / DECLARATION).unlink()
    write_declaration(turned, labels="lgesynthnet", base_first=False)
    return turned


@pytest.fixture(scope="module")
def made(hosts) -> Path:
    return make_run(hosts, hosts.parent / "run")


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


def page_of(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


def articles(page: str) -> list[str]:
    return re.findall(r'<article.*?id="stack-.*?</article>', page, flags=re.DOTALL)


def figures(article: str) -> dict[int, list[np.ndarray]]:
    """Index of a slice -> its pictures from top to bottom; in the order of the page."""
    found = re.findall(r'<figure data-slice="(\d+)">(.*?)</figure>', article, flags=re.DOTALL)
    return {int(index): pictures(text) for index, text in found}


def pictures(text: str) -> list[np.ndarray]:
    codes = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB")) for code in codes]


def card_of(run: Path, **changes: object) -> StackCard:
    folder = RunFolder.open(run)
    return stack_card(RunSummary(folder), replace(folder.stacks[0], **changes))


def test_the_counts_at_the_top_are_of_stacks_and_those_of_slices_stand_below(run):
    text = (run / "stacks.csv").read_text()
    assert text.count(",1,kept,") > 1
    (run / "stacks.csv").write_text(text.replace(",1,kept,", ",0,missed,", 1))
    folder = RunFolder.open(run)
    stacks, summary = folder.stacks, RunSummary(folder)
    kept = sum(row.kept for row in stacks)
    assert dict(summary.reasons)["missed"] == 4 - kept
    assert summary.pass_rate == pytest.approx(kept / 4)
    assert sum(dict(summary.slice_reasons).values()) == len(folder.rows) == 8
    assert summary.kept_of_hosts == {row.host: sum(other.kept and other.host == row.host for other in stacks) for row in stacks if row.kept}
    assert summary.seconds == pytest.approx(sum(row.seconds for row in stacks))
    assert ("pattern subendocardial", 4, kept) in summary.acceptance
    assert summary.segment_counts[8] == kept  # of stacks; of slices it would be more
    page = page_of(run)
    assert f"<b>{kept} / 4</b><span>stacks kept / attempted</span>" in page
    assert f"<b>{sum(row.kept for row in folder.rows)} / 8</b><span>slices kept / painted</span>" in page
    assert page.index("Verdicts on stacks") < page.index("Verdicts on painted slices")
    assert len(articles(page)) == 4


def test_every_stack_has_its_sentence_verdict_and_numbers(run):
    folder = RunFolder.open(run)
    page = page_of(run)
    for row in folder.stacks:
        [article] = [text for text in articles(page) if f'id="stack-{row.id}"' in text]
        for text in (row.sentence, row.why, f"seed <b>{row.seed}</b>", f"slices kept <b>{row.kept_slices} of 2 painted</b>"):
            assert text in article, text


def test_volumes_are_those_of_the_masks_in_ml(run):
    folder = RunFolder.open(run)
    page = page_of(run)
    for row in folder.stacks:
        [article] = [text for text in articles(page) if f'id="stack-{row.id}"' in text]
        intended = np.asarray(nib.load(folder.part(row, INTENDED)).dataobj) > 0
        labels = np.asarray(nib.load(folder.part(row, LABELS)).dataobj)
        wall = (labels == 2) | (labels == 3) | (labels == 4)
        assert intended.sum() * VOXEL_ML > 1
        assert f"intended <b>{intended.sum() * VOXEL_ML:.1f} ml</b>" in article
        assert f"LV wall <b>{wall.sum() * VOXEL_ML:.1f} ml</b>" in article
        assert f"scar burden <b>{100 * intended.sum() / wall.sum():.1f} %</b>" in article
    numbers = dict(card_of(run, intended_ml=12.34, read_ml=5.67).numbers)
    assert (numbers["intended"], numbers["read"]) == ("12.3 ml", "5.7 ml")


def test_slices_run_from_base_to_apex_whichever_end_the_file_begins_with(made, apex_first):
    turned = make_run(apex_first, apex_first.parent / "turned-run")
    for base_first, apex_first_article in zip(articles(page_of(made)), articles(page_of(turned)), strict=True):
        straight, reversed_ = figures(base_first), figures(apex_first_article)
        assert list(straight) == [0, 1, 2]
        assert list(reversed_) == [2, 1, 0]
        for one, other in zip(straight.values(), reversed_.values(), strict=True):
            assert np.abs(one[0].astype(int) - other[0]).max() <= 3  # the host; the paint decides a little of the grey scale
        assert re.findall(r"<b>slice \d, (\w+)</b>", apex_first_article) == ["basal", "mid", "apical"]


def test_rings_become_smaller_from_left_to_right(made):
    """The cavities have radii of 11, 9.5 and 8 pixels, and share one scale."""
    for article in articles(page_of(made)):
        sizes = []
        for host, *_ in figures(article).values():
            middle = host[host.shape[0] // 2, :, 0].astype(int)
            left, right = middle[: middle.size // 2][::-1], middle[middle.size // 2 :]
            sizes.append(sum(int(np.argmax(side < 90)) for side in (left, right)))  # from the bright blood to the dark wall
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] / sizes[2] == pytest.approx(11 / 8, rel=0.15)


def test_the_levels_of_painted_slices_decide_the_order_and_else_what_was_stated(made):
    folder = RunFolder.open(made)
    row = folder.stacks[0]
    painted = [slice_row for slice_row in folder.rows if slice_row.stack == row.id]
    stack = read_stack(folder.image(row), folder.part(row, LABELS), row.host, LABEL_MAPS["lgesynthnet"])
    apical, mid = (next(each for each in painted if each.level is level) for level in (Level.APICAL, Level.MID))
    assert find_order(stack, [apical]).base_first
    assert not find_order(stack, [replace(apical, level=Level.BASAL)]).base_first
    assert find_order(replace(stack, base_first=True), [mid]).base_first
    assert not find_order(replace(stack, base_first=False), [mid]).base_first


def test_only_painted_slices_have_masks_and_the_others_show_the_host_twice(made):
    for article in articles(page_of(made)):
        basal, *painted = figures(article).values()
        assert len(basal) == 2
        np.testing.assert_array_equal(basal[0], basal[1])
        assert "not painted" in article
        for host, result, masks in painted:
            assert (host != result).any()
            near = np.abs(masks.astype(int) - INTENDED_RGB).max(axis=2) < 12
            rows, cols = np.nonzero(near)
            assert rows.size > 20
            middle = masks.shape[0] / 2
            assert rows.mean() < middle  # anterior and septal
            assert cols.mean() < middle


def sectors(svg: str, key: str) -> dict[float, list[tuple[float, float, float, float]]]:
    """Position -> (first degree, extent, inner, outer radius) of the sectors at this position."""
    found: dict[float, list[tuple[float, float, float, float]]] = {}
    pattern = rf'data-{key}="([\d.]+)" d="M(\S+) ([^A]+)A([\d.]+) \S+ 0 (\d) 0 (\S+) ([^L]+)L\S+ [^A]+A([\d.]+) '
    for position, ax, ay, outer, large, bx, by, inner in re.findall(pattern, svg):
        first, last = (np.degrees(np.arctan2(-float(y), float(x))) for x, y in ((ax, ay), (bx, by)))
        extent = (last - first) % 360
        assert (extent > 180) == (large == "1")
        found.setdefault(float(position), []).append((first % 360, extent, float(inner) / HALF, float(outer) / HALF))
    return found


def test_the_map_shows_at_each_position_the_wall_that_the_scar_takes_there():
    scar = replace(HEART, arc=Arc(start_deg=80.0, extent_deg=100.0), extent=(0.4, 0.8), irregularity=0.5)
    rings = sectors(heart_svg(scar), "position")
    assert min(rings) == pytest.approx(0.4, abs=0.03)
    assert max(rings) == pytest.approx(0.8, abs=0.03)
    angle = np.arange(0, 360, 0.5) + 0.25
    for position, pieces in rings.items():
        here = scar.at(position)
        level = Level.MID if position < 2 / 3 else Level.APICAL
        intended = np.isin(segment_at(angle, level), list(here.segments)) & ((angle - here.arc.start_deg) % 360 < here.arc.extent_deg)
        drawn = np.any([(angle - first) % 360 < extent for first, extent, _, _ in pieces], axis=0)
        assert (drawn != intended).sum() <= 4  # coordinates are rounded
        for _, _, inner, outer in pieces:
            assert inner < 1 - 0.75 * position < outer  # base outside, the apical cap inside
            assert outer - inner < 0.04


def test_the_map_is_darker_where_the_scar_is_deeper_and_its_core_lies_inside():
    heart = replace(HEART, extent=(0.35, 0.95), mvo_share=0.3)
    svg = heart_svg(heart)
    brightness: dict[float, int] = {}
    for position, fill in re.findall(r'data-position="([\d.]+)" d="[^"]*" fill="#(\w{6})"', svg):
        brightness[float(position)] = sum(bytes.fromhex(fill))
    middle = min(brightness, key=lambda position: abs(position - 0.65))
    assert brightness[middle] < min(brightness[min(brightness)], brightness[max(brightness)]) - 20
    scar, core = sectors(svg, "position"), sectors(svg, "core")
    assert 0.35 < min(core) < max(core) < 0.95
    for position, [(first, extent, _, _)] in core.items():
        width = sum(piece[1] for piece in scar[position])
        assert extent == pytest.approx(width * heart.at(position).mvo_share, abs=0.5)
        for angle in (first, first + extent):
            assert any((angle - start) % 360 <= wide + 0.1 for start, wide, _, _ in scar[position])


def test_a_whole_ring_is_drawn_all_the_way_round():
    scar = HeartScar(segments=frozenset(range(1, 17)), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.5, mvo_share=0.2)
    svg = heart_svg(scar)
    rings, core = sectors(svg, "position"), sectors(svg, "core")
    assert all(sum(extent for _, extent, _, _ in pieces) == pytest.approx(360, abs=0.5) for pieces in rings.values())
    middle = core[min(core, key=lambda position: abs(position - 0.5))]
    assert len(middle) == 6  # a ring has no middle, so each segment has its own
    assert [extent for _, extent, _, _ in middle] == pytest.approx(6 * [0.2 * 60], abs=0.5)


def test_a_heart_whose_scar_was_removed_has_an_empty_map_and_one_that_was_repainted_has_none(made):
    removed = card_of(made, prescription=NoEnhancement(), removed_ml=12.34)
    assert removed.bullseye is not None
    assert "no enhancement is prescribed" in removed.bullseye
    assert ("removed", "12.3 ml") in removed.numbers
    assert card_of(made, prescription=OwnScar(intensity_percentile=90.0)).bullseye is None
    assert not any(name == "removed" for name, _ in card_of(made).numbers)


def test_no_name_of_a_patient_and_no_path_is_on_the_page_or_the_card(run, hosts):
    text = (run / "stacks.csv").read_text()
    host = RunFolder.open(run).stacks[0].host
    (run / "stacks.csv").write_text(text.replace("kept: 3-D", f"{host}_s01 in {hosts}/x.nii.gz; kept: 3-D", 1))
    folder = RunFolder.open(run)
    assert host in folder.stacks[0].why
    page, card = page_of(run), render_card(RunSummary(folder))
    for row in folder.stacks:
        assert row.host not in page
        assert row.host not in card
        assert f"<small>{folder.pseudonyms([])[row.host]}" in page
    for place in (hosts, run, hosts.parent):
        assert str(place) not in page
        assert str(place) not in card
    flag, *_ = card_of(run, left_out=f"slice 0: {host}: the wall in {hosts}/a b.nii.gz is no ring").flags
    assert flag.startswith("left as it is: slice 0: patient-")
    assert host not in flag
    assert str(hosts) not in flag


def test_the_page_loads_nothing_from_elsewhere(run):
    (run / "stacks.csv").write_text((run / "stacks.csv").read_text().replace("kept: 3-D", "<script>alert(1)</script> 3-D"))
    page = page_of(run)
    sources = re.findall(r'(?:src|href|action|srcset)="([^"]*)"', page)
    assert len(sources) == 4 * (2 + 3 + 3)
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", page)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_flags_of_slices_are_shown_once_for_each_stack(run):
    rows = (run / "samples.csv").read_text()
    (run / "samples.csv").write_text(re.sub(r",rv-label,1\.0,", lambda hit: f",image,0.{hit.start() % 10 + 10},", rows))
    folder = RunFolder.open(run)
    for article, row in zip(articles(page_of(run)), sorted(folder.stacks, key=lambda row: not row.kept), strict=True):
        least = min(slice_row.insertion_confidence for slice_row in folder.rows if slice_row.stack == row.id)
        assert article.count("orientation uncertain") == 1
        assert f"found in the image, confidence {least:.2f}" in article


def test_a_slice_that_the_filter_rejects_says_why_and_one_of_a_rejected_stack_does_not(run):
    rows = (run / "samples.csv").read_text()
    assert rows.count(",1,kept,") >= 2
    (run / "samples.csv").write_text(rows.replace(",1,kept,", ",0,stray,", 1).replace(",1,kept,", ",0,of-rejected-stack,", 1))
    page = page_of(run)
    assert page.count('<p class="fault">stray</p>') == 1
    assert '<p class="fault">of-rejected-stack' not in page


def test_what_cannot_be_shown_is_said(run, made):
    folder = RunFolder.open(run)
    folder.image(folder.stacks[0]).unlink()
    lost = card_of(run)
    assert not lost.slices
    assert any("cannot be read, so there are no pictures" in flag for flag in lost.flags)
    unpainted = card_of(made, file="", slices=None, kept_slices=None, dice=None, intended_ml=None)
    assert not unpainted.slices
    assert not any("cannot be read" in flag for flag in unpainted.flags)
    assert ("slices kept", "–") in unpainted.numbers
    elsewhere = replace(folder.plan.request.hosts, root=run / "gone")
    request = folder.plan.request
    moved = RunFolder(made, folder.plan.model_copy(update={"request": replace(request, hosts=elsewhere)}))
    panels = stack_panels(moved, moved.stacks[0])
    assert [panel.title for panel in panels[0].panels] == ["result"]
    assert [each.index for each in panels] == [0, 1, 2]
    assert any("host is not shown" in flag for flag in stack_card(RunSummary(moved), moved.stacks[0]).flags)


def test_the_card_counts_stacks_and_says_that_patients_are_shared(run):
    summary = RunSummary(RunFolder.open(run))
    _, header, body = render_card(summary).split("---\n", 2)
    assert yaml.safe_load(header)["samples"] == {"kept": len(summary.kept), "attempted": 4}
    assert yaml.safe_load(header)["slices"]["painted"] == 8
    body = " ".join(body.split())
    assert "The kept stacks were painted into the hearts of 3 patients, up to 2 into one heart." in body
    assert "at most 2 of each patient" in body
    assert "do not count them as independent patients" in body
    assert "volume (columns, rows, slices)" in body
    assert "`stacks.csv` has one row for each attempted stack" in body
    assert "`samples.csv` has one row for each painted slice" in body
    assert "`removed/`" not in body
    assert "holds one slice" not in body


def test_the_card_of_slices_says_nothing_of_stacks(hosts, tmp_path):
    request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", prior=Prior.ISCHAEMIC, count=2, keep_all=True)
    synthesize_run(request, tmp_path / "slices")
    summary = RunSummary(RunFolder.open(tmp_path / "slices"))
    assert summary.attempts == summary.rows
    for text in (render_card(summary), render(summary)):
        assert "stack" not in text.lower()
