"""Baseline without a network: the intensities of another patient's real scar, bent into the intended mask."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.spatial import cKDTree

from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.repaint_region import hidden_region
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.errors import InputError
from lgesynthnet.generate.base import Generator
from lgesynthnet.generate.composite import composite, finished
from lgesynthnet.generate.paste import erased, healthy_wall
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.rasterize import ScarMask
from lgesynthnet.prescription.scar import ScarPrescription
from lgesynthnet.records import Label, Mask

VERSION = 2  # raised when the rule changes, so that a resumed run notices
LEAST_MM2 = 30.0  # a smaller scar is mostly partial volume
WALL_MM = 10.0  # what a step in depth weighs against a step along the arc
FAR_IN_TRANSMURALITY = 0.25  # as far as twice the area


@dataclass(frozen=True, kw_only=True)
class Donor:
    """One real scar, every pixel in the coordinates of its own heart.

    Attributes:
        where: (n, 2) depth through the wall and position along the scar's arc, both 0 to 1.
        unit: (n,) heart units.
        core: (n,) which pixels are no-reflow.
        arc_mm: length of the arc.
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
        """The scar of a slice; None where it has none worth the name."""
        slice_, frame = host.slice_, host.frame
        scar = slice_.scar & frame.wall
        found = measure_scar(scar, frame)
        if found.area_mm2 < LEAST_MM2 or found.transmurality is None:
            return None
        start_deg, extent_deg = arc_of(frame.nominal_deg[scar])
        rows, cols = (np.nonzero(scar)[axis] - frame.centre[axis] for axis in range(2))
        radius_mm = float(np.hypot(rows * frame.spacing_mm[0], cols * frame.spacing_mm[1]).mean())
        return cls(
            name=host.name,
            patient=slice_.patient,
            area_mm2=found.area_mm2,
            transmurality=found.transmurality,
            arc_mm=float(np.radians(extent_deg)) * radius_mm,
            where=_coordinates(scar, frame, start_deg, extent_deg),
            unit=HeartWindow.from_slice(slice_).to_unit(slice_.image)[scar].astype(np.float64),
            core=slice_.labels[scar] == Label.NO_REFLOW,
        )

    def values(self, where: Float[np.ndarray, "m 2"], *, core: bool) -> Float[np.ndarray, " m"] | None:
        """Heart units at other coordinates, each from the nearest pixel of scar or of core; None where the donor has no such pixel."""
        chosen = self.core == core
        if not chosen.any():
            return None
        scale = np.array([WALL_MM, self.arc_mm])
        return self.unit[chosen][cKDTree(self.where[chosen] * scale).query(where * scale)[1]]


