"""Prepared examples: what is hidden, what is shown, and that a turned heart keeps its words."""

from dataclasses import replace

import numpy as np
import pytest

from lgesynthnet.anatomy.aha import segment_at
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.records import Label, Level
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.examples.roi import Dropout


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    return ExampleFile(folder / "examples.safetensors").build(
        open_cohort(simulate_patients(folder / "cohort", patients=4, seed=4, positive=1.0))
    )


def test_a_turned_or_mirrored_slice_has_its_scar_in_the_same_segments(examples):
    turned, n = examples.in_all_views(), len(examples)
    assert len(turned) == 8 * n
    for i in np.flatnonzero(examples.scarred)[:6]:
        segments = [
            np.bincount(segment_at(e.nominal_deg[j][e.labels[j] >= Label.SCAR], Level.MID), minlength=17)
            for e, j in ((examples, i), *((turned, i + k * n) for k in range(8)))
        ]
        assert all((other == segments[0]).all() for other in segments)
        assert not np.array_equal(turned.image[i], turned.image[i + n])
        assert turned.captions[i + 5 * n] == examples.captions[i]


def test_without_edges_the_hidden_region_is_mostly_the_whole_wall(examples):
    rng = np.random.default_rng(0)
    i = int(np.flatnonzero(examples.scarred)[0])
    shown = [examples.condition(i, rng, Dropout(edges=0.0)) for _ in range(60)]
    alone = [examples.condition(i, rng, Dropout(edges=1.0)) for _ in range(60)]

    def whole(made):
        return np.mean([c.hidden[c.wall].all() for c in made])

    assert all(c.show_edges for c in shown)
    assert not any(c.show_edges for c in alone)
    assert whole(shown) < 0.4 < 0.65 < whole(alone)


def test_each_condition_is_dropped_as_often_as_asked(examples):
    rng = np.random.default_rng(1)
    i = int(np.flatnonzero(examples.scarred)[0])
    made = [examples.condition(i, rng, Dropout(edges=0.3, caption=0.5, caption_alone=0.1, anatomy=0.2)) for _ in range(400)]
    with_edges = [c for c in made if c.show_edges]
    assert np.mean([c.show_edges for c in made]) == pytest.approx(0.7, abs=0.08)
    assert np.mean([c.caption == "" for c in with_edges]) == pytest.approx(0.5, abs=0.08)
    assert np.mean([c.caption == "" for c in made if not c.show_edges]) == pytest.approx(0.1, abs=0.08)
    assert np.mean([not c.show_anatomy for c in with_edges]) == pytest.approx(0.2, abs=0.08)
    assert all(c.show_anatomy for c in made if not c.show_edges)  # words name walls: without the angle they would mean nothing


def test_captions_come_in_other_words_too(examples):
    rng = np.random.default_rng(2)
    i = int(np.flatnonzero(examples.scarred)[0])
    said = {examples.condition(i, rng).caption for _ in range(60)}
    assert examples.captions[i] in said
    assert said <= {examples.captions[i], *examples.wordings[i]}
    assert len(said) > 2
    silent = replace(examples, wordings=[[""] * 4] * len(examples))
    assert "" in {silent.condition(i, rng).caption for _ in range(60)}
