"""Options of the sampler: solvers agree, a guide is obeyed, candidates are chosen, and what is off changes nothing."""

import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.errors import LicenceNotice, ModelError
from lgesynthnet.generate.guide import Guide
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model_store import weights_folder
from lgesynthnet.synthesis.guiding import ScarSegmenterGuide


@pytest.fixture(scope="module")
def model():
    return load_inpainter(weights_folder() / "phantom" / "inpainter")


@pytest.fixture(scope="module")
def guide():
    return ScarSegmenterGuide.from_pretrained("phantom")


@pytest.fixture(scope="module")
def made() -> Condition:
    rows, cols = np.mgrid[:128, :128] - 63.5
    away, angle = np.hypot(rows, cols), np.degrees(np.arctan2(-rows, cols)) % 360
    wall = (away > 20) & (away <= 30)
    near = np.abs(angle - 180)
    noise = np.random.default_rng(0).normal(0, 0.08, away.shape)
    return Condition(
        image=(np.where(away <= 20, 0.5, np.where(wall, -0.5, -0.2)) + noise).astype(np.float32),
        hidden=(near < 65) & (away > 17) & (away <= 33),
        scar=wall & (near < 45) & (away <= 27),
        no_reflow=np.zeros_like(wall),
        wall=wall,
        cavity=away <= 20,
        nominal_deg=angle.astype(np.float32),
        brightness=0.5,
        caption="Subendocardial enhancement (51-75 % transmural) in the mid anteroseptal and inferoseptal walls",
    )


def painter(model, guide=None, **settings):
    return LGESynthNet(model, mark="m", sampling=replace(Sampling(grain=False), **settings), guide=guide)


def test_four_network_calls_make_a_sample(model, made):
    calls = []
    handle = model.unet.register_forward_hook(lambda module, inputs, output: calls.append(len(output.sample)))
    painter(model)._inpaint(made, 1)
    painter(model, guidance=2.0)._inpaint(made, 1)
    handle.remove()
    assert calls[:4] == [1] * 4
    assert calls[4:] == [2] * 4  # told and silent in one batch


def test_the_control_image_is_embedded_once_and_changes_nothing_by_it(model, made):
    calls = []
    embedding = model.control.controlnet_cond_embedding
    handle = embedding.register_forward_hook(lambda *_: calls.append(1))
    painter(model)._inpaint(made, 1)
    handle.remove()
    assert len(calls) == 1
    assert model.control.controlnet_cond_embedding is embedding


def test_both_solvers_walk_to_the_same_picture_when_steps_are_many(model, made):
    few = [painter(model, solver=s, steps=6)._inpaint(made, 3) for s in ("ddim", "dpm")]
    many = [painter(model, solver=s, steps=60)._inpaint(made, 3) for s in ("ddim", "dpm")]

    def apart(pair):
        return float(np.abs(pair[0] - pair[1])[made.hidden].mean())

    assert apart(many) < 0.5 * apart(few)
    assert apart(many) < 0.08


def test_a_guide_that_steers_is_pleased_better(model, made, guide):
    def loss(picture):
        return float(guide.loss(torch.from_numpy(picture)[None, None].float(), [made]))

    plain = np.mean([loss(painter(model)._inpaint(made, seed)) for seed in range(3)])
    steered = np.mean([loss(painter(model, guide, guide_scale=0.5)._inpaint(made, seed)) for seed in range(3)])
    assert steered < plain


def test_the_best_of_four_is_never_worse_than_the_first(model, made, guide):
    def loss(picture):
        return float(guide.loss(torch.from_numpy(picture)[None, None].float(), [made]))

    first, best = painter(model)._inpaint(made, 5), painter(model, guide, best_of=4)._inpaint(made, 5)
    assert loss(best) <= loss(first)
    np.testing.assert_array_equal(painter(model, guide, best_of=1)._inpaint(made, 5), first)


@pytest.mark.parametrize("settings", [{}, {"solver": "dpm"}, {"guidance": 2.0}, {"guide_scale": 0.3}, {"best_of": 2}])
def test_same_seed_same_bytes_with_every_option(model, made, guide, settings):
    one, other = (painter(model, guide, **settings)._inpaint(made, 9) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert one.tobytes() != painter(model, guide, **settings)._inpaint(made, 10).tobytes()


def test_options_are_in_the_fingerprint_and_those_that_are_off_are_not(model, guide):
    assert isinstance(guide, Guide)
    plain = painter(model).fingerprint
    assert plain == painter(model, guide).fingerprint == "m/4-1-1-0-0"
    others = [painter(model, guide, **s).fingerprint for s in ({"solver": "dpm"}, {"guide_scale": 0.3}, {"best_of": 2}, {"steps": 8})]
    assert len({plain, *others}) == 5
    assert guide.fingerprint in others[1]
    assert guide.fingerprint not in others[0]


def test_options_without_a_guide_or_sense_are_refused(model):
    with pytest.raises(ModelError, match="need a guide"):
        painter(model, best_of=2)
    with pytest.raises(ModelError, match="solver"):
        Sampling(solver="euler")
    with pytest.raises(ModelError, match="1 step"):
        Sampling(steps=0)


def test_weights_under_other_terms_say_so_when_they_are_loaded(tmp_path):
    shutil.copytree(weights_folder() / "phantom" / "inpainter", tmp_path / "mine" / "inpainter")
    (tmp_path / "mine" / "README.md").write_text("---\nlicense: CC-BY-NC-SA-4.0\n---\n# mine\n")
    with pytest.warns(LicenceNotice, match="cc-by-nc-sa-4.0"):
        LGESynthNet.from_pretrained(tmp_path / "mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error", LicenceNotice)
        LGESynthNet.from_pretrained("phantom")


def test_a_stage_of_a_work_folder_paints_like_the_packed_model():
    packed = weights_folder() / "phantom"
    assert LGESynthNet.from_pretrained(packed / "inpainter").fingerprint == LGESynthNet.from_pretrained(packed).fingerprint


def test_without_words_the_caption_changes_nothing_and_with_them_it_does(model, made):
    other = replace(made, caption="Subendocardial enhancement in the basal anterior wall")
    for words, equal in ((False, True), (True, False)):
        one, two = (painter(model, words=words)._inpaint(each, 4) for each in (made, other))
        assert np.array_equal(one, two) is equal
