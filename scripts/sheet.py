"""A sheet of painted samples of simulated hosts, none of them chosen: scripts/sheet.py FOLDER docs/pictures/sheet.png [--model phantom]

FOLDER holds simulated hosts (`lgesynthnet phantom`). `--worst 10` and `--rejected 10` show the lowest Dice by the model's filter and
the first that it rejects, out of --count; `--prior` draws from another population. Left of each pair the host, right the painted
slice; the intended outline is dotted on the host, green where the filter keeps the sample and red where not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import SyntheticSample
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.quality.verdict import Verdict, inspect
from lgesynthnet.records import scar_of
from lgesynthnet.run.licence import PHANTOM_TRUTH
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.judging import read_back
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Prior

CROP, HEAD, GAP, COLUMNS = 88, 14, 4, 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--prior", default="ischaemic", choices=list(Prior))
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worst", type=int, default=0)
    parser.add_argument("--rejected", type=int, default=0)
    options = parser.parse_args()
    if not (options.hosts / PHANTOM_TRUTH).is_file():
        raise SystemExit(f"{options.hosts}: not simulated, and a picture of a sample is a derivative of its host")
    made = samples(options)
    kept, overlap = sum(v.kept for _, v in made), np.mean([v.dice for _, v in made])
    print(f"{options.model}, {options.prior}: {kept} of {len(made)} kept, mean Dice {overlap:.3f}")
    if options.worst:
        made = sorted(made, key=lambda pair: pair[1].dice or 0.0)[: options.worst]
    if options.rejected:
        made = [pair for pair in made if not pair[1].kept][: options.rejected]
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    sheet(made).save(options.picture, optimize=True)


def samples(options: argparse.Namespace) -> list[tuple[SyntheticSample, Verdict]]:
    """Hosts and prescriptions drawn by the seed, painted and judged by the model's own filter."""
    folder = model_folder(options.model)
    painter, reader = LGESynthNet.from_pretrained(folder), TrainedScarSegmenter.from_pretrained(folder / "filter")
    shelf, rng = find_hosts(open_cohort(options.hosts)), np.random.default_rng(options.seed)
    made = []
    for i in range(options.count):
        entry = shelf.entries[int(rng.integers(len(shelf.entries)))]
        host = shelf.fetch(entry)
        sample = painter.inpaint(host, draw_prescription(options.prior, entry.level, rng), seed=i)
        read = scar_of(read_back(reader, sample))
        made.append((sample, inspect(sample, read)))
    return made


def sheet(made: list[tuple[SyntheticSample, Verdict]]) -> Image.Image:
    rows = -(-len(made) // COLUMNS)
    columns = min(len(made), COLUMNS)
    canvas = Image.new("RGB", (columns * (2 * CROP + GAP), rows * (CROP + HEAD + GAP)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(9)
    for i, (sample, verdict) in enumerate(made):
        left, top = (i % COLUMNS) * (2 * CROP + GAP), (i // COLUMNS) * (CROP + HEAD + GAP)
        wish = sample.prescription
        where = ",".join(map(str, sorted(wish.at(sample.host.frame.level))))
        why = "" if verdict.kept else f" {verdict.reason}"
        words = f"{wish.pattern} {wish.transmurality:.0%} in {where}: {verdict.dice:.2f}{why}"
        pen.text((left, top), words, fill="black" if verdict.kept else "firebrick", font=font)
        canvas.paste(Image.fromarray(pair(sample, kept=verdict.kept)), (left, top + HEAD))
    return canvas


def pair(sample: SyntheticSample, *, kept: bool) -> np.ndarray:
    """Host and painted slice side by side, the intended outline dotted on the host; uint8 (rows, cols, 3)."""
    host = sample.host
    roi = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm)
    window = HeartWindow.from_slice(host.slice_)
    edge = (128 - CROP) // 2
    cut = np.s_[edge : edge + CROP, edge : edge + CROP]
    tiles = [np.repeat(_grey(roi.crop(window.to_unit(image))[cut])[..., None], 3, axis=2) for image in (host.slice_.image, sample.image)]
    mask = roi.crop_mask(sample.intended)[cut]
    outline = mask & ~ndimage.binary_erosion(mask) & ((np.add.outer(np.arange(CROP), np.arange(CROP)) % 2) == 0)
    tiles[0][outline] = (60, 220, 90) if kept else (255, 80, 60)
    return np.concatenate(tiles, axis=1)


def _grey(unit: np.ndarray) -> np.ndarray:
    return np.clip((unit + 1.2) / 2.6 * 255, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
