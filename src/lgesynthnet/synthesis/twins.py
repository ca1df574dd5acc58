"""The twin of a sample: the same slice without the painted scar, so that a pair differs in the scar alone."""

from __future__ import annotations

from lgesynthnet.conditioning.edit import remove_scar
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.quality.verdict import Rules
from lgesynthnet.run.sample_files import Twin
from lgesynthnet.synthesis.judging import judge
from lgesynthnet.synthesis.painters import Painter
from lgesynthnet.terms import Edit


def make_twin(painter: Painter, sample: SyntheticSample, rules: Rules) -> tuple[Twin, str | None]:
    """The twin, and what is wrong with it; None where nothing is.

    Where scar was added or removed, the twin is the host; of a removal, the twin is the one with scar. Where scar was moved or replaced,
    the host's scar is removed with the same seed, and the result must pass as a removal.
    """
    host = sample.host
    if sample.edit in (Edit.ADD, Edit.REMOVE):
        return Twin(image=host.slice_.image, labels=host.slice_.labels), None
    healed = painter.generator.apply(host, remove_scar(host), seed=sample.seed)
    verdict = judge(healed, painter.filter, rules)
    return Twin(image=healed.image, labels=healed.labels), None if verdict.kept else verdict.explain()
