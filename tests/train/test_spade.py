"""Training the SPADE rivals: turns are kept, resuming is exact, the generator learns, and what is packed paints."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from training_requests import tiny_request

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import ModelError, RunError
from lgesynthnet.generate.rivals import load_rival
from lgesynthnet.model.autoencoder import build_autoencoder
from lgesynthnet.model.spade import Discriminator, Spade, SpadeSize
from lgesynthnet.phantom.cohort import write_cohort
from lgesynthnet.terms import Context
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.packing import pack_parts
from lgesynthnet.train.recipes import RECIPES, StageRecipe
from lgesynthnet.train.spade import SpadeTask, train_spade

STEPS = StageRecipe(steps=4, batch=2, lr=1e-2, warmup=1, checkpoint_every=2)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return open_cohort(write_cohort(tmp_path_factory.mktemp("phantom") / "cohort", patients=2, seed=4))


@pytest.fixture(scope="module")
def examples(cohort, tmp_path_factory):
    return ExampleFile(tmp_path_factory.mktemp("prepared") / "examples.safetensors").build(cohort)


def small(examples, context=Context.FULL, kind=SpadeTask) -> SpadeTask:
    torch.manual_seed(1)
    size = SpadeSize(context=context, widths=(16, 8, 4), hidden=(8, 8, 4), noise=8)
    return kind(Spade(size), Discriminator(context, 4), examples, build_autoencoder(8))


def state(task: SpadeTask) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in task.trained.state_dict().items()}


@pytest.mark.parametrize(("context", "kept"), [(Context.LIMITED, 2), (Context.FULL, 3)])  # the next turn is one player's, and the other's
def test_some_steps_and_the_rest_equal_all_in_one_go(examples, tmp_path, context, kept):
    steps = replace(STEPS, checkpoint_every=kept)
    straight = small(examples, context)
    fit(straight, steps, tmp_path / "straight", LoopSettings(seed=3, device="cpu"))

    class KilledError(Exception):
        pass

    def kill(done, total, loss):
        if done == kept + 1:  # one step past the checkpoint: that turn must come again as it was
            raise KilledError

    with pytest.raises(KilledError):
        fit(small(examples, context), steps, tmp_path / "resumed", LoopSettings(seed=3, device="cpu"), on_progress=kill)
    second = small(examples, context)
    fit(second, steps, tmp_path / "resumed", LoopSettings(seed=3, device="cpu"))
    for name, value in state(straight).items():
        assert torch.equal(value, second.trained.state_dict()[name]), name


def test_each_player_gets_gradients_in_its_own_turn_only(examples):
    task = small(examples)
    for step, mover in ((0, "generator"), (1, "discriminator"), (2, "generator")):
        task.trained.zero_grad(set_to_none=True)
        assert task.learning_rate_share(step) > 0
        task.loss(np.random.default_rng(step), 2).backward()
        for name, player in task.trained.items():
            left = [p.grad is not None and bool(p.grad.any()) for p in player.parameters()]
            assert (sum(left) > 0.8 * len(left)) if name == mover else not any(left), (step, name)
    assert all(p.requires_grad for p in task.trained.parameters())


def test_in_a_turn_only_the_mover_moves(examples, tmp_path):
    task = small(examples)
    seen = [{name: value.detach().clone() for name, value in task.trained.named_parameters()}]

    def look(done, total, loss):
        seen.append({name: value.detach().clone() for name, value in task.trained.named_parameters()})

    fit(task, STEPS, tmp_path, LoopSettings(seed=0, device="cpu"), on_progress=look)
    for step, (before, after) in enumerate(pairwise(seen)):
        moved = {name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
        assert moved == ({"generator"} if step % 2 == 0 else {"discriminator"}), step  # by nothing, not even by weight decay


class OneBatch(SpadeTask):
    """The same batch and the generator's turn at every step; the opponent stands still, so that losses can be compared."""

    def learning_rate_share(self, step):
        self.generates = True
        return 1.0

    def loss(self, rng, batch):
        return super().loss(np.random.default_rng(7), batch)

    def terms(self, *given):
        self.last = super().terms(*given)
        return self.last


def test_a_batch_seen_again_and_again_lowers_the_generators_loss(examples, tmp_path):
    task = small(examples, kind=OneBatch)
    before, terms = float(task.loss(None, 2).detach()), dict(task.last)
    fit(task, replace(STEPS, steps=30, ema_decay=0.0), tmp_path, LoopSettings(seed=0, device="cpu"))
    assert float(task.loss(None, 2).detach()) < 0.75 * before
    for name in ("features", "perceptual"):
        assert task.last[name] < 0.9 * terms[name], name


def test_the_discriminator_learns_to_tell(examples):
    task = small(examples)
    optimizer = torch.optim.Adam(task.discriminator.parameters(), lr=5e-3)
    losses = []
    for step in range(30):
        task.learning_rate_share(1)
        loss = task.loss(np.random.default_rng(step), 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(2.0, abs=0.4)  # knows nothing: both margins are missed by one
    assert np.mean(losses[-5:]) < 1.2


@pytest.fixture(scope="module")
def work(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    for context in Context:
        train_spade(tiny_request(folder, cohort), context)
    return folder


def test_what_is_trained_is_packed_and_paints(cohort, work, tmp_path):
    pack_parts(work, tmp_path / "model")
    marks = set()
    for name in ("spade-limited", "spade-full"):
        assert (work / name / "pictures" / "step-000004.png").is_file()
        assert load_rival(name, work).fingerprint == load_rival(name, tmp_path / "model").fingerprint
        marks.add(load_rival(name, work).fingerprint)
        assert not list((tmp_path / "model").rglob("*.pt"))
    assert len(marks) == 2
    with pytest.raises(ModelError, match="no rival 'gan'"):
        load_rival("gan")
    with pytest.raises(ModelError, match="needs the folder"):
        load_rival("spade-full")


def test_the_report_says_what_was_trained_from_what(cohort, work):
    report = train_spade(tiny_request(work, cohort), Context.FULL)  # again: nothing is left to do
    assert report["stage"] == "spade-full"
    assert report["steps"] == RECIPES["tiny"].spade.train.steps
    assert str(report["perceptual_encoder"]).startswith("autoencoder-")
    assert report["started_from"] is None
    assert {"adversarial", "features", "perceptual", "error_in_hidden"} <= set(report)


def test_a_spade_starts_from_another_and_another_encoder_is_refused(cohort, work, tmp_path):
    report = train_spade(tiny_request(tmp_path, cohort, init=work), Context.FULL)
    assert str(report["started_from"]).startswith("spade-full-")
    with pytest.raises(RunError, match="another origin"):
        train_spade(tiny_request(tmp_path, cohort), Context.FULL)
    with pytest.raises(ModelError, match="holds no autoencoder"):
        train_spade(tiny_request(tmp_path / "new", cohort), Context.FULL, autoencoder=tmp_path / "nowhere")
