"""Damaged and hostile model folders: each is refused in one line, or what it holds is whole and has another fingerprint."""

import json
import resource
import shutil
import signal
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lgesynthnet.errors import ModelError
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.generate.spade import SpadePainter
from lgesynthnet.model.checkpoint import save_inpainter
from lgesynthnet.model.spade import Spade, SpadeSize, save_spade
from lgesynthnet.model_store import patients_behind
from lgesynthnet.segmenter.heart import HeartSegmenter, build_heart_segmenter
from lgesynthnet.segmenter.networks import build_network
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.painters import load_painter
from lgesynthnet.terms import Context, Role
from tests.model.mutations import mutate
from tests.model.test_staged_model import tiny_model

SECONDS = 20  # a load takes 0.1
MEMORY_KB = 2**20


def build_tiny_model(folder: Path) -> Path:
    """A model folder with every kind of network, each as small as it can be."""
    inpainter = folder / "inpainter"
    inpainter.mkdir(parents=True)
    save_inpainter(tiny_model(), inpainter)
    (inpainter / "conditioning.json").write_text(json.dumps({"scar_levels": [0.0, 0.5, 1.0]}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\nTiny.\n")
    (folder / "reports.json").write_text(json.dumps({"control": {"names": ["P1"]}}))
    for role in (Role.FILTER, Role.REWARD):
        (folder / role).mkdir()
        TrainedScarSegmenter([build_network(role, 8)] * 2, role, width=8, views=2).save(folder / role)
        (folder / role / "calibration.json").write_text(json.dumps({"threshold": 0.5}))
    for name in ("heart-segmenter", "spade-full"):
        (folder / name).mkdir()
    HeartSegmenter(build_heart_segmenter((4, 8, 8)), (4, 8, 8)).save(folder / "heart-segmenter")
    save_spade(Spade(SpadeSize(context=Context.FULL, widths=(8, 4), hidden=(4, 4), noise=4)), folder / "spade-full")
    return folder


def load(folder: Path, file: str) -> str:
    """Load what a file belongs to; returns the fingerprints."""
    match file.split("/")[0]:
        case "reward":
            return TrainedScarSegmenter.from_pretrained(folder / "reward", Role.REWARD).fingerprint
        case "heart-segmenter":
            return HeartSegmenter.from_pretrained(folder / "heart-segmenter").fingerprint
        case "spade-full":
            return SpadePainter.from_pretrained(folder, Context.FULL).fingerprint
        case "filter":
            return load_painter("paste", filter_folder=folder).filter.fingerprint
        case "reports.json":
            return str(patients_behind(folder))
        case _:
            return LGESynthNet.from_pretrained(folder).fingerprint


@cache
def undamaged(folder: Path, part: str) -> str:
    """The fingerprints of the sound model."""
    return load(folder, part)


@contextmanager
def limited():
    """No hang, and no large memory."""

    def too_long(*_):
        raise TimeoutError(f"no answer in {SECONDS} s")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    old = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KB


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def check(tiny: Path, place: Path, seed: int) -> str:
    folder = place / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny, folder)
    mutation = mutate(folder, seed)
    refusal = own = None
    with limited():
        try:
            own = load(folder, mutation.file)
        except ModelError as fault:
            refusal = str(fault)
    assert not list(folder.rglob("canary")), mutation
    if refusal is not None:
        assert len(refusal.splitlines()) == 1, mutation
        assert len(refusal) < 1500, mutation
        assert str(folder) in refusal, mutation
        return "refused"
    assert not mutation.fatal, mutation
    if mutation.file == "reports.json":  # it names patients, and what does not name them is "unknown", which is refused where it matters
        return "loaded"
    is_used = mutation.file != "README.md"
    is_same = (tiny / mutation.file).read_bytes() == (folder / mutation.file).read_bytes() if (folder / mutation.file).is_file() else False
    assert (own != undamaged(tiny, mutation.file.split("/")[0])) == (is_used and not is_same), mutation
    return "loaded"


def fuzz(examples: int):
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@fuzz(20)
@given(seed=st.integers(0, 10**9))
def test_a_damaged_model_is_refused_in_one_line_or_has_another_fingerprint(tiny, tmp_path_factory, seed):
    check(tiny, tmp_path_factory.getbasetemp(), seed)


@pytest.mark.long
def test_two_hundred_damaged_models(tiny, tmp_path):
    outcomes = [check(tiny, tmp_path, seed) for seed in range(200)]
    assert outcomes.count("refused") > 120
    assert outcomes.count("loaded") > 14  # or everything is refused, the sound ones too


def test_the_tiny_model_loads(tiny):
    for part in ("inpainter", "filter", "reward", "heart-segmenter", "spade-full"):
        assert load(tiny, f"{part}/x")
