"""What a training set was worth: segmentation and detection scores of one or more runs, with seeds and patients resampled together.

Every figure is a function of how often each patient counts, so that one bootstrap serves means, areas under curves and paired differences
alike, and two arms are compared on the same draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from lgesynthnet.evaluate.intervals import draws
from lgesynthnet.segmenter.calibration import FALSE_SCAR_MM2

Weights = Float[np.ndarray, "draws patients"]
# Shares of the wall's probability above which a pixel may be called scar; one half is that of every mask.
THRESHOLDS = tuple(round(0.05 * i, 2) for i in range(1, 20))
HALF = THRESHOLDS.index(0.5)


@dataclass(frozen=True, kw_only=True)
class SliceScore:
    """One test slice read by one trained segmenter.

    Attributes:
        truth_mm2, found_mm2, overlap_mm2: areas of scar (with no-reflow) in the labels, in the reading, in both.
        hd95_mm: 95th percentile of the distances between the two outlines; None unless both hold scar.
        evidence_mm2: probability of scar summed over the wall that was found; the detector's score.
        step_mm: distance to the next slice, so that areas become volumes.
        found_at_mm2, overlap_at_mm2: the same areas at each of `THRESHOLDS`; empty in records of before they were kept.
    """

    patient: str
    index: int
    truth_mm2: float
    found_mm2: float
    overlap_mm2: float
    hd95_mm: float | None
    evidence_mm2: float
    step_mm: float
    found_at_mm2: Sequence[float] = ()
    overlap_at_mm2: Sequence[float] = ()

    @property
    def dice(self) -> float:
        """1 where neither side holds scar, as the published all-slice mean counts it."""
        both = self.truth_mm2 + self.found_mm2
        return 2 * self.overlap_mm2 / both if both else 1.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All test slices of one run, and where validation patients put its detection cut-offs.

    Attributes:
        slice_cut_mm2: a slice with this evidence or more is called scarred.
        patient_cut_ml: a patient with this evidence or more, summed over slices.
    """

    slices: Sequence[SliceScore]
    slice_cut_mm2: float
    patient_cut_ml: float

    def record(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Reading:
        rows: list[dict[str, Any]] = [{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()} for row in record["slices"]]
        return cls(
            slices=[SliceScore(**row) for row in rows],
            slice_cut_mm2=float(record["slice_cut_mm2"]),
            patient_cut_ml=float(record["patient_cut_ml"]),
        )


def cut_off(evidence: Sequence[float], positive: Sequence[bool]) -> float:
    """The cut with the best balanced accuracy, midway between the two values that it parts; of equals, the middle one.

    Raises:
        ValueError: one class is missing, so nothing can be parted.
    """
    scores, truth = np.asarray(evidence, float), np.asarray(positive, bool)
    if truth.all() or not truth.any():
        raise ValueError("a cut-off needs slices or patients with scar and without")
    values = np.unique(scores)
    cuts = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2, [values[-1] + 1e-6]])
    merit = np.array([((scores[truth] >= cut).mean() + (scores[~truth] < cut).mean()) / 2 for cut in cuts])
    best = cuts[np.isclose(merit, merit.max())]
    return float(best[len(best) // 2])


def per_patient(slices: Sequence[SliceScore]) -> dict[str, list[SliceScore]]:
    """Slices by patient, patients in the order of their names."""
    found: dict[str, list[SliceScore]] = {}
    for row in sorted(slices, key=lambda row: (row.patient, row.index)):
        found.setdefault(row.patient, []).append(row)
    return found


def evidence_ml(rows: Sequence[SliceScore]) -> float:
    return sum(row.evidence_mm2 * row.step_mm for row in rows) / 1000


def burden_ml(rows: Sequence[SliceScore], *, found: bool) -> float:
    return sum((row.found_mm2 if found else row.truth_mm2) * row.step_mm for row in rows) / 1000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of merit.

    Attributes:
        better: 1 where more is better, -1 where less is.
        of: value of one reading under each draw of patients, (draws,); NaN where a draw leaves it undefined.
    """

    name: str
    better: int
    of: Callable[[Reading, Weights], Float[np.ndarray, " draws"]]


def _mean_of(value: Callable[[SliceScore], float | None], keep: Callable[[SliceScore], bool]) -> Callable[[Reading, Weights], np.ndarray]:
    def of(reading: Reading, weights: Weights) -> np.ndarray:
        rows = [[value(s) for s in some if keep(s)] for some in per_patient(reading.slices).values()]
        kept = [[v for v in some if v is not None] for some in rows]
        return _ratio(weights, np.array([sum(some) for some in kept], float), np.array([len(some) for some in kept], float))

    return of


def _ratio(weights: Weights, over: Float[np.ndarray, " patients"], under: Float[np.ndarray, " patients"]) -> Float[np.ndarray, " draws"]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ over) / (weights @ under))


def _by_patient(value: Callable[[list[SliceScore]], float]) -> Callable[[Reading, Weights], np.ndarray]:
    def of(reading: Reading, weights: Weights) -> np.ndarray:
        values = np.array([value(some) for some in per_patient(reading.slices).values()])
        return _ratio(weights, values, np.ones(len(values)))

    return of


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What a detector said of slices or of patients, and whose each is; `patient` are indices in the order of `per_patient`."""

    score: Float[np.ndarray, " n"]
    truth: Bool[np.ndarray, " n"]
    patient: Int[np.ndarray, " n"]
    cut: float
    patients: int

    def counted(self, chosen: Bool[np.ndarray, " n"]) -> Float[np.ndarray, " patients"]:
        return np.bincount(self.patient[chosen], minlength=self.patients).astype(float)

    @property
    def confusion(self) -> tuple[int, int, int, int]:
        """True negatives, false positives, false negatives, true positives, in the order of the published table."""
        said = self.score >= self.cut
        return tuple(int((self.truth == t)[said == s].sum()) for t, s in ((False, False), (False, True), (True, False), (True, True)))  # type: ignore[return-value]


def of_slices(reading: Reading) -> Detection:
    rows = [(s.evidence_mm2, s.truth_mm2 > 0, i) for i, some in enumerate(per_patient(reading.slices).values()) for s in some]
    score, truth, patient = zip(*rows, strict=True)
    return Detection(
        score=np.array(score, float),
        truth=np.array(truth, bool),
        patient=np.array(patient),
        cut=reading.slice_cut_mm2,
        patients=patient[-1] + 1,
    )


def of_patients(reading: Reading) -> Detection:
    rows = list(per_patient(reading.slices).values())
    return Detection(
        score=np.array([evidence_ml(some) for some in rows]),
        truth=np.array([any(s.truth_mm2 > 0 for s in some) for some in rows]),
        patient=np.arange(len(rows)),
        cut=reading.patient_cut_ml,
        patients=len(rows),
    )


def _sensitivity(found: Detection, weights: Weights) -> np.ndarray:
    said = found.score >= found.cut
    return _ratio(weights, found.counted(found.truth & said), found.counted(found.truth))


def _specificity(found: Detection, weights: Weights) -> np.ndarray:
    said = found.score >= found.cut
    return _ratio(weights, found.counted(~found.truth & ~said), found.counted(~found.truth))


def _accuracy(found: Detection, weights: Weights) -> np.ndarray:
    said = found.score >= found.cut
    return _ratio(weights, found.counted(found.truth == said), found.counted(np.ones_like(said)))


def _auc(found: Detection, weights: Weights) -> np.ndarray:
    """Area under the ROC curve: how often a scarred one outscores another, ties half, by pairs of patients."""
    wins = np.zeros((found.patients, found.patients))
    with_scar, without = np.flatnonzero(found.truth), np.flatnonzero(~found.truth)
    higher = found.score[with_scar][:, None] - found.score[without][None, :]
    np.add.at(wins, (found.patient[with_scar][:, None], found.patient[without][None, :]), (higher > 0) + 0.5 * (higher == 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = (weights @ found.counted(found.truth)) * (weights @ found.counted(~found.truth))
        return np.asarray(np.einsum("dp,pq,dq->d", weights, wins, weights) / pairs)


def _detected(
    of: Callable[[Detection, Weights], np.ndarray], who: Callable[[Reading], Detection]
) -> Callable[[Reading, Weights], np.ndarray]:
    return lambda reading, weights: of(who(reading), weights)


def _balanced(found: Detection, weights: Weights) -> np.ndarray:
    return np.asarray((_sensitivity(found, weights) + _specificity(found, weights)) / 2)


def _scarred(row: SliceScore) -> bool:
    return row.truth_mm2 > 0


def _clean(row: SliceScore) -> bool:
    return row.truth_mm2 == 0


DICE, BALANCED = "Dice, slices with scar", "balanced accuracy, slices"
FIGURES: tuple[Figure, ...] = (
    Figure(name=DICE, better=1, of=_mean_of(lambda s: s.dice, _scarred)),
    Figure(name="Dice, all slices", better=1, of=_mean_of(lambda s: s.dice, lambda s: True)),
    Figure(name="Hausdorff 95, mm", better=-1, of=_mean_of(lambda s: s.hd95_mm, _scarred)),
    Figure(name="scar found at all", better=1, of=_mean_of(lambda s: float(s.overlap_mm2 > 0), _scarred)),
    Figure(name="false scar on other slices", better=-1, of=_mean_of(lambda s: float(s.found_mm2 > FALSE_SCAR_MM2), _clean)),
    Figure(name="false scar, mm2", better=-1, of=_mean_of(lambda s: s.found_mm2, _clean)),
    Figure(
        name="burden error, ml", better=-1, of=_by_patient(lambda rows: abs(burden_ml(rows, found=True) - burden_ml(rows, found=False)))
    ),
    Figure(name=BALANCED, better=1, of=_detected(_balanced, of_slices)),
    Figure(name="accuracy, slices", better=1, of=_detected(_accuracy, of_slices)),
    Figure(name="sensitivity, slices", better=1, of=_detected(_sensitivity, of_slices)),
    Figure(name="specificity, slices", better=1, of=_detected(_specificity, of_slices)),
    Figure(name="AUC, slices", better=1, of=_detected(_auc, of_slices)),
    Figure(name="balanced accuracy, patients", better=1, of=_detected(_balanced, of_patients)),
    Figure(name="accuracy, patients", better=1, of=_detected(_accuracy, of_patients)),
    Figure(name="sensitivity, patients", better=1, of=_detected(_sensitivity, of_patients)),
    Figure(name="specificity, patients", better=1, of=_detected(_specificity, of_patients)),
    Figure(name="AUC, patients", better=1, of=_detected(_auc, of_patients)),
)


def figures(names: Sequence[str]) -> list[Figure]:
    """Those of `FIGURES`, in the order of the names."""
    by_name = {figure.name: figure for figure in FIGURES}
    return [by_name[name] for name in names]


def quarters(readings: Sequence[Reading]) -> tuple[Figure, ...]:
    """Dice on slices with scar by quarter of their true area, edges from the slices themselves."""
    areas = [s.truth_mm2 for s in readings[0].slices if _scarred(s)]
    if not areas:
        return ()
    edges = [0.0, *np.quantile(areas, (0.25, 0.5, 0.75)).tolist(), np.inf]
    return tuple(
        Figure(name=f"Dice, scar of {_span(low, high)}", better=1, of=_mean_of(lambda s: s.dice, _between(low, high)))
        for low, high in pairwise(edges)
    )


def _between(low: float, high: float) -> Callable[[SliceScore], bool]:
    return lambda s: low < s.truth_mm2 <= high


def _span(low: float, high: float) -> str:
    return f"more than {low:.0f} mm2" if np.isinf(high) else f"{low:.0f} to {high:.0f} mm2"


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """Draws shared by all arms: row 0 is the sample itself, each patient and each seed once.

    Attributes:
        patients: how often each patient counts.
        seeds: how often each seed counts.
    """

    patients: Weights
    seeds: Float[np.ndarray, "draws seeds"]

    @classmethod
    def of(cls, patients: int, seeds: int) -> Resampling:
        rng = np.random.default_rng(0)
        return cls(patients=draws(patients, rng), seeds=draws(seeds, rng))

    def values(self, figure: Figure, readings: Sequence[Reading]) -> Float[np.ndarray, " draws"]:
        """The figure under every draw, averaged over the seeds that the draw holds."""
        each = np.stack([figure.of(reading, self.patients) for reading in readings], axis=1)
        return np.asarray((each * self.seeds).sum(axis=1) / self.seeds.sum(axis=1))


def at_equal_alarm(
    ours: Sequence[Reading], others: Sequence[Reading], resampling: Resampling
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]] | None:
    """Dice on slices with scar where our false alarm is that of the others at one half, and the others' Dice there.

    A segmenter that calls more of everything scar has a better Dice where scar is and more false scar where none is; here both stand at
    one false alarm. False alarm: share of the other slices with more than 25 mm2 of scar. Between two thresholds it is interpolated, and
    matched anew in each draw.

    Returns:
        Two rows of draws; None where a record holds no areas by threshold.
    """
    if not all(row.found_at_mm2 for reading in (*ours, *others) for row in reading.slices):
        return None
    (dice, alarm), (wanted, limit) = _by_threshold(ours, resampling), _by_threshold(others, resampling)
    met = [np.interp(goal, a[::-1], d[::-1]) for goal, a, d in zip(limit[:, HALF], alarm, dice, strict=True)]
    return np.array(met), wanted[:, HALF]


def _by_threshold(readings: Sequence[Reading], resampling: Resampling) -> tuple[np.ndarray, np.ndarray]:
    """Dice on slices with scar, and false alarm on the others, (draws, thresholds)."""
    both = np.stack([[_sums_by_threshold(some) for some in per_patient(reading.slices).values()] for reading in readings])
    with np.errstate(invalid="ignore", divide="ignore"):
        of_seeds = [np.einsum("dp,spt->dst", resampling.patients, both[:, :, i]) for i in range(4)]
        rates = [(over / under * resampling.seeds[:, :, None]).sum(axis=1) for over, under in (of_seeds[:2], of_seeds[2:])]
    dice, alarm = (rate / resampling.seeds.sum(axis=1, keepdims=True) for rate in rates)
    return dice, alarm


def _sums_by_threshold(slices: Sequence[SliceScore]) -> Float[np.ndarray, "4 thresholds"]:
    """One patient: Dice and number of slices with scar, false alarms and number of the others."""
    sums = np.zeros((4, len(THRESHOLDS)))
    for row in slices:
        found, overlap = np.asarray(row.found_at_mm2), np.asarray(row.overlap_at_mm2)
        if _scarred(row):
            sums[:2] += np.stack([2 * overlap / (row.truth_mm2 + found), np.ones(len(THRESHOLDS))])
        else:
            sums[2:] += np.stack([found > FALSE_SCAR_MM2, np.ones(len(THRESHOLDS))])
    return sums


def signed_rank(ours: Sequence[Reading], others: Sequence[Reading]) -> float | None:
    """Wilcoxon's signed-rank test over patients of their mean Dice on slices with scar, averaged over seeds; two-sided p.

    None where no patient differs.
    """
    one, other = _patient_dice(ours), _patient_dice(others)
    change = np.array([one[name] - other[name] for name in one])
    return float(stats.wilcoxon(change).pvalue) if len(change) and change.any() else None


def patient_changes(ours: Sequence[Reading], others: Sequence[Reading]) -> dict[str, float]:
    """Difference of mean Dice on slices with scar, by patient."""
    one, other = _patient_dice(ours), _patient_dice(others)
    return {name: one[name] - other[name] for name in one}


def _patient_dice(readings: Sequence[Reading]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for reading in readings:
        for row in reading.slices:
            if _scarred(row):
                found.setdefault(row.patient, []).append(row.dice)
    return {name: float(np.mean(row)) for name, row in sorted(found.items())}
