"""Measure what the autoencoder loses: contrast of thin scars, and Dice of the filter on real slices after a round trip.

    python experiments/autoencoder.py --hosts FOLDER [--model phantom] [--placements 2000] [--filter weights/emidec/filter] [--part test]

It prints:

placements   The share of contrast that a scar of 25 % x 40 degrees keeps, at random positions of simulated hosts (FOLDER). A scar that
             keeps less than half of its contrast is lost.
real slices  The Dice of the filter on slices with scar before and after the round trip, and the peak signal-to-noise ratio inside the
             wall; the peak is 1 heart unit (blood minus wall). Skipped without --data or $LGESYNTHNET_DATA.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from real_data import add_data_option, patients_of

from lgesynthnet.anatomy.aha import SHORT_AXIS_SEGMENTS
from lgesynthnet.conditioning.intensity import HeartWindow
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.conditioning.working_grid import Roi
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.evaluate.intervals import difference, mean
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.model.autoencoder import decode, encode
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.overlap import dice
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.records import scar_of
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Role


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--placements", type=int, default=2000)
    parser.add_argument("--filter", type=Path, default=Path("weights/emidec/filter"))
    add_data_option(parser, required=False)
    parser.add_argument("--part", default="test")
    options = parser.parse_args()
    autoencoder = load_inpainter(model_folder(options.model) / "inpainter").autoencoder
    placements(autoencoder, find_hosts(open_cohort(options.hosts)), options.placements)
    if options.data is not None:
        patients = patients_of(options.data, options.part)
        real_slices(autoencoder, TrainedScarSegmenter.from_pretrained(options.filter, Role.FILTER), options, patients)


@torch.no_grad()
def round_trip(autoencoder: AutoencoderKL, image: np.ndarray) -> np.ndarray:
    """Encode and decode an image on the working grid, in heart units."""
    return decode(autoencoder, encode(autoencoder, torch.from_numpy(image.astype(np.float32))[None, None]))[0, 0].numpy()


def placements(autoencoder: AutoencoderKL, pool: HostPool, count: int) -> None:
    """Print how much contrast scars of 25 % of the wall over 40 degrees keep, at random angles and levels."""
    rng = np.random.default_rng(0)
    kept, area = [], []
    while len(kept) < count:
        host = pool.fetch(pool.entries[int(rng.integers(len(pool.entries)))])
        prescription = ScarPrescription(
            segments=SHORT_AXIS_SEGMENTS,
            arc=Arc(start_deg=float(rng.integers(360)), extent_deg=40.0),
            pattern=Pattern.SUBENDOCARDIAL,
            transmurality=0.25,
            irregularity=0.0,
        )
        try:
            sample = IntensityPaste().inpaint(host, prescription, seed=len(kept))
        except PrescriptionError:
            continue
        roi = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm)
        before = roi.crop(HeartWindow.from_slice(host.slice_).to_unit(sample.image))
        after = round_trip(autoencoder, before)
        scar, wall = roi.crop_mask(sample.intended), roi.crop_mask(host.frame.wall & ~sample.hidden)
        if scar.any():
            contrast = [float(image[scar].mean() - np.median(image[wall])) for image in (before, after)]
            kept.append(contrast[1] / contrast[0])
            area.append(float(scar.sum()))
    low, middle, high = np.quantile(kept, (0.01, 0.5, 0.99))
    print(
        f"{count} scars of 25 % x 40 degrees, {np.mean(area):.0f} mm2: {np.mean(np.array(kept) >= 0.5):.2%} survive, "
        f"contrast kept {middle:.2f} (1st to 99th percentile {low:.2f} to {high:.2f})"
    )


def real_slices(autoencoder: AutoencoderKL, scar_filter: TrainedScarSegmenter, options: argparse.Namespace, patients: set[str]) -> None:
    pool = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
    before, after, noise = (defaultdict(list) for _ in range(3))
    for entry in pool.entries:
        if entry.patient not in patients or not (host := pool.fetch(entry)).slice_.scar.any():
            continue
        image, truth = rebuilt(autoencoder, host), host.slice_.scar
        for scores, picture in ((before, host.slice_.image), (after, image)):
            scores[entry.patient].append(dice(scar_of(scar_filter.read(replace(host.slice_, image=picture))), truth) or 0.0)
        window, wall = HeartWindow.from_slice(host.slice_), host.frame.wall
        error = window.to_unit(image)[wall].astype(float) - window.to_unit(host.slice_.image)[wall]
        noise[entry.patient].append(float(-10 * np.log10(np.mean(error**2))))
    print(f"{options.part}, {sum(map(len, before.values()))} slices with scar, segmented by {scar_filter.fingerprint}")
    results = {"Dice before": mean(before), "after": mean(after), "lost": difference(before, after), "PSNR in the wall, dB": mean(noise)}
    for name, value in results.items():
        print(f"  {name}: {value}")


def rebuilt(autoencoder: AutoencoderKL, host: Host) -> np.ndarray:
    """The image of the host with its wall and cavity after the round trip, on the host's own grid."""
    slice_, frame = host.slice_, host.frame
    window, roi = HeartWindow.from_slice(slice_), Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    picture = round_trip(autoencoder, roi.crop(window.to_unit(slice_.image)))
    rows, cols = np.nonzero(frame.wall | frame.cavity)
    image = slice_.image.astype(np.float64)
    image[rows, cols] = window.to_stored(roi.paste(picture, rows, cols))
    return image.astype(slice_.image.dtype)


if __name__ == "__main__":
    main()
