"""Lines of Python that make a file readable. Messages print them, and the tests run them as they are printed."""

from __future__ import annotations

from pathlib import Path

CONVERTIBLE = (".nrrd", ".mha", ".mhd", ".img", ".hdr")  # SimpleITK reads them; .img and .hdr are one image in two files
NEW = "corrected.nii.gz"  # what the lines write; the user puts it in the place of the file
_INSTEAD = f"and put {NEW} in its place"


def convert(path: Path) -> str:
    """Write an image of another format as NIfTI, beside it."""
    return f"SimpleITK.WriteImage(SimpleITK.ReadImage({_text(path)}), {_text(path.with_suffix('.nii.gz'))})"


def resample(label: Path, image: Path) -> str:
    """Bring a label onto the grid of its image, without new numbers in between."""
    read = f"SimpleITK.ReadImage({_text(label)}), SimpleITK.ReadImage({_text(image)})"
    return f"SimpleITK.WriteImage(SimpleITK.Resample({read}, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor), {NEW!r}) {_INSTEAD}"


def place_like(label: Path, image: Path) -> str:
    """Save a label of the same shape with the position of its image."""
    return f"nibabel.save(nibabel.Nifti1Image({_load(label)}.dataobj, None, {_load(image)}.header), {NEW!r}) {_INSTEAD}"


def without_skew(path: Path) -> str:
    """Save an image with the nearest position whose axes are at right angles."""
    return f"i = {_load(path)}; i.set_qform(i.affine, 1); i.set_sform(i.get_qform(), 1); nibabel.save(i, {NEW!r}) {_INSTEAD}"


def with_one_position(path: Path) -> str:
    """Save an image whose qform is its sform."""
    return f"i = {_load(path)}; i.set_qform(i.get_sform(), 1); nibabel.save(i, {NEW!r}) {_INSTEAD}"


def without_position(path: Path) -> str:
    """Save an image with its pixel size alone."""
    affine = "numpy.diag([*i.header.get_zooms()[:3], 1])"
    return f"i = {_load(path)}; nibabel.save(nibabel.Nifti1Image(i.dataobj, {affine}), {NEW!r}) {_INSTEAD}"


def frame(path: Path) -> str:
    """Save the first frame of a film."""
    return f"nibabel.save(nibabel.four_to_three({_load(path)})[0], {NEW!r}) {_INSTEAD}"


def _load(path: Path) -> str:
    return f"nibabel.load({_text(path)})"


def _text(path: Path) -> str:
    return repr(str(path))
