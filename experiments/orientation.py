"""RV insertions and stack order against marks read by eye: errors, wrong AHA segments, honesty of the confidence, failures.

    python experiments/orientation.py [--data FOLDER] [--failures 10] [--single] [--turns] [--segmenter FOLDER] [--parts train val]

Three estimators: the rules, the RV of a segmenter (default: the shipped one, trained on simulated hearts alone), and both together,
which is what the program uses.

FOLDER (default: the environment variable LGESYNTHNET_DATA, else ../shared/data) holds emidec/ with rv_insertions.csv and splits.json.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lgesynthnet.anatomy.frame import ASSUMED, locate
from lgesynthnet.anatomy.insertions import Evidence, insertions_from_image, septum_evidence
from lgesynthnet.anatomy.orientation import MIN_CONFIDENCE, levels, locate_all_insertions, order_stack
from lgesynthnet.data import open_cohort, read_splits
from lgesynthnet.errors import AnatomyError
from lgesynthnet.model_store import weights_folder
from lgesynthnet.records import Insertions, Label, Level, ShortAxisSlice, Source, Stack

HEADER = (
    f"{'group':22s}{'marks':>6s}  {'anterior mean/median':>21s}{'inferior mean/median':>22s}{'both<=40':>10s}{'wrong AHA':>11s}{'corr':>7s}"
    f"{'least sure':>12s}{'assumed':>9s}"
)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One slice read by eye next to what was found in it.

    Attributes:
        wrong_segments: share of the wall's pixels that get another AHA number than by the mark; None where the wall is open.
    """

    name: str
    group: str
    certainty: str
    anterior_deg: float
    inferior_deg: float
    found: Insertions
    image_confidence: float
    wrong_segments: float | None

    @property
    def errors_deg(self) -> tuple[float, float]:
        pairs = ((self.found.anterior_deg, self.anterior_deg), (self.found.inferior_deg, self.inferior_deg))
        anterior, inferior = (abs((one - other + 180.0) % 360.0 - 180.0) for one, other in pairs)
        return anterior, inferior


def turned(stack: Stack, quarter_turns: int) -> Stack:
    """The same heart turned counter-clockwise by quarters: a direction that the prior has never heard of."""
    return replace(
        stack,
        image=np.rot90(stack.image, quarter_turns),
        labels=np.ascontiguousarray(np.rot90(stack.labels, quarter_turns)),
        spacing_mm=stack.spacing_mm[::-1] if quarter_turns % 2 else stack.spacing_mm,
    )


Locate = Callable[[Stack], list[Insertions | None]]


def by_rules(stack: Stack) -> list[Insertions | None]:
    return locate_all_insertions(stack)


def slice_by_slice(stack: Stack) -> list[Insertions | None]:
    with_lv = [slice_.cavity.any() and slice_.wall.any() for slice_ in stack]
    return [insertions_from_image(slice_) if lv else None for slice_, lv in zip(stack, with_lv, strict=True)]


def by_network(folder: Path, *, rules: bool) -> Locate:
    """By a segmenter's RV, alone or with the rules; with them and the shipped segmenter it is what the program does."""
    from lgesynthnet.segmenter.heart import HeartSegmenter
    from lgesynthnet.segmenter.septum import rv_evidence

    segmenter = HeartSegmenter.from_pretrained(folder)

    def read(slice_: ShortAxisSlice) -> Evidence:
        seen = rv_evidence(segmenter.probabilities(slice_.image, slice_.spacing_mm)[Label.RV], slice_)
        return seen + septum_evidence(slice_) if rules else seen

    return lambda stack: locate_all_insertions(stack, read=read)


def wrong_segments(slice_: ShortAxisSlice, level: Level | None, marked: Insertions, found: Insertions) -> float | None:
    assert level is not None
    try:
        frame = locate(slice_, level, marked)
    except AnatomyError:  # an open ring has no segments
        return None
    return float(np.mean((frame.segments != locate(slice_, level, found).segments)[frame.wall]))


def read_marks(stacks: Iterable[Stack], emidec: Path, locate_all: Locate = by_rules, *, quarter_turns: int = 0) -> list[Mark]:
    """Every mark of the file beside the estimate for its slice."""
    group_of = {patient: name for name, members in json.loads((emidec / "splits.json").read_text()).items() for patient in members}
    with (emidec / "rv_insertions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    marks = []
    for stack in stacks:
        stack = turned(stack, quarter_turns)
        own = [row for row in rows if row["case"].removeprefix("Case_") == stack.patient]
        located, level_of = locate_all(stack), levels(stack, order_stack(stack))
        for row in own:
            index = int(row["slice"])
            found = located[index]
            assert found is not None
            confidence = found.confidence
            found = found if confidence >= MIN_CONFIDENCE else ASSUMED
            anterior, inferior = (float(row[f"{name}_deg"]) + 90.0 * quarter_turns for name in ("anterior", "inferior"))
            marked = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.LANDMARKS, confidence=1.0)
            marks.append(
                Mark(
                    name=f"{stack.patient} slice {index}",
                    group=group_of[stack.patient],
                    certainty=row["confidence"],
                    anterior_deg=anterior,
                    inferior_deg=inferior,
                    found=found,
                    image_confidence=confidence,
                    wrong_segments=wrong_segments(stack[index], level_of[index], marked, found),
                )
            )
    return marks


def line(name: str, marks: list[Mark]) -> str:
    errors = np.array([mark.errors_deg for mark in marks])
    confidence = np.array([mark.image_confidence for mark in marks])
    (anterior, inferior), (anterior_median, inferior_median) = errors.mean(axis=0), np.median(errors, axis=0)
    together = float(np.corrcoef(confidence, errors.mean(axis=1))[0, 1]) if confidence.std() else float("nan")
    assumed = sum(mark.found.source is Source.ASSUMED for mark in marks)
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


def print_order(stacks: list[Stack]) -> None:
    """EMIDEC stacks run from apex to base, so base_first must come out False, and True when the stack is turned round."""
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
    default = os.environ.get("LGESYNTHNET_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(default), help="folder that holds emidec/ (default: %(default)s)")
    parser.add_argument("--failures", type=int, default=10, help="how many of the worst marks to list (default: %(default)s)")
    parser.add_argument("--single", action="store_true", help="read each slice alone, without its neighbours")
    parser.add_argument("--turns", action="store_true", help="also turn every heart by 90, 180 and 270 degrees")
    shipped = weights_folder() / "phantom" / "segmenter"
    parser.add_argument("--segmenter", type=Path, default=shipped, help="model folder of `lgesynthnet train segmenter`")
    parser.add_argument("--parts", nargs="+", help="these parts of splits.json only, e.g. train val while anything is tuned")
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
            found = mark.found
            print(
                f"  {mark.name:15s} ({mark.group}, {mark.certainty}) by eye {mark.anterior_deg:.0f}/{mark.inferior_deg:.0f}, "
                f"found {found.anterior_deg:.0f}/{found.inferior_deg:.0f} ({found.source}, {mark.image_confidence:.2f})"
            )
        for quarter_turns in (1, 2, 3) if options.turns else ():
            print(f"\n{name}, every heart turned by {90 * quarter_turns} degrees")
            print_errors(read_marks(stacks, emidec, locate_all, quarter_turns=quarter_turns))
    print_order(stacks)


if __name__ == "__main__":
    main()
