"""Check round trips of drawn prescriptions: to a sentence and back, and to a mask that is measured on phantom hearts at 1 mm.

    python experiments/prescriptions.py [--count 10000] [--painted 1500]

It prints how many sentences give the same prescription back, and by prior how many masks have the prescribed segments and how far their
measured transmurality is from the prescribed one.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from lgesynthnet.anatomy.aha import level_at
from lgesynthnet.anatomy.frame import HeartFrame, compute_heart_frame
from lgesynthnet.phantom.body import draw_body
from lgesynthnet.phantom.heart import compute_contours, draw_labels, heart_box
from lgesynthnet.prescription.grammar.language import prescribe, write_sentence
from lgesynthnet.prescription.measuring import measure_scar
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prescription.rasterize import rasterize
from lgesynthnet.records import Insertions, Level, ShortAxisSlice, Source
from lgesynthnet.terms import Prior


def frames(rng: np.random.Generator, count: int) -> list[HeartFrame]:
    """Heart coordinates of phantom slices on a 1 mm grid, with exact RV insertions."""
    hearts = []
    while len(hearts) < count:
        body = draw_body(rng)
        for index in range(body.slices):
            plane = compute_contours(body, index)
            labels = draw_labels(plane, heart_box([plane], 200, 1.0))
            slice_ = ShortAxisSlice(patient=f"b{len(hearts)}", index=index, image=labels * 1.0, labels=labels, spacing_mm=(1.0, 1.0))
            anterior, inferior = body.insertions_deg(index)
            known = Insertions(anterior_deg=anterior, inferior_deg=inferior, source=Source.RV_LABEL, confidence=1.0)
            hearts.append(compute_heart_frame(slice_, level_at(body.place(index)), known))
    return hearts[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="number of prescriptions for the round trip to a sentence")
    parser.add_argument("--painted", type=int, default=1_500, help="number of prescriptions that are drawn as masks and measured")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    priors, levels = list(Prior), list(Level)
    equal = 0
    for i in range(options.count):
        drawn = draw_prescription(priors[i % 3], levels[i // 3 % 3], rng)
        equal += prescribe(write_sentence(drawn)) == drawn
    print(f"sentences that read back as the same prescription: {equal} of {options.count}")

    hearts = frames(rng, max(options.painted // 3, 1))
    for prior in priors:
        equal_segments, error, unequal = 0, [], Counter()
        for i in range(options.painted // 3):
            frame = hearts[i % len(hearts)]
            prescription = draw_prescription(prior, frame.level, rng)
            mask = rasterize(prescription, frame)
            measured = measure_scar(mask.scar, frame, mask.no_reflow)
            equal_segments += measured.segments == prescription.segments
            unequal[prescription.pattern.value] += measured.segments != prescription.segments
            error.append(abs((measured.transmurality or 0.0) - prescription.transmurality))
        total = len(error)
        print(
            f"{prior.value:>13}: segments equal {equal_segments}/{total} ({equal_segments / total:.1%}), "
            f"error of transmurality {np.mean(error):.3f} on average, {np.quantile(error, 0.95):.3f} at the 95th percentile; "
            f"unequal by pattern {dict(+unequal)}"
        )
    print(f"anatomy: {len(hearts)} phantom slices at 1 mm")


if __name__ == "__main__":
    main()
