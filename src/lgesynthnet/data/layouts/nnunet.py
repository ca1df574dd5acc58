"""nnU-Net's raw data sets: imagesTr and labelsTr, or files that dataset.json lists."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic import BaseModel

from lgesynthnet.data.label_maps import label_map_from_names
from lgesynthnet.data.layouts.content import FolderContent, Layout
from lgesynthnet.data.layouts.listing import Tree, is_there, printable, stem_of
from lgesynthnet.errors import InputError
from lgesynthnet.files.reading import checked, read_json

CARD = "dataset.json"
LATE_ENHANCEMENT = ("lge", "de", "lge-mri", "late enhancement", "late gadolinium enhancement", "psir")
# nnU-Net's own environment variables are the only ones that paths in dataset.json may name: a file must not learn of others.
_VARIABLE = re.compile(r"\$(?:\{(nnUNet_(?:raw|preprocessed|results))\}|(nnUNet_(?:raw|preprocessed|results))\b)")


class _ListedCase(BaseModel):
    """An entry of "dataset" in dataset.json."""

    images: list[str]
    label: str


class _Card(BaseModel):
    """What is read of nnU-Net's dataset.json; it may hold more."""

    labels: dict[str, int | str | list[int]] | None = None
    channel_names: dict[str, str] | None = None
    modality: dict[str, str] | str | None = None
    dataset: dict[str, _ListedCase] | None = None


def find_nnunet(tree: Tree) -> FolderContent | None:
    """The cases of a data set of nnU-Net; None where the folder is none.

    Raises:
        InputError: dataset.json cannot be read, or it is not clear which channel is late enhancement.
    """
    place = tree.root / CARD
    content_of_card = read_json(place) if os.path.lexists(place) else {}
    is_there = any(folder.name == "imagesTr" for folder in tree[tree.root].folders)
    if not (is_there or isinstance(content_of_card.get("dataset"), dict)):
        return None
    card = checked(_Card, content_of_card, str(place))
    content = FolderContent(layout=Layout.NNUNET)
    content.label_map = label_map_from_names(card.labels) if card.labels is not None else None
    channel = _late_enhancement_channel(place, card)
    if card.dataset is not None:  # nnU-Net combines data sets in this way without copying files; they may lie anywhere and are only read
        _pair_listed(content, place, card.dataset, channel)
    else:
        _pair_folders(content, tree, channel)
    return content


def _pair_listed(content: FolderContent, place: Path, cases: dict[str, _ListedCase], channel: int) -> None:
    for case, entry in cases.items():
        if len(entry.images) <= channel:
            content.skip(case, f'{place}: the case lists no image of channel {channel}; correct "images"')
            continue
        image, label = (place.parent / _expanded(part) for part in (entry.images[channel], entry.label))
        if not (is_there(image) or is_there(label)):
            content.skip(case, f"{place}: neither {printable(image)} nor {printable(label)} is there; correct the entry")
        content.pair(case, [image] * is_there(image), [label] * is_there(label), named_in=place)


def _pair_folders(content: FolderContent, tree: Tree, channel: int) -> None:
    ending = f"_{channel:04d}"
    images: dict[str, list[Path]] = {}
    labels: dict[str, list[Path]] = {}
    inside = {folder.name: folder for folder in tree[tree.root].folders}
    for path in tree.files(inside["imagesTr"]) if "imagesTr" in inside else ():
        stem = stem_of(path) or ""
        if stem.endswith(ending):
            images.setdefault(stem.removesuffix(ending), []).append(path)
        elif re.search(r"_[0-9]{4}$", stem):
            content.named.add(path)
            content.ignore(tree.relative(path), "another channel than late enhancement")
    for path in tree.files(inside["labelsTr"]) if "labelsTr" in inside else ():
        labels.setdefault(stem_of(path) or "", []).append(path)
    for folder in (inside[name] for name in ("imagesTs", "labelsTs") if name in inside):
        for path in tree.files(folder):
            content.named.add(path)
            content.ignore(tree.relative(path), "of nnU-Net's test set; only imagesTr and labelsTr are read")
    for case in sorted({*images, *labels}):
        content.pair(case, images.get(case, []), labels.get(case, []))


def _late_enhancement_channel(place: Path, card: _Card) -> int:
    """The channel to read: the only one, or the one that dataset.json names as late enhancement."""
    channels = card.channel_names if card.channel_names is not None else card.modality
    if not isinstance(channels, dict) or len(channels) <= 1:
        return 0
    late = [number for number, name in channels.items() if name.lower() in LATE_ENHANCEMENT]
    if len(late) != 1:
        raise InputError(
            f"{place}: it is not clear which of the channels {str(list(channels.values()))[:200]} is late enhancement; "
            'name that channel "LGE"'
        )
    if not re.fullmatch(r"[0-9]{1,4}", late[0]):
        raise InputError(f"{place}: the channel {late[0][:40]!r} must be a number from 0 to 9999; correct it")
    return int(late[0])


def _expanded(path: str) -> str:
    return _VARIABLE.sub(lambda found: os.environ.get(found[1] or found[2], found[0]), path)
