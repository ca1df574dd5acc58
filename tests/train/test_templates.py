"""The control branch with a template: never of one's own patient, shown to no other model, nothing changed until it is learnt from."""

import numpy as np
import pytest
import torch
from ring_hosts import write_patient
from training_requests import tiny_request

from lgesynthnet.conditioning.condition import NEUTRAL, control_image
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.errors import InputError, ModelError
from lgesynthnet.generate.inpainter import LGESynthNet, Sampling
from lgesynthnet.generate.rivals import load_rival
from lgesynthnet.hosts.donors import donor_bank
from lgesynthnet.model.checkpoint import load_inpainter
from lgesynthnet.model.inpainter import with_template
from lgesynthnet.model_store import weights_folder
from lgesynthnet.phantom.cohort import write_cohort
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label
from lgesynthnet.terms import Rival, Stage
from lgesynthnet.train.examples.prepare import ExampleFile
from lgesynthnet.train.examples.roi import Dropout
from lgesynthnet.train.generator.job import GeneratorOptions
from lgesynthnet.train.stages import train_generator

WISH = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.TRANSMURAL, transmurality=0.9, seed=5)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return open_cohort(write_cohort(tmp_path_factory.mktemp("phantom") / "cohort", patients=3, seed=4))


@pytest.fixture(scope="module")
def examples(cohort, tmp_path_factory):
    return ExampleFile(tmp_path_factory.mktemp("prepared") / "examples.safetensors").build(cohort)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rings")
    for seed in (1, 2, 3):
        write_patient(folder, f"P{seed:03d}", seed=seed, scar=True, slices=1)
    return donor_bank(open_cohort(folder))


def test_a_template_is_another_patients_heart_with_scar_and_no_chest(examples):
    assert len({examples.patients[i] for i in np.flatnonzero(examples.scarred)}) == 2
    for i in range(len(examples)):
        template = examples.condition(i, np.random.default_rng(i), Dropout(template=True)).template
        assert template is not None
        assert template.patient != examples.patients[i]
        assert template.scar.any()
        assert 0.5 < (template.image == NEUTRAL).mean() < 0.95
        assert not (template.image == NEUTRAL)[template.scar].all()
    assert examples.condition(0, np.random.default_rng(0)).template is None
    one = examples.patients[int(np.flatnonzero(examples.scarred)[0])]
    alone = np.array([name == one for name in examples.patients])
    labels = np.where(alone[:, None, None], examples.labels, np.minimum(examples.labels, Label.WALL)).astype(np.uint8)
    with pytest.raises(InputError, match="no other patient has scar"):
        type(examples)(**{**{f: getattr(examples, f) for f in examples.__dataclass_fields__}, "labels": labels}).template(
            int(np.flatnonzero(alone)[0]), np.random.default_rng(0)
        )


def test_the_control_image_has_two_channels_more(examples):
    made = examples.condition(0, np.random.default_rng(0), Dropout(template=True))
    assert control_image(made).shape == (7, 128, 128)
    np.testing.assert_array_equal(control_image(made)[5], made.template.image)
    np.testing.assert_array_equal(control_image(made)[6], made.template.scar)


def test_before_it_has_learnt_a_template_changes_nothing_and_a_changed_weight_does(bank):
    plain = load_inpainter(weights_folder() / "phantom" / "inpainter")
    wide = load_inpainter(weights_folder() / "phantom" / "inpainter")
    wide.control = with_template(wide.control)
    from lgesynthnet.conditioning.condition import make_template

    templates = [make_template(host) for host in bank]
    host = bank[0]
    old = LGESynthNet(plain, fingerprint="a", sampling=Sampling(steps=1)).inpaint(host, WISH, seed=3)
    new = LGESynthNet(wide, fingerprint="a", sampling=Sampling(steps=1), templates=templates)
    # One convolution of seven channels adds up in another order than one of five.
    np.testing.assert_allclose(new.inpaint(host, WISH, seed=3).image.astype(float), old.image.astype(float), atol=1)
    with torch.no_grad():
        wide.control.controlnet_cond_embedding.conv_in.weight[:, 5:] = 0.5
    shown = new.inpaint(host, WISH, seed=3).image
    assert (np.abs(shown.astype(float) - old.image.astype(float)) > 3).any()
    np.testing.assert_array_equal(shown, new.inpaint(host, WISH, seed=3).image)
    others = [template for template in templates if template.patient != host.slice_.patient]
    assert {new._template(host, seed).patient for seed in range(20)} == {template.patient for template in others}
    with pytest.raises(InputError, match="every template is of this same patient"):
        LGESynthNet(wide, fingerprint="a", templates=templates[:1]).inpaint(host, WISH)
    for model, given in ((plain, templates), (wide, ())):
        with pytest.raises(ModelError, match="needs templates, and no other takes them"):
            LGESynthNet(model, fingerprint="a", templates=given)


def test_trained_with_templates_it_is_loaded_with_them_and_refused_by_the_reward(cohort, bank, tmp_path):
    for stage in (Stage.AUTOENCODER, Stage.TEXT, Stage.BASE):
        train_generator(tiny_request(tmp_path, cohort), stage)
    train_generator(tiny_request(tmp_path, cohort), Stage.CONTROL, GeneratorOptions(template=True))
    model = load_inpainter(tmp_path / "control" / "model")
    assert model.templated
    learnt = model.control.controlnet_cond_embedding.conv_in.weight[:, 5:]
    assert learnt.abs().max() > 0
    rival = load_rival(Rival.TEMPLATE, tmp_path / "control" / "model", bank)
    sample = rival.inpaint(bank[1], WISH, seed=2)
    assert "templates-" in sample.model
    assert sample.max_change_outside == 0
    with pytest.raises(ModelError, match="needs templates"):
        load_rival(Rival.TEMPLATE, tmp_path / "control" / "model")
    with pytest.raises(ModelError, match="without --template"):
        train_generator(tiny_request(tmp_path, cohort), Stage.REWARD, GeneratorOptions(scar_segmenters=weights_folder() / "phantom"))
