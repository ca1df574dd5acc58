"""Trained scar segmenters: they see the heart and never the scar labels; each role has its architecture and cannot be changed."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from ring_hosts import SPACING_MM, ring_patient
from safetensors.torch import load_file, save_file

from lgesynthnet.errors import ModelError
from lgesynthnet.model.checkpoint import halve
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Label, ShortAxisSlice
from lgesynthnet.segmenter.networks import build_network
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role


def untrained(role=Role.FILTER, *, members=1, views=1):
    torch.manual_seed(0)
    return TrainedScarSegmenter([halve(build_network(role, 8)) for _ in range(members)], role, width=8, threshold=0.3, views=views)


@pytest.fixture(scope="module")
def slice_():
    image, labels = (volume[:, :, 0] for volume in ring_patient(2, slices=1, scar=True))
    return ShortAxisSlice(patient="P001", index=0, image=image, labels=labels, spacing_mm=(SPACING_MM, SPACING_MM))


@pytest.mark.parametrize("role", Role)
def test_the_intended_scar_is_never_looked_at(role, slice_):
    blind = replace(slice_, labels=np.where(slice_.scar, Label.WALL, slice_.labels).astype(np.uint8))
    assert slice_.scar.any()
    one, two = untrained(role).read(slice_), untrained(role).read(blind)
    np.testing.assert_array_equal(one, two)
    assert set(np.unique(one)) <= {0, Label.SCAR, Label.NO_REFLOW}
    assert not one[~slice_.wall].any()


def test_window_and_bits_of_the_scanner_do_not_matter(slice_):
    scaled = replace(slice_, image=(slice_.image.astype(np.float32) * 7 + (slice_.image != 0) * 100))
    np.testing.assert_array_equal(untrained().read(slice_), untrained().read(scaled))


def test_every_role_has_an_architecture_of_its_own():
    shapes = {role: sorted(tuple(p.shape) for p in build_network(role, 8).parameters()) for role in Role}
    assert len({type(build_network(role, 8)) for role in Role}) == len(set(map(str, shapes.values()))) == len(Role) == 3


@pytest.mark.parametrize("role", Role)
def test_save_and_load_read_alike_and_no_other_role_is_let_in(role, slice_, tmp_path):
    made = untrained(role, members=2, views=8)
    made.save(tmp_path)
    again = TrainedScarSegmenter.from_pretrained(tmp_path, role)
    for one, two in zip(made.probabilities(slice_), again.probabilities(slice_), strict=True):
        np.testing.assert_array_equal(one, two)
    assert (again.threshold, again.views, len(again.networks)) == (0.3, 8, 2)
    assert again.fingerprint.startswith(f"{role.value}-")
    for other in set(Role) - {role}:
        with pytest.raises(ModelError, match=rf"role is {role.value}, not {other.value}"):
            TrainedScarSegmenter.from_pretrained(tmp_path, other)


def test_a_folder_from_before_ensembles_still_loads(slice_, tmp_path):
    made = untrained()
    made.save(tmp_path)
    weights = {name.removeprefix("0."): value for name, value in load_file(tmp_path / "model.safetensors").items()}
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"role": "filter", "width": 8, "threshold": 0.3}))
    np.testing.assert_array_equal(TrainedScarSegmenter.from_pretrained(tmp_path).probabilities(slice_), made.probabilities(slice_))


@pytest.mark.parametrize(
    "change", [{"members": 3}, {"width": 16}, {"views": 9}, {"role": "judge"}, {"threshold": None}], ids=lambda change: next(iter(change))
)
def test_a_config_that_does_not_fit_is_an_error_and_no_guess(change, tmp_path):
    untrained(members=2).save(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | change))
    with pytest.raises(ModelError):
        TrainedScarSegmenter.from_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no usable scar segmenter"):
        TrainedScarSegmenter.from_pretrained(tmp_path / "nowhere")


def test_an_ensemble_reads_the_mean_of_its_members(slice_):
    pair = untrained(members=2)
    alone = [TrainedScarSegmenter([network], Role.FILTER, width=8) for network in pair.networks]
    means = np.mean([one.probabilities(slice_) for one in alone], axis=0)
    assert np.abs(np.subtract(*(one.probabilities(slice_) for one in alone))).max() > 0.01
    np.testing.assert_allclose(pair.probabilities(slice_), means, atol=1e-5)


def test_with_eight_views_a_turned_and_mirrored_slice_is_read_alike(slice_):
    def turned(volume):
        return np.ascontiguousarray(np.rot90(volume)[:, ::-1])

    other = replace(slice_, image=turned(slice_.image), labels=turned(slice_.labels))
    gap = {
        views: np.abs(np.subtract(turned(one.probabilities(slice_)[0]), one.probabilities(other)[0])).max()
        for views, one in ((views, untrained(Role.AUDITOR, views=views)) for views in (1, 8))
    }
    assert gap[8] < 1e-3 < gap[1]


def test_the_reward_passes_a_gradient_to_every_pixel_it_can_see():
    stack = torch.zeros(1, 3, 128, 128, requires_grad=True)
    untrained(Role.REWARD).grid_probabilities(stack)[:, 1].sum().backward()
    assert (stack.grad[:, 0, 40:88, 40:88] != 0).all()


def test_the_shipped_filter_is_a_filter():
    assert TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "filter", Role.FILTER).fingerprint.startswith("filter-")
