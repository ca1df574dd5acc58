"""What the tests of several packages are made of: tiny patients, and a command line that runs inside the test process.

Nothing here imports the package at the top: a module that is imported before pytest has started runs without type checks.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SIDE, SPACING_MM = 64, 1.5
DTYPES = (np.int16, np.float32, np.uint8)


def ring_labels(side: int = 64, inner: float = 10, outer: float = 16, centre: tuple[float, float] | None = None) -> np.ndarray:
    """(rows, cols) uint8: a cavity of radius `inner` pixels in a wall that reaches to `outer`."""
    rows, cols = np.mgrid[:side, :side]
    away = np.hypot(rows - (centre or (side / 2, side / 2))[0], cols - (centre or (side / 2, side / 2))[1])
    return np.where(away <= inner, 1, np.where(away <= outer, 2, 0)).astype(np.uint8)


def ring_patient(seed: int, slices: int = 3, scar: bool = False, rv: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """One patient: a ring of dark wall round bright blood, in the style of the EMIDEC data.

    Args:
        seed: of the noise and of the position of the heart.
        scar: paint and label one bright scar in every slice.
        rv: label the right ventricle, which is always there in the image. With the label, the orientation of the heart is
            known, and no network has to estimate it.
    Returns:
        Image (float64) and labels (uint8) of shape (rows, cols, slices), base first: blood 180, wall 40, noise with SD 5.
    """
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    images, labels = [], []
    for index in range(slices):
        inner, outer = 11.0 - 1.5 * index, 18.0 - 1.5 * index
        away = np.hypot(rows - 31 - rng.uniform(-1, 1), cols - 36 - rng.uniform(-1, 1))
        label = np.where(away <= inner, 1, np.where(away <= outer, 2, 0)).astype(np.uint8)
        image = np.select([label == 1, label == 2], [180.0, 40.0], 90.0)
        right_ventricle = (np.hypot(rows - 31, cols - 16) <= 13) & (label == 0)
        image[right_ventricle] = 175.0
        if scar:
            core = (label == 2) & (rows > 40) & (cols > 36)
            image[core], label[core] = 210.0, 3
        if rv:
            label[right_ventricle] = 5
        images.append(image + rng.normal(0, 5, image.shape))
        labels.append(label)
    return np.stack(images, axis=2), np.stack(labels, axis=2)


def short_axis_affine(seed: int, spacing_mm: tuple[float, float, float] = (SPACING_MM, SPACING_MM, 10.0)) -> np.ndarray:
    """(column, row, slice) to NIfTI's millimetres for a radiological short axis, base first, turned by up to 10 degrees about each axis."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_euler("xyz", np.random.default_rng(seed).uniform(-10, 10, 3), degrees=True).as_matrix()
    right, down = np.linalg.qr(np.array([[0.7704, 0.6184, 0.155], [-0.1516, 0.4139, -0.8976]]).T)[0].T * [[-1], [-1]]
    right, down = right * np.sign(right[0]), down * np.sign(-down[2])
    affine = np.eye(4)
    # The order of the slices is the reverse of the way from the apex to the base, right x down.
    affine[:3, :3] = np.diag([-1, -1, 1]) @ turned @ np.stack([right, down, -np.cross(right, down)], axis=1) * spacing_mm
    affine[:3, 3] = (-40.0, 12.5, 7.25)
    return affine


def write_patient(
    root: Path, name: str, seed: int, *, dtype: type = np.int16, scar: bool = False, slices: int = 3, rv: bool = False
) -> Path:
    """Write `Case_NAME` in the EMIDEC layout, with the affine of a short axis; returns the path of the image."""
    image, labels = ring_patient(seed, slices, scar, rv)
    turn = short_axis_affine(seed)
    paths = [root / f"Case_{name}" / part / f"Case_{name}.nii.gz" for part in ("Images", "Contours")]
    stored = image if np.dtype(dtype).kind == "f" else np.rint(image).clip(0, 255)
    for path, voxels in zip(paths, (stored.astype(dtype), labels), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels.transpose(1, 0, 2), turn), path)
    return paths[0]


def write_hosts(root: Path, patients: int = 3, *, rv: bool = False) -> Path:
    """Write the healthy patients N001, N002, ... with different dtypes; returns the folder."""
    for number in range(patients):
        write_patient(root, f"N{number + 1:03d}", seed=number, dtype=DTYPES[number % len(DTYPES)], rv=rv)
    if rv:  # EMIDEC has no label of the RV: the folder says which numbers it uses
        from lgesynthnet.data.declaration import write_declaration

        write_declaration(root, labels="lgesynthnet", base_first=True)
    return root


def run_command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run `lgesynthnet WORDS` inside this process: exit code, stdout and stderr, without the seconds of a new process."""
    from lgesynthnet.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    arguments = ["lgesynthnet", *map(str, words)]
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", arguments)
        # The filters of a fresh interpreter; catch_warnings also makes a notice appear again that was shown once before.
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning, FutureWarning):
            warnings.simplefilter("ignore", category)
        code = main()
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def run_process(*words: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m lgesynthnet WORDS` as a user does, in a process of its own."""
    return subprocess.run([sys.executable, "-m", "lgesynthnet", *map(str, words)], capture_output=True, text=True, timeout=300)


def all_gone(group: int, seconds: float = 20.0) -> bool:
    """Whether the processes of a group end soon: the workers, and the process in which Python counts what they share."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
