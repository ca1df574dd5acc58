"""What every generator owes, whatever is inside it. A new one joins KNOWING, or UNTRAINED where scar has no look yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ring_hosts import SPACING_MM, ring_patient

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.copy_paste import CopyPaste
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.generate.spade import SpadePainter
from lgesynthnet.model.spade import Spade, SpadeSize
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label, Level, ShortAxisSlice
from lgesynthnet.terms import Context

INFARCT = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, mvo_share=0.2, seed=5)


def host_of(dtype: type, seed: int = 0, scar: bool = False, gain: float = 1.0) -> Host:
    image, labels = (volume[:, :, 0] for volume in ring_patient(seed, slices=1, scar=scar))
    stored = image * gain if np.dtype(dtype).kind == "f" else np.rint(image * gain).clip(*_limits(dtype))
    slice_ = ShortAxisSlice(patient=f"N{seed}", index=0, image=stored.astype(dtype), labels=labels, spacing_mm=(SPACING_MM, SPACING_MM))
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


def _limits(dtype: type) -> tuple[int, int]:
    return np.iinfo(dtype).min, np.iinfo(dtype).max


def donor_of(seed: int) -> Host:
    """A patient with scar and, inside it, a darker core."""
    host = host_of(np.float32, seed, scar=True)
    image, labels = host.slice_.image.copy(), host.slice_.labels.copy()
    rows, cols = np.indices(labels.shape)
    core = (labels == Label.SCAR) & (rows > 44) & (cols > 40) & (cols < 46)
    image[core], labels[core] = 110.0, Label.NO_REFLOW
    slice_ = replace(host.slice_, patient=f"D{seed}", image=image, labels=labels)
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


def untrained(context: Context) -> SpadePainter:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SpadePainter(
            Spade(SpadeSize(context=context, widths=(16, 8, 4), hidden=(8, 8, 4), noise=8)), fingerprint=f"spade-{context}-0"
        )


KNOWING = [IntensityPaste(), CopyPaste.from_hosts(donor_of(seed) for seed in range(20, 25)), LGESynthNet.from_pretrained("phantom")]
UNTRAINED = [untrained(context) for context in Context]


def named(generator: Generator) -> str:
    return generator.fingerprint.split(":")[0].split("/")[0]


@pytest.mark.parametrize("generator", KNOWING, ids=named)
class TestEveryGeneratorThatKnowsScar:
    def test_scar_is_bright_and_its_core_is_darker(self, generator):
        drops = []
        for seed in range(4):
            sample = generator.inpaint(host_of(np.float32, seed), replace(INFARCT, seed=seed), seed=seed)
            wall = sample.labels == Label.WALL
            bright, dark = (float(sample.image[where].mean()) for where in (sample.labels == Label.SCAR, wall))
            assert bright > dark + 10 * sample.image[wall & ~sample.hidden].std()
            drops.append((bright - float(sample.image[sample.intended_no_reflow].mean())) / (bright - dark))
        # Of the way from scar to wall; in real slices the median is 0.6, and a quarter lies below 0.3.
        assert np.mean(drops) > 0.1
        assert min(drops) > 0

    def test_numbers_stay_inside_what_the_dtype_holds(self, generator):
        sample = generator.inpaint(host_of(np.uint8, gain=1.35), replace(INFARCT, intensity_percentile=100.0), seed=1)
        scar = sample.image[sample.labels == Label.SCAR].astype(int)
        assert scar.max() <= 255
        assert scar.min() > 60  # a wrap-around would be dark


@pytest.mark.parametrize("generator", [*KNOWING, *UNTRAINED], ids=named)
class TestEveryGenerator:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
    def test_leaves_the_rest_of_the_slice_alone(self, generator, dtype):
        host = host_of(dtype)
        before = host.slice_.image.copy()
        sample = generator.inpaint(host, INFARCT, seed=3)
        assert sample.image.dtype == before.dtype
        np.testing.assert_array_equal(sample.image[~sample.hidden], before[~sample.hidden])
        np.testing.assert_array_equal(host.slice_.image, before)
        assert sample.max_change_outside == 0
        assert (sample.image[sample.intended] != before[sample.intended]).mean() > 0.9  # or doing nothing would pass
        assert (~sample.hidden).mean() > 0.5

    def test_a_seed_means_the_same_image_whatever_was_painted_before(self, generator):
        host, other = host_of(np.int16), host_of(np.int16, seed=8)
        alone = generator.inpaint(host, INFARCT, seed=7)
        generator.inpaint(other, INFARCT, seed=3)
        again = generator.inpaint(host, INFARCT, seed=7)
        np.testing.assert_array_equal(alone.image, again.image)
        assert (alone.image != generator.inpaint(host, INFARCT, seed=8).image).any()

    def test_intends_what_the_prescription_paints_and_labels_it(self, generator):
        host = host_of(np.float32)
        sample = generator.inpaint(host, INFARCT, seed=1)
        painted = rasterize(INFARCT, host.frame)
        np.testing.assert_array_equal(sample.intended, painted.scar)
        np.testing.assert_array_equal(sample.intended_no_reflow, painted.no_reflow)
        assert painted.no_reflow.any()
        np.testing.assert_array_equal(sample.labels == Label.NO_REFLOW, painted.no_reflow)
        np.testing.assert_array_equal(sample.labels == Label.SCAR, painted.scar & ~painted.no_reflow)
        np.testing.assert_array_equal(sample.labels[~painted.scar], host.slice_.labels[~painted.scar])
        assert not (sample.intended & ~sample.hidden).any()

    def test_scar_that_was_there_stays_labelled(self, generator):
        host = host_of(np.int16, scar=True)
        sample = generator.inpaint(host, replace(INFARCT, segments=frozenset({7}), mvo_share=0.0), seed=1)
        old = host.slice_.labels == Label.SCAR
        assert (sample.labels[old] == Label.SCAR).all()
        assert not (sample.intended & old).any()

    def test_a_prescription_for_another_level_is_an_error_that_names_both(self, generator):
        with pytest.raises(PrescriptionError, match=r"mid slice.*basal"):
            generator.inpaint(host_of(np.int16), replace(INFARCT, segments=frozenset({2})), seed=1)

    def test_keeps_the_contract_in_name_too(self, generator):
        assert isinstance(generator, Generator)
        sample = generator.inpaint(host_of(np.int16), INFARCT, seed=1)
        assert sample.model == generator.fingerprint
        assert sample.caption
        assert sample.seed == 1


def test_other_settings_have_another_fingerprint():
    assert IntensityPaste().fingerprint == IntensityPaste().fingerprint != IntensityPaste(edge_pixels=1.0).fingerprint


def test_a_higher_percentile_is_a_brighter_scar():
    levels = [
        float(s.image[s.labels == Label.SCAR].mean())
        for s in (IntensityPaste().inpaint(host_of(np.float32), replace(INFARCT, intensity_percentile=p)) for p in (5.0, 50.0, 95.0))
    ]
    assert levels == sorted(levels)
    assert levels[2] - levels[0] > 5
