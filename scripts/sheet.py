"""Draw a sheet of samples on simulated hosts, without selection.

    python scripts/sheet.py FOLDER docs/pictures/sheet.png [--model phantom] [--prior PRIOR | --pattern PATTERN] [--edit EDIT]

FOLDER holds simulated hosts (`lgesynthnet phantom`). Each pair shows the host on the left and the painted slice on the right. The
outline of the intended scar is dotted on the host: green if the filter keeps the sample, red if it rejects it. Of --count samples,
`--worst 10` shows the ten with the lowest Dice, and `--rejected 10` the first ten that the filter rejects. With `--pattern`,
prescriptions of the uniform prior are drawn until they have it. The edits remove, move and replace need hosts with scar; its outline
is dotted in blue.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from lgesynthnet.conditioning.edit import SliceEdit, add_scar, move_scar, remove_scar, replace_scar
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host, SyntheticSample
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.edits import OwnScar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.verdict import Verdict
from lgesynthnet.records import Level
from lgesynthnet.run.licence import PHANTOM_TRUTH
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.attempts import LEAST_OWN_SCAR_MM2
from lgesynthnet.synthesis.judging import judge
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Edit, Prior

CROP, HEAD, GAP, COLUMNS = 88, 24, 4, 8
GREEN, RED, BLUE = (60, 220, 90), (255, 80, 60), (80, 150, 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--prior", default="ischaemic", choices=list(Prior))
    parser.add_argument("--pattern", choices=list(Pattern))
    parser.add_argument("--edit", default="add", choices=list(Edit))
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
    kept, overlaps = sum(v.kept for _, v in judged), [v.dice for _, v in judged if v.dice is not None]
    overlap = f", mean Dice {np.mean(overlaps):.3f}" if overlaps else ""
    print(f"{options.model}, {options.edit}, {options.pattern or options.prior}: {kept} of {len(judged)} kept{overlap}")
    if options.worst:
        judged = sorted(judged, key=lambda pair: pair[1].dice or 0.0)[: options.worst]
    if options.rejected:
        judged = [pair for pair in judged if not pair[1].kept][: options.rejected]
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    sheet(judged).save(options.picture, optimize=True, quality=88)


def samples(options: argparse.Namespace) -> list[tuple[SyntheticSample, Verdict]]:
    """Paint drawn prescriptions into drawn hosts, and judge each sample with the filter of the model."""
    folder = model_folder(options.model)
    generator, scar_filter = LGESynthNet.from_pretrained(folder), TrainedScarSegmenter.from_pretrained(folder / "filter")
    edit, rng = Edit(options.edit), np.random.default_rng(options.seed)
    pool = find_hosts(open_cohort(options.hosts), with_scar=edit is not Edit.ADD)
    judged: list[tuple[SyntheticSample, Verdict]] = []
    while len(judged) < options.count:
        host = pool.fetch(pool.entries[int(rng.integers(len(pool.entries)))])
        if edit is not Edit.ADD and host.slice_.scar.sum() * host.frame.pixel_mm2 < LEAST_OWN_SCAR_MM2:
            continue
        if options.pattern == Pattern.RV_INSERTION and host.frame.level is Level.APICAL:
            continue
        try:
            wanted = edit_of_host(host, edit, options, rng)
        except PrescriptionError:  # no wall there, or the scar would be moved onto itself
            continue
        sample = generator.apply(host, wanted, seed=len(judged))
        judged.append((sample, judge(sample, scar_filter)))
    return judged


def edit_of_host(host: Host, edit: Edit, options: argparse.Namespace, rng: np.random.Generator) -> SliceEdit:
    """The edit with a prescription that is drawn from the prior, or from the uniform prior until it has the pattern."""
    match edit:
        case Edit.REMOVE:
            return remove_scar(host)
        case Edit.REPLACE:
            return replace_scar(host, OwnScar(intensity_percentile=float(rng.integers(1, 20) * 5)))
    level = host.frame.level
    wish = draw_prescription(Prior.UNIFORM if options.pattern else options.prior, level, rng)
    while options.pattern and wish.pattern != options.pattern:
        wish = draw_prescription(Prior.UNIFORM, level, rng)
    return move_scar(host, wish) if edit is Edit.MOVE else add_scar(host, wish)


def sheet(judged: list[tuple[SyntheticSample, Verdict]]) -> Image.Image:
    rows = -(-len(judged) // COLUMNS)
    columns = min(len(judged), COLUMNS)
    canvas = Image.new("RGB", (columns * (2 * CROP + GAP), rows * (CROP + HEAD + GAP)), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(9)
    for i, (sample, verdict) in enumerate(judged):
        left, top = (i % COLUMNS) * (2 * CROP + GAP), (i // COLUMNS) * (CROP + HEAD + GAP)
        pen.multiline_text((left, top), words_of(sample, verdict), fill="black" if verdict.kept else "firebrick", font=font, spacing=0)
        canvas.paste(Image.fromarray(pair(sample, kept=verdict.kept)), (left, top + HEAD))
    return canvas


def words_of(sample: SyntheticSample, verdict: Verdict) -> str:
    """What was prescribed; on the second line the Dice that decided, and why the filter rejects the sample."""
    prescription, why = sample.prescription, "" if verdict.kept else str(verdict.reason)
    if not isinstance(prescription, ScarPrescription):
        return f"{sample.edit}\n{why}"
    where = ",".join(map(str, sorted(prescription.at(sample.host.frame.level))))
    deciding = verdict.dice if verdict.dice_within is None else verdict.dice_within
    return f"{prescription.pattern} {prescription.transmurality:.0%} in {where}\n{deciding:.2f} {why}"


def pair(sample: SyntheticSample, *, kept: bool) -> np.ndarray:
    """Host and painted slice side by side, with the intended outline on the host; uint8 (rows, cols, 3)."""
    host = sample.host
    roi = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm)
    window = HeartWindow.from_slice(host.slice_)
    edge = (128 - CROP) // 2
    cut = np.s_[edge : edge + CROP, edge : edge + CROP]
    tiles = [np.repeat(grey(roi.crop(window.to_unit(image))[cut])[..., None], 3, axis=2) for image in (host.slice_.image, sample.image)]
    dotted = (np.add.outer(np.arange(CROP), np.arange(CROP)) % 2) == 0
    for scar, colour in ((sample.removed, BLUE), (sample.intended, GREEN if kept else RED)):
        mask = roi.crop_mask(scar)[cut]
        tiles[0][mask & ~ndimage.binary_erosion(mask) & dotted] = colour
    return np.concatenate(tiles, axis=1)


def grey(unit: np.ndarray) -> np.ndarray:
    return np.clip((unit + 1.2) / 2.6 * 255, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
