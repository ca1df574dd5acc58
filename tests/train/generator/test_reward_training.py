"""The reward's stage: what it reaches, what it leaves alone, what it decodes, and that it resumes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_requests import tiny_request

from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.model.autoencoder import build_autoencoder
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet
from lgesynthnet.model.schedule import build_schedule, snr
from lgesynthnet.model.text import build_text_encoder
from lgesynthnet.model_store import fingerprint, weights_folder
from lgesynthnet.reward.base import Target
from lgesynthnet.reward.contrast import RegionContrastReward
from lgesynthnet.reward.segmentation import SegmentationReward
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Prior, RewardKind, Role, Stage, Window
from lgesynthnet.train.generator.autoencoder import latents_of
from lgesynthnet.train.generator.diffusion import DiffusionTask
from lgesynthnet.train.generator.job import GeneratorOptions
from lgesynthnet.train.generator.monitor import MonitorSettings, RewardMonitor
from lgesynthnet.train.generator.novel import novel_condition
from lgesynthnet.train.generator.penalties import brightness_penalty, context_penalty, own_brightness
from lgesynthnet.train.generator.reward import PolicyTask, RewardTask, window_steps
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.packing import pack
from lgesynthnet.train.recipes import RECIPES, StageRecipe
from lgesynthnet.train.segmenters.scar import train_scar_segmenter
from lgesynthnet.train.stages import train_generator

RECIPE = replace(RECIPES["tiny"].reward, batch=3)
STEPS = StageRecipe(steps=4, batch=2, lr=1e-3, warmup=1, checkpoint_every=2)


def made(examples, *, task=RewardTask, frozen_unet=False, recipe=RECIPE, reward=None):
    torch.manual_seed(1)
    unet = build_unet((8, 16, 16), 16)
    model = Inpainter(unet, build_text_encoder(16, 1), build_autoencoder(8), build_schedule(), build_control(unet)).eval()
    diffusion = DiffusionTask(model, examples, latents_of(model.autoencoder, examples), frozen_unet=frozen_unet)
    reward = reward or SegmentationReward(TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "reward", Role.REWARD))
    return model, task(diffusion, reward, recipe)


def only(examples, chosen):
    """The chosen examples and no others."""
    arrays = {name: getattr(examples, name)[chosen] for name in ("image", "labels", "nominal_deg", "brightness")}
    words = {name: [getattr(examples, name)[i] for i in np.flatnonzero(chosen)] for name in ("captions", "wordings", "levels", "patients")}
    return replace(examples, **arrays, **words)


def moved(module):
    return any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


@pytest.mark.parametrize("kind", [RewardTask, PolicyTask])
@pytest.mark.parametrize("frozen_unet", [True, False])
def test_the_reward_reaches_the_control_branch_and_nothing_frozen(examples, kind, frozen_unet):
    model, task = made(examples, task=kind, frozen_unet=frozen_unet, recipe=replace(RECIPE, weight=1.0))
    task.diffusion.loss = lambda rng, batch: torch.zeros(())  # the reward alone
    task.loss(np.random.default_rng(0), 2).backward()
    assert moved(model.control)
    assert moved(model.unet) is not frozen_unet
    assert not moved(model.autoencoder)
    assert not moved(model.text)
    assert not any(moved(network) for network in task.reward.scar_segmenter.networks)


def test_nothing_is_decoded_that_the_reward_does_not_see(examples):
    model, task = made(examples)
    decoded = []
    model.autoencoder.decoder.register_forward_hook(lambda module, inputs, output: decoded.append(len(output)))
    task.loss(np.random.default_rng(0), 6)
    assert decoded == [RECIPE.batch, RECIPE.batch]  # its own estimate, and that of the model before the reward


def test_an_over_fit_batch_earns_a_better_reward(examples):
    _, task = made(examples, reward=RegionContrastReward(), recipe=replace(RECIPE, context=0.0))
    optimizer = torch.optim.Adam([p for p in task.trained.parameters() if p.requires_grad], lr=3e-3)
    seen = []
    for _ in range(25):
        loss = task.reward_loss(np.random.default_rng(7))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(float(loss.detach()))
    assert seen[-1] < 0.8 * seen[0]


def test_the_window_is_set_by_the_signal_to_noise_ratio(examples):
    model, _ = made(examples)
    low, high, everything = (window_steps(model, replace(RECIPE, window=w)) for w in (Window.LOW_NOISE, Window.HIGH_NOISE, Window.ALL))
    ratio = snr(model.schedule).numpy()
    assert ratio[low].min() >= 3 > ratio[high].max()
    assert sorted([*low, *high]) == list(everything)
    assert low.max() < high.min()  # low noise is the end of sampling: the first indices


def test_novel_prescriptions_fall_on_scar_free_slices_inside_their_hidden_region(examples):
    rng, healthy = np.random.default_rng(3), np.flatnonzero(~examples.scarred)
    for _ in range(8):
        one = novel_condition(examples, healthy, rng)
        assert one.scar.any()
        assert one.hidden[one.scar].all()
        assert one.wall[one.scar].all()
        assert one.show_edges or one.hidden[one.wall].all()


@pytest.mark.parametrize("kind", [RewardTask, PolicyTask])
def test_resuming_the_reward_equals_going_straight_through(examples, tmp_path, kind):
    def kill(done, total, loss):
        if done == 3:
            raise KeyboardInterrupt

    straight, task = made(examples, task=kind)
    fit(task, STEPS, tmp_path / "straight", LoopSettings(seed=2, device="cpu"))
    with pytest.raises(KeyboardInterrupt):
        fit(made(examples, task=kind)[1], STEPS, tmp_path / "killed", LoopSettings(seed=2, device="cpu"), on_progress=kill)
    second, task = made(examples, task=kind)
    fit(task, STEPS, tmp_path / "killed", LoopSettings(seed=2, device="cpu"))
    for (name, a), b in zip(straight.control.named_parameters(), second.control.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)


def test_the_monitor_leaves_training_unchanged_and_keeps_the_weights_with_the_best_score(examples, tmp_path):
    filter_ = TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "filter", Role.FILTER)
    straight, task = made(examples)
    fit(task, STEPS, tmp_path / "alone", LoopSettings(seed=2, device="cpu"))
    model, task = made(examples)
    settings = MonitorSettings(steps=10, levels=examples.scar_levels, count=2)
    monitor = RewardMonitor(task, filter_, examples, tmp_path / "watched", settings)
    fit(task, STEPS, tmp_path / "watched", LoopSettings(seed=2, device="cpu"), monitor=monitor, monitor_every=1)
    for a, b in zip(straight.control.parameters(), model.control.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    chosen = monitor.load_best()
    assert [record["step"] for record in monitor.records()] == [1, 2, 3, 4]
    assert chosen["score"] == max(record["score"] for record in monitor.records())
    again = RewardMonitor(task, filter_, examples, tmp_path / "again", settings)
    again(chosen["step"])
    assert again.records()[0]["filter_dice"] == chosen["filter_dice"]


def test_patients_who_all_have_scar_are_monitored_by_repainting_their_own(examples, tmp_path):
    scarred = only(examples, examples.scarred)
    _, task = made(scarred)
    with pytest.raises(InputError, match="no-on-policy"):
        PolicyTask(task.diffusion, task.reward, RECIPE)
    filter_ = TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "filter", Role.FILTER)
    settings = MonitorSettings(steps=2, levels=scarred.scar_levels, count=3)
    monitor = RewardMonitor(task, filter_, scarred, tmp_path, settings)
    monitor(0)
    assert all(condition.scar.any() and condition.hidden[condition.scar].all() for condition in monitor.with_edges)
    assert 0 <= monitor.records()[0]["filter_dice"] <= 1


def test_the_stage_goes_from_control_over_both_halves_to_what_is_packed(cohort, tiny_stages, tmp_path):
    work = tiny_stages.copy_of(*tiny_stages.reports, to=tmp_path / "work")
    train_scar_segmenter(tiny_request(work, cohort), Role.FILTER)
    without = pack(work, tmp_path / "without", card="# tiny\n")
    report = train_generator(tiny_request(work, cohort), Stage.REWARD, GeneratorOptions(scar_segmenters=Path("phantom")))
    assert report["started_from"] == fingerprint(work / "control" / "model", role="inpainter")
    for half in ("offline", "policy"):
        steps = [record["step"] for record in report_lines(work / "reward" / half / "monitor.jsonl")]
        assert steps == [0, 2, 4]
        assert report[half]["chosen"]["step"] in steps
    assert json.loads((work / "reward" / "report.json").read_text())["policy"] == report["policy"]
    assert (work / "reward" / "model" / "conditioning.json").exists()
    assert fingerprint(work / "reward" / "offline" / "model", role="inpainter")
    packed = pack(work, tmp_path / "packed", card="# tiny\n") / "inpainter"
    for part in ("unet", "controlnet"):
        weights = next((work / "reward" / "model" / part).glob("*.safetensors"))
        found, kept, old = (load_file(folder / part / weights.name) for folder in (packed, weights.parent.parent, without / "inpainter"))
        assert all(torch.equal(found[name].float(), kept[name].float()) for name in kept)
        learnt = any(report[half]["chosen"]["step"] for half in ("offline", "policy"))  # else the first weights had the best score
        assert learnt == any(not torch.equal(found[name], old[name]) for name in kept)
    assert (packed / "conditioning.json").read_bytes() == (without / "inpainter" / "conditioning.json").read_bytes()
    # Named as on the command line, and equal to the recipe's own: the same run, so nothing is trained again.
    again = train_generator(
        tiny_request(work, cohort),
        Stage.REWARD,
        GeneratorOptions(scar_segmenters=Path("phantom"), window=Window.LOW_NOISE, kind=RewardKind.SEGMENTATION),
    )
    assert {half: again[half]["chosen"] for half in ("offline", "policy")} == {
        half: report[half]["chosen"] for half in ("offline", "policy")
    }


def test_either_half_of_the_stage_can_be_left_out_and_not_both(cohort, tiny_stages, tmp_path):
    work = tiny_stages.copy_of("control", to=tmp_path / "work")
    report = train_generator(tiny_request(work, cohort), Stage.REWARD, GeneratorOptions(scar_segmenters=Path("phantom"), on_real=False))
    assert "policy" in report
    assert "offline" not in report
    assert sorted(path.name for path in (work / "reward").iterdir() if path.is_dir()) == ["model", "policy"]
    with pytest.raises(ModelError, match="--no-on-real"):
        GeneratorOptions(on_real=False, on_policy=False)


def report_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_scar_of_the_asked_brightness_is_right_and_a_brighter_one_is_as_wrong_as_it_is_bright(examples):
    i = int(np.flatnonzero(examples.scarred)[0])
    target = Target.of([examples.condition(i, np.random.default_rng(0))])
    own = own_brightness(target)
    bright = (target.scar - target.no_reflow) * target.wall
    for more in (0.0, 0.5):
        wrong = brightness_penalty(target.host + more * bright, target, *own)
        torch.testing.assert_close(wrong, torch.full_like(wrong, more), atol=1e-4, rtol=0)
    nothing = replace(target, scar=torch.zeros_like(target.scar), no_reflow=torch.zeros_like(target.scar))
    assert float(brightness_penalty(target.host, nothing, *own)) == 0


def test_a_core_as_bright_as_the_scar_is_wrong_by_its_distance_and_a_tiny_one_by_less(examples):
    i = int(np.flatnonzero(examples.scarred)[0])
    target = Target.of([examples.condition(i, np.random.default_rng(0))])
    seen = target.scar * target.wall * target.hidden
    for pixels, weight in ((30, 1.0), (5, 0.25)):
        core = torch.zeros_like(seen)
        core.view(-1)[torch.nonzero(seen.view(-1))[:pixels, 0]] = 1
        cored = replace(target, no_reflow=core)
        flat = torch.where(seen > 0, 0.6, target.host)
        asked = torch.tensor([0.6]), torch.tensor([0.15])
        assert float(brightness_penalty(flat, cored, *asked)) == pytest.approx(0.45 * weight, abs=1e-5)
        assert float(brightness_penalty(torch.where(core > 0, 0.15, flat), cored, *asked)) == pytest.approx(0, abs=1e-5)


def test_a_dark_line_beside_the_scar_is_wrong_and_other_noise_is_not(examples):
    i = int(np.flatnonzero(examples.scarred)[0])
    target = Target.of([examples.condition(i, np.random.default_rng(0))])

    def penalty(image):
        return float(context_penalty(image, target.host, target))

    assert penalty(target.host) == 0
    assert penalty(target.host + target.scar) == 0  # the scar is not its own surroundings
    beside = torch.nn.functional.max_pool2d(target.scar, 5, stride=1, padding=2) * (1 - target.scar) * target.cavity * target.hidden
    assert beside.sum() > 0
    assert penalty(target.host - 0.3 * beside) > 0.02
    noise = 0.3 * torch.randn(target.host.shape, generator=torch.Generator().manual_seed(0))
    assert penalty(target.host + noise) < 0.5 * penalty(target.host + 0.3)
    assert penalty(target.host - 5 * (1 - target.hidden)) == 0


@pytest.mark.parametrize("kind", [RewardTask, PolicyTask])
def test_what_is_not_scar_is_held_to_the_model_before_the_reward(examples, kind, monkeypatch):
    """With nothing but the context to lose, the first step loses nothing, and a model that was changed is drawn back."""
    condition = type(examples).condition
    monkeypatch.setattr(type(examples), "condition", lambda self, i, rng, drop=None: condition(self, i, rng))  # edges are always shown
    model, task = made(examples, task=kind, recipe=replace(RECIPE, weight=1.0, brightness=0.0, context=1.0))
    task.diffusion.loss = lambda rng, batch: torch.zeros(())
    task.reward = RegionContrastReward()
    task.reward.loss = lambda image, target: torch.zeros(len(image))
    if kind is PolicyTask:
        task._draw_condition = lambda rng: examples.condition(int(np.flatnonzero(examples.scarred)[0]), rng)
    before = float(task.loss(np.random.default_rng(0), 2).detach())
    with torch.no_grad():
        for parameter in model.unet.conv_out.parameters():
            parameter += 0.1
    changed = task.loss(np.random.default_rng(0), 2)
    assert before < 1e-5 < float(changed.detach())
    changed.backward()
    assert not any(parameter.requires_grad for parameter in task.reference.unet.parameters())
    assert moved(model.unet)


def test_some_conditions_repaint_the_own_scar_of_a_slice(examples):
    _, task = made(examples, task=PolicyTask, recipe=replace(RECIPE, own_scars=1.0))
    real = {labels.tobytes() for labels in (examples.labels[examples.scarred] >= 3)}
    for seed in range(4):
        assert task._draw_condition(np.random.default_rng(seed)).scar.tobytes() in real
    _, task = made(examples, task=PolicyTask, recipe=replace(RECIPE, own_scars=0.0))
    assert task._draw_condition(np.random.default_rng(0)).scar.tobytes() not in real


def test_deep_ischaemic_scars_get_a_core_as_often_as_asked_and_others_none(examples):
    healthy = np.flatnonzero(~examples.scarred)
    drawn = [novel_condition(examples, healthy, np.random.default_rng(i), no_reflow=1.0) for i in range(20)]
    assert sum(one.no_reflow.any() for one in drawn) >= 10
    assert all((one.scar | ~one.no_reflow).all() for one in drawn)
    other = [novel_condition(examples, healthy, np.random.default_rng(i), prior=Prior.NON_ISCHAEMIC, no_reflow=1.0) for i in range(10)]
    assert not any(one.no_reflow.any() for one in other)
