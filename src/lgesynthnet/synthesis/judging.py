"""The filter looks at a sample: it reads the scar without knowing the answer, and the verdict compares the two."""

from __future__ import annotations

from lgesynthnet.conditioning.heart import StackSample
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.quality.stack_verdict import StackVerdict, judge_slices
from lgesynthnet.quality.verdict import Rules, Verdict, inspect
from lgesynthnet.records import Label, Labels, ShortAxisSlice, scar_of
from lgesynthnet.segmenter.base import ScarSegmenter


def judge(sample: SyntheticSample, filter_: ScarSegmenter, rules: Rules | None = None) -> Verdict:
    """The verdict of a filter on one sample.

    >>> verdict = judge(sample, load_filter("phantom"))
    >>> verdict.kept, verdict.explain()

    Args:
        rules: limits of every test; None takes the defaults, see `quality.verdict.Rules`.
    """
    return reading_and_verdict(sample, filter_, rules)[1]


def judge_stack(sample: StackSample, filter_: ScarSegmenter, rules: Rules | None = None) -> StackVerdict:
    """The verdict of a filter on one painted heart.

    Args:
        rules: see `judge`.
    """
    rules = rules or Rules()
    return judge_slices({index: judge(painted, filter_, rules) for index, painted in sample.samples.items()}, rules)


def reading_and_verdict(sample: SyntheticSample, filter_: ScarSegmenter, rules: Rules | None = None) -> tuple[Labels, Verdict]:
    """What a filter reads in one sample, and its verdict.

    Where a scar is prescribed, the reading is a sensitive one, see `Rules`; what is left of removed scar is read as usual.
    """
    rules = rules or Rules()
    sensitive = rules.sensitive and bool(sample.intended.any())
    read = read_back(filter_, sample, sensitive=sensitive)
    left = scar_of(read_back(filter_, sample)) if sensitive and sample.removed.any() else None
    return read, inspect(sample, scar_of(read), rules, left=left)


def read_back(segmenter: ScarSegmenter, sample: SyntheticSample, *, sensitive: bool = False) -> Labels:
    """The scar that a segmenter reads in a sample when it is shown the wall and the cavity, but no scar label."""
    labels = sample.labels.copy()
    labels[scar_of(labels)] = Label.WALL
    host = sample.host.slice_
    shown = ShortAxisSlice(patient=host.patient, index=host.index, image=sample.image, labels=labels, spacing_mm=host.spacing_mm)
    return segmenter.read(shown, sensitive=sensitive)
