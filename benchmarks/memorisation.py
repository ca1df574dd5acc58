"""Does a model that was trained on patients give them away? Nearest training slice of each sample, against real slices' distances.

    python benchmarks/memorisation.py --model MODEL [--count 200] [--auditor weights/emidec/auditor] [--part train]

Two distances, both from the repainted region to every slice of other patients in --part: root mean square difference in heart units
over the repainted wall, unrolled to 72 angles x 6 depths; and Euclidean distance of the auditor's last features, averaged over the
repainted wall and standardised. The yardstick is the same for real scars: each training slice with scar, seen in the region that
would have been repainted, against other patients. A sample nearer than the 1st percentile of the yardstick is called close; by chance
one in a hundred is. The check passes where at most 5 of 200 are close by either distance (the upper 95 % limit of chance).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage

from lgesynthnet.conditioning.hidden import hidden_round
from lgesynthnet.conditioning.roi import Roi
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data import open_cohort
from lgesynthnet.data.intensity import HeartWindow
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.prescription.priors import Prior, draw
from lgesynthnet.records import Mask
from lgesynthnet.segmenter.networks import Role
from lgesynthnet.segmenter.reader import Reader
from lgesynthnet.workflow.hosts import find_hosts

ANGLES, DEPTHS = 72, 6
PERCENTILE, ALLOWED = 1.0, 0.025


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One slice as both distances see it: the unrolled wall, which of its cells count, and the auditor's features of each cell."""

    patient: str
    wall: Float[np.ndarray, "angles depths"]
    counts: Bool[np.ndarray, "angles depths"]
    features: Float[np.ndarray, "channels angles depths"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--auditor", type=Path, default=Path("weights/emidec/auditor"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LGESYNTHNET_DATA", "../shared/data")))
    parser.add_argument("--part", default="train")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    patients = set(json.loads((options.data / "emidec" / "splits.json").read_text())[options.part])
    auditor = Reader.from_pretrained(options.auditor, Role.AUDITOR)
    painter = LGESynthNet.from_pretrained(options.model)
    shelf = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
    entries = [entry for entry in shelf.entries if entry.patient in patients]
    hosts = [(entry.patient, shelf.fetch(entry)) for entry in entries]
    real = [look(auditor, who, host, host.slice_.image, _region(host, host.slice_.scar)) for who, host in hosts]
    samples = [look(auditor, *made) for made in painted(painter, hosts, options)]
    spread = np.std([r.features.mean((1, 2)) for r in real], axis=0) + 1e-9
    scarred = [r for r, (_, host) in zip(real, hosts, strict=True) if host.slice_.scar.any()]
    print(f"{painter.fingerprint}: {len(samples)} samples, {len(real)} {options.part} slices, {len(scarred)} with scar")
    passed = True
    for name, distance in (("repainted wall", in_wall), ("auditor's features", lambda a, b: in_features(a, b, spread))):
        yardstick = [nearest(one, real, distance) for one in scarred]
        found = [nearest(one, real, distance) for one in samples]
        limit = float(np.percentile(yardstick, PERCENTILE))
        close = float(np.mean(np.array(found) < limit))
        passed &= close <= ALLOWED
        middle = [float(np.median(values)) for values in (yardstick, found)]
        medians = f"real {middle[0]:.3f}, samples {middle[1]:.3f} (medians)"
        print(f"  {name}: nearest of other patients, {medians}; nearer than {limit:.3f}: {close:.1%}")
    print("passed" if passed else "NOT passed")
    sys.exit(not passed)


def painted(painter: LGESynthNet, hosts: list[tuple[str, Host]], options: argparse.Namespace) -> list[tuple[str, Host, np.ndarray, Mask]]:
    """Ischaemic prescriptions in scar-free slices."""
    rng = np.random.default_rng(options.seed)
    free = [(who, host) for who, host in hosts if not host.slice_.scar.any()]
    made = []
    while len(made) < options.count:
        who, host = free[int(rng.integers(len(free)))]
        try:
            sample = painter.paint(host, draw(Prior.ISCHAEMIC, host.frame.level, rng), seed=len(made))
        except PrescriptionError:
            continue
        made.append((who, host, sample.image, sample.hidden))
    return made


def _region(host: Host, scar: Mask) -> Mask:
    return hidden_round(scar, host.frame.wall, host.frame.spacing_mm) if scar.any() else host.frame.wall


@torch.no_grad()
def look(auditor: Reader, patient: str, host: Host, image: np.ndarray, hidden: Mask) -> Seen:
    frame = host.frame
    roi = Roi(centre=frame.centre, spacing_mm=frame.spacing_mm)
    unit = roi.crop(HeartWindow.of(replace(host.slice_, image=image)).to_unit(image))
    stack = np.stack([unit, roi.crop_mask(frame.cavity), roi.crop_mask(frame.wall)]).astype(np.float32)
    features = last_features(auditor, torch.from_numpy(stack)[None])
    wall, nominal = roi.crop_mask(frame.wall), roi.crop_angle(frame.nominal_deg)
    depth = roi.crop(np.nan_to_num(frame.depth, nan=0.5))
    at = np.nonzero(wall)
    cell = (nominal[at] / (360 / ANGLES)).astype(int) % ANGLES * DEPTHS + np.clip(depth[at] * DEPTHS, 0, DEPTHS - 1).astype(int)
    inside = roi.crop_mask(hidden)[at].astype(float)

    def unrolled(values: np.ndarray) -> np.ndarray:
        pixels = np.bincount(cell, minlength=ANGLES * DEPTHS)
        sums = np.bincount(cell, weights=values, minlength=ANGLES * DEPTHS)
        mean = np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan).reshape(ANGLES, DEPTHS)
        empty = np.isnan(mean)
        where = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)  # cells no pixel fell into
        return mean[tuple(where)]

    return Seen(
        patient=patient,
        wall=unrolled(unit[at]),
        counts=unrolled(inside) > 0.5,
        features=np.stack([unrolled(channel[at]) for channel in features]),
    )


def last_features(auditor: Reader, stack: torch.Tensor) -> np.ndarray:
    """What the first member's last layer reads, (channels, 128, 128)."""
    network, caught = auditor.networks[0], []
    handle = network.output_block.register_forward_pre_hook(lambda module, inputs: caught.append(inputs[0]))
    network(stack)
    handle.remove()
    return caught[0][0].numpy()


def nearest(one: Seen, others: list[Seen], distance: object) -> float:
    return min(distance(one, other) for other in others if other.patient != one.patient)


def in_wall(one: Seen, other: Seen) -> float:
    return float(np.sqrt(np.mean((one.wall - other.wall)[one.counts] ** 2)))


def in_features(one: Seen, other: Seen, spread: np.ndarray) -> float:
    return float(np.linalg.norm((one.features[:, one.counts].mean(1) - other.features[:, one.counts].mean(1)) / spread))


if __name__ == "__main__":
    main()
