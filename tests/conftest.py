"""Where the real data lies, small NIfTI files, and the cohorts that several test files share."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import ring_labels, write_hosts


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data; skips where it is absent."""
    named = os.environ.get("LGESYNTHNET_DATA")
    if not named:
        pytest.skip("no real data: LGESYNTHNET_DATA is not set")
    if not (Path(named) / "emidec").is_dir():
        pytest.skip(f"no real data: LGESYNTHNET_DATA is {named}, and no folder emidec lies there")
    return Path(named)


@pytest.fixture(scope="session")
def emidec(real_data: Path) -> Path:
    """The 75 EMIDEC patients."""
    return real_data / "emidec"


@pytest.fixture
def ring() -> Callable[..., np.ndarray]:
    return ring_labels


@pytest.fixture
def save() -> Callable[..., Path]:
    """save(path, array in file order (columns, rows, slices), spacing_mm, affine=None, slope=None): write a NIfTI file."""

    def write(
        path: Path,
        array: np.ndarray,
        spacing_mm: tuple[float, ...] = (1.5, 1.25, 8.0),
        affine: np.ndarray | None = None,
        slope: tuple[float, float] | None = None,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(array, np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0]) if affine is None else affine)
        image.header.set_zooms((*spacing_mm, 1.0, 1.0)[: array.ndim])
        image.header.set_xyzt_units("mm")
        if slope is None:
            nib.save(image, path)
        else:  # nibabel rescales on its way out; the stored numbers are wanted as they are
            raw = bytearray(image.to_bytes())
            raw[112:120] = np.array(slope, dtype="<f4").tobytes()
            path.write_bytes(raw)
        return path

    return write


@pytest.fixture
def pair(save: Callable[..., Path], ring: Callable[..., np.ndarray]) -> Callable[..., tuple[Path, Path]]:
    """pair(image_path, label_path, slices=3, seed=0): a patient of rings with a noisy int16 image."""

    def write(image_path: Path, label_path: Path, slices: int = 3, seed: int = 0, **where: object) -> tuple[Path, Path]:
        labels = np.stack([ring(**where).T] * slices, axis=2)
        image = np.random.default_rng(seed).integers(1, 900, labels.shape).astype(np.int16)
        return save(image_path, image), save(label_path, labels)

    return write


@pytest.fixture(scope="session")
def hosts(tmp_path_factory) -> Path:
    """Three healthy patients: int16, float32 and uint8. Nobody labelled their RV: a network finds the septum."""
    return write_hosts(tmp_path_factory.mktemp("cohort") / "hösts ♥")


@pytest.fixture(scope="session")
def labelled_hosts(tmp_path_factory) -> Path:
    """The same three patients with a labelled RV: a process that paints into them needs no torch, and starts fast."""
    return write_hosts(tmp_path_factory.mktemp("labelled") / "hösts ♥", rv=True)


@pytest.fixture(scope="module")
def few_draws():
    """Bootstrap intervals of 200 draws instead of 2000, for tests of what surrounds them; `test_intervals.py` tests the intervals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lgesynthnet.evaluate.intervals.DRAWS", 200)
        yield


@pytest.fixture
def contents():
    """contents(run): every byte that a run promises to repeat, by path; the seconds are left out of the table."""

    def read(run: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for path in [*sorted(run.rglob("*.nii.gz")), run / "plan.json", run / "lgesynthnet.json"]:
            found[path.relative_to(run).as_posix()] = path.read_bytes()
        with (run / "samples.csv").open(newline="", encoding="utf-8") as lines:
            found["samples.csv"] = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(lines)]
        return found

    return read
