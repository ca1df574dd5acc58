"""Training scar segmenters: whom each role learns from, what a batch costs, members that resume, and a start from another's weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.files.manifest import MANIFEST, FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_json
from lgesynthnet.records import Label
from lgesynthnet.segmenter.networks import build_network
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role
from lgesynthnet.train.augment.roi import augmented
from lgesynthnet.train.examples.roi import Examples
from lgesynthnet.train.generator.job import scar_segmenter_folder
from lgesynthnet.train.packing import pack_parts
from lgesynthnet.train.recipes import RECIPES, recipe_named
from lgesynthnet.train.segmenters.scar import (
    ScarSegmenterSettings,
    ScarSegmenterTask,
    calibrate,
    fit_scar_segmenter,
    scar_segmentation_loss,
    to_stack,
    training_patients,
)

SPLITS = {"train": ["P1", "N1"], "val": ["P2"], "audit": ["P3"], "test": ["P4"]}
TINY = recipe_named("tiny").scar_segmenters


def settings(role, **changed):
    return ScarSegmenterSettings(**{"role": role, "recipe": TINY[role], "device": "cpu", **changed})


@pytest.fixture(scope="module")
def examples():
    """Twelve rings of 1 mm pixels; the first six have a bright quarter."""
    rows, cols = np.indices((128, 128)) - 63.5
    away, angle = np.hypot(rows, cols), np.degrees(np.arctan2(rows, cols))
    labels = np.where(away < 20, Label.CAVITY, np.where(away < 30, Label.WALL, Label.BACKGROUND)).astype(np.uint8)
    scarred = np.where((labels == Label.WALL) & (abs(angle) < 45), Label.SCAR, labels).astype(np.uint8)
    every = np.stack([scarred] * 6 + [labels] * 6)
    image = np.where((every == Label.CAVITY) | (every == Label.SCAR), 0.5, -0.5) + np.random.default_rng(0).normal(0, 0.1, every.shape)
    return Examples(
        image=image.astype(np.float16),
        labels=every,
        nominal_deg=np.zeros(every.shape, np.float16),
        brightness=np.full(12, 0.5, np.float32),
        captions=["ring"] * 12,
        wordings=[["ring"]] * 12,
        levels=["mid"] * 12,
        patients=[f"P{i}" for i in range(6)] + [f"N{i}" for i in range(6)],
        scar_levels=np.zeros(21, np.float32),
        source="rings",
    )


def test_the_auditor_also_learns_from_audit_and_nobody_from_test():
    assert training_patients(Role.FILTER, SPLITS) == training_patients(Role.REWARD, SPLITS) == ["P1", "N1"]
    assert training_patients(Role.AUDITOR, SPLITS) == ["P1", "N1", "P3"]
    assert training_patients(Role.AUDITOR, {"train": ["P1"]}) == ["P1"]
    assert training_patients(Role.AUDITOR, SPLITS, parts=["audit"]) == ["P3"]
    assert training_patients(Role.FILTER, {}) is None
    for part, why in (("test", "measures"), ("val", "threshold")):
        with pytest.raises(InputError, match=rf's.json: no segmenter is trained on "{part}", which .*{why}'):
            training_patients(Role.AUDITOR, SPLITS, parts=["audit", part], place="s.json")
    with pytest.raises(InputError, match="no part audits; it has train"):
        training_patients(Role.AUDITOR, SPLITS, parts=["audits"])
    with pytest.raises(InputError, match='no part "train" to train on; it has test'):
        training_patients(Role.FILTER, {"test": ["P4"]})


def test_slices_without_scar_do_not_drown_the_one_that_has_it(examples):
    """A faint doubt everywhere on seven healthy slices must cost less than missing the scar of the eighth.

    Dice averaged over slices pins the loss near 7/8 whatever is done on the eighth, and its slope there is an eighth.
    """
    stack, target = to_stack(examples, np.array([0, *range(6, 12), 6]))
    wall = stack[:, 2] > 0.5

    def loss(on_scar, elsewhere):
        scar = torch.where(target == 1, on_scar, elsewhere)
        return float(scar_segmentation_loss(torch.log(torch.stack([1 - scar, scar * 0.999, scar * 0.001], dim=1)), target, wall))

    assert loss(0.99, 0.01) < 0.25
    assert loss(0.01, 0.01) > 4 * loss(0.99, 0.01)
    assert loss(0.99, 0.01) - loss(0.99, 1e-4) < 0.25 * (loss(0.01, 0.01) - loss(0.99, 0.01))


def test_half_of_every_batch_is_rehearsed_and_half_of_that_is_scarred(examples):
    """The rehearsed patients have brighter blood, so each slice of a batch can be told by it."""
    others = replace(examples, image=(examples.image + np.float16(4)).astype(np.float16), fingerprint="others")
    seen = []

    class Watching(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def forward(self, stack):
            seen.extend((stack[:, :1].flatten(1).median(dim=1).values > 1.5).tolist())
            return torch.zeros(len(stack), 3, 128, 128) + self.weight

    task = ScarSegmenterTask(Watching(), examples, rehearsed=others, strength=0.0)
    for seed in range(5):
        task.loss(np.random.default_rng(seed), 8)
    assert seen == ([False] * 4 + [True] * 4) * 5


def test_other_rehearsed_patients_make_another_training(examples, tmp_path):
    others = replace(examples, fingerprint="others")
    without = fit_scar_segmenter(examples, tmp_path / "without", settings(Role.FILTER))
    first = fit_scar_segmenter(examples, tmp_path / "first", settings(Role.FILTER), rehearsed=others)
    assert first["settings"] != without["settings"]
    assert fit_scar_segmenter(examples, tmp_path / "first", settings(Role.FILTER), rehearsed=others)["settings"] == first["settings"]
    with pytest.raises(RunError):
        fit_scar_segmenter(examples, tmp_path / "first", settings(Role.FILTER), rehearsed=replace(others, fingerprint="still others"))


def test_half_of_every_batch_is_scarred_however_rare_scar_is(examples):
    rare = replace(
        examples,
        image=examples.image[5:],
        labels=examples.labels[5:],
        nominal_deg=examples.nominal_deg[5:],
        brightness=examples.brightness[5:],
        captions=examples.captions[5:],
        patients=examples.patients[5:],
    )
    seen = []

    class Watching(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(1))

        def forward(self, stack):
            bright = (stack[:, 0] > 0) & (stack[:, 2] > 0.5)
            seen.extend((bright.sum((1, 2)) > 100).tolist())
            return torch.zeros(stack.shape) + self.bias

    ScarSegmenterTask(Watching(), rare, strength=0.0).loss(np.random.default_rng(0), 64)
    assert 0.3 < np.mean(seen) < 0.7  # one in seven by chance


def test_augmentation_moves_image_and_truth_together(examples):
    stack, target = to_stack(examples, np.arange(6))
    moved, truth = augmented(stack, target, np.random.default_rng(1), strength=1.5)
    for image, mask, before in zip(moved, truth, target, strict=True):
        assert mask.sum() > 0.4 * before.sum()
        assert image[0][mask > 0].mean() > image[0][(image[2] > 0.5) & (mask == 0)].mean() + 0.3
        assert (image[2][mask > 0] > 0.5).float().mean() > 0.95
    assert not torch.equal(moved[0, 0], moved[1, 0])


@pytest.mark.parametrize("role", Role)
def test_every_role_learns_the_bright_quarter(role, examples, tmp_path):
    recipe = replace(TINY[role], train=replace(TINY[role].train, steps=40, lr=5e-3, ema_decay=0.8), augmentation=0.3, views=1)
    report = fit_scar_segmenter(examples, tmp_path, ScarSegmenterSettings(role=role, recipe=recipe, device="cpu"))
    assert report["dice"] > 0.6
    segmenter = TrainedScarSegmenter.from_pretrained(tmp_path / "model", role)
    assert segmenter.threshold == report["threshold"]
    written = json.loads((tmp_path / "model" / "calibration.json").read_text())
    assert written["on"] == "training"
    assert calibrate(segmenter, examples) | {"on": "training"} == written


def test_members_resume_one_by_one_and_read_as_if_never_stopped(examples, tmp_path):
    def run(folder, **how):
        return fit_scar_segmenter(examples, folder, settings(Role.FILTER, members=2, seed=7), **how)

    class KilledError(Exception):
        pass

    steps = []

    def kill(done, total, loss):
        steps.append(done)
        if len(steps) == 7:  # the second member's third step, one after its checkpoint
            raise KilledError

    run(tmp_path / "straight")
    with pytest.raises(KilledError):
        run(tmp_path / "resumed", on_progress=kill)
    steps.clear()
    run(tmp_path / "resumed", on_progress=lambda done, total, loss: steps.append(done))
    assert steps == [3, 4]
    for name in ("config.json", "model.safetensors", "calibration.json"):
        assert (tmp_path / "straight" / "model" / name).read_bytes() == (tmp_path / "resumed" / "model" / name).read_bytes()
    one, two = TrainedScarSegmenter.from_pretrained(tmp_path / "straight" / "model").networks
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    alone = tmp_path / "alone"
    fit_scar_segmenter(examples, alone, settings(Role.FILTER, seed=8))
    ours, pair = (load_file(folder / "model" / "model.safetensors") for folder in (alone, tmp_path / "straight"))
    assert all(torch.equal(value, pair["1" + name[1:]]) for name, value in ours.items())


def test_a_start_from_other_weights_starts_there_and_is_remembered(examples, tmp_path):
    torch.manual_seed(1)
    TrainedScarSegmenter([build_network(Role.FILTER, 8)], Role.FILTER, width=8).save(tmp_path / "init")
    still = replace(TINY[Role.FILTER], finetune=replace(TINY[Role.FILTER].finetune, lr=0.0))
    report = fit_scar_segmenter(examples, tmp_path / "work", settings(Role.FILTER, recipe=still, init=tmp_path / "init"))
    assert (tmp_path / "work/model/model.safetensors").read_bytes() == (tmp_path / "init/model.safetensors").read_bytes()
    assert report["started_from"] == TrainedScarSegmenter.from_pretrained(tmp_path / "init").fingerprint
    with pytest.raises(RunError, match="another lr, origin"):
        fit_scar_segmenter(examples, tmp_path / "work", settings(Role.FILTER, recipe=still))
    with pytest.raises(ModelError, match="role is filter, not auditor"):
        fit_scar_segmenter(examples, tmp_path / "other", settings(Role.AUDITOR, init=tmp_path / "init"))
    wide = settings(Role.FILTER, recipe=RECIPES["cpu"].scar_segmenters[Role.FILTER], init=tmp_path / "init")
    with pytest.raises(ModelError, match="has width 8, this recipe trains width 24"):
        fit_scar_segmenter(examples, tmp_path / "other", wide)


def test_packed_segmenters_keep_their_fingerprints_and_the_folder_its_licence(examples, tmp_path):
    work, out = tmp_path / "work", tmp_path / "out"
    with pytest.raises(ModelError, match="nothing is trained yet"):
        pack_parts(work, out)
    for role in (Role.REWARD, Role.AUDITOR):
        report = fit_scar_segmenter(examples, work / scar_segmenter_folder(role), settings(role))
        (work / scar_segmenter_folder(role) / "report.json").write_text(json.dumps(report))
    with claimed(out, FolderKind.MODEL):
        write_json(out / "reports.json", {"control": {"steps": 3}})  # of the model that the segmenters join
    (out / "LICENSE").write_text("of the data")
    pack_parts(work, out)
    assert {path.name for path in out.iterdir() if path.name != ".lock"} == {"LICENSE", "reports.json", "reward", "auditor", MANIFEST}
    assert set(json.loads((out / "reports.json").read_text())) == {"control", "scar-segmenter-reward", "scar-segmenter-auditor"}
    for role in (Role.REWARD, Role.AUDITOR):
        trained = TrainedScarSegmenter.from_pretrained(work / scar_segmenter_folder(role) / "model", role)
        assert TrainedScarSegmenter.from_pretrained(out / role.value, role).fingerprint == trained.fingerprint
