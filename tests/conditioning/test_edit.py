"""Adding, removing, moving and replacing scar: which pixels are scar afterwards, and which edits are refused."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.condition import build_condition
from lgesynthnet.conditioning.edit import add_scar, describe_own_scar, edit_of, move_scar, remove_scar, replace_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label, scar_of
from lgesynthnet.terms import Edit


@pytest.fixture(scope="module")
def host():
    """A slice with an infarct of one or two segments."""
    patients = (simulate("P", seed, infarct=True) for seed in range(11, 40))
    patient, known = next(
        (patient, known)
        for patient in patients
        for known in patient.truth
        if known.level == "mid" and known.prescription is not None and known.measured.area_mm2 > 100 and len(known.measured.segments) <= 2
    )
    return Host(slice_=patient.stack[known.index], frame=compute_heart_frame(patient.stack[known.index], known.level))


@pytest.fixture(scope="module")
def elsewhere(host):
    """A scar on the side of the heart that has none."""
    ring = SEGMENTS[host.frame.level]
    own = measure_scar(host.slice_.scar, host.frame).segments
    opposite = next(s for i, s in enumerate(ring) if not own & {ring[i - 1], s, ring[(i + 1) % len(ring)]})
    return ScarPrescription(segments=frozenset({opposite}), pattern=Pattern.TRANSMURAL, transmurality=0.9)


def test_added_scar_leaves_the_host_s_own(host, elsewhere):
    edit = add_scar(host, elsewhere)
    np.testing.assert_array_equal(scar_of(edit.labels(host.slice_.labels)), host.slice_.scar | edit.painted.scar)
    assert not edit.removed.any()


def test_removed_scar_is_wall_and_nothing_else_changes(host):
    edit = remove_scar(host)
    after = edit.labels(host.slice_.labels)
    assert (after[host.slice_.scar] == Label.WALL).all()
    np.testing.assert_array_equal(after[~host.slice_.scar], host.slice_.labels[~host.slice_.scar])
    assert not edit.painted.scar.any()


def test_moved_scar_is_where_it_was_sent_and_no_longer_where_it_was(host, elsewhere):
    edit = move_scar(host, elsewhere)
    np.testing.assert_array_equal(scar_of(edit.labels(host.slice_.labels)), rasterize(elsewhere, host.frame).scar)


def test_a_scar_is_not_moved_onto_itself(host):
    with pytest.raises(PrescriptionError, match="lies where the old one is"):
        move_scar(host, describe_own_scar(host))


def test_replaced_scar_keeps_its_masks_and_has_the_new_brightness(host):
    edit = replace_scar(host, OwnScar(intensity_percentile=85.0))
    np.testing.assert_array_equal(edit.labels(host.slice_.labels), host.slice_.labels)
    assert edit.intensity_percentile == 85.0


@pytest.mark.parametrize("depth", [0.3, 0.95])
def test_replaced_scar_has_the_new_depth_over_the_same_stretch_of_wall(host, depth):
    frame = host.frame
    before = measure_scar(host.slice_.scar, frame)
    edit = replace_scar(host, OwnScar(intensity_percentile=50.0, transmurality=depth))
    after = measure_scar(edit.painted.scar, frame)
    assert after.transmurality == pytest.approx(depth, abs=0.12)
    assert abs(after.transmurality - before.transmurality) > 0.1
    assert len(after.segments ^ before.segments) <= 1  # a segment at the border may fall below the share that counts
    assert edit.prescription.pattern is (Pattern.TRANSMURAL if depth > 0.75 else Pattern.SUBENDOCARDIAL)


@pytest.mark.parametrize("kind", ["remove", "move", "replace"])
def test_removed_scar_is_hidden_and_none_of_its_edges_is_shown(host, elsewhere, kind):
    edit = {
        "remove": remove_scar(host),
        "move": move_scar(host, elsewhere),
        "replace": replace_scar(host, OwnScar(intensity_percentile=50.0, transmurality=0.2)),
    }[kind]
    condition, roi, hidden = build_condition(host, edit, HeartWindow.from_slice(host.slice_))
    assert hidden[host.slice_.scar].all()
    shown = roi.crop_mask(edit.painted.scar)
    np.testing.assert_array_equal(condition.scar, shown)
    assert (condition.caption == "No late enhancement") is (kind == "remove")


def test_a_wish_says_itself_what_is_done(host, elsewhere):
    assert edit_of(host, NoEnhancement()).kind is Edit.REMOVE
    assert edit_of(host, OwnScar(intensity_percentile=10.0)).kind is Edit.REPLACE
    assert edit_of(host, elsewhere).kind is Edit.ADD
    assert edit_of(host, elsewhere, Edit.MOVE).kind is Edit.MOVE


@pytest.mark.parametrize(
    ("wish", "kind"), [(NoEnhancement(), Edit.MOVE), (OwnScar(intensity_percentile=1), Edit.REMOVE), ("scar", Edit.REPLACE)]
)
def test_a_wish_and_an_edit_that_contradict_each_other_are_refused(host, elsewhere, wish, kind):
    with pytest.raises(PrescriptionError, match="does not go with"):
        edit_of(host, elsewhere if wish == "scar" else wish, kind)


def test_a_slice_without_scar_has_none_to_remove_move_or_replace(host, elsewhere):
    bare = np.where(host.slice_.scar, Label.WALL, host.slice_.labels).astype(host.slice_.labels.dtype)
    healthy = replace(host, slice_=replace(host.slice_, labels=bare))
    for wish, kind in ((NoEnhancement(), Edit.ADD), (elsewhere, Edit.MOVE), (OwnScar(intensity_percentile=1), Edit.ADD)):
        with pytest.raises(PrescriptionError, match=r"has no scar to (remove|move|replace)"):
            edit_of(healthy, wish, kind)
