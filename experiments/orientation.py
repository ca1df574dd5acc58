"""Compare RV insertions and stack order with marks that were set by eye: angle errors, wrong AHA segments, confidence, failures.

    python experiments/orientation.py [--data FOLDER] [--failures 10] [--single] [--turns] [--segmenter FOLDER] [--parts train val]

There are three estimators: the rules; the RV of a heart segmenter (default: the shipped one, trained only on simulated hearts);
and both together, as the program uses them. It prints one table for each estimator, the worst marks, and how many stacks have the
right order.

FOLDER (default: the environment variable LGESYNTHNET_DATA) holds emidec/ with rv_insertions.csv and splits.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from real_data import add_data_option

from lgesynthnet.anatomy.frame import ASSUMED_INSERTIONS, compute_heart_frame
from lgesynthnet.anatomy.insertions import insertions_from_image
from lgesynthnet.anatomy.orientation import MIN_CONFIDENCE, assign_levels, find_all_insertions, order_stack
from lgesynthnet.anatomy.septum_evidence import Evidence, septum_evidence
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.splits import read_splits
from lgesynthnet.errors import AnatomyError
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack

HEADER = (
    f"{'group':22s}{'marks':>6s}  {'anterior mean/median':>21s}{'inferior mean/median':>22s}{'both<=40':>10s}{'wrong AHA':>11s}{'corr':>7s}"
    f"{'least sure':>12s}{'assumed':>9s}"
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The mark of one slice and the estimate for it.

    Attributes:
        anterior_deg, inferior_deg: the mark, in degrees counter-clockwise from image right.
        wrong_segments: share of wall pixels whose AHA number differs from that by the mark; None where the wall is open.
    """

    name: str
    group: str
    certainty: str
    anterior_deg: float
    inferior_deg: float
    estimate: Insertions
    image_confidence: float
    wrong_segments: float | None

    @property
    def errors_deg(self) -> tuple[float, float]:
        pairs = ((self.estimate.anterior_deg, self.anterior_deg), (self.estimate.inferior_deg, self.inferior_deg))
        anterior, inferior = (abs((estimate - mark + 180.0) % 360.0 - 180.0) for estimate, mark in pairs)
        return anterior, inferior


def turned(stack: Stack, quarter_turns: int) -> Stack:
    """The stack turned counter-clockwise by quarter turns, to an orientation that the prior does not expect."""
    return replace(
        stack,
        image=np.rot90(stack.image, quarter_turns),
        labels=np.ascontiguousarray(np.rot90(stack.labels, quarter_turns)),
        spacing_mm=stack.spacing_mm[::-1] if quarter_turns % 2 else stack.spacing_mm,
    )


Locate = Callable[[Stack], list[Insertions | None]]


def by_rules(stack: Stack) -> list[Insertions | None]:
    return find_all_insertions(stack)


def slice_by_slice(stack: Stack) -> list[Insertions | None]:
    with_lv = [slice_.cavity.any() and slice_.wall.any() for slice_ in stack]
    return [insertions_from_image(slice_) if lv else None for slice_, lv in zip(stack, with_lv, strict=True)]


def by_network(folder: Path, *, rules: bool) -> Locate:
    """The RV of a heart segmenter, alone or with the rules. With the rules and the shipped segmenter this is what the program does."""
    from lgesynthnet.segmenter.heart import HeartSegmenter
    from lgesynthnet.segmenter.septum import rv_evidence

    segmenter = HeartSegmenter.from_pretrained(folder)

    def read(slice_: ShortAxisSlice) -> Evidence:
        evidence = rv_evidence(segmenter.probabilities(slice_.image, slice_.spacing_mm)[Label.RV], slice_)
        return evidence + septum_evidence(slice_) if rules else evidence

    return lambda stack: find_all_insertions(stack, read_evidence=read)


def wrong_segments(slice_: ShortAxisSlice, level: Level | None, marked: Insertions, estimate: Insertions) -> float | None:
    assert level is not None
    try:
        frame = compute_heart_frame(slice_, level, marked)
    except AnatomyError:  # an open ring has no segments
        return None
    return float(np.mean((frame.segments != compute_heart_frame(slice_, level, estimate).segments)[frame.wall]))


