"""Training the segmenter: what is not labelled is not punished, the heart survives the randomisation, scores have units."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_requests import tiny_request

from lgesynthnet.errors import InputError, ModelError, RunError
from lgesynthnet.records import Label, Stack, wall_of
from lgesynthnet.segmenter.heart import CLASSES, HeartSegmenter, build_heart_segmenter
from lgesynthnet.segmenter.scoring import compare_labels, summary
from lgesynthnet.train.augment import slices as augment_slices
from lgesynthnet.train.examples.slices import CANVAS, read_slice_dataset, write_slice_dataset
from lgesynthnet.train.segmenters.heart import HeartSegmenterTask, heart_segmentation_loss, train_heart_segmenter


def confident(labels, sure=12.0):
    """Logits that say these labels."""
    return sure * torch.nn.functional.one_hot(torch.as_tensor(labels).long(), CLASSES).permute(0, 3, 1, 2).float()


def batch_of(slices, rng_seed=0, b=6):
    index = np.random.default_rng(9).integers(len(slices), size=b)
    image = torch.from_numpy(slices.image[index].astype(np.float32) / 255)[:, None]
    labels = torch.from_numpy(slices.labels[index].astype(np.float32))[:, None]
    where = torch.from_numpy(slices.centre[index]), torch.from_numpy(slices.has_rv[index])
    return augment_slices.randomised_crop(image, labels, *where, np.random.default_rng(rng_seed))


def test_slices_lie_on_the_canvas_with_heart_and_rv(cohort, slices):
    assert slices.image.shape == (len(slices), CANVAS, CANVAS)
    assert slices.has_rv.all()
    stack = next(s for s in cohort.stacks() if isinstance(s, Stack))
    own = [i for i, name in enumerate(slices.patients) if name == stack.patient]
    area_mm2 = (stack.labels == Label.CAVITY).sum() * stack.spacing_mm[0] * stack.spacing_mm[1]
    assert (slices.labels[own] == Label.CAVITY).sum() * 1.5**2 == pytest.approx(area_mm2, rel=0.03)


def test_an_unlabelled_rv_is_no_mistake():
    truth = torch.zeros(2, 16, 16, dtype=torch.long)
    truth[:, 4:8, 4:8] = Label.CAVITY
    says_rv = truth.clone()
    says_rv[:, 10:14, 10:14] = Label.RV
    labelled, not_labelled = (heart_segmentation_loss(confident(says_rv), truth, torch.tensor([known] * 2)) for known in (True, False))
    right = heart_segmentation_loss(confident(truth), truth, torch.tensor([False, False]))
    assert float(not_labelled) == pytest.approx(float(right), abs=1e-3)
    assert float(labelled) > float(right) + 0.2


def test_scar_counts_over_the_batch_so_that_healthy_slices_do_not_teach_silence(ring):
    truth = torch.from_numpy(np.stack([ring()] * 8)).long()
    truth[0, 30:34, 43:47] = Label.SCAR
    silent = torch.where(truth == Label.SCAR, int(Label.WALL), truth)
    everyone = torch.ones(8, dtype=torch.bool)
    missed, found = (float(heart_segmentation_loss(confident(said), truth, everyone)) for said in (silent, truth))
    # The Dice of scar is one of four parts: losing all of it costs a quarter, however many healthy slices stand beside it.
    assert missed - found > 0.2


def test_the_same_draw_gives_the_same_bytes(slices):
    for one, two in zip(batch_of(slices, 5), batch_of(slices, 5), strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(batch_of(slices, 5)[0], batch_of(slices, 6)[0])


def test_image_and_labels_move_together():
    image = torch.full((8, 1, CANVAS, CANVAS), 0.2)
    image[:, :, 100:124, 40:70] = 0.9
    labels = (image > 0.5).float()
    centre = torch.tensor([[112.0, 55.0]] * 8)
    x, target = augment_slices.randomised_crop(image, labels, centre, torch.zeros(8, dtype=torch.bool), np.random.default_rng(0))
    seen = [(a[0][t == 1].mean() - a[0][t == 0].mean()) / a[0].std() for a, t in zip(x, target, strict=True) if (t == 1).sum() > 100]
    assert len(seen) > 4
    assert float(torch.stack(seen).median()) > 1


def test_brighter_stays_brighter_inside_the_heart():
    ramp = torch.linspace(0, 1, 144).expand(16, 1, 144, 144)
    rising = augment_slices.random_gamma_curve(ramp, np.random.default_rng(0), monotone=True).diff(dim=-1)
    assert (rising >= 0).all()
    assert (augment_slices.random_gamma_curve(ramp, np.random.default_rng(0), monotone=False).diff(dim=-1) < 0).any()


def test_new_surroundings_spare_the_heart_and_need_a_known_rv():
    x = torch.rand(16, 1, 144, 144, generator=torch.Generator().manual_seed(0))
    heart = torch.zeros(16, 1, 144, 144, dtype=torch.bool)
    heart[:, :, 50:90, 50:90] = True
    known = torch.arange(16) < 8
    out = augment_slices.randomise_background(x, heart, known, np.random.default_rng(1))
    torch.testing.assert_close(out[:, :, 51:89, 51:89], x[:, :, 51:89, 51:89], rtol=0, atol=0)
    assert torch.equal(out[8:], x[8:])
    assert any(not torch.equal(a, b) for a, b in zip(out[:8], x[:8], strict=True))


def test_a_few_steps_lower_the_loss(slices):
    torch.manual_seed(0)
    task = HeartSegmenterTask(build_heart_segmenter((4, 8, 8)), slices)
    optimizer = torch.optim.AdamW(task.trained.parameters(), lr=1e-2)
    losses = []
    for step in range(24):
        loss = task.loss(np.random.default_rng([0, step]), 2)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3


def test_a_segmenter_is_trained_resumed_and_refined(cohort, tmp_path):
    report = train_heart_segmenter(tiny_request(tmp_path / "a", cohort, validation=cohort))
    assert report["steps"] == 4
    assert {"dice_cavity", "dice_wall", "dice_scar", "false_scar", "threshold"} <= set(report)
    first = (tmp_path / "a/heart-segmenter/model/model.safetensors").read_bytes()
    train_heart_segmenter(tiny_request(tmp_path / "a", cohort, validation=cohort))
    assert (tmp_path / "a/heart-segmenter/model/model.safetensors").read_bytes() == first
    refined = train_heart_segmenter(tiny_request(tmp_path / "b", cohort, init=tmp_path / "a/heart-segmenter/model", seed=5))
    assert refined["steps"] == 2
    assert refined["started_from"] == HeartSegmenter.from_pretrained(tmp_path / "a/heart-segmenter/model").fingerprint
    with pytest.raises(RunError, match="another origin"):  # a folder goes on from where it began, and from nowhere else
        train_heart_segmenter(tiny_request(tmp_path / "b", cohort, init=tmp_path / "b", seed=5))
    weights = [load_file(tmp_path / name / "heart-segmenter/model/model.safetensors") for name in ("a", "b")]
    assert all((weights[0][name].float() - value.float()).abs().max() < 0.01 for name, value in weights[1].items())
    with pytest.raises(ModelError, match=r"filters \(4, 8, 8\)"):
        train_heart_segmenter(tiny_request(tmp_path / "c", cohort, recipe="cpu", init=tmp_path / "a/heart-segmenter/model"))


def test_other_data_in_the_same_work_folder_is_refused_and_scar_is_needed(cohort, tmp_path):
    notes = []
    with pytest.raises(InputError, match="no slice with scar"):
        train_heart_segmenter(tiny_request(tmp_path, cohort, patients=["N003"]))
    train_heart_segmenter(tiny_request(tmp_path, cohort, on_note=notes.append))  # nothing depended on the slices of N003
    assert "N003; it is prepared again" in notes[0]
    with pytest.raises(RunError, match=r"was made of .*all patients; choose another --work .*or delete .*heart-segmenter"):
        train_heart_segmenter(tiny_request(tmp_path, cohort, patients=["N003", "P001"]))


def test_scores_are_by_patient_for_the_heart_by_slice_for_scar_and_in_square_millimetres(ring):
    labels = np.stack([ring()] * 3, axis=2)
    labels[30:34, 43:47, 0] = Label.SCAR
    labels[:, :, 2] = 0  # beyond the heart: says nothing of scar
    stack = Stack(patient="P1", image=np.ones(labels.shape), labels=labels, spacing_mm=(2.0, 1.5), slice_step_mm=8.0)
    perfect = compare_labels(labels, stack)
    assert (perfect.cavity, perfect.wall, perfect.scar, perfect.false_scar_mm2) == (1.0, 1.0, [1.0], [0.0])
    other = labels.copy()
    other[:, :, 0][other[:, :, 0] == Label.SCAR] = Label.WALL
    other[30:34, 43:47, 1] = Label.SCAR
    wrong = compare_labels(other, replace(stack))
    assert (wrong.wall, wrong.scar) == (1.0, [0.0])
    assert wrong.false_scar_mm2 == [16 * 2.0 * 1.5]
    assert summary([perfect, wrong]) == {"dice_cavity": 1.0, "dice_wall": 1.0, "dice_scar": 0.5, "false_scar": 0.5}


def test_the_wall_is_the_same_whatever_of_it_is_scar(cohort, tmp_path):
    stacks = [stack for stack in cohort.stacks() if isinstance(stack, Stack)]
    healthy = [replace(stack, labels=np.where(wall_of(stack.labels), Label.WALL, stack.labels).astype(np.uint8)) for stack in stacks]
    for name, made in (("own", stacks), ("healthy", healthy)):
        write_slice_dataset(made, tmp_path / f"{name}.safetensors", source=name, place=name)
    own, other = (read_slice_dataset(tmp_path / f"{name}.safetensors").labels for name in ("own", "healthy"))
    assert np.array_equal(wall_of(own), wall_of(other))
    assert np.array_equal(own == Label.CAVITY, other == Label.CAVITY)
