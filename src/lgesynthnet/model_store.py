"""Model folders: where they are, their licence, the fingerprint of their weights, and their settings, which hold words and numbers only."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lgesynthnet.errors import InputError, LicenceNotice, ModelError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import is_owned, manifest_of
from lgesynthnet.files.reading import checked, opened, read_json, read_text

OWN_LICENCE = "apache-2.0"
CARD_BYTES = 2**20
SETTINGS_BYTES = 2**20  # the largest settings of a network have 2 kB
REPORT_BYTES = 2**26
REMEDY = "copy the model again from where it came, or train it again"
# Keys by which libraries load Python code that comes with a model.
CODE = frozenset({"auto_map", "trust_remote_code", "custom_pipelines", "custom_generate"})

# Every file of a network's folder that decides what the network does, by the network's role; `fingerprint` hashes these and no others.
_SEGMENTER_FILES = ("calibration.json", "config.json", "model.safetensors")
_FILES_OF = {
    "autoencoder": ("config.json", "diffusion_pytorch_model.safetensors"),
    "downstream-segmenter": ("config.json", "model.safetensors", "wall/config.json", "wall/model.safetensors"),
    "inpainter": (
        "conditioning.json",
        *(f"{part}/{name}" for part in ("controlnet", "unet", "vae") for name in ("config.json", "diffusion_pytorch_model.safetensors")),
        "scheduler/scheduler_config.json",
        *(f"text_encoder/{name}" for name in ("config.json", "model.safetensors", "projection.safetensors")),
        *(f"tokenizer/{name}" for name in ("tokenizer.json", "tokenizer_config.json")),
    ),
}

_MOST_BYTES = {".json": 2**24, ".safetensors": 2**32}

T = TypeVar("T")


@contextmanager
def model_faults() -> Iterator[None]:
    """Inside, a file that cannot be used is a fault of the model, and nobody mends a model's files by hand."""
    try:
        yield
    except InputError as fault:
        cause = str(fault).rpartition("; ")[0] or str(fault)
        raise ModelError(f"{cause}; {REMEDY}") from None


