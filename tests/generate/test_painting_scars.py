"""LGESynthNet as a generator: seeds, threads, the untouched outside."""

import numpy as np
import pytest
import torch

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.errors import ModelError, PrescriptionError
from lgesynthnet.generate.composite import composite
from lgesynthnet.generate.grain import grain
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.model.autoencoder import build_autoencoder
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet
from lgesynthnet.model.schedule import build_schedule
from lgesynthnet.model.text import build_text_encoder
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.records import Label

WISH = prescribe("Transmural enhancement in the posteroseptal wall")


@pytest.fixture(scope="module")
def painter():
    torch.manual_seed(0)
    unet = build_unet((8, 16, 16), 16)
    control = build_control(unet)
    with torch.no_grad():
        for parameter in control.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    model = Inpainter(unet, build_text_encoder(16, 1), build_autoencoder(8), build_schedule(), control).eval()
    return LGESynthNet(model, fingerprint="tiny", sampling=Sampling(steps=3))


@pytest.fixture(scope="module")
def host():
    patient = simulate("N", 21, infarct=False)
    known = patient.truth[len(patient.truth) // 2]
    return Host(slice_=patient.stack[known.index], frame=compute_heart_frame(patient.stack[known.index], known.level))


def test_outside_the_hidden_region_nothing_changes_and_inside_something_does(painter, host):
    sample = painter.inpaint(host, WISH, seed=7)
    assert sample.max_change_outside == 0
    np.testing.assert_array_equal(sample.image[~sample.hidden], host.slice_.image[~sample.hidden])
    assert (sample.image[sample.hidden] != host.slice_.image[sample.hidden]).any()
    assert sample.image.dtype == host.slice_.image.dtype
    assert sample.intended[sample.labels == Label.SCAR].all()
    assert (sample.hidden & sample.intended).sum() == sample.intended.sum() < sample.hidden.sum()


def test_a_seed_means_the_same_bytes_alone_and_after_others_on_one_thread_or_two(painter, host):
    first = painter.inpaint(host, WISH, seed=7).image
    threads = torch.get_num_threads()
    painter.inpaint(host, WISH, seed=3)
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        again = painter.inpaint(host, WISH, seed=7).image
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(first, again)
    assert (painter.inpaint(host, WISH, seed=8).image != first).any()


def test_slices_of_one_heart_share_a_part_of_their_noise_and_keep_the_rest_for_themselves(painter, host):
    """Two seeds paint images that are more alike for one heart than alone, and are not the same."""

    def image(painter, seed):
        return painter.inpaint(host, WISH, seed=seed).image.astype(float)[host.frame.wall]

    heart, pairs = painter.for_heart(7), ((1, 2), (3, 4), (5, 6))
    alone, together = (np.mean([np.abs(image(of, a) - image(of, b)).mean() for a, b in pairs]) for of in (painter, heart))
    assert 0 < together < 0.95 * alone
    np.testing.assert_array_equal(image(heart, 1), image(painter.for_heart(7), 1))
    assert (image(heart, 1) != image(painter.for_heart(8), 1)).any()
    assert heart.fingerprint == painter.fingerprint


def test_settings_are_part_of_the_fingerprint(painter):
    other = LGESynthNet(painter.model, fingerprint="tiny", sampling=Sampling(steps=4))
    assert painter.fingerprint != other.fingerprint


def test_errors_name_the_slice_and_the_way_out(painter, host):
    with pytest.raises(PrescriptionError, match=host.name):
        painter.inpaint(host, prescribe("Transmural enhancement in the apical septal wall"))
    with pytest.raises(ModelError, match="lgesynthnet info"):
        LGESynthNet.from_pretrained("no-such-model")


def test_composite_rounds_clips_and_keeps_padding_apart_from_signal():
    host = np.full((20, 20), 250, np.uint8)
    host[:2] = 0
    hidden = np.zeros((20, 20), bool)
    hidden[1:15, 5:15] = True
    out = composite(host, np.full((20, 20), 400.0), hidden, (1.0, 1.0))
    assert out.dtype == np.uint8
    assert out[8, 10] == 255
    assert composite(host, np.full((20, 20), -50.0), hidden, (1.0, 1.0))[8, 10] == 1
    np.testing.assert_array_equal(out[~hidden], host[~hidden])


def test_grain_has_the_strength_of_the_hosts_own_noise():
    rng = np.random.default_rng(0)
    wall = np.zeros((128, 128), bool)
    wall[40:90, 40:90] = True
    hidden = np.zeros_like(wall)
    hidden[50:60, 50:60] = True
    noise = 0.3 * rng.standard_normal((128, 128))
    assert grain(noise, wall, hidden, np.random.default_rng(1)).std() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (1.6, 1.3), (0.9, 0.9)])
def test_the_working_grid_comes_back_to_where_it_was(spacing_mm):
    rows, cols = np.mgrid[:150, :140]
    image = np.sin(rows * spacing_mm[0] / 15) + np.cos(cols * spacing_mm[1] / 12)
    roi = Roi(centre=(70.3, 66.8), spacing_mm=spacing_mm)
    at = np.array([60, 72, 80, 90]), np.array([50, 66, 70, 85])
    np.testing.assert_allclose(roi.paste(roi.crop(image), *at), image[at], atol=0.03)
