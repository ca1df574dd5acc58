"""Patients whose NIfTI files are damaged in every way that hypothesis can think of: headers, voxels, compression, length, byte order."""

from __future__ import annotations

import gzip
import io
import random
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from factories import SPACING_MM, ring_patient, write_patient
from hypothesis import strategies as st

# Offset and type of the fields of a NIfTI-1 header that a reader looks at.
FIELDS = {
    "sizeof_hdr": (0, "i"),
    **{f"dim{i}": (40 + 2 * i, "h") for i in range(8)},
    "intent_code": (68, "h"),
    "datatype": (70, "h"),
    "bitpix": (72, "h"),
    "slice_start": (74, "h"),
    **{f"pixdim{i}": (76 + 4 * i, "f") for i in range(5)},
    "vox_offset": (108, "f"),
    "scl_slope": (112, "f"),
    "scl_inter": (116, "f"),
    "xyzt_units": (123, "b"),
    "cal_max": (124, "f"),
    "glmin": (144, "i"),
    "qform_code": (252, "h"),
    "sform_code": (254, "h"),
    **{name: (256 + 4 * i, "f") for i, name in enumerate(("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"))},
    **{f"srow{i}": (280 + 4 * i, "f") for i in range(12)},
    "magic": (344, "i"),
    "extension": (348, "i"),
}
NAN, INF = float("nan"), float("inf")
EXTREMES = {
    "h": (-32768, -5, -1, 0, 1, 2, 3, 4, 7, 8, 16, 32, 64, 128, 255, 512, 768, 1024, 1280, 1536, 2048, 2304, 4096, 32767),
    "i": (-(2**31), -1, 0, 1, 540, 2**31 - 1),
    "b": (-128, -1, 0, 1, 3, 7, 127),
    "f": (NAN, INF, -INF, -1e30, -1.0, 0.0, 1e-45, 1e-30, 1e-3, 0.04, 0.5, 0.9999, 1.0001, 3.0, 9.0, 352.0, 1e4, 3e38),
}
DTYPES = ("i2", "u1", "f4", "f8", "u2", "i1", "i4", "i8", "u8")
PACKINGS = ("gzip", "gzip", "plain", "twice", "members", "trailing", "padded", "damaged", "cut")
VOXELS = ("constant", "nan", "infinite", "huge", "tiny", "zero", "negative", "saturated", "one grey level", "far offset")


@dataclass(frozen=True)
class Patient:
    """How one patient is written, and what is then done to its files."""

    dtype: str
    endian: str
    rv: bool
    packing: tuple[str, str]
    mutations: tuple[tuple[object, ...], ...]


def draw_patient(seed: int) -> Patient:
    """Most patients get one or two mutations: with more, the first one hides the others."""
    rng = random.Random(seed)
    return Patient(
        dtype=rng.choice(DTYPES),
        endian=rng.choice("<<<>"),
        rv=rng.random() < 0.75,
        packing=(rng.choice(PACKINGS), rng.choice(PACKINGS[:3])) if rng.random() < 0.2 else ("gzip", "gzip"),
        mutations=tuple(_draw_mutation(rng) for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3)))),
    )


def _draw_mutation(rng: random.Random) -> tuple[object, ...]:
    which = rng.choice(("image", "both", "both", "label"))
    match rng.choice(("set", "set", "set", "flip", "cut", "insert", "voxels", "voxels", "labels", "pixels")):
        case "set":
            name = rng.choice(sorted(FIELDS))
            return "set", which, name, rng.choice(EXTREMES[FIELDS[name][1]])
        case "flip":
            return "flip", which, rng.randrange(352), rng.randrange(1, 256)
        case "cut":
            return "cut", which, rng.random()
        case "insert":
            return "insert", which, rng.random(), rng.randbytes(rng.randrange(1, 64))
        case "voxels":
            return "voxels", "image", rng.choice(VOXELS), rng.randrange(-1, 3)
        case "labels":
            return "labels", "label", rng.randrange(8), rng.randrange(3)
    return "pixels", "both", rng.choice((1e-3, 0.03, 0.2, 0.5, 2.5, 6.0)), rng.randrange(3)


# The seeds are hypothesis's; it draws the mutations themselves too unevenly, most of them near the one before.
patients = st.integers(0, 2**32 - 1).map(draw_patient)


