"""Stored numbers, decimal strings and identifiers keep the rules of DICOM."""

from __future__ import annotations

import numpy as np
import pytest

from lgesynthnet.export.dicom.numbers import decimal_string, store, store_like
from lgesynthnet.export.dicom.uids import uid_of

pydicom = pytest.importorskip("pydicom")


@pytest.mark.parametrize("number", [0.0, 1.0, -3.0, 1 / 3, -1 / 3, 1e-7 / 3, 123456.789012345678, -1e10 / 3, 1e300 / 3, 5e-324, 1e22])
def test_decimal_strings_have_at_most_16_characters(number):
    text = decimal_string(number)
    assert len(text) <= 16
    assert float(text) == pytest.approx(number, rel=1e-8)


def test_numbers_are_stored_or_scaled():
    whole = np.array([[0, 65535], [7, 9]])
    np.testing.assert_array_equal(store(whole.astype(np.float64)).pixels, whole)
    assert store(whole - 30000).signed is False or (whole - 30000).min() < 0
    np.testing.assert_array_equal(store(np.array([[-5, 300]])).pixels, [[-5, 300]])
    for image, slope, inter in (
        (np.array([[0.0, 1e-3], [5e-4, 2e-4]]), 1.0, 0.0),
        (np.array([[-1e6, 3e9], [0.0, 7.0]]), 0.5, -3.0),
        (np.array([[100000, 170000], [3, 5]]), 2.0, 10.0),
        (np.array([[0.25, 0.25]]), 1.0, 0.0),
        (np.array([[1e9, 1e9 + 70000.5]]), -1.0, 0.0),
    ):
        numbers = store(image, slope, inter)
        shown, wanted = numbers.pixels * numbers.slope + numbers.intercept, image * slope + inter
        assert np.abs(shown - wanted).max() == pytest.approx(numbers.largest_error)
        assert numbers.largest_error <= max(np.ptp(wanted), abs(wanted).max() * 1e-6) / 65535 * 0.51 + abs(wanted).max() * 1e-9
    clipped = store_like(np.array([[0, 4095, 4096, 5000]]), 12, signed=False, slope=1.0, intercept=0.0)
    assert (clipped.pixels.max(), clipped.clipped) == (4095, 2)
    assert store_like(np.array([[-2049, 2047]]), 12, signed=True, slope=1.0, intercept=0.0).pixels.tolist() == [[-2048, 2047]]


def test_identifiers_are_valid_and_follow_from_their_parts():
    uids = {uid_of("a", str(number)) for number in range(500)}
    assert len(uids) == 500
    assert all(pydicom.uid.UID(uid).is_valid and len(uid) <= 64 for uid in uids)
    assert uid_of("a", "bc") != uid_of("ab", "c")
    assert uid_of("a", "b") == uid_of("a", "b")
