"""Real text contours against the labels that come with the same patients."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from contour_writers import dice

from lgesynthnet.data.contours.finding import find_contour_files
from lgesynthnet.data.contours.reading import read_contour_labels
from lgesynthnet.data.planes import SlicePlane

PATIENTS = ["SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4"]


def stored_slices(folder: Path) -> tuple[list[SlicePlane], list[np.ndarray]]:
    """The planes and the pixels of a patient's images, in the reverse order of their names."""
    import pydicom

    planes, images = [], []
    for path in sorted(folder.glob("*.dcm"), reverse=True):
        dataset = pydicom.dcmread(path)
        cosines = tuple(map(float, dataset.ImageOrientationPatient))
        images.append(dataset.pixel_array)
        planes.append(
            SlicePlane(
                shape=images[-1].shape,
                origin_mm=tuple(map(float, dataset.ImagePositionPatient)),
                along_row=cosines[:3],
                along_column=cosines[3:],
                spacing_mm=tuple(map(float, dataset.PixelSpacing)),
                path=path,
                sop_instance_uid=str(dataset.SOPInstanceUID),
            )
        )
    return planes, images


@pytest.mark.real
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("patient", PATIENTS)
def test_contours_give_the_labels_of_the_patient(real_data, patient):
    folder = real_data / "sunnybrook" / patient
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there")
    planes, images = stored_slices(folder / "dicom")
    paths = find_contour_files(folder)
    assert paths
    read = read_contour_labels(paths, planes).labels
    stacked, expected = (np.asarray(nib.load(folder / f"{name}.nii.gz").dataobj).transpose(1, 0, 2) for name in ("image", "label"))
    scores = []
    for k, image in enumerate(images):
        [same] = [index for index in range(stacked.shape[2]) if np.array_equal(stacked[:, :, index], image)]
        if (read[:, :, k] == 1).any() and (read[:, :, k] == 2).any():
            scores.append([dice(read[:, :, k] == 1, expected[:, :, same] == 1), dice(read[:, :, k] > 0, expected[:, :, same] > 0)])
    assert len(scores) >= 8
    assert np.mean(scores, axis=0) == pytest.approx(1, abs=0.006)
    assert np.min(scores) > 0.98  # the smallest cavity has 95 pixels