def write_cohort(root: Path, patient: Patient) -> Path:
    """The mutated patient X beside the good patient N002; returns the folder."""
    write_patient(root, "N002", seed=1, slices=1, rv=True)
    (root / "lgesynthnet.json").write_text('{"lgesynthnet": {"labels": "lgesynthnet", "base_first": true}}')
    for kind, part, packing in zip(("image", "label"), ("Images", "Contours"), patient.packing, strict=True):
        content = packed(mutated(patient, kind), packing)
        path = root / "Case_X" / part / "Case_X.nii.gz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return root


def mutated(patient: Patient, kind: str) -> bytes:
    """The uncompressed file."""
    header, voxels = _base(patient.dtype if kind == "image" else "u1", patient.endian, patient.rv, kind)
    voxels = voxels.copy()
    raw = bytearray(header)
    cuts: list[list[object]] = []
    for name, which, *how in patient.mutations:
        if which not in (kind, "both"):
            continue
        if name == "set":
            offset, form = FIELDS[how[0]]
            struct.pack_into(patient.endian + form, raw, offset, how[1])
        elif name == "flip":
            raw[how[0]] ^= how[1]
        elif name == "pixels":
            for axis in (1, 2, 3)[: how[1] + 1]:
                struct.pack_into(patient.endian + "f", raw, 76 + 4 * axis, SPACING_MM * how[0])
        elif name == "voxels":
            _spoil(voxels[:, :, how[1]] if how[1] >= 0 else voxels, how[0])
        elif name == "labels":
            voxels[20:40, 20:40, how[1]] = how[0]
        else:
            cuts.append(how)
    content = bytes(raw) + voxels.tobytes(order="F")
    for share, *extra in cuts:
        at = int(share * len(content))
        content = content[:at] + extra[0] + content[at:] if extra else content[:at]
    return content


def packed(content: bytes, packing: str) -> bytes:
    """The file as it lies on the disk."""
    small = gzip.compress(content, 1, mtime=0)
    match packing:
        case "plain":
            return content
        case "twice":
            return gzip.compress(small, 1, mtime=0)
        case "members":
            return b"".join(gzip.compress(content[at : at + 5000], 1, mtime=0) for at in range(0, len(content), 5000))
        case "trailing":
            return small + b"and a note at the end"
        case "padded":
            return gzip.compress(content + bytes(2**21), 1, mtime=0)
        case "damaged":
            middle = len(small) // 2
            return small[:middle] + bytes([small[middle] ^ 0x55]) + small[middle + 1 :]
        case "cut":
            return small[: len(small) // 2]
    return small


@lru_cache
def _base(dtype: str, endian: str, rv: bool, kind: str) -> tuple[bytes, np.ndarray]:
    image, labels = ring_patient(3, rv=rv)
    stored = (np.rint(image).clip(0, 120) if kind == "image" else labels).transpose(1, 0, 2).astype(endian + dtype)
    affine = np.diag([-SPACING_MM, -SPACING_MM, 10.0, 1.0])
    nifti = nib.Nifti1Image(stored, affine, nib.Nifti1Header(endianness=endian), dtype=np.dtype(endian + dtype))
    nifti.set_qform(affine, 1)
    nifti.set_sform(affine, 1)
    buffer = io.BytesIO(nifti.to_bytes())
    return buffer.read(352), stored


def _spoil(voxels: np.ndarray, how: str) -> None:
    limits = np.finfo(voxels.dtype) if voxels.dtype.kind == "f" else np.iinfo(voxels.dtype)
    match how:
        case "constant":
            voxels[...] = 7
        case "zero":
            voxels[...] = 0
        case "saturated":
            voxels[...] = limits.max
        case "negative":
            voxels[...] = -voxels
        case "one grey level":
            voxels[...] = 7
            voxels[:3, :3] = 8
        case "far offset" if voxels.dtype.kind == "f":
            voxels[...] = voxels + 1e12
        case "huge":
            voxels[30:34] = limits.max
        case "tiny" if voxels.dtype.kind == "f":
            voxels[...] = voxels * limits.tiny
        case "nan" | "infinite" if voxels.dtype.kind == "f":
            voxels[30] = np.nan if how == "nan" else np.inf
