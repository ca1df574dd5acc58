"""Teaching the text encoder: what a batch holds, what counts as a counter-example, and what is hidden from the generator."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_requests import tiny_request

from lgesynthnet.errors import ModelError, RunError
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model.tensors import to_inputs
from lgesynthnet.model.text import build_bert, build_text_encoder, load_text_encoder, save_bert
from lgesynthnet.prescription.grammar.language import NO_ENHANCEMENT
from lgesynthnet.prescription.grammar.paraphrasing import Meaning, caption_meaning
from lgesynthnet.prescription.scar import Pattern
from lgesynthnet.records import Label
from lgesynthnet.terms import Stage
from lgesynthnet.train.examples.roi import Dropout, Examples
from lgesynthnet.train.generator.job import GeneratorOptions
from lgesynthnet.train.generator.text import CaptionTask, attributes, draw_pairs
from lgesynthnet.train.stages import train_generator


@pytest.fixture
def task():
    torch.manual_seed(0)
    return CaptionTask(*build_bert(32, layers=1))


@pytest.fixture(scope="module")
def example():
    """One ring of 1 mm pixels with a scar in its upper quarter and a no-reflow core."""
    rows, cols = np.indices((128, 128)) - 63.5
    away, angle = np.hypot(rows, cols), np.degrees(np.arctan2(-rows, cols)) % 360
    labels = np.where(away < 20, Label.CAVITY, np.where(away < 32, Label.WALL, Label.BACKGROUND)).astype(np.uint8)
    labels[(labels == Label.WALL) & (abs(angle - 90) < 45)] = Label.SCAR
    labels[(labels == Label.SCAR) & (abs(angle - 90) < 15) & (away > 24) & (away < 28)] = Label.NO_REFLOW
    return Examples(
        image=np.zeros((1, 128, 128), np.float16),
        labels=labels[None],
        nominal_deg=angle[None].astype(np.float16),
        brightness=np.full(1, 0.5, np.float32),
        captions=["short"],
        wordings=[["one", "two", "three", "four"]],
        levels=["mid"],
        patients=["P"],
        scar_levels=np.zeros(21, np.float32),
        source="ring",
    )


def test_the_second_half_of_a_batch_are_siblings_of_the_first_that_mean_something_else():
    drawn = draw_pairs(np.random.default_rng(0), 400)
    said = [caption_meaning(*pair) for pair in drawn]
    assert len(drawn) == 400
    assert np.mean([one != other for one, other in zip(said[:200], said[200:], strict=True)]) > 0.9
    assert len(set(said)) > 200  # few scars are drawn twice
    level_kept = [one[1] is other[1] for one, other in zip(drawn[:200], drawn[200:], strict=True)]
    assert np.mean(level_kept) > 0.6


def test_a_meaning_that_is_left_out_is_never_drawn():
    common = {caption_meaning(*pair) for pair in draw_pairs(np.random.default_rng(1), 200)}
    left_out = frozenset(sorted(common, key=repr)[::2])
    drawn = [caption_meaning(*pair) for pair in draw_pairs(np.random.default_rng(1), 200, left_out)]
    assert len(drawn) == 200
    assert not left_out & set(drawn)


def test_a_third_of_the_siblings_lie_in_another_wall_and_are_else_the_same():
    said = [caption_meaning(*pair) for pair in draw_pairs(np.random.default_rng(1), 600)]
    moved = [
        one.segments != other.segments and replace(one, segments=other.segments) == other
        for one, other in zip(said[:300], said[300:], strict=True)
    ]
    assert 0.2 < np.mean(moved) < 0.5


def test_attributes_are_the_classes_that_the_words_name():
    nothing = Meaning(pattern=None, extent=-1, segments=frozenset(), obstruction=False)
    infarct = Meaning(pattern=Pattern.TRANSMURAL, extent=3, segments=frozenset({8, 16}), obstruction=True)
    wanted = attributes([nothing, infarct])
    assert wanted["pattern"].tolist() == [0, 1 + list(Pattern).index(Pattern.TRANSMURAL)]
    assert wanted["extent"].tolist() == [0, 4]
    assert wanted["obstruction"].tolist() == [0.0, 1.0]
    assert [torch.nonzero(row).flatten().tolist() for row in wanted["segments"]] == [[], [7, 15]]


def test_a_batch_seen_again_and_again_is_learnt_and_reaches_every_weight(task):
    optimizer = torch.optim.AdamW(task.trained.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = task.loss(np.random.default_rng(5), 16)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.4 * losses[0]
    assert [name for name, p in task.trained.named_parameters() if p.grad is None] == []


def test_an_equal_meaning_elsewhere_in_the_batch_is_no_counter_example(task):
    vectors = torch.randn(6, 32)
    nobody, everybody = torch.eye(3, dtype=torch.bool), torch.ones(3, 3, dtype=torch.bool)
    assert float(task._contrast(vectors, everybody).detach()) == pytest.approx(0, abs=1e-6)  # nothing is left to be told apart
    assert float(task._contrast(vectors, nobody).detach()) > 0.5


def test_a_batch_knows_which_of_its_scars_are_the_same():
    seen = []

    class Recorded(CaptionTask):
        def _contrast(self, vectors, same):
            seen.append(same)
            return super()._contrast(vectors, same)

    Recorded(*build_bert(16, layers=1)).loss(np.random.default_rng(0), 160)
    said = [caption_meaning(*pair) for pair in draw_pairs(np.random.default_rng(0), 160)]
    healthy = np.array([one.pattern is None for one in said])
    assert healthy.sum() > 1
    assert seen[0][np.ix_(healthy, healthy)].all()
    assert not seen[0][np.ix_(healthy, ~healthy)].any()
    assert seen[0].diagonal().all()


def test_words_are_dropped_as_often_as_asked(example):
    rng = np.random.default_rng(0)

    def shares(drop):
        made = [example.condition(0, rng, drop) for _ in range(600)]
        return (
            np.mean([m.caption == "" for m in made]),
            np.mean([not m.show_edges for m in made]),
            np.mean([not m.show_anatomy for m in made]),
        )

    assert shares(Dropout()) == (0, 0, 0)
    assert shares(None) == (0, 0, 0)
    silent, no_edges, no_anatomy = shares(Dropout(edges=0.3, caption=0.5, caption_alone=0.1, anatomy=0.2))
    assert silent == pytest.approx(0.7 * 0.5 + 0.3 * 0.1, abs=0.06)
    assert no_edges == pytest.approx(0.3, abs=0.06)
    assert no_anatomy == pytest.approx(0.7 * 0.2, abs=0.05)


def test_two_captions_in_five_are_in_other_words(example):
    rng = np.random.default_rng(0)
    said = [example.condition(0, rng).caption for _ in range(600)]
    assert set(said) == {"short", "one", "two", "three", "four"}
    assert np.mean([words != "short" for words in said]) == pytest.approx(0.4, abs=0.06)


def test_without_edges_the_model_sees_none_and_mostly_the_whole_wall_is_hidden(example):
    rng, text = np.random.default_rng(0), build_text_encoder(16, 1)
    made = [example.condition(0, rng, Dropout(edges=1.0, anatomy=1.0)) for _ in range(100)]
    inputs = to_inputs(made, text)
    assert not inputs.control[:, :2].any()
    assert inputs.control[:, 2:4].flatten(2).any(dim=2).all()  # anatomy is never dropped as well, or nothing would say where
    assert np.mean([m.hidden[m.wall].all() for m in made]) > 0.75
    assert to_inputs([example.condition(0, rng)], text).control[:, 0].any()


def test_dropped_anatomy_leaves_no_wall_cavity_or_angle_in_the_models_inputs(example):
    rng, text = np.random.default_rng(0), build_text_encoder(16, 1)
    shown, dropped = (to_inputs([example.condition(0, rng, drop)], text) for drop in (Dropout(), Dropout(anatomy=1.0)))
    assert all(channel.any() for channel in shown.context[0, 17:])
    assert not dropped.context[0, 17:].any()
    assert not dropped.control[0, 2:4].any()
    assert dropped.control[0, 0].any()  # edges stay
    assert dropped.context[0, 16].any()  # and so does the hidden region


def test_the_text_stage_needs_no_data_and_leaves_an_encoder_that_loads(tmp_path):
    report = train_generator(tiny_request(tmp_path), Stage.TEXT)
    bert, tokenizer = load_text_encoder(tmp_path / "text" / "model")
    assert report["steps"] == 4
    assert bert.config.hidden_size == 16
    assert tokenizer.tokenize(NO_ENHANCEMENT) == ["no", "late", "enhancement"]


def test_the_base_stage_takes_any_bert_freezes_it_and_refuses_to_go_on_with_another(cohort, tiny_stages, tmp_path):
    torch.manual_seed(3)
    bert, tokenizer = build_bert(24, layers=1)  # no width of the recipe
    save_bert(bert, tokenizer, tmp_path / "other")
    work = tiny_stages.copy_of("autoencoder", to=tmp_path / "work")
    with pytest.raises(ModelError, match="lgesynthnet train text"):
        train_generator(tiny_request(work, cohort), Stage.BASE)
    report = train_generator(tiny_request(work, cohort), Stage.BASE, GeneratorOptions(text=tmp_path / "other"))
    assert report["text"] == str(tmp_path / "other")
    model = load_inpainter(work / "base" / "model", base=True)
    assert model.text.projection.in_features == 24
    for name, parameter in bert.named_parameters():
        torch.testing.assert_close(model.text.bert.get_parameter(name), parameter.half().float(), rtol=0, atol=0, msg=name)
    train_generator(tiny_request(work), Stage.TEXT)
    with pytest.raises(RunError, match="another text"):
        train_generator(tiny_request(work, cohort), Stage.BASE)
    assert train_generator(tiny_request(work, cohort), Stage.CONTROL)["steps"] == 4
