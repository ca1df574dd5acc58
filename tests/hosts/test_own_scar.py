"""The scar of a real slice as a prescription."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.hosts.own_scar import own_scar
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.records import Label

LEVELS = np.linspace(-0.2, 1.4, 21)


@pytest.fixture(scope="module")
def host():
    patient = simulate("P", 41, infarct=True)
    index = max(range(len(patient.truth)), key=lambda i: patient.stack[i].scar.sum())
    return Host(slice_=patient.stack[index], frame=compute_heart_frame(patient.stack[index], patient.truth[index].level))


def test_what_is_asked_for_is_the_mask_the_words_and_the_brightness_that_it_has(host):
    edit = own_scar(host, LEVELS)
    np.testing.assert_array_equal(edit.painted.scar, host.slice_.scar)
    np.testing.assert_array_equal(edit.painted.no_reflow, host.slice_.labels == Label.NO_REFLOW)
    assert edit.prescription.at(host.frame.level)
    brighter = replace(host.slice_, image=host.slice_.image + host.slice_.scar * np.float32(60))  # a float, so that nothing wraps round
    more = own_scar(replace(host, slice_=brighter), LEVELS)
    assert more.intensity_percentile > edit.intensity_percentile


def test_a_slice_without_scar_has_nothing_to_paint_again(host):
    bare = np.where(host.slice_.scar, Label.WALL, host.slice_.labels).astype(host.slice_.labels.dtype)
    with pytest.raises(PrescriptionError, match="has no scar"):
        own_scar(replace(host, slice_=replace(host.slice_, labels=bare)), LEVELS)


def test_a_scar_of_a_few_pixels_is_named_after_the_segment_that_holds_it(host):
    labels = np.where(host.slice_.scar, Label.WALL, host.slice_.labels).astype(host.slice_.labels.dtype)
    spot = tuple(np.argwhere(host.frame.wall)[0])
    labels[spot] = Label.SCAR
    edit = own_scar(replace(host, slice_=replace(host.slice_, labels=labels)), LEVELS)
    assert edit.prescription.segments == {int(host.frame.segments[spot])}


@pytest.mark.parametrize("name", ["paste", "phantom"])
def test_the_scar_that_was_there_tells_nothing_where_it_is_hidden(name, host):
    """The same seed over a host whose scar was burnt out first: what lies in the middle of the scar must come out the same."""
    painter = IntensityPaste() if name == "paste" else LGESynthNet.from_pretrained(name)
    edit, scar = own_scar(host, LEVELS), host.slice_.scar
    burnt = host.slice_.image.copy()
    burnt[scar] = host.slice_.image[host.frame.cavity].max()
    one = painter.apply(host, edit, seed=2)
    other = painter.apply(replace(host, slice_=replace(host.slice_, image=burnt)), edit, seed=2)
    span = float(np.median(host.slice_.image[host.frame.cavity])) - float(np.percentile(host.slice_.image[host.frame.wall], 25))
    change = np.abs(one.image[scar].astype(float) - other.image[scar].astype(float)).mean() / span
    before = np.abs(burnt[scar].astype(float) - host.slice_.image[scar].astype(float)).mean() / span
    assert before > 0.2
    assert change < 0.15 * before


def test_as_published_the_whole_grid_is_rendered_and_nothing_beyond_it(host):
    edit = own_scar(host, LEVELS)
    sample = LGESynthNet.from_pretrained("phantom", sampling=Sampling(keep_host=False)).apply(host, edit, seed=2)
    kept = LGESynthNet.from_pretrained("phantom").apply(host, edit, seed=2)
    assert sample.hidden.sum() > 3 * kept.hidden.sum()
    assert sample.max_change_outside == 0
    assert (sample.image[sample.hidden & ~kept.hidden] != host.slice_.image[sample.hidden & ~kept.hidden]).mean() > 0.5
