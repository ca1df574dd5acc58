"""The contact sheet shows where the program believes the anterior wall and the RV insertions to be."""

from __future__ import annotations

import numpy as np
import pytest
from factories import run_command, write_hosts
from PIL import Image

from lgesynthnet.anatomy.orientation import StackOrder
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import RunError
from lgesynthnet.hosts.locate import locate_stack
from lgesynthnet.report.contact_sheet import ANTERIOR_RGB, INFERIOR_RGB, PAGE, PER_PAGE, patient_strip, write_contact_sheet


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    root = write_hosts(tmp_path_factory.mktemp("hosts"), 1, rv=True)
    return open_cohort(root).stack("N001")


def centre_of(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(row, column) of the pixels that are nearly of one colour, in the first of the three pictures."""
    first = picture[:, : picture.shape[1] // 3].astype(int)
    rows, cols = np.nonzero(np.abs(first - colour).sum(axis=2) < 60)
    assert rows.size > 5
    return np.array([rows.mean(), cols.mean()])


def test_the_anterior_insertion_is_drawn_above_the_inferior_one_and_left_of_the_heart(stack):
    """In `ring_patient` the RV is on the viewer's left."""
    strip = patient_strip(stack, locate_stack(stack), [0, 1, 2], "text")
    assert strip is not None
    anterior, inferior = centre_of(strip.picture, ANTERIOR_RGB), centre_of(strip.picture, INFERIOR_RGB)
    assert anterior[0] < inferior[0] - 50
    middle = strip.picture.shape[1] / 6
    assert anterior[1] < middle
    assert inferior[1] < middle


def test_slices_are_shown_from_base_to_apex(stack):
    hearts = locate_stack(stack)
    strip = patient_strip(stack, hearts, [0, 1, 2], "text")
    order = StackOrder(base_first=not hearts.order.base_first, confidence=1.0, source=hearts.order.source)
    again = patient_strip(stack, type(hearts)(stack=stack, order=order, levels=hearts.levels, insertions=hearts.insertions), [0, 1, 2], "t")
    assert strip is not None
    assert again is not None
    side = strip.picture.shape[1] // 3
    inside = np.s_[40:, : side - 10]  # below the title
    np.testing.assert_array_equal(strip.picture[:, :side][inside], again.picture[:, 2 * side :][inside])
    assert not np.array_equal(strip.picture[:, :side][inside], again.picture[:, :side][inside])


def test_without_hearts_only_the_outlines_are_drawn(stack):
    strip = patient_strip(stack, None, [], "text")
    assert strip is not None
    with pytest.raises(AssertionError):
        centre_of(strip.picture, ANTERIOR_RGB)


def test_verify_writes_a_page_for_each_few_patients_and_never_over_other_files(tmp_path):
    root = write_hosts(tmp_path / "hosts", PER_PAGE + 1, rv=True)
    result = run_command("verify", root, "--pictures", tmp_path / "sheet")
    assert result.returncode == 0, result.stderr
    sheets = sorted((tmp_path / "sheet").glob("sheet-*.png"))
    assert [path.name for path in sheets] == ["sheet-01.png", "sheet-02.png"]
    heights = [Image.open(path).size[1] for path in sheets]
    assert heights[0] == PER_PAGE * heights[1]
    page = (tmp_path / "sheet" / PAGE).read_text()
    assert "N001" in page
    assert "://" not in page
    assert run_command("verify", root, "--pictures", tmp_path / "sheet").returncode == 0  # the same command again
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    refused = run_command("verify", root, "--pictures", tmp_path / "mine")
    assert refused.returncode == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"
    assert run_command("verify", root, "--pictures", root / "sheet").returncode == 2  # among the patients


def test_a_folder_of_other_things_is_refused(tmp_path, stack):
    (tmp_path / "x").write_text("")
    strip = patient_strip(stack, None, [], "text")
    assert strip is not None
    with pytest.raises(RunError):
        write_contact_sheet(tmp_path, [strip], title="t")
