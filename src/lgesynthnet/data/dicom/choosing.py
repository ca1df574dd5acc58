"""Choose the LGE short-axis stack among the stacks of one patient, and show all of them. Where two fit equally the user chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lgesynthnet.data.dicom.frame_stack import LOCATION_MM, FrameStack, centre_of
from lgesynthnet.data.dicom.headers import Frame, Kind
from lgesynthnet.errors import InputError

MOST_DESCRIBED = 2  # stacks that were not taken, in one note; of more, only the names are given, and `verify` lists them
MOST_LISTED = 8  # stacks in one message
MUCH_SHORTER = 0.5  # of the slices of the longest stack; a shorter one, e.g. a map of three slices, is no equal
NOT_SHORT_AXIS = "not a short axis"
_PREFERENCE = list(Kind)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The stack to read, and why others that would do were not taken, one sentence each."""

    stack: FrameStack
    notes: tuple[str, ...] = ()


def choose(stacks: Sequence[FrameStack], series: str | None, place: Path) -> Choice:
    """The stack to read.

    A stack fits if it lies in the short axis, holds one image at each position, and is neither a localizer nor a phase image. Of two kinds
    of image of the same slices PSIR comes first, then real, then magnitude. Stacks with an inversion time come before those without, and
    long stacks before much shorter ones.

    Args:
        series: what the user wants: a stack (s1, s2, ...), a SeriesInstanceUID, a series number, or a whole series description.
        place: the patient's folder; it begins the error message.
    Raises:
        InputError: no stack fits, or several fit equally; the message lists them.
    """
    candidates, notes = list(stacks), []
    if series is not None:
        candidates = [stack for stack in stacks if _is_named(stack, series)]
        if not candidates:
            raise InputError(f"{place}: --series {series[:80]!r} names none of its stacks; choose one of {_listed(stacks)}")
        candidates = [_with_named_images(stack, series) for stack in candidates]
        if len(candidates) == 1:
            return Choice(stack=candidates[0], notes=tuple(_warnings(candidates[0])))
    fit = [stack for stack in candidates if misfit(stack) is None]
    if not fit:
        why = "; ".join(map(_why_not, candidates[:MOST_LISTED]))
        raise InputError(
            f"{place}: holds no stack of LGE short-axis slices ({why}); if one of them is, name it, e.g. --series {candidates[0].name}"
        )
    for narrowed, why in (
        (_best_kinds, "shows the same slices as"),
        (_with_inversion, "states an inversion time, unlike"),
        (_longest, "is longer than"),
    ):
        kept = narrowed(fit)
        if left := [stack for stack in fit if stack not in kept]:
            others = _listed(left) if len(left) <= MOST_DESCRIBED else ", ".join(stack.name for stack in left)
            notes.append(f"{_listed(kept)} {why} {others}, and is preferred")
        fit = kept
    if len(fit) > 1:
        raise InputError(f"{place}: {len(fit)} stacks fit equally: {_listed(fit)}; choose one, e.g. --series {fit[0].name}")
    return Choice(stack=fit[0], notes=tuple(notes))


def misfit(stack: FrameStack) -> str | None:
    """Why a stack is not taken for LGE short-axis slices; None where it may be."""
    if stack.phases > 1:
        return f"{stack.phases} images at each position, such as cine"
    if stack.first.localizer:
        return "a localizer"
    if stack.kind is Kind.PHASE:
        return "a phase image"
    if not stack.is_short_axis:
        return NOT_SHORT_AXIS
    return None


def _why_not(stack: FrameStack) -> str:
    why = misfit(stack)
    return f"{stack}: {why}" + (f", {stack.long_axis_deg:.0f} degrees from the usual one" if why == NOT_SHORT_AXIS else "")


