"""A contact sheet: a basal, a mid and an apical slice of each patient, with what the program believes about them drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from lgesynthnet.anatomy.aha import NAME_OF
from lgesynthnet.anatomy.frame import HeartFrame
from lgesynthnet.anatomy.orientation import StackOrder, order_stack
from lgesynthnet.errors import AnatomyError
from lgesynthnet.files.manifest import FolderKind
from lgesynthnet.files.owned import claimed
from lgesynthnet.files.writing import write_bytes
from lgesynthnet.hosts.locate import LocatedStack
from lgesynthnet.records import ShortAxisSlice, Stack, scar_of, wall_of
from lgesynthnet.report.html import data_uri, fill_template
from lgesynthnet.report.panels import SIDE_PX, Window, enlarged, grey, heart_window, outline, png_bytes

PER_PAGE = 6  # patients on one picture
TEMPLATES = Path(__file__).parent / "templates"
PAGE = "contact-sheet.html"
COLOURS = 160  # of a page
SCALE = 1.5  # of the pictures of the report
MARGIN, HEADING = 8, 46
WALL_RGB, CAVITY_RGB, SCAR_RGB = (255, 196, 0), (0, 200, 255), (255, 64, 160)
ANTERIOR_RGB, INFERIOR_RGB, TEXT_RGB = (90, 255, 90), (255, 120, 60), (255, 255, 255)
BEYOND = 1.22  # distance of an insertion's mark from the centre, in radii of the epicardium

Rgb = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The pictures of one patient, side by side from base to apex, under one line of text."""

    patient: str
    text: str
    picture: Rgb


def patient_strip(
    stack: Stack, hearts: LocatedStack | None, usable: Sequence[int], text: str, *, most_scar: int | None = None
) -> Strip | None:
    """Draw one patient; None where no slice shows a wall.

    Args:
        hearts: level and RV insertions of each slice; without them only cavity and wall are drawn.
        usable: the slices to choose from; where there are none, those with a wall.
        text: one line that stands above the pictures.
        most_scar: the slice with most scar, shown beside the others; None where there is none.
    """
    order = hearts.order if hearts is not None else order_stack(stack)
    shown = list(usable) or [index for index in range(len(stack)) if wall_of(stack.labels[:, :, index]).any()]
    if not shown:
        return None
    from_base = shown if order.base_first else shown[::-1]
    chosen = [from_base[round(place * (len(from_base) - 1))] for place in (0.0, 0.5, 1.0)]
    pictures = [_slice_picture(stack[index], hearts, _title(place, index, order)) for place, index in enumerate(chosen)]
    if most_scar is not None:
        pictures.append(_slice_picture(stack[most_scar], hearts, f"most scar (slice {most_scar})"))
    return Strip(patient=stack.patient, text=text, picture=np.concatenate(pictures, axis=1))


def write_contact_sheet(out: Path, strips: Sequence[Strip], *, title: str, kind: FolderKind = FolderKind.PICTURES) -> Path:
    """Write `out/contact-sheet.html` and its pictures, `sheet-01.png` and on; returns the path of the page.

    Args:
        kind: what the folder holds; other kinds than pictures get the page beside their own files.
    Raises:
        RunError: the folder holds other things, or cannot be written.
    """
    pages = [strips[first : first + PER_PAGE] for first in range(0, len(strips), PER_PAGE)]
    names = [f"sheet-{number:02d}.png" for number in range(1, len(pages) + 1)]
    pictures = [png_bytes(_page(page), colours=COLOURS) for page in pages]
    with claimed(out, kind):
        for name, picture in zip(names, pictures, strict=True):
            write_bytes(out / name, picture)
        shown = [(data_uri(picture, "png"), [strip.patient for strip in page]) for picture, page in zip(pictures, pages, strict=True)]
        write_bytes(out / PAGE, fill_template(TEMPLATES, "contact-sheet.html", title=title, legend=legend(), pages=shown).encode())
    return out / PAGE


def _title(place: int, index: int, order: StackOrder) -> str:
    end = ("most basal", "middle", "most apical")[place]
    return f"{end} (slice {index})" + ("" if order.confidence > 0 else ", order assumed")


