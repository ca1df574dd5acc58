"""Whole hearts as hosts: the usable slices of a cohort, put together by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lgesynthnet.anatomy.orientation import USUAL_STEP_MM
from lgesynthnet.conditioning.heart import HeartHost, PlacedHost
from lgesynthnet.data.nifti_writing import volume_fault
from lgesynthnet.hosts.pool import HostEntry, HostPool
from lgesynthnet.records import Skipped, wall_of


@dataclass(frozen=True, kw_only=True)
class HeartEntry:
    """One patient with usable slices, without the voxels.

    Attributes:
        slices: from base to apex.
    """

    slices: tuple[HostEntry, ...]

    @property
    def patient(self) -> str:
        return self.slices[0].patient

    @property
    def scar_mm2(self) -> float:
        """Area of the scar of all slices of the patient, summed; also of those that cannot be used."""
        return self.slices[0].stack_scar_mm2


def list_hearts(pool: HostPool) -> tuple[list[HeartEntry], list[Skipped]]:
    """The patients whose usable slices are a heart, in the order of the pool; and the others, with reasons.

    No scar can run through a gap, and one NIfTI file must be able to hold the stack.

    Raises:
        InputError: the files are no longer what they were.
    """
    slices: dict[str, list[HostEntry]] = {}
    for entry in pool.entries:
        slices.setdefault(entry.patient, []).append(entry)
    hearts, skipped = [], []
    for patient, group in slices.items():
        missing = sorted(set(range(group[0].index, group[-1].index)) - {entry.index for entry in group})
        if missing:
            skipped.append(Skipped(name=patient, reason=f"{group[0].case.image_path}: {_gap(missing)}"))
        elif group[0].case.dicom is not None and (fault := volume_fault(pool.stack_of(group[0].case))) is not None:
            skipped.append(Skipped(name=patient, reason=fault))
        else:
            hearts.append(HeartEntry(slices=tuple(sorted(group, key=lambda entry: entry.position))))
    return hearts, skipped


def _gap(missing: Sequence[int]) -> str:
    named = f"slice {missing[0]}" if len(missing) == 1 else f"slices {', '.join(map(str, missing))}"
    return f"{named} between its usable slices cannot be painted into, so no scar runs through the stack; mend them, or leave --stacks out"


def fetch_heart(pool: HostPool, entry: HeartEntry) -> HeartHost:
    """Read a patient and locate the heart in every usable slice.

    Raises:
        InputError: the files are no longer what they were.
        AnatomyError: the wall of a slice is no ring after all.
    """
    case = entry.slices[0].case
    stack = pool.stack_of(case)
    with_wall = [index for index in range(len(stack)) if wall_of(stack.labels[:, :, index]).any()]
    length_mm = (with_wall[-1] - with_wall[0] + 1) * (stack.slice_step_mm or USUAL_STEP_MM)
    slices = {
        usable.index: PlacedHost(host=pool.fetch(usable), position=usable.position, along_mm=usable.position * length_mm)
        for usable in entry.slices
    }
    reasons = {skipped.name: skipped.reason for skipped in pool.skipped}
    left_out = {
        index: reasons.get(stack[index].name, "it is no host of this run").removeprefix(f"{case.image_path}: slice {index}: ")
        for index in with_wall
        if index not in slices
    }
    return HeartHost(stack=stack, slices=slices, left_out=left_out)


def find_hearts(pool: HostPool) -> list[HeartHost]:
    """Every patient of a pool whose usable slices have no gap, with the heart located; see `fetch_heart` for the errors that it raises."""
    return [fetch_heart(pool, entry) for entry in list_hearts(pool)[0]]