class CopyPaste(Generator):
    """Lays a donor's scar into the intended mask; which donor, and which way round, follows from the seed.

    The prescription's brightness is not looked at: a real scar is as bright as it is. Texture, border and no-reflow are real too,
    and only the host's surroundings are another patient's. Sources: copy and paste as augmentation, Ghiasi et al. (2021); of lesions,
    Zhang et al. (2021), CarveMix; bent along the wall here, since a scar's shape belongs to its own heart.
    """

    def __init__(self, donors: Sequence[Donor], *, nearest: int = 8, edge_pixels: float = 0.6) -> None:
        """`nearest`: so many donors, those most like the mask in area and transmural extent, are drawn from; `edge_pixels`: soft border."""
        if not donors or nearest < 1:
            raise InputError(f"copy-paste: needs 1 donor or more, and 1 or more to draw from, not {len(donors)} and {nearest}")
        self.donors, self.nearest, self.edge_pixels = list(donors), nearest, edge_pixels
        digest = hashlib.sha256(json.dumps([VERSION, nearest, edge_pixels]).encode())
        for donor in self.donors:
            digest.update(f"{donor.name} {donor.patient}".encode())
            digest.update(donor.where.tobytes() + donor.unit.tobytes() + donor.core.tobytes())
        self._mark = f"copy-paste:{digest.hexdigest()[:16]}"

    @classmethod
    def from_hosts(cls, hosts: Iterable[Host], *, nearest: int = 8, edge_pixels: float = 0.6) -> CopyPaste:
        """A bank of the scars that slices hold; give it training patients alone.

        Raises:
            InputError: none of the slices holds a scar of 30 mm² or more.
        """
        donors = [donor for host in hosts if (donor := Donor.of(host)) is not None]
        if not donors:
            raise InputError(f"copy-paste: no slice of the bank holds a scar of {LEAST_MM2:g} mm² or more; give it patients with scar")
        return cls(donors, nearest=nearest, edge_pixels=edge_pixels)

    @property
    def fingerprint(self) -> str:
        return self._mark

    def inpaint_mask(self, host: Host, painted: ScarMask, prescription: ScarPrescription, *, seed: int = 0) -> SyntheticSample:
        """Paint one sample.

        Raises:
            InputError: every donor is of the host's own patient.
            AnatomyError: the host's wall is all scar, so nothing tells what healthy wall looks like.
        """
        began = time.perf_counter()
        slice_, rng = host.slice_, np.random.default_rng(seed)
        donor = self.donor_for(host, painted, rng)
        hidden = hidden_region(painted.scar, host.frame.wall, slice_.spacing_mm)
        filled = self._filled(host, painted, donor, rng)
        image = composite(slice_.image, filled, hidden, slice_.spacing_mm)
        return finished(host, prescription, painted, hidden, image, seed=seed, model=self.fingerprint, began=began)

    def donor_for(self, host: Host, painted: ScarMask, rng: np.random.Generator) -> Donor:
        """One of the donors nearest to the mask; with a no-reflow core where the mask has one and any donor has.

        Raises:
            InputError: every donor is of the host's own patient.
        """
        others = [donor for donor in self.donors if donor.patient != host.slice_.patient]
        if not others:
            raise InputError(f"{host.name}: every donor of the copy-paste bank is of this same patient; add other patients with scar")
        cored = [donor for donor in others if donor.core.any()] if painted.no_reflow.any() else []
        found = measure_scar(painted.scar, host.frame)

        def unlike(donor: Donor) -> float:
            deeper = donor.transmurality - (found.transmurality or 0.0)
            return float(np.hypot(np.log2(donor.area_mm2 / max(found.area_mm2, 1e-6)), deeper / FAR_IN_TRANSMURALITY))

        nearest = sorted(cored or others, key=unlike)[: self.nearest]
        return nearest[int(rng.integers(len(nearest)))]

    def _filled(self, host: Host, painted: ScarMask, donor: Donor, rng: np.random.Generator) -> Float[np.ndarray, "rows cols"]:
        window, mirrored = HeartWindow.from_slice(host.slice_), bool(rng.integers(2))
        dark_level, texture = healthy_wall(host, rng)
        result = erased(host, painted, dark_level + texture)
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
            # Under the soft edge the nearest pixel of the mask goes on.
            rows, cols = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
            share = ndimage.gaussian_filter(mask.astype(np.float64), self.edge_pixels)
            result = result * (1 - share) + level[rows, cols] * share
        return result


def arc_of(angles_deg: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Start and extent of the shortest arc that holds all angles, in degrees; whatever side of 360 they lie on."""
    around = np.sort(angles_deg % 360.0)
    gaps = np.diff(around, append=around[0] + 360.0)
    last = int(gaps.argmax())
    return float(around[(last + 1) % len(around)]), float(360.0 - gaps[last])


def _coordinates(mask: Mask, frame: HeartFrame, start_deg: float, extent_deg: float) -> Float[np.ndarray, "n 2"]:
    along = ((frame.nominal_deg[mask] - start_deg) % 360.0) / max(extent_deg, 1e-6)
    return np.stack([frame.depth[mask], np.clip(along, 0.0, 1.0)], axis=1)