def table(stacks: Sequence[FrameStack], picked: FrameStack | None) -> list[str]:
    """The stacks of one patient as lines of text; the one that is taken is marked."""
    if not stacks:
        return []
    rows: list[tuple[str, ...]] = [("stack", "series", "kind", "slices", "pixels", "mm", "step", "tilt", "TI", "plane", "remarks")]
    rows += [_row(picked if picked is not None and picked.number == stack.number else stack, picked) for stack in stacks]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(stack: FrameStack, picked: FrameStack | None) -> tuple[str, ...]:
    rows, columns = stack.first.plane.shape
    down, across = stack.first.plane.spacing_mm
    times = stack.inversion_ms
    numbers = ",".join(map(str, stack.series_numbers[:3])) + ("..." if len(stack.series_numbers) > 3 else "")
    lacking = sum(count for _, count in stack.gaps)
    remarks = ["taken"] if stack is picked else []
    if why := misfit(stack):
        remarks.append(why)
    elif picked is not None and stack is not picked and _covers(picked, stack):
        remarks.append(f"same slices as {picked.name}")
    remarks += [f"{lacking} lacking"] if lacking else []
    remarks += [f"{len(stack.repeats)} acquired again"] if stack.repeats else []
    return (
        f"{stack.name}{'*' if stack is picked else ''}",
        " ".join(part for part in (numbers, *(word[:30] for word in stack.descriptions[:1])) if part) or "-",
        stack.kind.value,
        str(len(stack)),
        f"{rows} x {columns}",
        f"{down:.3g} x {across:.3g}",
        f"{stack.step_mm:.3g}",
        f"{stack.tilt_deg:.1f}",
        "-" if times is None else f"{times[0]:g}" if times[0] == times[1] else f"{times[0]:g}-{times[1]:g}",
        f"{'short axis' if stack.is_short_axis else 'other'} {stack.long_axis_deg:.0f}",
        ", ".join(remarks),
    )


def _is_named(stack: FrameStack, series: str) -> bool:
    every = (*stack.frames, *stack.repeats)
    return series.strip().lower() == stack.name or any(_is_of_series(frame, series) for frame in every)


def _is_of_series(frame: Frame, series: str) -> bool:
    wanted, own = series.strip(), frame.series
    return wanted in (own.uid, str(own.number)) or (own.description != "" and wanted.lower() == own.description.lower())


def _with_named_images(stack: FrameStack, series: str) -> FrameStack:
    """The stack with the images of the named series, where slices were acquired again in another one."""
    if series.strip().lower() == stack.name:
        return stack
    frames, repeats = list(stack.frames), list(stack.repeats)
    for number, repeat in reversed([*enumerate(repeats)]):  # the latest image comes first
        place = float(centre_of(repeat) @ stack.normal)
        nearest = min(range(len(frames)), key=lambda index: abs(float(stack.positions_mm[index]) - place))
        if _is_of_series(repeat, series) and not _is_of_series(frames[nearest], series):
            frames[nearest], repeats[number] = repeat, frames[nearest]
    changed = tuple(frames) != stack.frames
    return replace(stack, frames=tuple(frames), repeats=tuple(repeats), has_named_images=True) if changed else stack


def _warnings(stack: FrameStack) -> list[str]:
    why = misfit(stack)
    more = "; the first image of each position is read" if stack.phases > 1 else ""
    return [] if why is None else [f"{stack} was named with --series, but it is {why}{more}"]


def _best_kinds(fit: list[FrameStack]) -> list[FrameStack]:
    """Without the stacks whose slices another stack shows in a kind that suits better."""
    return [stack for stack in fit if not any(_rank(other) < _rank(stack) and _covers(other, stack) for other in fit)]


def _rank(stack: FrameStack) -> int:
    return _PREFERENCE.index(stack.kind)


def _covers(one: FrameStack, other: FrameStack) -> bool:
    """Whether each slice of `other` has the position of a slice of `one`, and they lie in one study."""
    if one.first.series.study_uid != other.first.series.study_uid or abs(float(one.normal @ other.normal)) < 0.99:
        return False
    normal = one.normal
    places = [float(centre_of(frame) @ normal) for frame in one.frames]
    return all(any(abs(float(centre_of(frame) @ normal) - place) < LOCATION_MM for place in places) for frame in other.frames)


def _with_inversion(fit: list[FrameStack]) -> list[FrameStack]:
    return [stack for stack in fit if stack.inversion_ms is not None] or fit


def _longest(fit: list[FrameStack]) -> list[FrameStack]:
    most = max(map(len, fit))
    return [stack for stack in fit if len(stack) > MUCH_SHORTER * most]


def _listed(stacks: Sequence[FrameStack]) -> str:
    more = f" and {len(stacks) - MOST_LISTED} more" if len(stacks) > MOST_LISTED else ""
    return ", ".join(map(str, stacks[:MOST_LISTED])) + more
