"""Everything that a training touches is on the device of its network: each stage trains on a second device that refuses others' tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from second_device import second_device
from training_requests import tiny_request

from lgesynthnet import devices
from lgesynthnet.errors import InputError
from lgesynthnet.terms import Context, Role, Stage
from lgesynthnet.train.loop import LoopSettings, _Loop
from lgesynthnet.train.recipes import RECIPES
from lgesynthnet.train.segmenters.heart import train_heart_segmenter
from lgesynthnet.train.segmenters.scar import train_scar_segmenter
from lgesynthnet.train.spade import train_spade
from lgesynthnet.train.stages import train_generator

EARLIER = ("autoencoder", "text", "base", "control")


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The second device, which every request then gets."""
    chosen = devices.usable_device
    with second_device() as device:
        for module in list(sys.modules.values()):
            if getattr(module, "usable_device", None) is chosen:
                monkeypatch.setattr(module, "usable_device", lambda name: device)
        yield device


class OneLayer:
    def __init__(self) -> None:
        self.trained = torch.nn.Linear(3, 1)

    def loss(self, rng: np.random.Generator, batch: int) -> torch.Tensor:
        x = torch.from_numpy(rng.standard_normal((batch, 3), dtype=np.float32)).to(next(self.trained.parameters()).device)
        return (self.trained(x) - 1).square().mean()


def test_the_second_device_refuses_tensors_of_the_cpu() -> None:
    with second_device() as device:
        layer = torch.nn.Linear(3, 1).to(device)
        assert float(layer(torch.ones(2, 3).to(device)).detach().sum()) != 0
        with pytest.raises(RuntimeError, match="two devices meet"):
            layer(torch.ones(2, 3))


def test_optimiser_and_averaged_weights_are_where_the_network_is_also_after_a_resume(other: torch.device, tmp_path: Path) -> None:
    recipe = replace(RECIPES["tiny"].stages[Stage.TEXT], checkpoint_every=1)
    first = _Loop(OneLayer(), recipe, tmp_path / "a", LoopSettings(seed=0, device="cuda"))
    first.advance()
    first.save()
    second = _Loop(OneLayer(), recipe, tmp_path / "a", LoopSettings(seed=0, device="cuda"))
    assert second.step == 1
    second.advance()
    for loop in (first, second):
        moments = [state[name] for state in loop.optimizer.state_dict()["state"].values() for name in ("exp_avg", "exp_avg_sq")]
        assert len(moments) == 4
        assert {tensor.device for tensor in [*loop.parameters, *loop.ema.shadow_params, *moments]} == {other}


TRAININGS: dict[str, Callable[..., dict[str, object]]] = {
    "text": lambda request: train_generator(request, Stage.TEXT),
    "autoencoder": lambda request: train_generator(request, Stage.AUTOENCODER),
    "base": lambda request: train_generator(request, Stage.BASE),
    "control": lambda request: train_generator(request, Stage.CONTROL),
    "reward": lambda request: train_generator(request, Stage.REWARD),
    "scar-segmenter": lambda request: train_scar_segmenter(request, Role.FILTER),
    "heart-segmenter": train_heart_segmenter,
    "spade": lambda request: train_spade(request, Context.FULL),
}
SHORT = ("text", "control", "scar-segmenter")


@pytest.mark.parametrize("stage", [pytest.param(stage, marks=[] if stage in SHORT else [pytest.mark.long]) for stage in TRAININGS])
def test_every_stage_trains_on_the_second_device(stage, other, cohort, tiny_stages, monkeypatch, tmp_path):
    short = replace(RECIPES["tiny"].reward, monitor_every=4, policy_steps=2, batch=1)
    monkeypatch.setitem(RECIPES, "tiny", replace(RECIPES["tiny"], reward=short))
    earlier = EARLIER[: EARLIER.index(stage)] if stage in EARLIER else EARLIER
    work = tiny_stages.copy_of(*earlier, to=tmp_path / "work")
    report = TRAININGS[stage](tiny_request(work, cohort, device="cuda"))
    assert report["stage"] == stage or stage == "spade"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("train", TRAININGS.values(), ids=TRAININGS)
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(train, cohort, tmp_path):
    with pytest.raises(InputError, match="--device cuda"):
        train(tiny_request(tmp_path / "work", cohort, device="cuda"))
    assert not (tmp_path / "work").exists()
