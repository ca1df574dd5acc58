"""The SPADE rivals: what each is shown, what is handed out, and how much grain is added."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from factories import SPACING_MM, ring_patient

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.condition import NEUTRAL, build_condition, semantic_map
from lgesynthnet.conditioning.edit import add_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import LicenceNotice, ModelError
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.texture import noise_ratio
from lgesynthnet.generate.spade import SpadePainter
from lgesynthnet.model.spade import Spade, SpadeSize, load_spade, noise_of, save_spade
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Level, ShortAxisSlice
from lgesynthnet.terms import Context

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, mvo_share=0.2, seed=5)


def small(context: Context) -> Spade:
    torch.manual_seed(0)
    return Spade(SpadeSize(context=context, widths=(16, 8, 4), hidden=(8, 8, 4), noise=8))


@pytest.fixture(scope="module")
def host() -> Host:
    image, labels = (volume[:, :, 0] for volume in ring_patient(2, slices=1))
    slice_ = ShortAxisSlice(patient="N2", index=0, image=image, labels=labels, spacing_mm=(SPACING_MM, SPACING_MM))
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


@pytest.fixture(scope="module")
def made(host):
    return build_condition(host, add_scar(host, WISH), HeartWindow.from_slice(host.slice_))[0]


def test_limited_context_sees_labels_alone_and_full_context_all_but_what_is_hidden(made):
    dark = replace(made, image=made.image - 1)
    np.testing.assert_array_equal(semantic_map(made, Context.LIMITED), semantic_map(dark, Context.LIMITED))
    assert (semantic_map(made, Context.FULL) != semantic_map(dark, Context.FULL)).any()
    inside = replace(made, image=np.where(made.hidden, 9.0, made.image).astype(np.float32))
    np.testing.assert_array_equal(semantic_map(made, Context.FULL), semantic_map(inside, Context.FULL))
    assert (semantic_map(made, Context.FULL)[4][made.hidden] == NEUTRAL).all()
    labels = semantic_map(made, Context.LIMITED)
    assert labels.max(axis=0).max() == 1
    assert labels.sum(axis=0).max() == 1  # one tissue a pixel
    np.testing.assert_array_equal(labels[2:].any(axis=0), made.scar)


def test_without_the_host_kept_the_whole_grid_is_handed_out(host):
    kept, published = (SpadePainter(small(Context.FULL), fingerprint="m", keep_host=keep) for keep in (True, False))
    inside, everywhere = (painter.inpaint(host, WISH, seed=1) for painter in (kept, published))
    assert everywhere.hidden.mean() > 4 * inside.hidden.mean()
    assert everywhere.hidden[host.frame.wall].all()
    assert (everywhere.image != host.slice_.image)[everywhere.hidden].mean() > 0.95
    assert everywhere.max_change_outside == 0
    assert kept.fingerprint != published.fingerprint


def test_a_seed_is_the_same_picture_in_any_batch():
    model = small(Context.LIMITED).eval()
    semantic = torch.rand(2, 4, 128, 128)
    with torch.no_grad():
        both = model(semantic, noise_of([3, 7], model.size))
        alone = model(semantic[1:], noise_of([7], model.size))
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-5)
    assert (noise_of([3], model.size) != noise_of([7], model.size)).all()


def test_a_smooth_picture_gets_the_hosts_grain(host):
    image = host.slice_.image + np.random.default_rng(0).normal(0, 0.1 * HeartWindow.from_slice(host.slice_).span, host.slice_.image.shape)
    noisy = replace(host, slice_=replace(host.slice_, image=image.astype(np.float32)))
    model = small(Context.FULL)
    for parameter in model.parameters():
        parameter.data.zero_()  # paints one even grey
    assert noise_ratio(Case.of_sample(SpadePainter(model, fingerprint="m").inpaint(noisy, WISH, seed=1))) == pytest.approx(1, abs=0.35)


def test_the_card_of_the_model_above_says_under_what_terms_its_spade_stands(tmp_path):
    save_spade(small(Context.FULL), tmp_path / "spade-full")
    with warnings.catch_warnings():
        warnings.simplefilter("error", LicenceNotice)
        SpadePainter.from_pretrained(tmp_path, Context.FULL)
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")
    with pytest.warns(LicenceNotice, match=r"spade-full are under cc-by-nc-sa-4\.0"):
        SpadePainter.from_pretrained(tmp_path, Context.FULL)


def test_a_folder_comes_back_as_it_was_saved_and_another_is_refused(host, tmp_path):
    model = small(Context.FULL)
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    save_spade(model, tmp_path / "spade-full")
    for mine, found in zip(model.parameters(), load_spade(tmp_path / "spade-full").parameters(), strict=True):
        assert torch.equal(mine, found)
    painter = SpadePainter.from_pretrained(tmp_path, Context.FULL)
    assert painter.fingerprint.startswith("spade-full-")
    np.testing.assert_array_equal(
        painter.inpaint(host, WISH, seed=4).image, SpadePainter(model, fingerprint="other").inpaint(host, WISH, seed=4).image
    )
    with pytest.raises(ModelError, match="--context full, not limited"):
        load_spade(tmp_path / "spade-full", Context.LIMITED)
    (tmp_path / "spade-full" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="no complete safetensors file"):
        SpadePainter.from_pretrained(tmp_path, Context.FULL)
    with pytest.raises(ModelError, match="1 to 7 widths"):
        SpadeSize(context=Context.FULL, widths=(8, 8), hidden=(8,), noise=4)
