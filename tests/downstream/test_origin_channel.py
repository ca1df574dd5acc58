"""The origin channel reaches the network: 1 for painted slices alone, 0 in use; and a helper brings it to trainings of others."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from monai.transforms import Compose, EnsureChannelFirstd, NormalizeIntensityd

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import InputError
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.segmenter.downstream import ORIGIN, DownstreamSegmenter, DownstreamSettings, build_downstream, shipped_finder
from lgesynthnet.segmenter.heart import CLASSES
from lgesynthnet.terms import WallFrom
from lgesynthnet.train.examples.slices import slice_dataset
from lgesynthnet.train.origin import OriginChannel, with_origin
from lgesynthnet.train.segmenters.downstream import DOWNSTREAM, CropTask, DownstreamTraining


class Recording(torch.nn.Module):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown = []

    def forward(self, x):
        self.shown.append(x.detach().clone())
        return self.weight.expand(len(x), CLASSES, *x.shape[2:])


@pytest.fixture(scope="module")
def slices(hearts, tmp_path_factory):
    return slice_dataset(open_cohort(hearts), tmp_path_factory.mktemp("prepared") / "real.safetensors")


def black(slices):
    return replace(slices, image=np.zeros_like(slices.image))


@pytest.mark.parametrize("wall_from", list(WallFrom))
@pytest.mark.parametrize("origin", [True, False])
def test_the_network_is_told_which_slices_are_painted(slices, wall_from, origin):
    network = Recording()
    settings = DownstreamTraining(recipe=replace(DOWNSTREAM["tiny"], unmarked_share=0), wall_from=wall_from, origin=origin)
    task = CropTask(network, slices, black(slices), settings)
    for step in range(20):
        task.loss(np.random.default_rng(step), 8)
    shown = torch.cat(network.shown)
    painted = shown[:, 0].flatten(1).std(dim=1) < 0.4  # black, but for the noise of the augmentation
    assert 0.2 < float(painted.float().mean()) < 0.6
    told = shown[:, ORIGIN]
    assert set(told.unique().tolist()) == ({0.0, 1.0} if origin else {0.0})
    if origin:
        assert torch.equal(told[:, 0, 0] == 1, painted)
        assert torch.equal(told.amin(dim=(1, 2)), told.amax(dim=(1, 2)))


@pytest.mark.parametrize("wall_from", [WallFrom.CROP, WallFrom.KNOWN_WALL])
def test_the_network_sees_a_constant_channel_far_from_the_border_of_the_crop(wall_from):
    """With instance norm the difference in the middle is below 0.15, in units of the spread of the logits."""
    recipe = DOWNSTREAM["cpu"]
    torch.manual_seed(0)
    network = build_downstream(recipe.filters, wall_from).eval()
    real = torch.randn(2, wall_from.channels, recipe.side, recipe.side)
    painted = real.clone()
    real[:, ORIGIN], painted[:, ORIGIN] = 0, 1
    margin = recipe.side // 4
    with torch.no_grad():
        of_real, of_painted = network(real), network(painted)
    difference = (of_real - of_painted)[..., margin:-margin, margin:-margin].abs().mean() / of_real.std()
    assert float(difference) > 0.2


def test_in_use_the_channel_is_0(slices):
    stack = simulate("P", 11, infarct=True).stack
    finder = shipped_finder()
    for wall_from in (WallFrom.CROP, WallFrom.KNOWN_WALL):
        network = Recording()
        settings = DownstreamSettings(
            role="downstream-segmenter", wall_from=wall_from, filters=(4, 8, 8), side=32, views=2, finder=finder.fingerprint
        )
        DownstreamSegmenter(network, settings, finder).stack_probabilities(stack.image, stack.spacing_mm, stack.labels)
        assert network.shown
        assert all(not x[:, ORIGIN].any() for x in network.shown)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_the_channel_stands_after_the_others_and_keeps_the_data_type(kind):
    image = kind(np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32))
    for painted in (True, False):
        out = with_origin(image, painted)
        assert out.shape == (3, 5, 4)
        assert out.dtype == image.dtype
        assert (out[:2] == image).all()
        assert (out[2] == float(painted)).all()
    batch = kind(np.zeros((3, 1, 4, 4, 2), np.float32))
    out = with_origin(batch, [False, True, False])
    assert out.shape == (3, 2, 4, 4, 2)
    assert [float(channel.max()) for channel in out[:, 1]] == [0, 1, 0]
    assert [float(channel.min()) for channel in out[:, 1]] == [0, 1, 0]


def test_what_is_no_truth_value_for_each_image_is_refused():
    batch = np.zeros((3, 1, 4, 4), np.float32)
    for painted in ([True], np.array([0.4, 0.2, 0.9]), np.zeros((3, 1), bool)):
        with pytest.raises(InputError, match="painted"):
            with_origin(batch, painted)


def test_a_sample_of_monai_gets_the_channel_and_must_say_what_it_is():
    sample = {"image": torch.rand(8, 8), "painted": True}
    reading = [EnsureChannelFirstd("image", channel_dim="no_channel"), NormalizeIntensityd("image")]
    out = Compose([*reading, OriginChannel("image", painted="painted")])(sample)
    assert out["image"].shape == (2, 8, 8)
    assert float(out["image"][1].min()) == 1
    assert float(out["image"][0].mean()) == pytest.approx(0, abs=1e-5)
    assert sample["image"].shape == (8, 8)
    at_prediction = Compose([*reading, OriginChannel(["image"], painted=None)])({"image": torch.rand(8, 8)})
    assert float(at_prediction["image"][1].max()) == 0
    with pytest.raises(InputError, match="'painted'"):
        OriginChannel("image", painted="painted")({"image": torch.rand(1, 8, 8)})


def test_the_helper_loads_neither_torch_nor_monai():
    code = "import sys, numpy as np\nfrom lgesynthnet import OriginChannel, with_origin\n"
    code += "OriginChannel('x', painted=None)({'x': np.zeros((1, 2, 2))})\nprint({'torch', 'monai'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
