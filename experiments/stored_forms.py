"""Whether a heart is found the same way round however its file is stored: seven forms of each patient, each with its honest affine.

    python experiments/stored_forms.py DATA --splits DATA/splits.json --parts val audit test [--paint 2]

Every patient is given the affine of an oblique short axis, since the files of EMIDEC state none, and is stored in seven forms. With
--own-affine the files keep theirs. Printed are the largest angle between the RV insertions found in a form and in the file as it is, in the
patient's coordinates; the number of slices that differ by more than 40 degrees; and how many painted slices are equal to the last number in
the radiological view.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.source import CohortSource
from lgesynthnet.data.view import IMAGE_DOWN, IMAGE_RIGHT, shown_axes
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.synthesis.painters import load_painter

WRONG_DEG = 40.0
SCAR = ScarPrescription(segments=frozenset({1, 2, 7, 8, 13, 14}), pattern=Pattern.TRANSMURAL, transmurality=1.0, seed=3)
Stored = tuple[np.ndarray, np.ndarray]  # voxels and affine


def oblique(spacing_mm: tuple[float, ...], seed: int, base_first: bool) -> np.ndarray:
    """The affine of a radiological short axis that is turned by up to 15 degrees about each axis."""
    right = IMAGE_RIGHT / np.linalg.norm(IMAGE_RIGHT)
    down = IMAGE_DOWN - right * (right @ IMAGE_DOWN)
    down /= np.linalg.norm(down)
    turned = Rotation.from_euler("xyz", np.random.default_rng(seed).uniform(-15, 15, 3), degrees=True).as_matrix()
    affine = np.eye(4)
    towards = np.cross(right, down) * (-1 if base_first else 1)
    affine[:3, :3] = np.diag([-1, -1, 1]) @ turned @ np.stack([right, down, towards], axis=1) * spacing_mm
    affine[:3, 3] = (80, 200, 120)
    return affine


def forms(voxels: np.ndarray, affine: np.ndarray) -> Iterator[tuple[str, Stored]]:
    """The same stack as programs store it, each time with the affine that belongs to it."""
    yield "as it is", (voxels, affine)
    for name, axes in (("rows flipped", [1]), ("columns mirrored", [0]), ("stack reversed", [2])):
        turned = affine.copy()
        for axis in axes:
            turned[:3, 3] += turned[:3, axis] * (voxels.shape[axis] - 1)
            turned[:3, axis] *= -1
        yield name, (np.flip(voxels, axes), turned)
    yield "axes transposed", (voxels.transpose(1, 0, 2), affine[:, [1, 0, 2, 3]])
    image = nib.Nifti1Image(voxels, affine)
    for codes in ("RAS", "LPS"):  # this may put the slices on another axis
        start, end = nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(codes))
        turned_image = image.as_reoriented(nib.orientations.ornt_transform(start, end))
        yield codes, (np.asarray(turned_image.dataobj), turned_image.affine)


def write_forms(source: CohortSource, out: Path, *, give_affine: bool) -> list[str]:
    """Store every patient of a cohort in all forms under `out/FORM/`; returns the names of the forms."""
    cohort = source.open()
    names: list[str] = []
    for number, case in enumerate(cohort.cases):
        assert case.label_path is not None
        parts = {"Images": read_volume(case.image_path), "Contours": read_volume(case.label_path)}
        volume = parts["Images"]
        affine = oblique(volume.pixel_mm, number, base_first=False) if give_affine else volume.affine
        for part, content in parts.items():
            for name, (voxels, honest) in forms(content.stored, affine):
                path = out / name / f"Case_{case.patient}" / part / f"Case_{case.patient}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                nib.save(nib.Nifti1Image(np.ascontiguousarray(voxels), honest), path)
                names = names if name in names else [*names, name]
    return names


def insertions(pool: HostPool) -> dict[tuple[str, int], np.ndarray]:
    """(patient, slice from the base) -> the directions of the two insertions in the patient, (2, 3)."""
    found = {}
    for patient in sorted({entry.patient for entry in pool.entries}):
        entries = sorted((e for e in pool.entries if e.patient == patient), key=lambda e: e.index if e.order.base_first else -e.index)
        for place, entry in enumerate(entries):
            slice_ = pool.fetch(entry).slice_
            assert slice_.place is not None
            right, down = shown_axes(read_volume(slice_.place.path).affine, slice_.place.view)
            angles = np.radians([entry.insertions.anterior_deg, entry.insertions.inferior_deg])
            found[patient, place] = np.outer(np.cos(angles), right) - np.outer(np.sin(angles), down)
    return found


def painted(pool: HostPool, per_patient: int) -> dict[tuple[str, int], np.ndarray]:
    """(patient, slice from the base) -> a slice with one scar painted into it, in the radiological view."""
    generator = load_painter("phantom").generator
    images = {}
    for patient in sorted({entry.patient for entry in pool.entries}):
        entries = sorted((e for e in pool.entries if e.patient == patient), key=lambda e: e.index if e.order.base_first else -e.index)
        for place in np.linspace(0, len(entries) - 1, per_patient + 2).round().astype(int)[1:-1].tolist():
            images[patient, place] = generator.inpaint(pool.fetch(entries[place]), SCAR, seed=7).image
    return images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--splits", type=Path)
    parser.add_argument("--parts", nargs="+", default=["val", "audit", "test"])
    parser.add_argument("--paint", type=int, default=2, help="slices of each patient that are painted")
    parser.add_argument("--own-affine", action="store_true", help="the files state where they lie; keep that")
    parser.add_argument("--dataset", default="emidec")
    options = parser.parse_args()
    patients = None
    if options.splits is not None:
        splits = json.loads(options.splits.read_text())
        patients = tuple(name for part in options.parts for name in splits[part])
    source = CohortSource(root=options.data, dataset=options.dataset, patients=patients)
    with tempfile.TemporaryDirectory() as folder:
        names = write_forms(source, Path(folder), give_affine=not options.own_affine)
        pools = {}
        for name in names:
            root = Path(folder) / name
            pools[name] = find_hosts(CohortSource(root=root, dataset=options.dataset).open(), with_scar=True, least_confidence=0.0)
        honest, shown = insertions(pools["as it is"]), painted(pools["as it is"], options.paint) if options.paint else {}
        print(f"{len({p for p, _ in honest})} patients, {len(honest)} slices")
        for name in names:
            found = insertions(pools[name])
            assert found.keys() == honest.keys(), f"{name}: other slices are usable"
            chords = np.array([np.linalg.norm(found[key] - honest[key], axis=1) for key in honest])
            away = np.degrees(2 * np.arcsin(np.clip(chords / 2, 0, 1))).max(axis=1)
            again = painted(pools[name], options.paint) if options.paint else {}
            equal = sum(np.array_equal(again[key], shown[key]) for key in shown)
            print(
                f"{name:17s} largest angle {away.max():8.4f} deg, above {WRONG_DEG:g} deg: {(away > WRONG_DEG).sum()} of {away.size} "
                f"slices; painted slices equal: {equal} of {len(shown)}"
            )


if __name__ == "__main__":
    main()
