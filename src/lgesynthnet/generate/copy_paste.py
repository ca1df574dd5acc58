"""Baseline without a network: the intensities of a real scar of another patient, deformed into the intended mask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.spatial import cKDTree

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.edit import SliceEdit
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import hidden_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.errors import InputError
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.composite import SampleOrigin, composite
from lgesynthnet.generate.paste import erased, healthy_wall
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.records import Label, Mask

VERSION = 3  # part of the fingerprint; raise it when the rule changes
MIN_MM2 = 30.0  # a smaller scar is mostly partial volume
WALL_MM = 10.0  # thickness that makes a step in depth comparable with a step along the arc
TRANSMURALITY_SCALE = 0.25  # a difference this large counts as much as a factor of two in area


@dataclass(frozen=True, kw_only=True)
class Donor:
    """One real scar, with every pixel in the coordinates of its own heart.

    Attributes:
        where: (n, 2) depth through the wall and position along the scar's arc, both 0 to 1.
        unit: (n,) intensity in heart units.
        core: (n,) which pixels are no-reflow.
        area_mm2, transmurality: of the scar; the transmural extent is 0 to 1.
        arc_mm: length of the arc that the scar spans.
    """

    name: str
    patient: str
    area_mm2: float
    transmurality: float
    arc_mm: float
    where: Float[np.ndarray, "n 2"]
    unit: Float[np.ndarray, " n"]
    core: Bool[np.ndarray, " n"]

    @classmethod
    def of(cls, host: Host) -> Donor | None:
        """The scar of a slice; None where it has none of 30 mm² or more."""
        slice_, frame = host.slice_, host.frame
        scar = slice_.scar & frame.wall
        extent = measure_scar(scar, frame)
        if extent.area_mm2 < MIN_MM2 or extent.transmurality is None:
            return None
        start_deg, extent_deg = arc_of(frame.nominal_deg[scar])
        rows, cols = (np.nonzero(scar)[axis] - frame.centre[axis] for axis in range(2))
        radius_mm = float(np.hypot(rows * frame.spacing_mm[0], cols * frame.spacing_mm[1]).mean())
        return cls(
            name=host.name,
            patient=slice_.patient,
            area_mm2=extent.area_mm2,
            transmurality=extent.transmurality,
            arc_mm=float(np.radians(extent_deg)) * radius_mm,
            where=_coordinates(scar, frame, start_deg, extent_deg),
            unit=HeartWindow.from_slice(slice_).to_unit(slice_.image)[scar].astype(np.float64),
            core=slice_.labels[scar] == Label.NO_REFLOW,
        )

    def values(self, where: Float[np.ndarray, "m 2"], *, core: bool) -> Float[np.ndarray, " m"] | None:
        """Heart units at other coordinates, each from the nearest pixel of bright scar or of the core; None where there is none."""
        chosen = self.core == core
        if not chosen.any():
            return None
        scale = np.array([WALL_MM, self.arc_mm])
        nearest = cKDTree(self.where[chosen] * scale).query(where * scale)[1]
        return np.asarray(self.unit[chosen][nearest])


class CopyPaste(Generator):
    """Copies the scar of a donor into the intended mask. The seed decides the donor and whether its scar is mirrored.

    The prescribed brightness is not used: a real scar keeps its own brightness, texture, border and no-reflow core.

    Sources: copy-paste as augmentation, Ghiasi et al. (2021); of lesions, Zhang et al. (2021), CarveMix. Here the scar is deformed along
    the wall, because its shape belongs to its own heart.
    """

    def __init__(self, donors: Sequence[Donor], *, nearest: int = 8, edge_pixels: float = 0.6) -> None:
        """Make a bank of donors.

        Args:
            nearest: a donor is drawn from this many that are most similar to the mask in area and transmural extent.
            edge_pixels: width of the soft edge, as the sigma of a Gaussian.
        Raises:
            InputError: there are no donors, or `nearest` is below 1.
        """
        if not donors or nearest < 1:
            raise InputError(f"copy-paste: needs at least 1 donor, and at least 1 to draw from, not {len(donors)} and {nearest}")
        self.donors, self.nearest, self.edge_pixels = list(donors), nearest, edge_pixels
        digest = hashlib.sha256(json.dumps([VERSION, nearest, edge_pixels]).encode())
        for donor in self.donors:
            digest.update(f"{donor.name} {donor.patient}".encode())
            digest.update(donor.where.tobytes() + donor.unit.tobytes() + donor.core.tobytes())
        self._fingerprint = f"copy-paste:{digest.hexdigest()[:16]}"

    @classmethod
    def from_hosts(cls, hosts: Iterable[Host], *, nearest: int = 8, edge_pixels: float = 0.6) -> CopyPaste:
        """A bank of the scars in these slices; give it training patients only.

        Raises:
            InputError: no slice has a scar of 30 mm² or more.
        """
        donors = [donor for host in hosts if (donor := Donor.of(host)) is not None]
        if not donors:
            raise InputError(f"copy-paste: no slice of the bank holds a scar of {MIN_MM2:g} mm² or more; give it patients with scar")
        return cls(donors, nearest=nearest, edge_pixels=edge_pixels)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def apply(self, host: Host, edit: SliceEdit, *, seed: int = 0) -> SyntheticSample:
        """Make one edit.

        Raises:
            InputError: every donor is of the host's own patient.
            AnatomyError: the host's wall is all scar, so there is no healthy wall to take the texture from.
        """
        origin = SampleOrigin(host=host, edit=edit, seed=seed, generator=self.fingerprint)
        slice_, rng = host.slice_, np.random.default_rng(seed)
        hidden = hidden_region(edit.touched, host.frame.wall, slice_.spacing_mm)
        filled = self._filled(host, edit, rng)
        image = composite(slice_.image, filled, hidden, slice_.spacing_mm)
        return origin.sample(image, hidden)

    def donor_for(self, host: Host, painted: ScarMask, rng: np.random.Generator) -> Donor:
        """One of the donors most similar to the mask; where the mask has a no-reflow core, a donor with a core if there is any.

        Raises:
            InputError: every donor is of the host's own patient.
        """
        others = [donor for donor in self.donors if donor.patient != host.slice_.patient]
        if not others:
            raise InputError(f"{host.name}: every donor of the copy-paste bank is of this same patient; add other patients with scar")
        cored = [donor for donor in others if donor.core.any()] if painted.no_reflow.any() else []
        extent = measure_scar(painted.scar, host.frame)

        def distance(donor: Donor) -> float:
            deeper = donor.transmurality - (extent.transmurality or 0.0)
            return float(np.hypot(np.log2(donor.area_mm2 / max(extent.area_mm2, 1e-6)), deeper / TRANSMURALITY_SCALE))

        nearest = sorted(cored or others, key=distance)[: self.nearest]
        return nearest[int(rng.integers(len(nearest)))]

    def _filled(self, host: Host, edit: SliceEdit, rng: np.random.Generator) -> Float[np.ndarray, "rows cols"]:
        painted = edit.painted
        donor = self.donor_for(host, painted, rng) if painted.scar.any() else None
        window, mirrored = HeartWindow.from_slice(host.slice_), bool(rng.integers(2))
        dark_level, texture = healthy_wall(host, rng)
        result = erased(host, edit, dark_level + texture)
        if donor is None:
            return result
        here = painted.scar & host.frame.wall
        start_deg, extent_deg = arc_of(host.frame.nominal_deg[here])
        for mask, core in ((here & ~painted.no_reflow, False), (here & painted.no_reflow, True)):
            if not mask.any():
                continue
            where = _coordinates(mask, host.frame, start_deg, extent_deg)
            where[:, 1] = 1.0 - where[:, 1] if mirrored else where[:, 1]
            unit = donor.values(where, core=core)
            level = np.zeros(mask.shape)
            level[mask] = (dark_level + texture)[mask] if unit is None else window.to_stored(unit)
            # Under the soft edge, outside the mask, the value of the nearest pixel of the mask is used.
            rows, cols = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
            share = ndimage.gaussian_filter(mask.astype(np.float64), self.edge_pixels)
            result = result * (1 - share) + level[rows, cols] * share
        return result


def arc_of(angles_deg: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Start and extent in degrees of the shortest arc that contains all angles; it may pass through 0."""
    around = np.sort(angles_deg % 360.0)
    gaps = np.diff(around, append=around[0] + 360.0)
    last = int(gaps.argmax())
    return float(around[(last + 1) % len(around)]), float(360.0 - gaps[last])


def _coordinates(mask: Mask, frame: HeartFrame, start_deg: float, extent_deg: float) -> Float[np.ndarray, "n 2"]:
    along = ((frame.nominal_deg[mask] - start_deg) % 360.0) / max(extent_deg, 1e-6)
    return np.stack([frame.depth[mask], np.clip(along, 0.0, 1.0)], axis=1)
