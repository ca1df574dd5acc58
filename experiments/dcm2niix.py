"""Whether a heart is found and painted the same way round after dcm2niix has stored its rows bottom-up.

    python experiments/dcm2niix.py SUNNYBROOK [--paint 2]

SUNNYBROOK holds PATIENT/dicom, PATIENT/image.nii.gz and PATIENT/label.nii.gz. The DICOM files are converted by dcm2niix, which must be
installed, and compared with image.nii.gz; both get the labels of label.nii.gz.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from stored_forms import insertions, painted

from lgesynthnet.data.source import CohortSource
from lgesynthnet.hosts.pool import find_hosts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sunnybrook", type=Path)
    parser.add_argument("--paint", type=int, default=2, help="slices of each patient that are painted")
    options = parser.parse_args()
    pools = []
    with tempfile.TemporaryDirectory() as name:
        for form in ("published", "dcm2niix"):
            for patient in sorted(path for path in options.sunnybrook.iterdir() if (path / "dicom").is_dir()):
                out = Path(name) / form / patient.name
                out.mkdir(parents=True)
                shutil.copyfile(patient / "label.nii.gz", out / "label.nii.gz")
                if form == "published":
                    shutil.copyfile(patient / "image.nii.gz", out / "image.nii.gz")
                else:
                    words = ["dcm2niix", "-z", "y", "-b", "n", "-f", "image", "-o", str(out), str(patient / "dicom")]
                    subprocess.run(words, check=True, capture_output=True)
            source = CohortSource(root=Path(name) / form, dataset="sunnybrook")
            pools.append(find_hosts(source.open(), with_scar=True, least_confidence=0.0))
        (honest, shown), (found, again) = ((insertions(pool), painted(pool, options.paint)) for pool in pools)
    chords = np.array([np.linalg.norm(found[key] - honest[key], axis=1) for key in honest])
    away_deg = np.degrees(2 * np.arcsin(np.clip(chords / 2, 0, 1))).max()
    differences = [int(np.abs(again[key].astype(np.int64) - shown[key]).max()) for key in shown]
    print(
        f"{len(honest)} slices, largest angle {away_deg:.4f} deg; largest difference of each painted slice in stored numbers: {differences}"
    )


if __name__ == "__main__":
    main()
