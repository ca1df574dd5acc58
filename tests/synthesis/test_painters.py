"""Which filter judges is the user's choice, and is part of the plan."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import ModelError
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.segmenter.networks import build_network
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.painters import load_painter
from lgesynthnet.synthesis.planning import plan_synthesis
from lgesynthnet.terms import Prior, Role


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A model folder that holds a filter and a reward."""
    folder = tmp_path_factory.mktemp("own")
    for role in (Role.FILTER, Role.REWARD):
        TrainedScarSegmenter([build_network(role, 8)], role, width=8).save(folder / role)
    shutil.copytree(folder / "filter", folder / "work" / "scar-segmenter-filter" / "model")  # as `train scar-segmenter` leaves it
    return folder


def test_a_filter_of_ones_own_judges_in_place_of_the_models(own, hosts):
    request = SynthesisRequest(hosts=CohortSource(root=hosts), model="paste", count=1, prior=Prior.ISCHAEMIC)
    usual = plan_synthesis(request).plan
    for given in (own, own / "filter", own / "work"):
        chosen = plan_synthesis(replace(request, filter=given)).plan
        assert chosen.filter_fingerprint == TrainedScarSegmenter.from_pretrained(own / "filter").fingerprint
        assert chosen.generator_fingerprint == usual.generator_fingerprint
        assert usual.difference(chosen).startswith("filter_fingerprint was ")  # a run does not go on under another judge


def test_only_a_filter_may_filter(own, tmp_path):
    with pytest.raises(ModelError, match="role is reward, not filter"):
        load_painter("paste", filter_folder=own / "reward")
    with pytest.raises(ModelError, match="no usable scar segmenter"):
        load_painter("paste", filter_folder=tmp_path)
