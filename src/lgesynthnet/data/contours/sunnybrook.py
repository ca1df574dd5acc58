"""Text contours of the Sunnybrook Cardiac Data: "x y" in pixels, one point a line, for the image that the file name states.

x counts columns and y counts rows from the centre of the first pixel, which is at 0. Read in this way, and with a pixel covered where half
of its area is, the contours give the labels that come with the three patients of the tests: mean Dice 0.996 for the cavity and 0.997 for
what is inside the epicardium, against 0.97 and 0.98 if everything is moved by half a pixel. Source of the format: Radau et al. (2009).
"""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from lgesynthnet.data.contours.drawings import FileDrawings
from lgesynthnet.data.contours.kinds import SUNNYBROOK_NAME, is_point
from lgesynthnet.data.contours.matching import Slices
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import read_text

MAX_BYTES = 2**24


def read_sunnybrook(file: FileDrawings, slices: Slices) -> None:
    """Read the contour of one text file, whose name begins with the name of its image.

    Raises:
        InputError: a line is not two finite numbers, or several slices are stored in images of that name.
    """
    matched = SUNNYBROOK_NAME.fullmatch(file.path.name)
    if matched is None:  # `kind_of` has checked it
        raise InputError(f"{file.path}: its name does not say to which image it belongs; give it the name that it had")
    name = matched["contour"]
    file.remedy = f"its name says that it belongs to the image {matched['image']}.dcm, so give that DICOM image"
    meaning = file.meaning_of(name)
    if meaning is None:
        return
    found = [k for k, plane in enumerate(slices.planes) if _stem(plane.path) == matched["image"]]
    if not found:
        file.unmatched += 1
        return
    if len(found) > 1:
        paths = f"{slices.planes[found[0]].path} and {slices.planes[found[1]].path}"
        raise InputError(f"{file.path}: may belong to several images ({paths}); give the images of one series only")
    lines = read_text(file.path, MAX_BYTES).splitlines()
    file.count_points(len(lines), name)
    points = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if not is_point(line):
            raise InputError(f"{file.path}: line {number} is not two numbers, x and y; correct or replace the file")
        x, y = map(float, line.split())
        points.append((y, x))
    file.outline(name, meaning, found[0], [np.array(points, dtype=np.float64).reshape(-1, 2)])


def _stem(path: PurePath) -> str:
    return path.name[:-4] if path.name.lower().endswith(".dcm") else path.name
