"""From the name or folder of a model to what paints and what judges. Torch is loaded only where a network is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.devices import check_device_name
from lgesynthnet.errors import ModelError
from lgesynthnet.generate.base import Generator
from lgesynthnet.model_store import fingerprint, is_folder, part_folder, shipped_or_path, weights_folder
from lgesynthnet.segmenter.base import ScarSegmenter
from lgesynthnet.terms import Role

BASELINE = "paste"


@dataclass(frozen=True, kw_only=True)
class Painter:
    """A generator and the filter that judges what it paints; the two share no weights."""

    name: str
    generator: Generator
    filter: ScarSegmenter


@dataclass(frozen=True, kw_only=True)
class ShippedModel:
    """A model folder inside the package, with the fingerprints that stand in the rows of its samples."""

    name: str
    path: Path
    size_bytes: int
    generator: str
    filter: str


def load_painter(model: str, device: str = "auto", filter_folder: Path | None = None) -> Painter:
    """`paste` (no network), the name of a shipped model, or a model folder.

    Args:
        filter_folder: a filter's folder, or a model folder that holds one, in place of the model's own filter.

    Raises:
        ModelError: no such model or filter, or a folder is incomplete.
        InputError: there is no such device.
    """
    check_device_name(device)
    if model == BASELINE:
        from lgesynthnet.generate.paste import IntensityPaste
        from lgesynthnet.segmenter.threshold import ThresholdScarSegmenter

        judge = ThresholdScarSegmenter() if filter_folder is None else load_filter(filter_folder)
        return Painter(name=model, generator=IntensityPaste(), filter=judge)
    folder = model_folder(model)
    from lgesynthnet.generate.inpainter import LGESynthNet

    generator = LGESynthNet.from_pretrained(folder, device=device)
    return Painter(name=model, generator=generator, filter=load_filter(folder if filter_folder is None else filter_folder))


def load_filter(model: str | Path) -> ScarSegmenter:
    """The filter of a model: of a shipped one by its name, of a model folder, or of the filter's own folder.

    Raises:
        ModelError: there is none, or it is damaged or of another role.
    """
    from lgesynthnet.segmenter.scar import TrainedScarSegmenter

    return TrainedScarSegmenter.from_pretrained(part_folder(model, Role.FILTER), Role.FILTER)


def model_folder(model: str) -> Path:
    """Where a shipped name or a path points to.

    Raises:
        ModelError: neither; or the folder lacks the generator or the filter.
    """
    folder = shipped_or_path(model)
    if not is_folder(folder):
        known = ", ".join([BASELINE, *(found.name for found in _shipped_folders())])
        raise ModelError(f"--model {model}: neither a folder nor a known name; known are {known}")
    lacking = [part for part in ("inpainter", "filter") if not is_folder(folder / part)]
    if lacking:
        raise ModelError(f"{folder}: has no folder {' and no '.join(lacking)}; give the folder that `lgesynthnet train all --out` wrote")
    return folder


def shipped_models() -> list[ShippedModel]:
    """Every model that came with the package, by name."""
    return [_described(folder) for folder in _shipped_folders()]


def _shipped_folders() -> list[Path]:
    root = weights_folder()
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))) if root.is_dir() else []


def _described(folder: Path) -> ShippedModel:
    return ShippedModel(
        name=folder.name,
        path=folder,
        size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        generator=fingerprint(folder / "inpainter", role="inpainter"),
        filter=fingerprint(folder / "filter", role="filter"),
    )
