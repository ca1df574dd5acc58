"""The report and the data card of a run: complete, self-contained, escaped, and true to the files."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from factories import run_command
from PIL import Image

from lgesynthnet.anatomy.orientation import OrderSource
from lgesynthnet.errors import RunError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Level, Source
from lgesynthnet.report.data_card import write_card
from lgesynthnet.report.panels import INTENDED_RGB, READ_RGB
from lgesynthnet.report.report import spread, write_report
from lgesynthnet.run.folder import RunFolder
from lgesynthnet.run.ledger import Ledger
from lgesynthnet.run.sample_row import SampleRow
from lgesynthnet.run.summary import RunSummary, wilson_interval

SPACING_MM = (1.5, 1.0, 8.0)  # columns, rows, slices: pixels wider than high
SIDE = 96
REQUEST = {"model": "paste", "prior": "ischaemic", "seed": 7, "count": 3}
PLAN = {"hosts_fingerprint": "hosts:0", "usable_hosts": 1, "generator_fingerprint": "paste:1", "filter_fingerprint": "threshold:2"}
HOSTILE = "<script>alert('x')</script> & \"quoted\""


def sample_row(k: int, **changes: object) -> SampleRow:
    prescription = ScarPrescription(segments=frozenset({8, 9}), pattern=Pattern.TRANSMURAL, transmurality=0.9, seed=k)
    row = SampleRow(
        id=f"s7_{k:06d}", host="A", slice_index=1, level=Level.MID, level_source=OrderSource.GIVEN,
        insertion_source=Source.LANDMARKS, insertion_confidence=1.0,
        generator="paste:1", filter="threshold:2", seed=100 + k, caption=f"caption {k}", sentence=f"sentence {k}",
        prescription=prescription, file=f"images/s7_{k:06d}.nii.gz", kept=True, reason="kept", why=f"kept: because of {k}",
        dice=0.8, recall=0.9, precision=0.7, threshold=0.6, intended_mm2=100.0, read_mm2=120.0, stray_mm2=30.0, segments=(8, 9),
        transmurality=0.88, burden=0.2, mvo_share=0.0, max_change_outside=0.0, seconds=0.5,
    )  # fmt: skip
    return replace(row, **changes)


@pytest.fixture
def host_image(ring) -> np.ndarray:
    """(rows, cols): wall dark, cavity bright, air grey, a gradient to tell the sides apart."""
    labels = ring(SIDE, inner=12, outer=20)
    image = np.where(labels == 1, 600, np.where(labels == 2, 100, 300)) + np.arange(SIDE)[None, :]
    return image.astype(np.int16)


@pytest.fixture
def run(tmp_path, save, ring, host_image) -> Path:
    """Three samples: one kept, one rejected, one unpaintable."""
    labels = ring(SIDE, inner=12, outer=20)
    hosts, run = tmp_path / "hosts", tmp_path / "run <1>"
    for part, pixels in (("Images", host_image), ("Contours", labels)):
        save(hosts / "Case_A" / part / "Case_A.nii.gz", np.stack([np.zeros_like(pixels.T), pixels.T], axis=2), SPACING_MM)
    scar = (labels == 2) & (np.mgrid[:SIDE, :SIDE][0] < SIDE // 2 - 8)  # the upper wall: lower row numbers
    painted, labelled = np.where(scar, 2000, host_image).astype(np.int16), np.where(scar, 3, labels).astype(np.uint8)
    read = np.where(scar, 3, 0).astype(np.uint8)
    with claimed(run, FolderKind.RUN):  # only a folder of the program gets pages
        pass
    for k, folder in ((0, run), (1, run / "rejected")):
        for part, pixels in (("images", painted), ("labels", labelled), ("read", read), ("intended", read), ("hidden", read)):
            save(folder / part / f"s7_{k:06d}.nii.gz", pixels.T[:, :, None], SPACING_MM)
    write_plan(run, hosts={"root": str(hosts), "dataset": "emidec"})
    ledger = Ledger(run, "plan")
    ledger.record({0: sample_row(0, caption=HOSTILE)})
    ledger.record({1: sample_row(1, file="rejected/images/s7_000001.nii.gz", kept=False, reason="missed", why="rejected, missed: Dice 0.31",
                             insertion_source=Source.ASSUMED, insertion_confidence=0.0, level_source=OrderSource.ASSUMED)})  # fmt: skip
    ledger.record(
        {2: sample_row(2, file="", kept=False, reason="unpaintable", why=f"no wall: {HOSTILE}", dice=None, seconds=None, segments=None)}
    )
    ledger.write_tables(run)
    ledger.close()
    return run


def write_plan(run: Path, **request: object) -> None:
    """Write plan.json with these fields of the request; the other fields keep their earlier values."""
    before = json.loads((run / "plan.json").read_text())["request"] if (run / "plan.json").is_file() else REQUEST
    (run / "plan.json").write_text(json.dumps(PLAN | {"request": before | request}))


def pictures(page: str) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB"))
        for code in re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    ]


def test_every_sample_and_every_reason_is_on_the_page(run):
    page = write_report(run).read_text(encoding="utf-8")
    for k in range(3):
        assert f"s7_{k:06d}" in page
    for word in ("kept", "missed", "unpaintable", "kept: because of 0", "rejected, missed: Dice 0.31", "33 %", "1 / 3", "95 % interval"):
        assert word in page, word


def test_text_from_files_cannot_become_markup(run):
    page = write_report(run).read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;quoted&#34;" in page
    assert "<script" not in page
    assert "run &lt;1&gt;" in page


def test_the_page_loads_nothing_from_elsewhere(run):
    page = write_report(run).read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href|action|srcset)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", page)


def test_host_and_result_share_one_grey_scale_and_differ_only_where_painted(run):
    host, _, result, _ = pictures(write_report(run).read_text(encoding="utf-8"))[:4]
    assert host.shape == result.shape
    assert max(host.shape) in range(200, 230)
    half = host.shape[0] // 2
    np.testing.assert_array_equal(host[half:], result[half:])  # the lower half was left alone
    assert (host[:half] != result[:half]).any()


def test_a_square_in_millimetres_is_a_square_on_the_screen(run):
    host = pictures(write_report(run).read_text(encoding="utf-8"))[0][:, :, 0]
    bright = host > 0.75 * host[host.shape[0] // 2, host.shape[1] // 2]  # the cavity: 24 pixels across, so 36 mm by 24 mm
    rows, cols = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    assert np.ptp(cols) / np.ptp(rows) == pytest.approx(1.5, abs=0.1)


def test_contours_lie_on_the_masks_and_a_flip_turns_them(run):
    def amber_and_green_height(page: str) -> tuple[float, float]:
        _, intended, _, read = pictures(page)[:4]
        heights = []
        for picture, colour in ((intended, INTENDED_RGB), (read, READ_RGB)):
            rows, _ = np.nonzero(np.abs(picture.astype(int) - colour).max(axis=2) < 12)
            assert rows.size > 40
            heights.append(rows.mean() / picture.shape[0])
        return heights[0], heights[1]

    upright = amber_and_green_height(write_report(run).read_text(encoding="utf-8"))
    assert max(upright) < 0.45
    write_plan(run, hosts={"root": str(run.parent / "hosts"), "flip": "rows"})
    assert min(amber_and_green_height(write_report(run).read_text(encoding="utf-8"))) > 0.55


def test_without_its_host_a_sample_is_still_shown(run):
    with_host = write_report(run).read_text(encoding="utf-8")
    shutil.rmtree(run.parent / "hosts")
    without = write_report(run).read_text(encoding="utf-8")
    assert (len(pictures(with_host)), len(pictures(without))) == (8, 6)
    assert "the file of the host is no longer there" in without
    assert "the file of the host is no longer there" not in with_host


def test_assumed_orientation_and_level_are_flagged_on_their_own_sample(run):
    page = write_report(run).read_text(encoding="utf-8")
    kept, rejected = (page.split(f'id="sample-s7_{k:06d}"')[1].split("</article>")[0] for k in (0, 1))
    assert "orientation assumed" in rejected
    assert "level assumed" in rejected
    assert "assumed" not in kept


def test_a_run_that_changed_voxels_outside_says_so(run):
    page = write_report(run).read_text(encoding="utf-8")
    assert "every pixel outside is that of the host" in page
    rows = (run / "samples.csv").read_text()
    (run / "samples.csv").write_text(rows.replace(",0.0,0.5,", ",3.0,0.5,", 1))
    page = write_report(run).read_text(encoding="utf-8")
    assert "differ from the host by up to 3" in page
    assert "3: this must be 0" in page


def test_a_broken_table_leaves_the_old_page_and_nothing_half_written(run):
    before = write_report(run).read_bytes()
    (run / "samples.csv").write_text("id,host\ns1,A\n")
    with pytest.raises(RunError, match=r"samples\.csv"):
        write_report(run)
    assert (run / "report.html").read_bytes() == before
    (run / "samples.csv").unlink()
    with pytest.raises(RunError, match="lgesynthnet synthesize"):
        write_card(run)
    assert not list(run.rglob("*.partial"))


def test_an_empty_run_has_a_page_too(run):
    table = run / "samples.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    assert "nothing was attempted" in write_report(run).read_text(encoding="utf-8")
    assert "0 kept of 0" in write_card(run).read_text(encoding="utf-8")


def test_galleries_take_samples_from_the_whole_run(run):
    row = RunFolder.open(run).rows[0]
    many = [replace(row, id=str(i)) for i in range(100)]
    assert [sample.id for sample in spread(many, 4)] == ["0", "25", "50", "75"]
    assert spread(many[:2], 4) == many[:2]


def test_every_sample_shows_what_was_prescribed(run):
    page = write_report(run).read_text(encoding="utf-8")
    assert page.count('aria-label="Bull\'s-eye of the prescription"') + page.count("Bull&#39;s-eye of the prescription") == 3


@pytest.mark.parametrize(("k", "n", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)])
def test_wilson_interval_has_its_published_values(k, n, low, high):
    assert wilson_interval(k, n) == pytest.approx((low, high), abs=1e-4)


def test_numbers_of_the_run_are_counted_from_its_rows(run):
    summary = RunSummary(RunFolder.open(run))
    assert summary.pass_rate == pytest.approx(1 / 3)
    assert summary.reasons == [("kept", 1), ("missed", 1), ("unpaintable", 1)]
    assert summary.segment_counts == {8: 1, 9: 1}
    assert summary.seconds == 1.0
    assert summary.rows[2].shown_segments == (8, 9)  # never painted: what was asked for


def test_the_command_can_be_pasted_into_a_shell(run):
    words = shlex.split(RunFolder.open(run).command)
    assert words[:2] == ["lgesynthnet", "synthesize"]
    assert words[words.index("--hosts") + 1] == str(run.parent / "hosts")
    assert words[words.index("--out") + 1] == str(run)
    assert "--device" not in words


@pytest.mark.parametrize(
    ("dataset", "phantom", "licence"), [("emidec", False, "cc-by-nc-sa-4.0"), ("emidec", True, "apache-2.0"), (None, False, "other")]
)
def test_the_card_carries_the_hosts_licence_and_calls_itself_synthetic(run, dataset, phantom, licence):
    write_plan(run, hosts={"root": str(run.parent / "hosts"), "dataset": dataset}, prior=None, text="a | b\nc")
    if phantom:
        (run.parent / "hosts" / "truth.csv").write_text("case\n")
    text = write_card(run).read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["license"] == licence
    assert header["synthetic"] is True
    assert header["samples"] == {"kept": 1, "attempted": 3}
    assert "not for diagnosis" in body.lower() or "none is for diagnosis" in body
    assert r"a \| b c" in body
    assert "orientation was assumed" in body
    assert ("does not know the licence of the hosts" in body) == (licence == "other")


@pytest.mark.parametrize(
    "options",
    [
        "--prior uniform --seed 5 --flip both --base-first --keep-all --dice-above 0.7",
        "--text 'Transmural enhancement in the inferior wall' --apex-first --shard 2/3 --hosts-with-scar --max-seconds 9.5",
    ],
)
def test_the_command_on_the_page_plans_the_same_run(tmp_path, pair, options):
    def planned(arguments: list[str]) -> str:
        done = run_command(*arguments, "--dry-run")
        assert done.returncode == 0, done.stderr
        return done.stdout

    run, hosts = tmp_path / "run", tmp_path / "my hosts"
    pair(hosts / "A_image.nii.gz", hosts / "A_label.nii.gz", slices=6)
    run.mkdir()
    given = ["synthesize", "--hosts", str(hosts), "--dataset", "emidec", "--model", "paste", "--count", "4", "--out", str(run)]
    given += ["--least-orientation-confidence", "0"]  # the image is noise
    plan = planned([*given, *shlex.split(options)])
    (run / "plan.json").write_text(plan)
    again = planned(shlex.split(RunFolder.open(run).command)[1:])
    assert json.loads(again) == json.loads(plan)


def test_the_card_names_the_licence_of_the_weights_where_it_is_not_the_program_s(run, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("---\nlicense: CC-BY-NC-SA-4.0\n---\n# trained on patients\n")
    assert "weights that painted" not in write_card(run).read_text(encoding="utf-8")
    write_plan(run, model=str(tmp_path / "model"))
    assert "weights that painted are under `cc-by-nc-sa-4.0`" in write_card(run).read_text(encoding="utf-8")


def test_a_name_of_a_patient_is_not_on_the_page_whatever_it_holds(run):
    name = "<img src=x onerror=alert(1)> & N001"
    ledger = Ledger(run, "plan")
    ledger.record(
        {3: sample_row(3, host=name, file="", kept=False, reason="unpaintable", why=f"{name}_s01: {HOSTILE}", dice=None, seconds=None)}
    )
    (run / "samples.csv").unlink()
    ledger.write_tables(run)
    ledger.close()
    page = write_report(run).read_text(encoding="utf-8")
    assert "N001" not in page
    assert f'<p class="verdict">{RunFolder.open(run).pseudonyms([name])[name]}_s01: &lt;script&gt;' in page
    assert "<img src=x" not in page
    assert "<script>alert" not in page
