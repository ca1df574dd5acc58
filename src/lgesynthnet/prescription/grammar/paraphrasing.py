"""Describe the same scar in other words, so that a text encoder learns that they mean the same.

Every wording parses back, but for one in two hundred that `prescribe` refuses as ambiguous ("anterior and inferior septal walls").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lgesynthnet.anatomy.aha import SEGMENTS, WALL_OF
from lgesynthnet.prescription.grammar.vocabulary import DEFAULT_TRANSMURALITY, EXTENT_BINS, PATTERN_WORDS
from lgesynthnet.prescription.grammar.writing import WITHOUT_SCAR
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern, ScarPrescription
from lgesynthnet.records import Level

_FINDINGS = ("enhancement", "late enhancement", "late gadolinium enhancement", "LGE", "hyperenhancement", "scar", "scarring", "fibrosis")
_ISCHAEMIC_FINDINGS = (*_FINDINGS, "infarct", "infarction")
_OBSTRUCTION = ("microvascular obstruction", "MVO", "no-reflow")
_NAMES_OF = {
    "anteroseptal": ("anteroseptal", "antero-septal", "anterior septal"),
    "inferoseptal": ("inferoseptal", "infero-septal", "inferior septal", "posteroseptal"),
    "inferolateral": ("inferolateral", "infero-lateral", "posterolateral", "inferior lateral"),
    "anterolateral": ("anterolateral", "antero-lateral", "anterior lateral"),
    "inferior": ("inferior", "posterior"),
}
_PAIRS = {("anteroseptal", "inferoseptal"): "septal", ("anterolateral", "inferolateral"): "lateral"}
_BEFORE = {Level.BASAL: ("basal",), Level.MID: ("mid", "mid-ventricular", "mid-cavity"), Level.APICAL: ("apical",)}
_AFTER = {
    Level.BASAL: ("at the basal level", "in the basal third"),
    Level.MID: ("at the mid level", "of the mid ventricle", "in the mid third"),
    Level.APICAL: ("at the apical level", "in the apical third"),
}
_FORMS = (
    "{pattern} {finding}{extent_in_brackets} in the {walls}{obstruction}",
    "{pattern} {finding}{obstruction} in the {walls}{extent}",
    "{finding} in the {walls}, {pattern}{extent}{obstruction}",
    "In the {walls}, {pattern} {finding}{extent}{obstruction}",
    "There is {pattern} {finding}{extent} involving the {walls}{obstruction}",
    "{pattern} {finding} of the {walls}{extent}{obstruction}",
)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a caption says about one slice, as classes. Two captions with equal meaning describe the same scar.

    Attributes:
        pattern: None where there is no enhancement.
        extent: index into `EXTENT_BINS`; -1 where there is no enhancement.
        segments: AHA segments at the level of the slice.
        obstruction: whether the caption names a no-reflow core.
    """

    pattern: Pattern | None
    extent: int
    segments: frozenset[int]
    obstruction: bool


def caption_meaning(prescription: ScarPrescription, level: Level) -> Meaning:
    """The meaning of the caption that `write_caption` writes for this prescription at one level."""
    segments = prescription.at(level)
    if not segments:
        return Meaning(pattern=None, extent=-1, segments=frozenset(), obstruction=False)
    return Meaning(
        pattern=prescription.pattern,
        extent=next(i for i, (_, high) in enumerate(EXTENT_BINS) if prescription.transmurality <= high / 100),
        segments=frozenset(segments),
        obstruction=prescription.mvo_share > 0,
    )


def paraphrase(prescription: ScarPrescription, level: Level, rng: np.random.Generator) -> str:
    """Draw a wording of the prescription at one level, from synonyms, word orders and ways to state the extent."""
    slice_meaning = caption_meaning(prescription, level)
    if slice_meaning.pattern is None:
        return _one_of(WITHOUT_SCAR, rng)
    ischaemic = slice_meaning.pattern in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL)
    extent = _extent(slice_meaning.pattern, slice_meaning.extent, rng)
    text = _one_of(_FORMS, rng).format(
        pattern=_one_of(PATTERN_WORDS[slice_meaning.pattern], rng),
        finding=_one_of(_ISCHAEMIC_FINDINGS if ischaemic else _FINDINGS, rng),
        walls=_walls(slice_meaning.segments, level, rng),
        extent_in_brackets=f" ({extent})" if extent else "",
        extent=f", {extent}" if extent else "",
        obstruction=f" with {_one_of(_OBSTRUCTION, rng)}" if slice_meaning.obstruction else "",
    )
    return text[0].upper() + text[1:]


def _extent(pattern: Pattern, which: int, rng: np.random.Generator) -> str:
    low, high = EXTENT_BINS[which]
    default = DEFAULT_TRANSMURALITY[pattern] * 100
    silent = low <= default <= high and rng.random() < 0.25  # the word of the pattern already implies this extent
    if silent or (pattern is Pattern.TRANSMURAL and rng.random() < 0.5):
        return ""
    ceiling = high if pattern is not Pattern.SUBENDOCARDIAL else min(high, int(100 * TRANSMURAL_ABOVE))
    exact = int(rng.integers(max(low, 5), ceiling + 1))
    return _one_of(
        (f"{low}-{high} % transmural", f"{low} to {high} % transmural", f"{exact} % transmural", f"{exact} % of the wall thickness"), rng
    )


def _walls(segments: frozenset[int], level: Level, rng: np.random.Generator) -> str:
    if len(segments) == len(SEGMENTS[level]):
        return f"whole {_one_of(_BEFORE[level], rng)} circumference"
    names = [WALL_OF[s] for s in sorted(segments)]
    for pair, common_name in _PAIRS.items():
        if set(pair) <= set(names) and rng.random() < 0.6:
            names = [common_name, *(name for name in names if name not in pair)]
    words = [_one_of(_NAMES_OF.get(name, (name,)), rng) for name in rng.permutation(names)]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    noun = _one_of(("wall", "segment"), rng) + ("s" if len(words) > 1 else "")
    if rng.random() < 0.6:
        return f"{_one_of(_BEFORE[level], rng)} {listed} {noun}"
    return f"{listed} {noun} {_one_of(_AFTER[level], rng)}"


def _one_of(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
