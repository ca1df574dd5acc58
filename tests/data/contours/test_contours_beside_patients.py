"""Contours that lie beside the images of several patients in one folder."""

from __future__ import annotations

import numpy as np
from contour_writers import write_cvi42, write_rtstruct
from dicom_files import patient, save, series

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.dicom.grouping import group_frames
from lgesynthnet.data.dicom.scanning import DicomSource, scan
from lgesynthnet.records import Skipped, Stack


def test_contours_beside_several_patients_belong_to_the_patient_whose_images_they_name(tmp_path):
    for name, seed in (("A", 0), ("B", 1), ("C", 2)):
        who = patient(seed)
        frames = series(who, PatientID=name, StudyInstanceUID=f"1.2.{seed + 3}")
        save(frames, tmp_path, name)
        planes = [frame.plane for frame in group_frames(scan(DicomSource(folder=tmp_path, patient_id=name)).frames)[0].frames]
        write = (write_rtstruct, write_cvi42, write_rtstruct)[seed]
        write(tmp_path / f"drawn-{seed}", who.labels[:, :, ::-1], planes, **({"with_uids": False} if name == "C" else {}))
    *drawn, left_out = open_cohort(tmp_path).stacks()
    for stack, seed in zip(drawn, (0, 1), strict=True):
        assert isinstance(stack, Stack), stack
        np.testing.assert_array_equal(stack.labels == 1, patient(seed).labels[:, :, ::-1] == 1)
    assert isinstance(left_out, Skipped)  # its contours name no image, and those of another patient may lie in the same place
    assert f"none in {tmp_path / 'C'}; put its contours there" in left_out.reason
    (tmp_path / "C").mkdir()
    (tmp_path / "drawn-2").rename(tmp_path / "C" / "drawn-2")  # what the message says
    assert not any(isinstance(each, Skipped) for each in open_cohort(tmp_path).stacks())