def _slice_picture(slice_: ShortAxisSlice, hearts: LocatedStack | None, title: str) -> Rgb:
    window = heart_window([slice_.image], slice_.labels, slice_.spacing_mm)
    window = replace(window, zoom=(window.zoom[0] * SCALE, window.zoom[1] * SCALE))
    picture = np.repeat(grey(slice_.image, window)[:, :, None], 3, axis=2)
    for mask, colour in ((slice_.wall | slice_.cavity, WALL_RGB), (slice_.cavity, CAVITY_RGB), (scar_of(slice_.labels), SCAR_RGB)):
        picture[outline(mask, window, width=1)] = colour
    frame = _frame(slice_, hearts)
    if frame is not None:
        picture[_segment_borders(frame, window)] = WALL_RGB
    side = round(SIDE_PX * SCALE)
    square = np.zeros((side, side, 3), np.uint8)
    height, width = min(side, picture.shape[0]), min(side, picture.shape[1])
    square[:height, :width] = picture[:height, :width]
    image = Picture.fromarray(square)
    draw = ImageDraw.Draw(image)
    if frame is not None:
        _write_marks(draw, frame, window)
        title += f", {frame.level}, {frame.insertions.source} {frame.insertions.confidence:.2f}"
    draw.text((4, 2), title, fill=TEXT_RGB, font=ImageFont.load_default(13), stroke_width=2, stroke_fill=(0, 0, 0))
    return np.pad(np.asarray(image), ((0, 0), (0, MARGIN), (0, 0)))


def _frame(slice_: ShortAxisSlice, hearts: LocatedStack | None) -> HeartFrame | None:
    if hearts is None or not hearts.is_located(slice_.index):
        return None
    try:
        return hearts.frame(slice_.index)
    except AnatomyError:  # an open ring
        return None


def _segment_borders(frame: HeartFrame, window: Window) -> Bool[np.ndarray, "height width"]:
    segments = enlarged(frame.segments.astype(np.uint8), window)
    low = ndimage.minimum_filter(np.where(segments > 0, segments, 255), 3)
    return np.asarray((segments > 0) & (low < segments))


def _write_marks(draw: ImageDraw.ImageDraw, frame: HeartFrame, window: Window) -> None:
    """The numbers of the segments on the wall, and A and I where the anterior and the inferior RV insertion are believed."""
    top, left = (0 if part.start is None else part.start for part in (window.rows, window.cols))
    font = ImageFont.load_default(15)

    def write(row: float, col: float, text: str, colour: tuple[int, int, int]) -> None:
        place = ((col - left + 0.5) * window.zoom[1], (row - top + 0.5) * window.zoom[0])
        draw.text(place, text, fill=colour, font=font, anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0))

    for segment in np.unique(frame.segments[frame.segments > 0]).tolist():
        rows, cols = np.nonzero(frame.segments == segment)
        write(float(rows.mean()), float(cols.mean()), str(segment), TEXT_RGB)
    rows, cols = np.nonzero(frame.wall | frame.cavity)
    down_mm, right_mm = (rows - frame.centre[0]) * frame.spacing_mm[0], (cols - frame.centre[1]) * frame.spacing_mm[1]
    away_mm = BEYOND * float(np.percentile(np.hypot(down_mm, right_mm), 98))
    for angle, letter, colour in (
        (frame.insertions.anterior_deg, "A", ANTERIOR_RGB),
        (frame.insertions.inferior_deg, "I", INFERIOR_RGB),
    ):
        turned = np.radians(angle)
        row, col = (
            frame.centre[0] - away_mm * np.sin(turned) / frame.spacing_mm[0],
            frame.centre[1] + away_mm * np.cos(turned) / frame.spacing_mm[1],
        )
        write(float(row), float(col), letter, colour)


def _page(strips: Sequence[Strip]) -> Rgb:
    width = max(strip.picture.shape[1] for strip in strips)
    parts = []
    for strip in strips:
        heading = Picture.new("RGB", (width, HEADING))
        draw = ImageDraw.Draw(heading)
        draw.text((4, 6), strip.patient, fill=TEXT_RGB, font=ImageFont.load_default(17))
        draw.text((4, 27), strip.text[:170], fill=(190, 190, 190), font=ImageFont.load_default(12))
        parts += [np.asarray(heading), np.pad(strip.picture, ((0, 0), (0, width - strip.picture.shape[1]), (0, 0)))]
    return np.concatenate(parts, axis=0)


def legend() -> str:
    """What the drawings mean, in one sentence."""
    return (
        "Yellow: outer border of the wall and borders of the AHA segments with their numbers; blue: cavity; pink: labelled scar; A and I: "
        f"anterior and inferior RV insertion. Segment 7 is the {NAME_OF[7]} wall: in a radiological view it is at the top, and the RV is "
        "on your left, between A and I. In a mirrored heart the RV lies elsewhere."
    )
