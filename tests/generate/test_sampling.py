"""Options of the sampler: solvers agree, every option keeps the seed, and what is off changes nothing."""

import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.conditioning.condition import Condition
from lgesynthnet.errors import LicenceNotice, ModelError
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model_store import weights_folder


@pytest.fixture(scope="module")
def model():
    return load_inpainter(weights_folder() / "phantom" / "inpainter")


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


def painter(model, **settings):
    return LGESynthNet(model, fingerprint="m", sampling=replace(Sampling(grain=False), **settings))


def test_four_network_calls_make_a_sample(model, made):
    calls = []
    handle = model.unet.register_forward_hook(lambda module, inputs, output: calls.append(len(output.sample)))
    painter(model)._repaint(made, 1)
    painter(model, guidance=2.0)._repaint(made, 1)
    handle.remove()
    assert calls[:4] == [1] * 4
    assert calls[4:] == [2] * 4  # with and without caption in one batch


def test_the_control_image_is_embedded_once_and_changes_nothing_by_it(model, made):
    calls = []
    embedding = model.control.controlnet_cond_embedding
    handle = embedding.register_forward_hook(lambda *_: calls.append(1))
    painter(model)._repaint(made, 1)
    handle.remove()
    assert len(calls) == 1
    assert model.control.controlnet_cond_embedding is embedding


def test_both_solvers_walk_to_the_same_picture_when_steps_are_many(model, made):
    few = [painter(model, solver=s, steps=6)._repaint(made, 3) for s in ("ddim", "dpm")]
    many = [painter(model, solver=s, steps=60)._repaint(made, 3) for s in ("ddim", "dpm")]

    def apart(pair):
        return float(np.abs(pair[0] - pair[1])[made.hidden].mean())

    assert apart(many) < 0.5 * apart(few)
    assert apart(many) < 0.08


@pytest.mark.parametrize("settings", [{}, {"solver": "dpm"}, {"guidance": 2.0}, {"words": False}])
def test_same_seed_same_bytes_with_every_option(model, made, settings):
    one, other = (painter(model, **settings)._repaint(made, 9) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert one.tobytes() != painter(model, **settings)._repaint(made, 10).tobytes()


def test_options_are_in_the_fingerprint_and_those_that_are_off_are_not(model):
    plain = painter(model).fingerprint
    assert plain == "m/4-1-1-0-0/blood-3"
    others = [painter(model, **settings).fingerprint for settings in ({"solver": "dpm"}, {"words": False}, {"steps": 8})]
    assert len({plain, *others}) == 4
    assert others[0] == "m/4-1-1-0-0-solver=dpm/blood-3"


def test_options_without_sense_are_refused():
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
        one, two = (painter(model, words=words)._repaint(each, 4) for each in (made, other))
        assert np.array_equal(one, two) is equal
