"""Training on a tiny phantom cohort: every stage runs, resuming is exact, what is frozen stays frozen, EMA is what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training_requests import tiny_request

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.model.autoencoder import build_autoencoder
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet
from lgesynthnet.model.schedule import build_schedule
from lgesynthnet.model.text import build_text_encoder
from lgesynthnet.phantom.cohort import write_cohort
from lgesynthnet.records import Label
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role, Stage
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.generator.autoencoder import latents_of
from lgesynthnet.train.generator.diffusion import DiffusionTask
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.packing import pack
from lgesynthnet.train.recipes import RECIPES, StageRecipe
from lgesynthnet.train.segmenters.scar import train_scar_segmenter
from lgesynthnet.train.stages import train_generator

STEPS = StageRecipe(steps=8, batch=2, lr=1e-2, warmup=2, checkpoint_every=4)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return open_cohort(write_cohort(tmp_path_factory.mktemp("phantom") / "cohort", patients=3, seed=4))


@pytest.fixture(scope="module")
def examples(cohort, tmp_path_factory):
    return ExampleFile(tmp_path_factory.mktemp("prepared") / "examples.safetensors").build(cohort)


def diffusion(examples, control):
    torch.manual_seed(1)
    autoencoder = build_autoencoder(8)
    unet = build_unet((8, 16, 16), 16)
    model = Inpainter(unet, build_text_encoder(16, 1), autoencoder, build_schedule(), build_control(unet) if control else None)
    return model, DiffusionTask(model, examples, latents_of(autoencoder, examples))


def test_examples_are_in_heart_units_and_described(examples):
    wall, blood = examples.labels == Label.WALL, examples.labels == Label.CAVITY
    assert np.median(examples.image[wall].astype(float)) == pytest.approx(-0.5, abs=0.25)
    assert np.median(examples.image[blood].astype(float)) == pytest.approx(0.5, abs=0.15)
    scarred = (examples.labels >= Label.SCAR).sum((1, 2)) > 60
    assert scarred.any()
    for has_scar, words in zip(scarred, examples.captions, strict=True):
        assert not has_scar or words != "No late enhancement"
    condition = examples.condition(int(np.flatnonzero(scarred)[0]), np.random.default_rng(0))
    assert (condition.hidden[condition.scar]).all()
    assert condition.hidden.sum() > condition.scar.sum()


def test_resuming_after_k_steps_equals_going_straight_through(examples, tmp_path):
    straight, task = diffusion(examples, control=False)
    fit(task, STEPS, tmp_path / "straight", LoopSettings(seed=3, device="cpu"))
    _, task = diffusion(examples, control=False)

    class KilledError(Exception):
        pass

    def kill(done, total, loss):
        if done == 5:  # one step past the checkpoint: what came after it must be done again
            raise KilledError

    with pytest.raises(KilledError):
        fit(task, STEPS, tmp_path / "resumed", LoopSettings(seed=3, device="cpu"), on_progress=kill)
    second, task = diffusion(examples, control=False)
    fit(task, STEPS, tmp_path / "resumed", LoopSettings(seed=3, device="cpu"))
    for (name, a), b in zip(straight.unet.named_parameters(), second.unet.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)
    with pytest.raises(RunError, match="another lr"):
        fit(diffusion(examples, control=False)[1], replace(STEPS, lr=1.0), tmp_path / "resumed", LoopSettings(seed=3, device="cpu"))


def test_text_encoder_and_autoencoder_stay_as_they_are_in_the_control_stage(examples, tmp_path):
    model, task = diffusion(examples, control=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit(task, STEPS, tmp_path / "control", LoopSettings(seed=3, device="cpu"))
    moved = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"control", "unet"}


def test_the_kept_weights_are_the_moving_average(tmp_path):
    class OneWeight:
        def __init__(self):
            self.trained = nn.Linear(1, 1, bias=False)

        def loss(self, rng, batch):
            return (self.trained.weight - 10).square().mean()

    torch.manual_seed(0)
    slow, fast = OneWeight(), OneWeight()
    fit(slow, replace(STEPS, ema_decay=0.999, lr=0.5), tmp_path / "a", LoopSettings(seed=0, device="cpu"))
    fit(fast, replace(STEPS, ema_decay=0.0, lr=0.5), tmp_path / "b", LoopSettings(seed=0, device="cpu"))
    assert abs(slow.trained.weight.item() - 10) > abs(fast.trained.weight.item() - 10)


def test_every_stage_in_order_makes_a_model_that_loads(cohort, tmp_path):
    for stage in (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL):
        report = train_generator(tiny_request(tmp_path / "work", cohort), stage)
        assert report["steps"] == RECIPES["tiny"].stages[stage].steps
    train_scar_segmenter(tiny_request(tmp_path / "work", cohort), Role.FILTER)
    folder = pack(tmp_path / "work", tmp_path / "model", card="# tiny\n")
    assert load_inpainter(folder / "inpainter").control is not None
    for stage in (Stage.BASE, Stage.CONTROL):
        assert (tmp_path / "work" / stage.value / "pictures" / "step-000004.png").is_file()
    for config in folder.rglob("config.json"):
        assert str(tmp_path) not in config.read_text(), config
    assert TrainedScarSegmenter.from_pretrained(folder / "filter").fingerprint.startswith("filter-")


def test_fine_tuning_starts_from_a_model_and_needs_none_of_its_earlier_stages(cohort, tmp_path):
    for stage in (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE, Stage.CONTROL):
        train_generator(tiny_request(tmp_path / "first", cohort), stage)
    report = train_generator(tiny_request(tmp_path / "mine", cohort, init=tmp_path / "first"), Stage.CONTROL)
    assert report["steps"] == RECIPES["tiny"].finetune[Stage.CONTROL].steps
    assert not (tmp_path / "mine" / "base").exists()
    old, new = (load_inpainter(tmp_path / each / "control" / "model") for each in ("first", "mine"))
    far = [float((a - b).detach().abs().max()) for a, b in zip(old.unet.parameters(), new.unet.parameters(), strict=True)]
    assert 0 < max(far) < 0.05  # a few gentle steps away; a fresh U-Net would be far off
    for a, b in zip(old.autoencoder.parameters(), new.autoencoder.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(RunError, match="another origin"):
        train_generator(tiny_request(tmp_path / "mine", cohort, init=tmp_path / "mine"), Stage.CONTROL)
    with pytest.raises(ModelError, match="no generator to start from"):
        train_generator(tiny_request(tmp_path / "other", cohort, init=tmp_path / "nowhere"), Stage.CONTROL)


def test_a_stage_without_the_one_before_it_says_what_to_run(cohort, tmp_path):
    with pytest.raises(ModelError, match="lgesynthnet train text"):
        train_generator(tiny_request(tmp_path / "work", cohort), Stage.BASE)
    train_generator(tiny_request(tmp_path / "work"), Stage.TEXT)
    with pytest.raises(ModelError, match="lgesynthnet train autoencoder"):
        train_generator(tiny_request(tmp_path / "work", cohort), Stage.BASE)


def test_other_data_in_the_same_work_folder_is_refused_and_scar_is_needed(cohort, tmp_path):
    train_generator(tiny_request(tmp_path, cohort, patients=["N003"]), Stage.AUTOENCODER)
    with pytest.raises(RunError, match=r"was made of .*N003; choose another --work"):
        train_generator(tiny_request(tmp_path, cohort), Stage.AUTOENCODER)
    with pytest.raises(InputError, match="no slice with scar"):
        train_generator(tiny_request(tmp_path, cohort, patients=["N003"]), Stage.BASE)
