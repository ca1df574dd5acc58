"""Group DICOM frames into stacks, by what they show and where they lie.

Vendors and archives divide one acquisition into any number of series, and put several into one; the numbers of series and instances and the
frame of reference therefore decide nothing. The planes, the size, the kind of image and the inversion time do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import median

from lgesynthnet.data.dicom.frame_stack import LOCATION_MM, FrameStack, centre_of, mean_normal
from lgesynthnet.data.dicom.headers import Frame

LARGEST_TILT_DEG = 8.0  # between the directions of two slices of one stack
SPACING_TOLERANCE = 1e-3  # of the pixel size, as a share
LEAST_PHASES = 5  # images at one position; fewer are repeats
SAME_SLICE = 0.45  # of the slice thickness: nearer slices of two series are one slice
WHOLE = 0.5  # share of the positions that two acquisitions of one stack have in common


@dataclass(frozen=True)
class _Placed:
    """A frame, its position in mm along the normal of its group, and a key that sorts frames by when they were acquired."""

    frame: Frame
    position_mm: float
    time: tuple[str, str, int, int, str, int]


def group_frames(frames: Sequence[Frame]) -> list[FrameStack]:
    """The stacks of one patient, numbered from 1, in the order of their series; the same frames in any order give the same stacks.

    Two images of one slice are a repeat, and the later one is taken, unless most slices are there twice: then they are two stacks.
    """
    stacks: list[FrameStack] = []
    for group in _by_geometry(sorted(frames, key=_time)):
        normal = mean_normal(group)
        placed = [_Placed(frame, float(centre_of(frame) @ normal), _time(frame)) for frame in group]
        many, single = _by_phases(placed)
        stacks += [_with_phases(part) for part in _acquisitions(many)]
        for kin in _by_statement(single):
            for acquisition in _acquisitions(kin):
                for part in _by_inversion(acquisition):
                    stacks += _by_occurrence(part)
    stacks.sort(key=lambda stack: (min(stack.series_numbers, default=-1), stack.kind, min(map(_time, stack.frames))))
    return [replace(stack, number=number) for number, stack in enumerate(stacks, start=1)]


def _time(frame: Frame) -> tuple[str, str, int, int, str, int]:
    """A key that sorts frames by when they were acquired; the file decides only where nothing else does."""
    plane, series = frame.plane, frame.series
    return series.study_uid, frame.acquired, series.number or 0, frame.instance, str(plane.path), plane.frame


def _by_geometry(frames: list[Frame]) -> list[list[Frame]]:
    """Frames of one study, kind, size, pixel spacing and orientation."""
    groups: list[list[Frame]] = []
    for frame in frames:
        home = next((group for group in groups if _alike(frame, group[0])), None)
        if home is None:
            groups.append([frame])
        else:
            home.append(frame)
    return groups


def _alike(one: Frame, other: Frame) -> bool:
    return (
        (one.series.study_uid, one.kind, one.localizer) == (other.series.study_uid, other.kind, other.localizer)
        and (one.storage.shape, one.storage.dtype) == (other.storage.shape, other.storage.dtype)
        and all(math.isclose(a, b, rel_tol=SPACING_TOLERANCE) for a, b in zip(one.plane.spacing_mm, other.plane.spacing_mm, strict=True))
        and _angle_deg(one.plane.along_row, other.plane.along_row) <= LARGEST_TILT_DEG
        and _angle_deg(one.plane.along_column, other.plane.along_column) <= LARGEST_TILT_DEG
    )


def _angle_deg(one: Sequence[float], other: Sequence[float]) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, sum(a * b for a, b in zip(one, other, strict=True))))))


def _by_series(frames: list[_Placed]) -> list[list[_Placed]]:
    """Frames of one series each, in the order of the first frame."""
    series: dict[str, list[_Placed]] = {}
    for placed in frames:
        series.setdefault(placed.frame.series.uid, []).append(placed)
    return list(series.values())


def _by_phases(frames: list[_Placed]) -> tuple[list[_Placed], list[_Placed]]:
    """The frames of series with many images at each position, such as cine, and the others."""
    many: list[_Placed] = []
    single: list[_Placed] = []
    for series in _by_series(frames):
        (many if median(map(len, _by_position(series))) >= LEAST_PHASES else single).extend(series)
    return many, single


def _by_statement(frames: list[_Placed]) -> list[list[_Placed]]:
    """Series that state no inversion time apart, where they repeat slices of others that do: a map or a cine replaces no slice of LGE."""
    timed = [placed for series in _by_series(frames) if _states_inversion(series) for placed in series]
    together, apart = list(timed), list[_Placed]()
    for series in _by_series(frames):
        if not _states_inversion(series):
            (apart if timed and _shared(series, timed) > 0 else together).extend(series)
    return [part for part in (together, apart) if part]


def _states_inversion(series: list[_Placed]) -> bool:
    return any(placed.frame.inversion_ms is not None for placed in series)


def _acquisitions(frames: list[_Placed]) -> list[list[_Placed]]:
    """Series of different slices together; a series that repeats most slices of another is an acquisition of its own."""
    if not frames:
        return []
    parts: list[list[_Placed]] = []
    loose: list[_Placed] = []
    for series in _by_series(frames):
        if len(_by_position(series)) == 1:
            loose += series
            continue
        shares = [_shared(series, part) for part in parts]
        if not parts or max(shares) > WHOLE:
            parts.append(list(series))
        else:
            parts[-1].extend(series)
    if not parts:
        return [loose]
    for placed in loose:  # a slice in a series of its own belongs to what was acquired before it
        home = next((part for part in reversed(parts) if part[0].time <= placed.time), parts[0])
        home.append(placed)
    return parts


def _shared(series: list[_Placed], part: list[_Placed]) -> float:
    """Positions that both have, as a share of the positions of the larger one."""
    ours, theirs = ([place[0].position_mm for place in _by_position(frames)] for frames in (series, part))
    reach = _reach_mm(series[0].frame)
    return sum(any(abs(a - b) < reach for b in theirs) for a in ours) / max(len(ours), len(theirs))


def _reach_mm(frame: Frame) -> float:
    """Slices of two series that are nearer than this are one slice."""
    return max(LOCATION_MM, SAME_SLICE * (frame.thickness_mm or 0.0))


def _by_inversion(frames: list[_Placed]) -> list[list[_Placed]]:
    """Apart by inversion time, where most positions have images of several; a time that differs from slice to slice divides nothing."""
    places = _by_position(frames)
    if not _is_most(sum(len({placed.frame.inversion_ms for placed in place}) > 1 for place in places), len(places)):
        return [frames]
    ordered = sorted(frames, key=_inversion)
    return [list(part) for _, part in groupby(ordered, key=_inversion)]


def _inversion(placed: _Placed) -> float:
    return placed.frame.inversion_ms or 0.0


def _is_most(several: int, places: int) -> bool:
    return several >= 2 and several > WHOLE * places


def _by_occurrence(frames: list[_Placed]) -> list[FrameStack]:
    """One stack; or two or more where most positions have several images, first images first."""
    places = _by_position(frames)
    if not _is_most(sum(len(place) > 1 for place in places), len(places)):
        return [_stack(frames)]
    if median(map(len, places)) >= LEAST_PHASES:
        return [_with_phases(frames)]
    rounds: list[list[_Placed]] = [[] for _ in range(max(map(len, places)))]
    for place in places:
        for i, placed in enumerate(sorted(place, key=lambda placed: placed.time)):
            rounds[i].append(placed)
    return [_stack(part) for part in rounds]


def _by_position(frames: list[_Placed]) -> list[list[_Placed]]:
    """Frames at one position each, along the normal."""
    places: list[list[_Placed]] = []
    for placed in sorted(frames, key=lambda placed: (placed.position_mm, placed.time)):
        if places:
            other_series = any(placed.frame.series.uid != other.frame.series.uid for other in places[-1])
            if placed.position_mm - places[-1][0].position_mm < (_reach_mm(placed.frame) if other_series else LOCATION_MM):
                places[-1].append(placed)
                continue
        places.append([placed])
    return places


def _stack(frames: list[_Placed]) -> FrameStack:
    kept: list[Frame] = []
    repeats: list[Frame] = []
    for place in _by_position(frames):
        *earlier, last = sorted(place, key=lambda placed: placed.time)
        kept.append(last.frame)
        repeats += [placed.frame for placed in earlier]
    return FrameStack(frames=_sorted(kept), repeats=tuple(repeats))


def _with_phases(frames: list[_Placed]) -> FrameStack:
    places = _by_position(frames)
    return FrameStack(frames=_sorted([place[0].frame for place in places]), phases=int(median(map(len, places))))


def _sorted(frames: list[Frame]) -> tuple[Frame, ...]:
    normal = mean_normal(frames)
    return tuple(sorted(frames, key=lambda frame: (float(centre_of(frame) @ normal), _time(frame))))
