"""How long it takes to find the stacks of a large DICOM folder: headers alone, no pixel is decoded.

    python experiments/dicom_headers.py [--files 3000]

The files are copies of one simulated slice of 256 x 256 pixels at other places, written to a temporary folder first.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from lgesynthnet.data.dicom.grouping import group_frames
from lgesynthnet.data.dicom.scanning import DicomSource, scan
from lgesynthnet.data.view import IMAGE_DOWN, IMAGE_RIGHT


def write_files(folder: Path, count: int) -> None:
    """Write `count` single-frame MR images of one stack, 0.7 mm apart."""
    right = IMAGE_RIGHT / np.linalg.norm(IMAGE_RIGHT)
    down = IMAGE_DOWN - right * (right @ IMAGE_DOWN)
    down /= np.linalg.norm(down)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, MRImageStorage
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.Modality, image.ImageType = MRImageStorage, "MR", ["ORIGINAL", "PRIMARY", "M"]
    image.PatientID, image.StudyInstanceUID, image.SeriesInstanceUID = "A", "1.2.3.1", "1.2.3.1.7"
    image.ImageOrientationPatient = [f"{x:.8f}" for x in (*right, *down)]
    image.PixelSpacing, image.InversionTime = [1.4, 1.4], "300"
    image.Rows = image.Columns = 256
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.PixelData = np.zeros((256, 256), np.int16).tobytes()
    for k in range(count):
        image.SOPInstanceUID, image.InstanceNumber = generate_uid(), k
        image.ImagePositionPatient = [f"{x:.4f}" for x in 0.7 * k * np.cross(right, down)]
        image.save_as(folder / f"{k:05d}", enforce_file_format=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write_files(Path(name), options.files)
        began, began_cpu = time.perf_counter(), time.process_time()
        frames = scan(DicomSource(folder=Path(name))).frames
        stacks = group_frames(frames)
        print(
            f"{len(frames)} files, {len(stacks)} stack of {len(stacks[0])} slices: {time.perf_counter() - began:.1f} s, "
            f"of which {time.process_time() - began_cpu:.1f} s of one core"
        )


if __name__ == "__main__":
    main()
