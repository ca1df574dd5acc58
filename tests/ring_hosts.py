"""Tiny patients for the tests of the workflow: nulled rings of wall round bright blood, in the EMIDEC layout."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

SIDE, SPACING_MM = 64, 1.5
DTYPES = (np.int16, np.float32, np.uint8)


def ring_patient(seed: int, slices: int = 3, scar: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Image (float64) and labels (uint8) of shape (rows, cols, slices), base first: blood 180, wall 40 and noise, RV on the left."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    images, labels = [], []
    for index in range(slices):
        inner, outer = 11.0 - 1.5 * index, 18.0 - 1.5 * index
        away = np.hypot(rows - 31 - rng.uniform(-1, 1), cols - 36 - rng.uniform(-1, 1))
        label = np.where(away <= inner, 1, np.where(away <= outer, 2, 0)).astype(np.uint8)
        image = np.select([label == 1, label == 2], [180.0, 40.0], 90.0)
        image[(np.hypot(rows - 31, cols - 16) <= 13) & (label == 0)] = 175.0
        if scar:
            core = (label == 2) & (rows > 40) & (cols > 36)
            image[core], label[core] = 210.0, 3
        images.append(image + rng.normal(0, 5, image.shape))
        labels.append(label)
    return np.stack(images, axis=2), np.stack(labels, axis=2)


def write_patient(root: Path, name: str, seed: int, *, dtype: type = np.int16, scar: bool = False, slices: int = 3) -> Path:
    """Write `Case_NAME` with an oblique affine; returns the image's path."""
    image, labels = ring_patient(seed, slices, scar)
    turn = np.eye(4)
    turn[:3, :3] = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] * (SPACING_MM, SPACING_MM, 10.0)
    turn[:3, 3] = (-40.0, 12.5, 7.25)
    paths = [root / f"Case_{name}" / part / f"Case_{name}.nii.gz" for part in ("Images", "Contours")]
    stored = image if np.dtype(dtype).kind == "f" else np.rint(image).clip(0, 255)
    for path, voxels in zip(paths, (stored.astype(dtype), labels), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels.transpose(1, 0, 2), turn), path)
    return paths[0]


def write_hosts(root: Path, patients: int = 3) -> Path:
    """Healthy patients N001, N002, ... of different dtypes; returns the folder."""
    for number in range(patients):
        write_patient(root, f"N{number + 1:03d}", seed=number, dtype=DTYPES[number % len(DTYPES)])
    return root