def read_marks(stacks: Iterable[Stack], emidec: Path, locate_all: Locate = by_rules, *, quarter_turns: int = 0) -> list[Mark]:
    """All marks of the file with the estimates for their slices."""
    group_of = {patient: name for name, members in json.loads((emidec / "splits.json").read_text()).items() for patient in members}
    with (emidec / "rv_insertions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    marks = []
    for stack in stacks:
        stack = turned(stack, quarter_turns)
        own = [row for row in rows if row["case"].removeprefix("Case_") == stack.patient]
        located, level_of = locate_all(stack), assign_levels(stack, order_stack(stack))
        for row in own:
            index = int(row["slice"])
            estimate = located[index]
            assert estimate is not None
            confidence = estimate.confidence
            estimate = estimate if confidence >= MIN_CONFIDENCE else ASSUMED_INSERTIONS
            anterior, inferior = (float(row[f"{name}_deg"]) + 90.0 * quarter_turns for name in ("anterior", "inferior"))
            marked = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
            marks.append(
                Mark(
                    name=f"{stack.patient} slice {index}",
                    group=group_of[stack.patient],
                    certainty=row["confidence"],
                    anterior_deg=anterior,
                    inferior_deg=inferior,
                    estimate=estimate,
                    image_confidence=confidence,
                    wrong_segments=wrong_segments(stack[index], level_of[index], marked, estimate),
                )
            )
    return marks


def line(name: str, marks: list[Mark]) -> str:
    errors = np.array([mark.errors_deg for mark in marks])
    confidence = np.array([mark.image_confidence for mark in marks])
    (anterior, inferior), (anterior_median, inferior_median) = errors.mean(axis=0), np.median(errors, axis=0)
    together = float(np.corrcoef(confidence, errors.mean(axis=1))[0, 1]) if confidence.std() else float("nan")
    assumed = sum(mark.estimate.source is Source.ASSUMED for mark in marks)
    wrong = np.mean([mark.wrong_segments for mark in marks if mark.wrong_segments is not None])
    unsure = errors.mean(axis=1)[np.argsort(confidence)[: max(len(marks) // 10, 1)]].mean()  # the least confident tenth
    return (
        f"{name:22s}{len(marks):6d}{anterior:15.1f} /{anterior_median:5.1f}{inferior:16.1f} /{inferior_median:5.1f}"
        f"{np.mean(errors.max(axis=1) <= 40):11.2f}{wrong:10.3f}{together:8.2f}{unsure:12.1f}{assumed:9d}"
    )


def print_errors(marks: list[Mark]) -> None:
    groups: dict[str, Callable[[Mark], bool]] = {
        "train (rules set here)": lambda mark: mark.group == "train",
        "val, audit, test": lambda mark: mark.group != "train",
        "  certain marks": lambda mark: mark.group != "train" and mark.certainty == "high",
        "all certain marks": lambda mark: mark.certainty == "high",
    }
    print(HEADER)
    for name, belongs in groups.items():
        if chosen := [mark for mark in marks if belongs(mark)]:
            print(line(name, chosen))
    edges = (0.0, MIN_CONFIDENCE, 0.35, 0.5, 0.65, 0.8, 0.9, 1.01)
    print("confidence: marks, share with both angles within 40 degrees")
    for low, high in itertools.pairwise(edges):
        bin_ = [max(mark.errors_deg) <= 40 for mark in marks if low <= mark.image_confidence < high]
        if bin_:
            print(f"  {low:.2f}-{min(high, 1):.2f}: {len(bin_):4d}  {np.mean(bin_):.2f}")


def print_threshold(stacks: list[Stack], locate_all: Locate, emidec: Path) -> None:
    """Print what each least confidence costs (slices that are left out) and buys (wrong marks below it, with every heart turned)."""
    confidences = np.array([pair.confidence for stack in stacks for pair in locate_all(stack) if pair is not None])
    turned_marks = [mark for turns in (1, 2, 3) for mark in read_marks(stacks, emidec, locate_all, quarter_turns=turns)]
    print("\nleast confidence: slices below it; and of the marks with every heart turned by quarters, those wrong by more than 40 degrees")
    for least in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        below = [max(mark.errors_deg) > 40 for mark in turned_marks if mark.image_confidence < least]
        above = [max(mark.errors_deg) > 40 for mark in turned_marks if mark.image_confidence >= least]
        share = (confidences < least).mean()
        print(
            f"  {least:.1f}: {(confidences < least).sum()} of {confidences.size} slices ({share:.1%}); {sum(below)} of {len(below)} marks "
            f"below, {sum(above)} of {len(above)} above"
        )


def print_order(stacks: list[Stack]) -> None:
    """Print how many stacks have the right order. EMIDEC runs from apex to base, so base_first must be False, or True reversed."""
    forward = [order_stack(stack) for stack in stacks]
    backward = [order_stack(replace(stack, image=stack.image[:, :, ::-1], labels=stack.labels[:, :, ::-1])) for stack in stacks]
    right, reverse = sum(not order.base_first for order in forward), sum(order.base_first for order in backward)
    confidence = [order.confidence for order in forward]
    print(f"\nstack order: {right} of {len(stacks)} right; reversed: {reverse} of {len(stacks)} right; ", end="")
    print(f"confidence mean {np.mean(confidence):.2f}, lowest {min(confidence):.2f}")
    wrong = [f"{stack.patient} ({order.confidence:.2f})" for stack, order in zip(stacks, forward, strict=True) if order.base_first]
    if wrong:
        print("  wrong (confidence):", ", ".join(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data_option(parser)
    parser.add_argument("--failures", type=int, default=10, help="number of the worst marks to list (default: %(default)s)")
    parser.add_argument("--single", action="store_true", help="estimate each slice alone, without its neighbours")
    parser.add_argument("--turns", action="store_true", help="also estimate with every heart turned by 90, 180 and 270 degrees")
    shipped = weights_folder() / "phantom" / "heart-segmenter"
    parser.add_argument("--segmenter", type=Path, default=shipped, help="model folder of `lgesynthnet train heart-segmenter`")
    parser.add_argument("--parts", nargs="+", help="use these parts of splits.json only, e.g. train val while tuning")
    options = parser.parse_args()
    emidec = options.data / "emidec"
    splits = read_splits(emidec / "splits.json")
    wanted = [name for part in options.parts or splits for name in splits[part]]
    stacks = [stack for stack in open_cohort(emidec).stacks() if isinstance(stack, Stack) and stack.patient in wanted]
    estimators: dict[str, Locate] = {"the rules": slice_by_slice if options.single else by_rules}
    if not options.single:
        estimators["the network's RV"] = by_network(options.segmenter, rules=False)
        estimators["both together"] = by_network(options.segmenter, rules=True)
    for name, locate_all in estimators.items():
        print(f"\n{name}")
        began = time.perf_counter()
        marks = read_marks(stacks, emidec, locate_all)
        seconds = time.perf_counter() - began
        print_errors(marks)
        print(f"{seconds:.1f} s for {len(stacks)} stacks; worst marks:")
        for mark in sorted(marks, key=lambda mark: -sum(mark.errors_deg))[: options.failures]:
            estimate = mark.estimate
            print(
                f"  {mark.name:15s} ({mark.group}, {mark.certainty}) by eye {mark.anterior_deg:.0f}/{mark.inferior_deg:.0f}, "
                f"estimated {estimate.anterior_deg:.0f}/{estimate.inferior_deg:.0f} ({estimate.source}, {mark.image_confidence:.2f})"
            )
        for quarter_turns in (1, 2, 3) if options.turns else ():
            print(f"\n{name}, every heart turned by {90 * quarter_turns} degrees")
            print_errors(read_marks(stacks, emidec, locate_all, quarter_turns=quarter_turns))
    print_order(stacks)
    if options.turns and "both together" in estimators:
        print_threshold(stacks, estimators["both together"], emidec)


if __name__ == "__main__":
    main()
