"""A patient's whole heart as a host, what one sample changes in it, and the edited stack with all data that explain it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Shaped, UInt8

from lgesynthnet.conditioning.edit import MOST_OVERLAP, NotMovedError, SliceEdit, add_scar, kind_of_edit, remove_scar, replace_scar
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.edits import OwnScar
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.heart_edits import HeartWish
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.records import Label, Stack, scar_of
from lgesynthnet.terms import Edit


@dataclass(frozen=True, kw_only=True)
class PlacedHost:
    """A slice of a heart.

    Attributes:
        position: along the left ventricle, 0 base to 1 apex.
        along_mm: distance from the base in mm.
    """

    host: Host
    position: float
    along_mm: float


@dataclass(frozen=True, kw_only=True)
class HeartHost:
    """A patient whose heart a scar can be painted into.

    Attributes:
        stack: all slices, as the files hold them.
        slices: index in the stack -> the slices that can be painted into, from base to apex.
        left_out: index -> why this slice of the heart cannot be painted into.
    """

    stack: Stack
    slices: Mapping[int, PlacedHost]
    left_out: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the patient."""
        return self.stack.patient

    @property
    def has_scar(self) -> bool:
        """Whether a slice that can be painted into holds scar."""
        return any(placed.host.slice_.scar.any() for placed in self.slices.values())


@dataclass(frozen=True, kw_only=True)
class HeartEdit:
    """One edit of one heart.

    Attributes:
        kind: add, remove, move or replace.
        wish: what was asked for.
        slices: index -> the edit of this slice; slices that stay as they are have none.
        left_out: index -> why a slice of the heart was left as it is.
    """

    kind: Edit
    wish: HeartWish
    slices: Mapping[int, SliceEdit]
    left_out: Mapping[int, str]


def edit_heart(heart: HeartHost, wish: HeartWish, kind: Edit = Edit.ADD) -> HeartEdit:
    """The edit that fulfils a wish. Each slice gets its part of the scar, in its own plane and in its own heart coordinates.

    Raises:
        PrescriptionError: no slice of the heart is reached by the scar, or holds scar to edit; or the kind and the wish do not go together.
        NotMovedError: more than a quarter of the prescribed scar lies where the old one is.
    """
    kind = kind_of_edit(wish, kind)
    if kind is not Edit.ADD and not heart.has_scar:
        raise PrescriptionError(f"{heart.name}: has no scar to {kind}; choose a patient with scar")
    if kind in (Edit.REMOVE, Edit.MOVE):
        _require_whole_scar(heart, kind)
    edits: dict[int, SliceEdit] = {}
    left_out: dict[int, str] = {}
    for index, placed in heart.slices.items():
        try:
            edit = _edit_slice(placed, wish, kind)
        except PrescriptionError as fault:  # a slice at the border of the scar may be too thin for it
            left_out[index] = str(fault)
        else:
            if edit is not None:
                edits[index] = edit
    if isinstance(wish, HeartScar):
        _require_scar(heart, wish, edits)
        if kind is Edit.MOVE:
            _require_moved(heart, edits)
    elif not edits:
        raise PrescriptionError(f"{heart.name}: no slice can be edited; {next(iter(left_out.values()), 'no slice holds scar')}")
    return HeartEdit(kind=kind, wish=wish, slices=edits, left_out={**heart.left_out, **left_out})


def _require_whole_scar(heart: HeartHost, kind: Edit) -> None:
    """Scar in a slice that cannot be painted into would stay."""
    for index, why in heart.left_out.items():
        if scar_of(heart.stack.labels[:, :, index]).any():
            raise PrescriptionError(f"{heart.name}: slice {index} holds scar that cannot be edited ({why}); mend it before you {kind} scar")


