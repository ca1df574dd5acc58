"""`verify` warns of scans that the shipped weights do not know, and says what to do; ordinary scans pass in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.hosts.familiarity import Strangeness, appearance_of, known_range, strangeness_of
from lgesynthnet.records import Stack

SIDE = 128


def scan(
    *, blood: float = 300.0, wall: float = 100.0, outside: float = 220.0, noise: float = 8.0, spacing_mm: float = 1.4, slices: int = 3
) -> Stack:
    """A ring of wall round blood in a body, with white noise; stored as whole numbers."""
    rows, cols = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(rows - 60, cols - 66) * 1.4
    labels = np.where(away < 22, 1, np.where(away < 31, 2, 0)).astype(np.uint8)
    clean = np.select([labels == 1, labels == 2], [blood, wall], outside)
    clean[(np.hypot(rows - 20, cols - 20) < 12)] = 420.0  # fat
    clean[110:] = 20.0  # lung
    rng = np.random.default_rng(0)
    image = np.stack([ndimage.gaussian_filter(clean, 0.6) + rng.normal(0, noise, clean.shape) for _ in range(slices)], axis=2)
    stacked = np.repeat(labels[:, :, None], slices, axis=2)
    return Stack(
        patient="A",
        image=image.round().clip(1).astype(np.int16),
        labels=stacked,
        spacing_mm=(spacing_mm, spacing_mm),
        slice_step_mm=10.0,
    )


def kinds(stack: Stack) -> list[Strangeness]:
    return [kind for kind, _ in strangeness_of(stack, range(len(stack)))]


def test_an_ordinary_scan_is_not_strange():
    assert kinds(scan()) == []
    assert strangeness_of(scan(), []) == []  # nothing to measure


@pytest.mark.parametrize(
    ("strange", "kind", "says"),
    [
        ({"blood": 60.0, "wall": 300.0}, Strangeness.EARLY_INVERSION, "phase-sensitive"),
        ({"blood": 45.0, "wall": 60.0}, Strangeness.DARK_BLOOD, "bright-blood series"),
        ({"blood": 215.0, "wall": 200.0, "noise": 1.0}, Strangeness.CONTRAST, "inversion time"),
        ({"spacing_mm": 0.4}, Strangeness.SPACING, "0.40 mm"),
        ({"noise": 60.0}, Strangeness.NOISE, "grain"),
    ],
)
def test_each_kind_of_strange_scan_is_named_with_what_to_do(strange, kind, says):
    found = dict(strangeness_of(scan(**strange), range(3)))
    assert list(found) == [kind]
    assert says in found[kind]


def test_padding_that_is_not_zero_is_pointed_out():
    stack = scan()
    padded = stack.image.copy()
    padded[:10], padded[-10:], padded[:, :10] = 999, 999, 999
    found = dict(strangeness_of(replace(stack, image=padded), range(3)))
    assert "999" in found[Strangeness.PADDING]
    padded[padded == 999] = 0  # the remedy
    assert Strangeness.PADDING not in kinds(replace(stack, image=padded))


def test_a_3d_scan_is_pointed_out():
    stack = replace(scan(slices=40), slice_step_mm=1.5)
    assert Strangeness.THREE_D in kinds(stack)
    every_fifth = replace(scan(slices=8), slice_step_mm=7.5)  # the remedy
    assert kinds(every_fifth) == []


def test_numbers_are_shares_so_that_the_unit_of_the_image_does_not_matter():
    stack = scan()
    times_nine = replace(stack, image=(stack.image * 9).astype(np.int16))
    first, second = (appearance_of(each, range(3)) for each in (stack, times_nine))
    assert first is not None
    assert second is not None
    assert second.contrast == pytest.approx(first.contrast)
    assert second.noise == pytest.approx(first.noise)
    assert first.contrast > known_range("contrast")[0]
    assert first.noise == pytest.approx(8 / 200, rel=0.3)  # of blood minus wall
