"""How the filter is asked: with doubt where a scar was prescribed, and as usual where scar was removed or the published rule judges."""

from dataclasses import replace

import numpy as np

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.quality.verdict import Rules
from lgesynthnet.synthesis.judging import judge

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, intensity_percentile=70)


def test_only_what_was_prescribed_is_read_with_doubt():
    asked = []

    class Watched:
        fingerprint = "watched"

        def read(self, slice_, *, sensitive=False):
            asked.append(sensitive)
            return np.zeros(slice_.labels.shape, np.uint8)

    patient = simulate("N", 33, infarct=False)
    index = next(i for i, known in enumerate(patient.truth) if known.level == "mid")
    host = Host(slice_=patient.stack[index], frame=compute_heart_frame(patient.stack[index], patient.truth[index].level))
    sample = IntensityPaste().inpaint(host, WISH, seed=1)
    judge(sample, Watched())
    judge(sample, Watched(), Rules.published())
    judge(replace(sample, removed=sample.intended), Watched())  # and once more for what is left of the removed scar
    judge(replace(sample, intended=np.zeros_like(sample.intended), removed=sample.intended), Watched())
    assert asked == [True, False, True, False, False]
