"""Does a model that was trained on patients give them away? Nearest training slice of each sample, against real slices' distances.

    python experiments/memorisation.py --model MODEL [--count 200] [--auditor weights/emidec/auditor] [--part train]

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
from dataclasses import replace
from pathlib import Path

import numpy as np

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.nearest import PERCENTILE, feature_deviation, feature_distance, nearest, unroll_wall, wall_distance
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Prior, Role

ALLOWED = 0.025


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
    auditor = TrainedScarSegmenter.from_pretrained(options.auditor, Role.AUDITOR)
    painter = LGESynthNet.from_pretrained(options.model)
    shelf = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
    entries = [entry for entry in shelf.entries if entry.patient in patients]
    hosts = [shelf.fetch(entry) for entry in entries]
    real = [unroll_wall(_case(host), auditor) for host in hosts]
    samples = [unroll_wall(case, auditor) for case in painted(painter, hosts, options)]
    scarred = [r for r, host in zip(real, hosts, strict=True) if host.slice_.scar.any()]
    print(f"{painter.fingerprint}: {len(samples)} samples, {len(real)} {options.part} slices, {len(scarred)} with scar")
    passed = True
    for name, distance in (("repainted wall", wall_distance), ("auditor's features", feature_distance(feature_deviation(real)))):
        reference_distance = [nearest(one, real, distance) for one in scarred]
        found = [nearest(one, real, distance) for one in samples]
        limit = float(np.percentile(reference_distance, PERCENTILE))
        close = float(np.mean(np.array(found) < limit))
        passed &= close <= ALLOWED
        middle = [float(np.median(values)) for values in (reference_distance, found)]
        medians = f"real {middle[0]:.3f}, samples {middle[1]:.3f} (medians)"
        print(f"  {name}: nearest of other patients, {medians}; nearer than {limit:.3f}: {close:.1%}")
    print("passed" if passed else "NOT passed")
    sys.exit(not passed)


def painted(painter: LGESynthNet, hosts: list[Host], options: argparse.Namespace) -> list[Case]:
    """Ischaemic prescriptions in scar-free slices."""
    rng = np.random.default_rng(options.seed)
    free = [host for host in hosts if not host.slice_.scar.any()]
    made: list[Case] = []
    while len(made) < options.count:
        host = free[int(rng.integers(len(free)))]
        try:
            made.append(Case.of_sample(painter.inpaint(host, draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng), seed=len(made))))
        except PrescriptionError:
            continue
    return made


def _case(host: Host) -> Case:
    """A slice without scar is seen as a whole."""
    case = Case.of_real(host)
    return case if case.scar.any() else replace(case, hidden=host.frame.wall)


if __name__ == "__main__":
    main()
