"""Identity checks: what must come out right before any table is believed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.frame import locate
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.evaluate.alignment import figures, score, table
from lgesynthnet.evaluate.cases import Case
from lgesynthnet.generate.paste import IntensityPaste
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.patient import simulate
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.prescription.strata import ALL
from lgesynthnet.segmenter.scar import TrainedScarSegmenter
from lgesynthnet.terms import Role

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, intensity_percentile=70)


@pytest.fixture(scope="module")
def auditor():
    return TrainedScarSegmenter.from_pretrained(weights_folder() / "phantom" / "auditor", Role.AUDITOR)


def hosts(*, infarct, seeds=range(40, 46)):
    for seed in seeds:
        patient = simulate(f"P{seed}", seed, infarct=infarct)
        for index in (2, 3):
            known = patient.truth[index]
            slice_ = patient.stack[index]
            if not infarct or slice_.scar.sum() * slice_.spacing_mm[0] ** 2 > 150:
                yield Host(slice_=slice_, frame=locate(slice_, known.level))


@pytest.fixture(scope="module")
def real():
    return [Case.of_real(host) for host in hosts(infarct=True)]


def overall(cases, auditor):
    return figures([score(case, auditor) for case in cases])


def test_real_slices_with_their_own_masks_are_at_the_ceiling(real, auditor):
    found = overall(real, auditor)
    assert len(real) >= 6
    assert found["Dice"].value > 0.75
    assert found["lesions found"].value > 0.8
    assert found["lesions right"].value > 0.8
    assert found["main segment right"].value > 0.9
    assert found["extent error, auditor"].value < 0.15


def test_masks_shifted_by_five_millimetres_score_lower(real, auditor):
    def shifted(case):
        moved = ndimage.shift(case.scar.astype(float), [5 / s for s in case.host.spacing_mm], order=0) > 0.5
        return replace(case, scar=moved)

    moved = [shifted(case) for case in real]
    right, wrong = overall(real, auditor), overall(moved, auditor)
    assert wrong["Dice"].value < right["Dice"].value - 0.2
    assert wrong["segments, Jaccard"].value < right["segments, Jaccard"].value


def test_masks_of_the_opposite_wall_score_near_zero(real, auditor):
    def opposite(case):
        across = (case.frame.nominal_deg + 180) % 360
        angles = case.frame.nominal_deg[case.scar]
        centre = np.degrees(np.angle(np.exp(1j * np.radians(angles)).mean())) % 360
        near = np.abs((across - centre + 180) % 360 - 180) < 40
        return replace(case, scar=case.frame.wall & near & ~ndimage.binary_dilation(case.scar, iterations=4))

    swapped = [case for case in map(opposite, real) if case.scar.sum() > 20]
    found = overall(swapped, auditor)
    assert len(swapped) >= 4
    assert found["Dice"].value < 0.15
    assert found["above 0.6"].value == 0


def test_a_host_in_which_nothing_was_painted_scores_zero(auditor):
    cases = []
    for host in hosts(infarct=False, seeds=range(60, 64)):
        sample = IntensityPaste().inpaint(host, WISH, seed=1) if host.frame.level == "mid" else None
        if sample is not None:
            cases.append(replace(Case.of_sample(sample), image=host.slice_.image))
    assert cases
    found = overall(cases, auditor)
    assert found["Dice"].value < 0.05
    assert found["lesions found"].value == 0


def test_scar_that_the_host_had_counts_neither_way(real, auditor):
    case = real[0]
    elsewhere = case.frame.wall & ~ndimage.binary_dilation(case.scar, iterations=3)
    asked = elsewhere & (np.abs((case.frame.nominal_deg - case.frame.nominal_deg[elsewhere][0] + 180) % 360 - 180) < 25)
    other = replace(case, scar=asked)
    assert not (other.read(auditor) & case.scar).any()
    assert (case.read(auditor) & case.scar).any()


def test_strata_hold_every_case_once_each_and_all_comes_first(real, auditor):
    rows = table([score(case, auditor) for case in real])
    assert rows[0].group == ALL
    dices = {row.group: row.value for row in rows if row.figure == "Dice"}
    for kind in ("extent", "area"):
        assert sum(value.n for group, value in dices.items() if group.startswith(kind)) == dices[ALL].n == len(real)


def test_a_case_without_scar_is_an_error(real, auditor):
    with pytest.raises(ValueError, match="no scar was asked for"):
        score(replace(real[0], scar=np.zeros_like(real[0].scar)), auditor)
