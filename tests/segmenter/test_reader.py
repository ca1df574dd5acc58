"""The reader: given the heart, never the scar."""

from dataclasses import replace

import numpy as np
import torch

from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import Label
from lgesynthnet.segmenter.networks import Role, build_network
from lgesynthnet.segmenter.reader import Reader


def reader():
    torch.manual_seed(0)
    return Reader(build_network(Role.FILTER, 8), Role.FILTER, width=8, threshold=0.3)


def test_the_intended_scar_is_never_looked_at():
    stack = simulate("P", 11, infarct=True).stack
    slice_ = next(s for s in stack if s.scar.any())
    blind = replace(slice_, labels=np.where(slice_.scar, Label.WALL, slice_.labels).astype(np.uint8))
    one, two = reader().read(slice_), reader().read(blind)
    np.testing.assert_array_equal(one, two)
    assert set(np.unique(one)) <= {0, Label.SCAR, Label.NO_REFLOW}
    assert not one[~slice_.wall].any()


def test_save_and_load_read_alike(tmp_path):
    made = reader()
    made.save(tmp_path)
    again = Reader.from_pretrained(tmp_path)
    slice_ = simulate("P", 11, infarct=True).stack[2]
    np.testing.assert_array_equal(made.read(slice_), again.read(slice_))
    assert again.threshold == 0.3


def test_window_and_bits_of_the_scanner_do_not_matter():
    slice_ = simulate("P", 11, infarct=True).stack[2]
    scaled = replace(slice_, image=(slice_.image.astype(np.float32) * 7 + (slice_.image != 0) * 100))
    np.testing.assert_array_equal(reader().read(slice_), reader().read(scaled))
