"""What a prior learns from scars, and that no number of it belongs to a group that is too small."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from factories import run_command, write_patient

from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import InputError, ModelError, PrescriptionError, RunError
from lgesynthnet.phantom.cohort import simulate_patients
from lgesynthnet.prescription.fitted_prior import LEAST_PATIENTS, LEAST_SLICES, FittedPrior
from lgesynthnet.prescription.priors import draw_prescription
from lgesynthnet.prior.fitting import fit_prior, prior_of
from lgesynthnet.prior.request import PriorRequest
from lgesynthnet.prior.scars import RealScar
from lgesynthnet.records import Level
from lgesynthnet.terms import Prior

SCALE = (-1.0, 0.0, 1.0)


def real_scars(patients=10, slices=6, seed=0):
    """Scars whose depth grows with their width; every second slice of a level is at the border, with half the width."""
    rng = np.random.default_rng(seed)
    scars = []
    for patient in range(patients):
        for index in range(slices):
            at_border = index % 2 == 0
            size = float(rng.uniform(0.2, 1.0))
            scars.append(
                RealScar(
                    patient=f"Mrs {patient}",
                    level=list(Level)[index // 2 % 3],
                    at_border=at_border,
                    middle_deg=270.0 if rng.random() < 0.9 else 90.0,
                    width_deg=size * (100 if at_border else 200),
                    transmurality=size * 0.8,
                    brightness=0.3,
                    no_reflow=0.2 if size > 0.7 else 0.0,
                    pattern="endocardial",
                    irregularity="0.5",
                )
            )
    return scars


def every_table(prior):
    return [table for level in prior.levels.values() for table in (level.border, level.inside)]


def test_widths_depths_and_places_of_the_scars_come_back_in_the_draws():
    scars = real_scars(patients=60)
    prior, rng = prior_of(scars, SCALE), np.random.default_rng(0)
    drawn = [draw_prescription(prior, list(Level)[i % 3], rng) for i in range(1500)]
    learnt = [scar for scar in drawn if scar.arc is not None]
    quantiles = (0.1, 0.25, 0.5, 0.75, 0.9)
    widths = np.quantile([scar.width_deg for scar in scars], quantiles)
    assert np.quantile([scar.arc.extent_deg for scar in learnt], quantiles) == pytest.approx(widths, rel=0.12)
    depths = np.quantile([scar.transmurality for scar in scars], quantiles)
    assert np.quantile([scar.transmurality for scar in learnt], quantiles) == pytest.approx(depths, abs=0.05)
    inferior = np.mean([bool(scar.segments & {4, 10, 15}) for scar in learnt])
    assert inferior > 0.8
    assert np.mean([scar.mvo_share > 0 for scar in learnt]) == pytest.approx(np.mean([scar.no_reflow > 0 for scar in scars]), abs=0.06)
    assert {scar.intensity_percentile for scar in learnt} == {65.0}


def test_slices_at_the_border_have_a_table_of_their_own():
    prior = prior_of(real_scars(), SCALE)
    for level in prior.levels.values():
        assert level.at_border == 0.5
        assert (level.border.pooled, level.inside.pooled) == ("nothing", "nothing")
        assert np.median(level.border.width_deg) < 0.7 * np.median(level.inside.width_deg)


def test_width_and_depth_stay_together():
    prior = prior_of(real_scars(patients=30), SCALE)
    assert prior.correlations[0][1] > 0.85
    assert prior.correlations[0][3] > 0.5
    assert prior.correlations[0][2] == 0  # all are equally bright


@pytest.mark.parametrize("patients", [3, 4, 7, 12])
@pytest.mark.parametrize("slices", [2, 5, 11])
def test_no_table_is_of_fewer_than_5_slices_or_3_patients(patients, slices):
    scars = real_scars(patients, slices)
    prior = prior_of(scars, SCALE)
    for table in every_table(prior):
        assert table.slices >= LEAST_SLICES
        assert table.patients >= LEAST_PATIENTS
    for level in Level:
        draw_prescription(prior, level, np.random.default_rng(1))


def test_small_groups_are_pooled_with_their_neighbours():
    few = [scar for scar in real_scars(patients=4) if scar.level is not Level.APICAL or scar.patient == "Mrs 1"]
    prior = prior_of(few, SCALE)
    assert prior.levels[Level.MID].border.pooled == prior.levels[Level.MID].inside.pooled == "positions"
    assert prior.levels[Level.MID].border.width_deg == prior.levels[Level.MID].inside.width_deg
    assert prior.levels[Level.APICAL].inside.pooled == "levels"
    assert prior.levels[Level.APICAL].inside.slices == sum(not scar.at_border for scar in few)


def test_a_wall_with_the_scar_of_one_patient_does_not_show():
    scars = [replace(scar, level=Level.MID, middle_deg=270.0) for scar in real_scars()]
    alone = replace(scars[0], middle_deg=30.0)
    without, with_it = prior_of(scars[1:], SCALE), prior_of([alone, *scars[1:]], SCALE)
    for prior in (without, with_it):
        middles = prior.levels[Level.MID].middles
        assert len({share for wall, share in middles.items() if wall != "inferior"}) == 1
    assert with_it.levels[Level.MID].middles["anterolateral"] == with_it.levels[Level.MID].middles["anterior"]


def test_a_rare_pattern_and_rare_no_reflow_are_left_out():
    scars = [replace(scar, no_reflow=0.0) for scar in real_scars()]
    odd = [replace(scar, pattern="mid-wall", no_reflow=0.3) if scar.patient in ("Mrs 1", "Mrs 2") else scar for scar in scars]
    prior = prior_of(odd, SCALE)
    assert prior.patterns == {"endocardial": 1.0, "mid-wall": 0.0, "subepicardial": 0.0}
    assert prior.no_reflow_share == ()


def test_patients_without_infarcts_are_joined_by_a_patient_of_the_other_prior():
    scars = [replace(scar, pattern="mid-wall", no_reflow=0.0) for scar in real_scars()]
    assert prior_of(scars, SCALE).further is Prior.NON_ISCHAEMIC
    assert prior_of(real_scars(), SCALE).further is Prior.ISCHAEMIC
    assert prior_of(scars, SCALE).patterns["mid-wall"] == 1.0


def test_scars_of_unknown_brightness_do_not_decide_it():
    scars = [replace(scar, brightness=None) if scar.patient == "Mrs 1" else scar for scar in real_scars()]
    prior = prior_of(scars, SCALE)
    assert {value for table in every_table(prior) for value in table.brightness} == {0.3}
    dark = prior_of([replace(scar, brightness=None) for scar in scars], SCALE)
    assert {value for table in every_table(dark) for value in table.brightness} == {0.0}  # half way along the scale


def test_two_patients_are_no_population():
    with pytest.raises(PrescriptionError, match="at least 5 slices of 3 patients"):
        prior_of(real_scars(patients=2, slices=12), SCALE)


class TestCommand:
    @pytest.fixture(scope="class")
    def patients(self, tmp_path_factory):
        return simulate_patients(tmp_path_factory.mktemp("prior") / "hearts", patients=5, seed=2, positive=1.0)

    @pytest.fixture(scope="class")
    def fitted(self, patients):
        done = run_command("prior", "fit", patients, "--out", patients.parent / "prior.json")
        assert done.returncode == 0, done.stderr
        return done

    def test_it_writes_a_file_without_names_and_says_what_it_rests_on(self, patients, fitted):
        text = (patients.parent / "prior.json").read_text()
        assert "prior.json: learnt from" in fitted.stdout
        assert "5 patients with scar are few: the ischaemic prior, as one further patient, draws 17 % of the scars" in fitted.stderr
        assert "no --splits" in fitted.stderr
        assert str(patients.parent) not in text
        assert not [folder.name for folder in patients.iterdir() if folder.name.removeprefix("Case_") in text]
        assert json.loads(text)["patients"] == 5

    def test_the_same_command_writes_the_same_bytes_and_never_over_another_file(self, patients, fitted):
        path = patients.parent / "prior.json"
        before = path.read_bytes()
        assert run_command("prior", "fit", patients, "--out", path).returncode == 0
        assert path.read_bytes() == before
        mine = patients.parent / "mine.json"
        mine.write_text("{}")
        assert "exists already" in run_command("prior", "fit", patients, "--out", mine).stderr
        assert mine.read_text() == "{}"

    def test_only_the_patients_of_the_part_are_read(self, patients, fitted, tmp_path):
        names = sorted(folder.name.removeprefix("Case_") for folder in patients.iterdir() if folder.is_dir())
        (tmp_path / "splits.json").write_text(json.dumps({"train": names[:4], "test": names[4:]}))
        source = CohortSource(root=patients)
        steps = []
        request = PriorRequest(hosts=source, splits=tmp_path / "splits.json")
        part = fit_prior(request, on_case=lambda done, total: steps.append((done, total)))
        assert steps == [(done, 8) for done in (*range(1, 9), 8)]  # four patients are read, then measured
        assert part == fit_prior(PriorRequest(hosts=replace(source, patients=tuple(names[:4]))))
        assert part.patients == 4
        assert part != FittedPrior.read(patients.parent / "prior.json")
        with pytest.raises(InputError, match="a prior needs at least 5 slices of 3 patients"):
            fit_prior(PriorRequest(hosts=source, splits=tmp_path / "splits.json", part="test"))

    def test_brightness_is_on_the_scale_of_the_model(self, patients, tmp_path):
        (tmp_path / "mine" / "inpainter").mkdir(parents=True)
        (tmp_path / "mine" / "inpainter" / "conditioning.json").write_text('{"scar_levels": [-0.5, 1.5]}')
        prior = fit_prior(PriorRequest(hosts=CohortSource(root=patients), model=str(tmp_path / "mine")))
        assert prior.brightness_scale == (-0.5, 1.5)
        with pytest.raises(ModelError, match="--model paste: is no model with a scale of brightness"):
            fit_prior(PriorRequest(hosts=CohortSource(root=patients), model="paste"))

    def test_labels_that_a_network_drew_teach_nothing(self, tmp_path):
        for seed, name in enumerate(("P1", "P2", "P3")):
            write_patient(tmp_path / "drawn", name, seed, scar=True, rv=True)
        write_declaration(tmp_path / "drawn", base_first=True, drawn_by="net:1")
        done = run_command("prior", "fit", tmp_path / "drawn", "--out", tmp_path / "prior.json")
        assert done.returncode == 2
        assert "drawn by net:1" in done.stderr
        assert not (tmp_path / "prior.json").exists()

    def test_a_file_that_no_command_would_read_is_not_written(self, tmp_path):
        done = run_command("prior", "fit", tmp_path, "--out", tmp_path / "prior.txt")
        assert done.returncode == 2
        assert "--out" in done.stderr
        with pytest.raises(RunError, match="--least-orientation-confidence"):
            PriorRequest(hosts=CohortSource(root=tmp_path), least_orientation_confidence=2.0)