def is_folder(path: Path) -> bool:
    """Whether there is a folder of this name; no name is too strange to ask for."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def exists(path: Path) -> bool:
    """Whether something of this name is there, usable or not, so that a damaged part is never taken for one that is not there."""
    try:
        return path.is_symlink() or path.exists()
    except (OSError, ValueError):
        return False


def config_of(folder: Path, what: str) -> Path:
    """The file with the settings of the network in a folder.

    Args:
        what: the kind of network, for the error message.
    Raises:
        ModelError: there is no such file.
    """
    if not exists(folder / "config.json"):
        raise ModelError(f"{folder}: no usable {what}, for it has no config.json; give the folder that `lgesynthnet train` wrote")
    return folder / "config.json"


def read_record(path: Path) -> dict[str, Any]:
    """A JSON file of a model, of at most 1 MB.

    Raises:
        ModelError: it is missing or no strict JSON, or it names Python code to load with the model.
    """
    with model_faults():
        record = read_json(path, SETTINGS_BYTES)
    if code := sorted(CODE & record.keys()):
        raise ModelError(f"{path}: names code of the model's own ({code[0]}), and none is ever run; use a model without it")
    return record


def read_settings(path: Path, kind: type[T]) -> T:
    """The settings of a network.

    Args:
        kind: the pydantic model that gives every setting its type and range.
    Raises:
        ModelError: see `read_record`; or a setting has another type or is out of range.
    """
    record = read_record(path)
    with model_faults():
        return checked(kind, record, str(path))


def weights_folder() -> Path:
    """Folder of the weights that come with the package; it may not exist."""
    return Path(__file__).parent / "weights"


def shipped_or_path(model: str | Path) -> Path:
    """The folder of a shipped model, given its name; else the path itself. It may not exist."""
    shipped = weights_folder() / model
    return shipped if str(model) and Path(model).name == str(model) and is_folder(shipped) else Path(model)


def licence_of(model: Path) -> str | None:
    """The licence that the model folder's card (README.md) names in its header, in lower case; None where there is none.

    Raises:
        ModelError: the card cannot be read as text.
    """
    card = model / "README.md"
    if not exists(card):
        return None
    with model_faults():
        head = read_text(card, CARD_BYTES)[:2000].split("---")
    lines = head[1].splitlines() if len(head) > 2 and not head[0].strip() else []
    return next((line.partition(":")[2].strip().lower() for line in lines if line.startswith("license:")), None)


def notice_licence(weights: Path, *beside: Path) -> None:
    """Warn (once for each card) where weights are under other terms than this program.

    Args:
        weights: the folder of the weights.
        beside: further folders whose card applies to the weights too.
    """
    for card in (weights, *beside):
        if (licence := licence_of(card)) not in (None, OWN_LICENCE):
            notice = f"the weights in {weights} are under {licence}: its terms apply to the images that they generate, too"
            warnings.warn(notice, LicenceNotice, stacklevel=3)


def require_complete(folder: Path) -> None:
    """Refuse a model folder whose packing did not end: its parts may come from two models.

    Raises:
        ModelError: the list of files in the folder says so.
    """
    if is_owned(folder, FolderKind.MODEL) and not manifest_of(folder).finished:
        raise ModelError(f"{folder}: is being packed, or packing it was interrupted; give the command that packed it again")


def part_folder(model: str | Path, part: str) -> Path:
    """Folder of one part (such as `filter`) of a shipped model, a model folder or a work folder; or the given folder itself.

    It may not exist.

    Raises:
        ModelError: see `require_complete`.
    """
    folder = shipped_or_path(model)
    require_complete(folder)
    inside = (folder / part, folder / f"scar-segmenter-{part}" / "model", folder / part / "model")
    return next((place for place in inside if exists(place / "config.json")), folder)


def fingerprint(folder: Path, *, role: str) -> str:
    """`ROLE-` and 12 hexadecimal digits, a hash of the names and the content of the files that a network of this role is made of.

    Raises:
        ModelError: such a file cannot be read.
    """
    digest = hashlib.sha256(role.encode())
    with model_faults():
        for path in sorted(folder / name for name in _FILES_OF.get(role, _SEGMENTER_FILES)):
            if not exists(path):
                continue
            digest.update(path.relative_to(folder).as_posix().encode())
            with opened(path) as file:
                if (size := os.fstat(file.fileno()).st_size) > _MOST_BYTES[path.suffix]:
                    raise InputError(f"{path}: has {size} bytes, which is more than {_MOST_BYTES[path.suffix]}; {REMEDY}")
                while piece := file.read(2**20):
                    digest.update(piece)
    return f"{role}-{digest.hexdigest()[:12]}"


def segmenter_fingerprint(folder: Path) -> str | None:
    """Fingerprint of a segmenter's folder, in the role that its config names; None where there is no segmenter.

    Raises:
        ModelError: its config is damaged.
    """
    if not exists(folder / "config.json"):
        return None
    role = read_record(folder / "config.json").get("role")
    return fingerprint(folder, role=role) if isinstance(role, str) else None


def read_report(path: Path) -> dict[str, object]:
    """The training reports in a JSON file; empty where it does not exist.

    Raises:
        ModelError: the file is damaged.
    """
    if not exists(path):
        return {}
    try:
        return read_json(path, REPORT_BYTES)
    except InputError as fault:
        raise ModelError(f"{fault}; without it the patients that this model was trained on are unknown: restore the file") from None


AUDITOR = "scar-segmenter-auditor"


def patients_behind(model: str | Path) -> set[str] | None:
    """Names of the patients that a model was trained on, by its reports; None where the reports do not name them.

    Reads `reports.json` of the model folder, and `report.json` beside a stage's `model/`. The auditor's patients are left out.
    """
    folder = shipped_or_path(model)
    if folder.parent == weights_folder():  # simulated patients only; some have the names of real ones
        return set()
    patients: set[str] = set()
    any_named = False
    for path in (folder / "reports.json", folder / "report.json", folder.parent / "report.json"):
        content = read_report(path)
        by_stage: dict[str, object] = content if path.name == "reports.json" else {"": content}
        stages = [stage for name, stage in by_stage.items() if name != AUDITOR]  # nothing that is painted or kept depends on the auditor
        for stage in stages:
            if isinstance(stage, dict) and isinstance(stage.get("names"), list):
                patients |= {str(name) for name in stage["names"]}
                any_named = True
            elif isinstance(stage, dict) and stage.get("patients"):
                return None
    return patients if any_named else None
