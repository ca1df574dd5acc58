"""Draw a sheet of samples on simulated hosts, without selection.

    python scripts/sheet.py FOLDER docs/pictures/sheet.png [--model phantom]

FOLDER holds simulated hosts (`lgesynthnet phantom`). Each pair shows the host on the left and the painted slice on the right. The
outline of the intended scar is dotted on the host: green if the filter keeps the sample, red if it rejects it. Of --count samples,
`--worst 10` shows the ten with the lowest Dice, and `--rejected 10` the first ten that the filter rejects.
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
        raise SystemExit(
            f"{options.hosts}: holds no simulated hosts, and the licence of real hosts would bind the picture; "
            "give a folder of `lgesynthnet phantom`"
        )
    judged = samples(options)
    kept, overlap = sum(v.kept for _, v in judged), np.mean([v.dice for _, v in judged])
    print(f"{options.model}, {options.prior}: {kept} of {len(judged)} kept, mean Dice {overlap:.3f}")
    if options.worst:
        judged = sorted(judged, key=lambda pair: pair[1].dice or 0.0)[: options.worst]
    if options.rejected:
        judged = [pair for pair in judged if not pair[1].kept][: options.rejected]
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    sheet(judged).save(options.picture, optimize=True)


def samples(options: argparse.Namespace) -> list[tuple[SyntheticSample, Verdict]]:
    """Paint drawn prescriptions into drawn hosts, and judge each sample with the filter of the model."""
    folder = model_folder(options.model)
    generator, scar_filter = LGESynthNet.from_pretrained(folder), TrainedScarSegmenter.from_pretrained(folder / "filter")
    pool, rng = find_hosts(open_cohort(options.hosts)), np.random.default_rng(options.seed)
    judged = []
    for i in range(options.count):
        entry = pool.entries[int(rng.integers(len(pool.entries)))]
        host = pool.fetch(entry)
        sample = generator.inpaint(host, draw_prescription(options.prior, entry.level, rng), seed=i)
        read = scar_of(read_back(scar_filter, sample))
        judged.append((sample, inspect(sample, read)))
    return judged


def sheet(judged: list[tuple[SyntheticSample, Verdict]]) -> Image.Image:
    rows = -(-len(judged) // COLUMNS)
    columns = min(len(judged), COLUMNS)
    canvas = Image.new("RGB", (columns * (2 * CROP + GAP), rows * (CROP + HEAD + GAP)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(9)
    for i, (sample, verdict) in enumerate(judged):
        left, top = (i % COLUMNS) * (2 * CROP + GAP), (i // COLUMNS) * (CROP + HEAD + GAP)
        prescription = sample.prescription
        where = ",".join(map(str, sorted(prescription.at(sample.host.frame.level))))
        reason = "" if verdict.kept else f" {verdict.reason}"
        words = f"{prescription.pattern} {prescription.transmurality:.0%} in {where}: {verdict.dice:.2f}{reason}"
        pen.text((left, top), words, fill="black" if verdict.kept else "firebrick", font=font)
        canvas.paste(Image.fromarray(pair(sample, kept=verdict.kept)), (left, top + HEAD))
    return canvas


def pair(sample: SyntheticSample, *, kept: bool) -> np.ndarray:
    """Host and painted slice side by side, with the intended outline on the host; uint8 (rows, cols, 3)."""
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
