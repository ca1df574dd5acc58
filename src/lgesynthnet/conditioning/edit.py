"""What one sample changes in its host: the scar that is painted, and the scar of the host that is removed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.describing import describe_scar
from lgesynthnet.prescription.edits import NoEnhancement, OwnScar, Prescription, Scar, Wish, edit_named_by
from lgesynthnet.prescription.measuring import MIN_CHORD_SHARE, chord_number, chord_shares
from lgesynthnet.prescription.rasterize import ScarMask, rasterize
from lgesynthnet.prescription.scar import TRANSMURAL_ABOVE, Pattern, ScarPrescription
from lgesynthnet.records import Label, Labels, Mask
from lgesynthnet.terms import Edit

MOST_OVERLAP = 0.25  # share of a moved scar that may lie where the old one was; with more it has not moved
NEUTRAL_PERCENTILE = 50.0  # of brightness, where no scar is painted


class NotMovedError(PrescriptionError):
    """The scar that is to be moved would lie where it is."""


@dataclass(frozen=True, kw_only=True)
class SliceEdit:
    """One edit of one slice.

    Attributes:
        kind: add, remove, move or replace.
        prescription: what is painted.
        painted: masks of what is painted, on the host's grid; empty where scar is only removed.
        removed: (rows, cols) mask of the host's scar that becomes healthy wall, or is painted anew.
    """

    kind: Edit
    prescription: Prescription
    painted: ScarMask
    removed: Mask

    @property
    def touched(self) -> Mask:
        """Scar before or after the edit; the hidden region lies round it."""
        return np.asarray(self.painted.scar | self.removed)

    @property
    def intensity_percentile(self) -> float:
        """Brightness of the painted scar as a percentile, 0 to 100; of no meaning where none is painted."""
        return NEUTRAL_PERCENTILE if isinstance(self.prescription, NoEnhancement) else self.prescription.intensity_percentile

    def labels(self, before: Labels) -> Labels:
        """The labels (rows, cols) after the edit; scar of the host that is not removed stays."""
        result = before.copy()
        result[self.removed] = Label.WALL
        result[self.painted.scar] = Label.SCAR
        result[self.painted.no_reflow] = Label.NO_REFLOW
        return result


def add_scar(host: Host, prescription: ScarPrescription, painted: ScarMask | None = None) -> SliceEdit:
    """Paint a scar; the host's own scar stays.

    Args:
        painted: the masks to paint; None draws them from the prescription.
    Raises:
        PrescriptionError: no part of the prescribed scar lies in the wall of this host.
    """
    painted = rasterize(prescription, host.frame) if painted is None else painted
    return SliceEdit(kind=Edit.ADD, prescription=prescription, painted=painted, removed=np.zeros_like(painted.scar))


def remove_scar(host: Host) -> SliceEdit:
    """Turn the host's scar into healthy wall.

    Raises:
        PrescriptionError: the host has no scar.
    """
    nothing = np.zeros_like(host.frame.wall)
    return SliceEdit(
        kind=Edit.REMOVE,
        prescription=NoEnhancement(),
        painted=ScarMask(scar=nothing, no_reflow=nothing),
        removed=_own_scar(host, Edit.REMOVE),
    )


def move_scar(host: Host, prescription: ScarPrescription) -> SliceEdit:
    """Turn the host's scar into healthy wall, and paint a scar elsewhere.

    Raises:
        PrescriptionError: the host has no scar, or no part of the prescribed scar lies in its wall.
        NotMovedError: more than a quarter of the prescribed scar lies where the old one is.
    """
    old, painted = _own_scar(host, Edit.MOVE), rasterize(prescription, host.frame)
    shared = float((painted.scar & old).sum() / painted.scar.sum())
    if shared > MOST_OVERLAP:
        raise NotMovedError(
            f"{host.name}: {shared:.0%} of the prescribed scar lies where the old one is, and a moved scar may have {MOST_OVERLAP:.0%}; "
            "prescribe another segment"
        )
    return SliceEdit(kind=Edit.MOVE, prescription=prescription, painted=painted, removed=old)


def replace_scar(host: Host, wish: OwnScar) -> SliceEdit:
    """Paint the host's scar again in its place.

    With another depth it has no no-reflow.

    Raises:
        PrescriptionError: the host has no scar, or one that does not start at the endocardium and has therefore no such depth.
    """
    old, painted, own = _own_scar(host, Edit.REPLACE), own_masks(host), describe_own_scar(host)
    if (depth := wish.transmurality) is not None:
        if own.pattern not in (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL):
            raise PrescriptionError(f"{host.name}: its scar is {own.pattern}, and only an infarct can be given another depth")
        painted = _to_depth(host, old, depth)
        pattern = Pattern.TRANSMURAL if depth > TRANSMURAL_ABOVE else Pattern.SUBENDOCARDIAL
        own = ScarPrescription(segments=own.segments, pattern=pattern, transmurality=depth)
    prescription = replace(own, intensity_percentile=wish.intensity_percentile)
    return SliceEdit(kind=Edit.REPLACE, prescription=prescription, painted=painted, removed=old)


def edit_of(host: Host, wish: Wish, kind: Edit = Edit.ADD) -> SliceEdit:
    """The edit that fulfils a wish. `NoEnhancement` and `OwnScar` say themselves what is done; a scar is added, or moved.

    Raises:
        PrescriptionError: see `add_scar`, `remove_scar`, `move_scar` and `replace_scar`; or the kind and the wish do not go together.
    """
    kind = kind_of_edit(wish, kind)
    match wish:
        case NoEnhancement():
            return remove_scar(host)
        case OwnScar():
            return replace_scar(host, wish)
        case _:
            return move_scar(host, wish) if kind is Edit.MOVE else add_scar(host, wish)


def kind_of_edit(wish: Scar | NoEnhancement | OwnScar, kind: Edit) -> Edit:
    """What is done, from what is wished and the kind that was named; add is what a caller gets who names none.

    Raises:
        PrescriptionError: the two do not go together.
    """
    named = edit_named_by(wish)
    if kind not in (Edit.ADD, Edit.MOVE if named is Edit.ADD else named):
        raise PrescriptionError(f"the edit {kind} does not go with {type(wish).__name__}; name no edit, or another prescription")
    return kind if named is Edit.ADD else named


def own_masks(host: Host) -> ScarMask:
    """The masks of the scar that a slice has."""
    return ScarMask(scar=host.slice_.scar, no_reflow=host.slice_.labels == Label.NO_REFLOW)


def describe_own_scar(host: Host) -> ScarPrescription:
    """The prescription that describes the scar of a slice; border and brightness have their defaults.

    Raises:
        PrescriptionError: the slice has no scar.
    """
    masks, frame = own_masks(host), host.frame
    if not masks.scar.any():
        raise PrescriptionError(f"{host.name}: has no scar to describe")
    described = describe_scar(masks.scar, masks.no_reflow, frame)
    if described is not None:
        return described
    # A scar too small to fill a segment is named after the segment that holds most of it.
    counts = np.bincount(frame.segments[masks.scar & frame.wall], minlength=17)
    segment = int(counts[1:].argmax()) + 1
    return ScarPrescription(segments=frozenset({segment}), pattern=Pattern.SUBENDOCARDIAL, transmurality=0.25)


def _own_scar(host: Host, kind: Edit) -> Mask:
    scar = host.slice_.scar
    if not scar.any():
        raise PrescriptionError(f"{host.name}: has no scar to {kind}; choose a slice with scar")
    return scar


def _to_depth(host: Host, scar: Mask, transmurality: float) -> ScarMask:
    """The wall behind the scarred part of the endocardium, up to this share of its thickness."""
    frame = host.frame
    shares, _ = chord_shares(scar, frame)
    behind = np.zeros_like(frame.wall)
    behind[frame.wall] = (shares >= MIN_CHORD_SHARE)[chord_number(frame)]
    deepened = behind & (np.nan_to_num(frame.depth, nan=2.0) <= transmurality)
    if not deepened.any():
        raise PrescriptionError(f"{host.name}: no wall pixel of its scar lies within {transmurality:.0%} of the wall; give a larger share")
    return ScarMask(scar=deepened, no_reflow=np.zeros_like(deepened))
