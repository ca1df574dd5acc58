"""Draw virtual patients: simulated hosts, each with one scar painted through its stack, from base to apex.

    python scripts/hearts_picture.py FOLDER docs/pictures/hearts.png [--model phantom] [--sheet COUNT]

FOLDER holds simulated hosts without scar (`lgesynthnet phantom --positive 0`). Each of the three sentences is painted into one host after
another until the filter keeps it; above stands the host with the prescribed scar dotted in orange, below the painted heart. `--sheet 20`
draws so many hearts of the ischaemic prior instead, kept and rejected as they come, and prints how many are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from sheet import grey

from lgesynthnet.conditioning.heart import HeartHost, PlacedHost, StackSample
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.generate.stacks import paint_stack
from lgesynthnet.hosts.hearts import find_hearts
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.grammar.language import prescribe_heart
from lgesynthnet.prescription.heart import HeartScar
from lgesynthnet.prescription.heart_priors import draw_heart
from lgesynthnet.quality.stack_verdict import StackVerdict
from lgesynthnet.records import scar_of, wall_of
from lgesynthnet.run.licence import PHANTOM_TRUTH
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.judging import judge_stack
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Prior

SENTENCES = (
    "Transmural LAD infarct from mid to apex with microvascular obstruction, bright",
    "Subendocardial RCA infarct from base to mid, bright",
    "Mid-wall enhancement in the lateral wall from base to apex, bright",
)
TILE, HEAD, GAP, SCALE = 92, 18, 6, 2
ORANGE = (255, 160, 30)
SLICES = 8  # columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--sheet", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not (options.hosts / PHANTOM_TRUTH).is_file():
        raise SystemExit(
            f"{options.hosts}: holds no simulated hosts, and the licence of real hosts would bind the picture; "
            "give a folder of `lgesynthnet phantom`"
        )
    hearts = find_hearts(find_hosts(open_cohort(options.hosts)))
    folder = model_folder(options.model)
    generator, scar_filter = LGESynthNet.from_pretrained(folder), TrainedScarSegmenter.from_pretrained(folder / "filter")
    rng = np.random.default_rng(options.seed)
    wishes = [draw_heart(Prior.ISCHAEMIC, rng) for _ in range(options.sheet)] or [prescribe_heart(text) for text in SENTENCES]
    drawn, number = [], options.seed
    for wish in wishes:
        assert isinstance(wish, HeartScar)
        verdict = None
        while verdict is None or not (verdict.kept or options.sheet):
            sample = paint_stack(generator, hearts[number % len(hearts)], wish.with_seed(number), seed=number)
            verdict, number = judge_stack(sample, scar_filter), number + 1
        drawn.append((sample, verdict))
    print(f"{sum(verdict.kept for _, verdict in drawn)} of {len(drawn)} kept")
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    picture([strip(sample, verdict, None if options.sheet else SENTENCES[i]) for i, (sample, verdict) in enumerate(drawn)]).save(
        options.picture, optimize=True, quality=88
    )


def strip(sample: StackSample, verdict: StackVerdict, sentence: str | None) -> Image.Image:
    """One heart: a line of text, the host, and the painted heart."""
    side = TILE * SCALE
    slices = list(sample.heart.slices.items())[:SLICES]
    canvas = Image.new("RGB", (SLICES * side, HEAD + 2 * side), "white")
    for column, (index, placed) in enumerate(slices):
        for row, picture_of in enumerate(tiles(sample, index, placed)):
            tile = Image.fromarray(picture_of).resize((side, side), Image.Resampling.BICUBIC)
            canvas.paste(tile, (column * side, HEAD + row * side))
    ImageDraw.Draw(canvas).text(
        (2, 1), words_of(sample, verdict, sentence), fill="black" if verdict.kept else "firebrick", font=ImageFont.load_default(13)
    )
    return canvas


def tiles(sample: StackSample, index: int, placed: PlacedHost) -> list[np.ndarray]:
    """The slice before and after, uint8 (rows, cols, 3); the prescribed scar is dotted in the first."""
    host = placed.host
    roi, window = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm), HeartWindow.from_slice(host.slice_)
    edge = (128 - TILE) // 2
    cut = np.s_[edge : edge + TILE, edge : edge + TILE]
    painted = sample.samples.get(index)
    images = [host.slice_.image, host.slice_.image if painted is None else painted.image]
    found = [np.repeat(grey(roi.crop(window.to_unit(image))[cut])[..., None], 3, axis=2) for image in images]
    if painted is not None:
        mask = roi.crop_mask(painted.intended)[cut]
        dotted = (np.add.outer(np.arange(TILE), np.arange(TILE)) % 2) == 0
        found[0][mask & ~ndimage.binary_erosion(mask) & dotted] = ORANGE
    return found


def words_of(sample: StackSample, verdict: StackVerdict, sentence: str | None) -> str:
    heart: HeartHost = sample.heart
    ml = float((sample.intended > 0).sum()) * heart.stack.spacing_mm[0] * heart.stack.spacing_mm[1] * heart.stack.slice_step_mm / 1000
    burden = scar_of(sample.labels).sum() / wall_of(sample.labels).sum()
    state = "" if verdict.kept else f", rejected: {verdict.reason}"
    return f"{sentence or 'drawn'}: {ml:.0f} ml, {burden:.0%} of the wall, 3-D Dice {verdict.dice or 0.0:.2f}{state}"


def picture(strips: list[Image.Image]) -> Image.Image:
    canvas = Image.new("RGB", (strips[0].width, sum(part.height + GAP for part in strips)), "white")
    top = 0
    for part in strips:
        canvas.paste(part, (0, top))
        top += part.height + GAP
    return canvas


if __name__ == "__main__":
    main()
