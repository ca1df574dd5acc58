"""Find the files in a folder that hold contours or masks, by what they contain."""

from __future__ import annotations

from pathlib import Path


def find_contour_files(folder: Path) -> list[Path]:
    """The contour and mask files in a folder and in the folders below it, sorted by path. Hidden files and folders are left out.

    Raises:
        InputError: the folder cannot be read, or it holds too many files or folders.
    """
    raise NotImplementedError
