"""Which statistics of the hidden region tell scars that were painted again from the real ones in the same slices?

    python experiments/realism_statistics.py --model MODEL [--model MODEL ...] [--part test]

For each statistic that the C2ST sees (`lgesynthnet.evaluate.two_sample_test`): its median in real slices and with the same scars painted
again, the median difference within a slice, and the AUC of this statistic alone over all slices (0.5: it tells nothing; below 0.5: painted
scar has less of it). The last line is the C2ST, with its 95 % interval over patients. Nothing is chosen here.
"""

from __future__ import annotations

import argparse

import numpy as np
from generator import repainted, scar_levels
from real_data import add_data_option, patients_of
from sklearn.metrics import roc_auc_score

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.evaluate.distances import FeatureSet
from lgesynthnet.evaluate.two_sample_test import STATISTICS, classifier_two_sample_test, statistics
from lgesynthnet.generate.inpainter import LGESynthNet
from lgesynthnet.hosts.pool import find_hosts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True)
    add_data_option(parser)
    parser.add_argument("--part", default="test")
    options = parser.parse_args()
    patients = patients_of(options.data, options.part)
    pool = find_hosts(open_cohort(options.data / "emidec"), with_scar=True)
    hosts = [host for entry in pool.entries if entry.patient in patients and (host := pool.fetch(entry)).slice_.scar.any()]
    real = np.array([statistics(Case.of_real(host)) for host in hosts])
    names = [host.slice_.patient for host in hosts]
    for model in options.model:
        generator, levels = LGESynthNet.from_pretrained(model), scar_levels(model)
        painted = np.array([statistics(repainted(generator, host, levels, seed=number)) for number, host in enumerate(hosts, start=1)])
        print(f"{model}, {generator.fingerprint}, {options.part}: {len(hosts)} slices with scar of {len(set(names))} patients")
        print(f"  {'':22}{'slices':>8}{'real':>8}{'painted':>9}{'change':>9}{'AUC':>7}")
        for column, name in enumerate(STATISTICS):
            here = np.isfinite(real[:, column]) & np.isfinite(painted[:, column])
            a, b = real[here, column], painted[here, column]
            alone = roc_auc_score([0] * len(a) + [1] * len(b), [*a, *b])
            print(f"  {name:22}{len(a):8d}{np.median(a):8.3f}{np.median(b):9.3f}{np.median(b - a):+9.3f}{alone:7.2f}")
        features = FeatureSet(
            name="statistics of the hidden region", painted=painted, real=real, painted_patients=names, real_patients=names
        )
        print(f"  C2ST {classifier_two_sample_test(features)[0]}")


if __name__ == "__main__":
    main()