def _edit_slice(placed: PlacedHost, wish: HeartWish, kind: Edit) -> SliceEdit | None:
    """The edit of one slice; None where it stays as it is."""
    host = placed.host
    own = host.slice_.scar.any()
    if not isinstance(wish, HeartScar):
        if not own:
            return None
        return replace_scar(host, wish) if isinstance(wish, OwnScar) else remove_scar(host)
    prescription = wish.at(placed.position)
    if prescription is None:
        return remove_scar(host) if own and kind is Edit.MOVE else None
    added = add_scar(host, prescription, rasterize(prescription, host.frame, along_mm=placed.along_mm))
    return replace(added, kind=Edit.MOVE, removed=host.slice_.scar) if own and kind is Edit.MOVE else added


def _require_scar(heart: HeartHost, scar: HeartScar, edits: Mapping[int, SliceEdit]) -> None:
    if any(edit.painted.scar.any() for edit in edits.values()):
        return
    places = ", ".join(f"{placed.position:.2f}" for placed in heart.slices.values())
    raise PrescriptionError(
        f"{heart.name}: the scar from {scar.ends[0]:g} to {scar.ends[1]:g} (0 base, 1 apex) reaches none of the usable slices, which "
        f"lie at {places}; prescribe a longer one"
    )


def _require_moved(heart: HeartHost, edits: Mapping[int, SliceEdit]) -> None:
    painted = sum(int(edit.painted.scar.sum()) for edit in edits.values())
    shared = sum(int((edit.painted.scar & heart.slices[index].host.slice_.scar).sum()) for index, edit in edits.items())
    if shared > MOST_OVERLAP * painted:
        raise NotMovedError(
            f"{heart.name}: {shared / painted:.0%} of the prescribed scar lies where the old one is, and a moved scar may have "
            f"{MOST_OVERLAP:.0%}; prescribe other segments"
        )


@dataclass(frozen=True, kw_only=True)
class StackSample:
    """One edited heart on the grid of its host.

    Attributes:
        heart, edit: the patient, and what was done.
        seed: seed of the initial noise.
        samples: index -> the slice that was painted; all others are those of the host, bit for bit.
    """

    heart: HeartHost
    edit: HeartEdit
    seed: int
    samples: Mapping[int, SyntheticSample]

    @property
    def image(self) -> Shaped[np.ndarray, "rows cols slices"]:
        """Stored numbers, in the data type of the host."""
        image = self.heart.stack.image.copy()
        for index, sample in self.samples.items():
            image[:, :, index] = sample.image
        return image

    @property
    def labels(self) -> UInt8[np.ndarray, "rows cols slices"]:
        """Values of `Label`."""
        labels = self.heart.stack.labels.copy()
        for index, sample in self.samples.items():
            labels[:, :, index] = sample.labels
        return labels

    @property
    def intended(self) -> UInt8[np.ndarray, "rows cols slices"]:
        """Scar (3) and no-reflow (4) that were to be painted, 0 elsewhere."""
        return self.in_slices(lambda sample: np.where(sample.intended_no_reflow, Label.NO_REFLOW, np.where(sample.intended, Label.SCAR, 0)))

    @property
    def hidden(self) -> UInt8[np.ndarray, "rows cols slices"]:
        """1 where a voxel may differ from the host."""
        return self.in_slices(lambda sample: sample.hidden)

    @property
    def removed(self) -> UInt8[np.ndarray, "rows cols slices"]:
        """Scar (3) and no-reflow (4) of the host that were removed or painted anew, 0 elsewhere."""
        return self.in_slices(lambda sample: np.where(sample.removed, sample.host.slice_.labels, 0))

    @property
    def max_change_outside(self) -> float:
        """Largest change outside the hidden regions, in stored numbers; anything but 0 is a bug."""
        return max((sample.max_change_outside for sample in self.samples.values()), default=0.0)

    def in_slices(self, of_slice: Callable[[SyntheticSample], Shaped[np.ndarray, "rows cols"]]) -> UInt8[np.ndarray, "rows cols slices"]:
        """A volume of what each painted slice has, 0 in all others."""
        volume = np.zeros(self.heart.stack.labels.shape, np.uint8)
        for index, sample in self.samples.items():
            volume[:, :, index] = of_slice(sample)
        return volume
