"""Check whether a model reproduces its training patients: distance of each sample to the nearest training slice of another patient.

    python experiments/memorisation.py --model MODEL [--count 200] [--auditor weights/emidec/auditor] [--part train]

There are two distances. Both compare the repainted wall with the slices of other patients in --part:

- the root mean square difference in heart units, on the wall unrolled to 72 angles x 6 depths;
- the Euclidean distance of the auditor's last features, standardised and averaged over the wall.

The reference is the same distance for each real training slice with scar, in the region that would have been repainted. A sample is
close if it is nearer than the 1st percentile of the reference; by chance this is one sample in a hundred. It prints the medians and the
share of close samples for both distances. The check passes (exit code 0) if at most 5 of 200 samples are close by either distance, which
is the upper 95 % limit of chance.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from real_data import add_data_option, patients_of

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
    add_data_option(parser)
    parser.add_argument("--part", default="train")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    patients = patients_of(options.data, options.part)
    auditor = TrainedScarSegmenter.from_pretrained(options.auditor, Role.AUDITOR)
    generator = LGESynthNet.from_pretrained(options.model)
    pool = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
    entries = [entry for entry in pool.entries if entry.patient in patients]
    hosts = [pool.fetch(entry) for entry in entries]
    real = [unroll_wall(_case(host), auditor) for host in hosts]
    samples = [unroll_wall(case, auditor) for case in painted(generator, hosts, options)]
    scarred = [wall for wall, host in zip(real, hosts, strict=True) if host.slice_.scar.any()]
    print(f"{generator.fingerprint}: {len(samples)} samples, {len(real)} {options.part} slices, {len(scarred)} with scar")
    passed = True
    for name, distance in (("repainted wall", wall_distance), ("auditor's features", feature_distance(feature_deviation(real)))):
        reference = [nearest(wall, real, distance) for wall in scarred]
        sampled = [nearest(wall, real, distance) for wall in samples]
        limit = float(np.percentile(reference, PERCENTILE))
        close = float(np.mean(np.array(sampled) < limit))
        passed &= close <= ALLOWED
        middle = [float(np.median(values)) for values in (reference, sampled)]
        medians = f"real {middle[0]:.3f}, samples {middle[1]:.3f} (medians)"
        print(f"  {name}: distance to the nearest slice of another patient, {medians}; nearer than {limit:.3f}: {close:.1%}")
    print("passed" if passed else "NOT passed")
    sys.exit(not passed)


def painted(generator: LGESynthNet, hosts: list[Host], options: argparse.Namespace) -> list[Case]:
    """Samples of ischaemic prescriptions in slices without scar."""
    rng = np.random.default_rng(options.seed)
    scar_free = [host for host in hosts if not host.slice_.scar.any()]
    cases: list[Case] = []
    while len(cases) < options.count:
        host = scar_free[int(rng.integers(len(scar_free)))]
        try:
            cases.append(
                Case.of_sample(generator.inpaint(host, draw_prescription(Prior.ISCHAEMIC, host.frame.level, rng), seed=len(cases)))
            )
        except PrescriptionError:
            continue
    return cases


def _case(host: Host) -> Case:
    """The case of a real slice; a slice without scar shows its whole wall."""
    case = Case.of_real(host)
    return case if case.scar.any() else replace(case, hidden=host.frame.wall)


if __name__ == "__main__":
    main()
