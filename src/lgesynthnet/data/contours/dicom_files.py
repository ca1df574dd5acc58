"""Read a DICOM file of contours or masks with pydicom, which is an optional dependency."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lgesynthnet.data.contours.drawings import damage_named
from lgesynthnet.data.contours.kinds import TRANSFER_SYNTAX, file_meta
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import read_bytes

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_BYTES = 2**28
# A deflated file is inflated by pydicom without a limit, and would have to be believed.
_DEFLATED = ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1")


@contextmanager
def dicom_dataset(path: Path) -> Iterator[Dataset]:
    """The data set of a DICOM file; what pydicom raises inside the block is reported as damage of the file.

    Values are decoded when they are used, so whatever is read of the data set is read inside the block.

    Raises:
        InputError: pydicom is not installed; or the file is damaged, larger than 256 MB, or deflated.
    """
    try:
        import pydicom
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ImportError:
        raise InputError(f'{path}: is a DICOM file, and pydicom is not installed; pip install "lgesynthnet[dicom]"') from None
    content = read_bytes(path, MAX_BYTES)
    if file_meta(content[:4096]).get(TRANSFER_SYNTAX) in _DEFLATED:
        raise InputError(f"{path}: is stored deflated; store it uncompressed, e.g. dcmconv +te IN.dcm OUT.dcm")
    with damage_named(path, "a DICOM file", BytesLengthException, InvalidDicomError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of values that break the standard; what matters here is checked here
        yield pydicom.dcmread(io.BytesIO(content))


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is absent or empty."""
    return list(dataset.get(keyword) or [])


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """So many numbers of one element; None where it is absent or has another number of them."""
    value: Any = dataset.get(keyword)
    if value is None:
        return None
    values = tuple(float(number) for number in (value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]))
    return values if len(values) == count else None
