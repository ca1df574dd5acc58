"""A folder of contours for several patients: each gets what was drawn on its own images."""

from __future__ import annotations

from contour_writers import write_rtstruct
from dicom_files import patient, save, series

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.dicom.reading import read_dicom_image
from lgesynthnet.data.dicom.scanning import DicomSource
from lgesynthnet.data.dicom.stack import DicomOptions
from lgesynthnet.records import Skipped, Stack


def test_contours_that_name_only_a_place_are_never_those_of_another_patient_who_lay_there(tmp_path):
    who = patient()
    for name in ("X", "Y"):
        save(series(who, PatientID=name, StudyInstanceUID=f"1.2.3.{ord(name)}"), tmp_path / "data" / name)
    planes = read_dicom_image(DicomSource(folder=tmp_path / "data" / "X")).planes
    (tmp_path / "drawn" / "X").mkdir(parents=True)
    write_rtstruct(tmp_path / "drawn" / "X" / "rt.dcm", who.labels[:, :, ::-1], planes, with_uids=False)
    x, y = open_cohort(tmp_path / "data", dicom=DicomOptions(contours=tmp_path / "drawn")).stacks()
    assert isinstance(x, Stack)
    assert isinstance(y, Skipped)
    assert "drawn: holds no contours for Y; put them into the sub-folder Y" in y.reason
