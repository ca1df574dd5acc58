"""A learnt prior is valid or not born, its file is believed only after every check, and its draws have the numbers of its table."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from prior_tables import IDENTITY, level_table, prior_of, table

from lgesynthnet.errors import InputError, PrescriptionError
from lgesynthnet.prescription.fitted_prior import FILE_BYTES, FittedPrior, name_of, walls_of
from lgesynthnet.prescription.priors import draw_prescription, segments_round
from lgesynthnet.prescription.scar import Pattern
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior


def draws(prior, level=Level.MID, count=600, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_prescription(prior, level, rng) for _ in range(count)]


class TestDraws:
    def test_widths_have_the_quantiles_of_the_table(self):
        widths = [scar.arc.extent_deg for scar in draws(prior_of())]
        assert np.quantile(widths, (0.05, 0.25, 0.5, 0.75, 0.95)) == pytest.approx([20, 40, 65, 90, 110], abs=6)

    def test_a_scar_lies_round_a_middle_in_the_wall_that_the_table_names(self):
        scars = draws(prior_of(), count=200)
        middles = [(scar.arc.start_deg + scar.arc.extent_deg / 2) % 360 for scar in scars]
        assert all(239 <= middle <= 301 for middle in middles)  # the inferior wall begins at the inferior insertion, 240 degrees
        assert all(10 in scar.segments for scar in scars)

    def test_slices_at_the_border_of_an_infarct_have_scars_of_their_own(self):
        small = table(width_deg=(10.0,) * 10, transmurality=(0.25,) * 10)
        levels = {level: level_table(level, at_border=0.3, border=small) for level in Level}
        shares = Counter(scar.transmurality for scar in draws(prior_of(levels=levels), count=1000))
        assert shares.keys() == {0.25, 0.5}
        assert shares[0.25] / 1000 == pytest.approx(0.3, abs=0.05)

    def test_no_reflow_goes_with_deep_scars_where_the_table_says_so(self):
        deep = table(transmurality=tuple(np.linspace(0.3, 0.75, 10).tolist()), no_reflow=0.3)
        levels = {level: level_table(level, inside=deep) for level in Level}
        together = np.eye(4)
        together[1, 3] = together[3, 1] = 0.9
        scars = draws(prior_of(levels=levels, correlations=tuple(map(tuple, together.tolist()))), count=1000)
        with_core = [scar.transmurality for scar in scars if scar.mvo_share]
        assert len(with_core) / 1000 == pytest.approx(0.3, abs=0.05)
        assert np.mean(with_core) > np.mean([scar.transmurality for scar in scars if not scar.mvo_share]) + 0.15

    def test_brightness_is_a_percentile_of_the_model_that_paints(self):
        assert {scar.intensity_percentile for scar in draws(prior_of(), count=20)} == {70.0}
        assert {scar.intensity_percentile for scar in draws(prior_of().on_scale((0.4, 0.8)), count=20)} == {0.0}

    def test_patterns_away_from_the_endocardium_hold_no_no_reflow(self):
        levels = {level: level_table(level, inside=table(no_reflow=1.0)) for level in Level}
        scars = draws(prior_of(levels=levels, patterns={"endocardial": 0.5, "mid-wall": 0.5, "subepicardial": 0.0}), count=200)
        assert {(scar.pattern, scar.mvo_share) for scar in scars} == {(Pattern.SUBENDOCARDIAL, 0.2), (Pattern.MID_WALL, 0.0)}

    def test_the_built_in_prior_draws_as_one_further_patient(self):
        scars = draws(prior_of(patients=3, slices=5), count=1000)
        assert sum(scar.arc is None for scar in scars) / 1000 == pytest.approx(0.25, abs=0.05)  # only the built-in prior leaves the arc out

    @pytest.mark.parametrize("level", list(Level))
    def test_the_widest_scars_are_valid_at_every_level(self, level):
        wide = table(width_deg=(360.0,) * 10, transmurality=(1.0,) * 10)
        prior = prior_of(levels={each: level_table(each, inside=wide) for each in Level})
        [scar] = draws(prior, level, count=1)
        assert scar.arc is None
        assert scar.at(level) == scar.segments
        assert len(scar.segments) == len(walls_of(level))

    def test_the_same_state_gives_the_same_prescription(self):
        assert draws(prior_of(), seed=4) == draws(prior_of(), seed=4) != draws(prior_of(), seed=5)


@pytest.mark.parametrize(
    ("middle", "width", "level", "segments"),
    [
        (270, 50, Level.MID, {10}),
        (270, 80, Level.MID, {9, 10, 11}),  # 10 degrees reach into each neighbour, more than 15 % of 60
        (270, 76, Level.MID, {10}),  # 8 degrees do not
        (0, 70, Level.MID, {11, 12}),
        (359, 340, Level.MID, {7, 8, 9, 10, 11, 12}),
        (180, 300, Level.MID, {7, 8, 9, 10, 11, 12}),
        (180, 100, Level.APICAL, {14}),
        (180, 130, Level.APICAL, {13, 14, 15}),
        (236, 5, Level.BASAL, {3}),
    ],
)
def test_a_segment_is_named_where_a_measurement_would_name_it(middle, width, level, segments):
    assert segments_round(middle, width, level) == segments


class TestFile:
    def test_what_is_written_is_read_back(self, tmp_path):
        prior = prior_of()
        prior.write(tmp_path / "prior.json")
        assert FittedPrior.read(tmp_path / "prior.json") == prior
        assert FittedPrior.read(tmp_path / "prior.json").fingerprint == prior.fingerprint

    def test_the_fingerprint_changes_with_every_number_and_not_with_the_version(self):
        prior = prior_of()
        assert replace(prior, version="2").fingerprint == prior.fingerprint
        assert replace(prior, slices=prior.slices + 1).fingerprint != prior.fingerprint
        assert prior.on_scale((0.0, 1.0)).fingerprint != prior.fingerprint
        assert name_of(Prior.UNIFORM) == "uniform"
        assert prior.fingerprint in name_of(prior)

    @pytest.mark.parametrize(
        ("place", "value", "named"),
        [
            (("patients",), 2, "at least 5 slices of 3 patients"),
            (("patients",), "27", "patients"),
            (("format",), 2, "format is 2"),
            (("slices",), 1e400, "slices"),
            (("further",), "uniform", "further"),
            (("levels", "mid", "at_border"), 1.5, "at_border must be in [0, 1]"),
            (("levels", "mid", "middles", "inferior"), 0.5, "levels.mid.middles must sum to 1"),
            (("levels", "mid", "middles"), {"inferior": 1.0}, "levels.mid.middles must have the keys anterior"),
            (("levels", "apical"), None, "apical"),
            (("levels", "mid", "inside", "width_deg"), [20, 10] * 5, "width_deg must not fall"),
            (("levels", "mid", "inside", "width_deg"), [400] * 10, "width_deg must be in [1, 360]"),
            (("levels", "mid", "inside", "transmurality"), [0.5] * 9, "transmurality must have 10 numbers, got 9"),
            (("levels", "mid", "inside", "transmurality"), [0] * 10, "transmurality must be in [0.01, 1]"),
            (("levels", "mid", "inside", "brightness"), [9] * 10, "brightness"),
            (("levels", "mid", "inside", "slices"), 4, "at least 5 slices"),
            (("levels", "mid", "inside", "patients"), 2, "3 patients"),
            (("no_reflow_share",), [0.7] * 10, "no_reflow_share must be in [0.01, 0.6]"),
            (("patterns", "endocardial"), 0.2, "patterns must sum to 1"),
            (("correlations",), [[1, 2], [2, 1]], "4 rows of 4 numbers"),
            (("brightness_scale",), [1, 0], "brightness_scale must not fall"),
            (("patient_names",), ["P1"], "patient_names"),
            (("version",), "v" * 1000, "version"),
        ],
    )
    def test_a_wrong_value_is_named_with_its_file_and_a_remedy(self, place, value, named, tmp_path):
        record = prior_of().record()
        inner = record
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        path = tmp_path / "prior.json"
        path.write_text(json.dumps(record).replace("Infinity", "1e400"))
        with pytest.raises(InputError) as fault:
            FittedPrior.read(path)
        message = str(fault.value)
        assert message.startswith(f"{path}: ")
        assert named in message
        assert "correct" in message
        assert len(message) < 400 + len(str(path))

    def test_correlations_that_no_scar_can_have_are_refused(self):
        impossible = np.eye(4)
        impossible[0, 1] = impossible[1, 0] = impossible[0, 2] = impossible[2, 0] = 0.9
        impossible[1, 2] = impossible[2, 1] = -0.9
        with pytest.raises(PrescriptionError, match="contradict"):
            prior_of(correlations=tuple(map(tuple, impossible.tolist())))
        with pytest.raises(PrescriptionError, match="both directions"):
            prior_of(correlations=((1.0, 0.5, 0.0, 0.0), *IDENTITY[1:]))

    @pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"a": NaN}', b"[" * 10_000, b" " * (FILE_BYTES + 1)])
    def test_what_is_no_prior_is_refused(self, content, tmp_path):
        path = tmp_path / "prior.json"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"prior\.json: "):
            FittedPrior.read(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"nowhere\.json: cannot be read"):
            FittedPrior.read(tmp_path / "nowhere.json")
