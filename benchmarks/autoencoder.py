"""Does a thin scar survive the autoencoder? Rule-painted scars of known extent in simulated hosts, before and after the round trip.

python benchmarks/autoencoder.py --hosts FOLDER [--model phantom] [--count 60]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from lgesynthnet.conditioning.roi import Roi
from lgesynthnet.data import open_cohort
from lgesynthnet.data.intensity import HeartWindow
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.model.autoencoder import decode, encode
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.prescription.scar import Arc, Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.workflow.hosts import find_hosts
from lgesynthnet.workflow.models import model_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=Path, required=True)
    parser.add_argument("--model", default="phantom")
    parser.add_argument("--count", type=int, default=60, help="hosts per scar size")
    options = parser.parse_args()
    autoencoder = load_inpainter(model_folder(options.model) / "inpainter").autoencoder
    shelf = find_hosts(open_cohort(options.hosts))
    hosts = [shelf.fetch(entry) for entry in shelf.entries if entry.level is Level.MID][: options.count]
    print(f"{len(hosts)} mid slices; contrast of scar to the wall beside it in heart units")
    for extent, degrees in ((0.25, 40), (0.25, 60), (0.5, 40), (0.5, 60), (1.0, 60)):
        pattern = Pattern.TRANSMURAL if extent > 0.75 else Pattern.SUBENDOCARDIAL
        wish = ScarPrescription(
            segments=frozenset({11, 12}),
            arc=Arc(start_deg=360.0 - degrees / 2, extent_deg=float(degrees)),
            pattern=pattern,
            transmurality=extent,
            irregularity=0.0,
        )
        kept, area = [], []
        for host in hosts:
            sample = IntensityPaste().paint(host, wish, seed=1)
            roi = Roi(centre=host.frame.centre, spacing_mm=host.frame.spacing_mm)
            before = roi.crop(HeartWindow.of(host.slice_).to_unit(sample.image)).astype(np.float32)
            with torch.no_grad():
                after = decode(autoencoder, encode(autoencoder, torch.from_numpy(before)[None, None]))[0, 0].numpy()
            scar, wall = roi.crop_mask(sample.intended), roi.crop_mask(host.frame.wall & ~sample.hidden)
            if scar.any():
                contrast = [float(image[scar].mean() - np.median(image[wall])) for image in (before, after)]
                kept.append(contrast[1] / contrast[0])
                area.append(float(scar.sum()))
        low, middle, high = np.quantile(kept, (0.05, 0.5, 0.95))
        print(
            f"{extent:>5.0%} transmural, {degrees} deg, {np.mean(area):5.0f} mm2: contrast kept {middle:.2f} "
            f"(5th to 95th percentile {low:.2f} to {high:.2f}), lost by half in {np.mean(np.array(kept) < 0.5):.0%}"
        )


if __name__ == "__main__":
    main()
