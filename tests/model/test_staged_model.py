"""The staged model: the control branch starts as nothing, the folder round trip is exact, pickles are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lgesynthnet.conditioning.condition import NEUTRAL, Condition, control_image, inner_edges
from lgesynthnet.errors import ModelError
from lgesynthnet.model.autoencoder import build_autoencoder, decode, encode, fit_scale
from lgesynthnet.model.checkpoint import load_inpainter, save_inpainter
from lgesynthnet.model.inpainter import Inpainter, build_control, build_unet
from lgesynthnet.model.schedule import build_schedule, clean_estimate, noised, signal_and_noise, snr, velocity
from lgesynthnet.model.tensors import loss_weight, to_inputs
from lgesynthnet.model.text import build_text_encoder
from lgesynthnet.model_store import fingerprint


def tiny_model(control=True):
    torch.manual_seed(0)
    text = build_text_encoder(16, layers=1)
    unet = build_unet((8, 16, 16), 16)
    return Inpainter(unet, text, build_autoencoder(8), build_schedule(), build_control(unet) if control else None).eval()


def made(scar_rows=6, hidden_rows=30, caption="Transmural enhancement in the mid inferoseptal wall", seed=0):
    rng = np.random.default_rng(seed)
    grid = np.zeros((128, 128), bool)
    scar, hidden, wall, cavity = (grid.copy() for _ in range(4))
    hidden[40 : 40 + hidden_rows, 40:60] = True
    scar[50 : 50 + scar_rows, 45:55] = True
    wall[35:95, 40:60] = True
    cavity[50:80, 60:90] = True
    image = rng.standard_normal((128, 128)).astype(np.float32)
    return Condition(
        image=image, hidden=hidden, scar=scar, no_reflow=grid, wall=wall, cavity=cavity,
        nominal_deg=rng.uniform(0, 360, (128, 128)).astype(np.float32), brightness=0.5, caption=caption,
    )  # fmt: skip


def test_at_initialisation_the_control_branch_is_the_base_models_encoder_and_changes_nothing():
    model = tiny_model()
    base = dict(model.unet.named_parameters())
    copied = [name for name, _ in model.control.named_parameters() if name in base]
    assert len(copied) > 20
    for name, parameter in model.control.named_parameters():
        if name in base:
            torch.testing.assert_close(parameter, base[name], rtol=0, atol=0)
    noisy, step = torch.randn(1, 4, 32, 32), torch.tensor([500])
    inputs = to_inputs([made()], model.text)
    with torch.no_grad():
        controlled = model(noisy, step, inputs)
        alone = Inpainter(model.unet, model.text, model.autoencoder, model.schedule)(noisy, step, inputs)
    torch.testing.assert_close(controlled, alone, rtol=0, atol=0)


def test_edges_and_caption_reach_the_output_once_the_branch_has_moved():
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.control.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        noisy, step = torch.randn(1, 4, 32, 32), torch.tensor([500])
        one, moved, worded = (
            model(noisy, step, to_inputs([c], model.text)) for c in (made(), made(scar_rows=12), made(caption="No late enhancement"))
        )
    assert (one - moved).abs().max() > 1e-5
    assert (one - worded).abs().max() > 1e-6


def test_dropped_edges_leave_no_trace_in_the_control_image():
    shown, dropped = control_image(made()), control_image(replace(made(), show_edges=False))
    assert shown[0].any()
    assert not dropped[:2].any()
    np.testing.assert_array_equal(shown[2:], dropped[2:])


def test_the_scars_own_pixels_never_reach_the_model():
    model, condition = tiny_model(), made()
    brighter = np.where(condition.hidden, condition.image + 5, condition.image).astype(np.float32)
    other = Condition(**{**condition.__dict__, "image": brighter})
    for a, b in zip(vars(to_inputs([condition], model.text)).values(), vars(to_inputs([other], model.text)).values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert (condition.masked[condition.hidden] == NEUTRAL).all()


def test_a_thin_scar_survives_in_control_image_and_loss_weight():
    thin = made(scar_rows=2)
    assert inner_edges(thin.scar).sum() == thin.scar.sum()
    assert control_image(thin)[0].max() == 1.0
    assert float(loss_weight([thin])[0].max()) > float(loss_weight([made(scar_rows=0)])[0].max())


@pytest.mark.parametrize("scar_rows", [2, 6, 18])
def test_the_loss_does_not_depend_on_the_areas(scar_rows):
    weight = loss_weight([made(scar_rows=scar_rows, hidden_rows=24), made(scar_rows=scar_rows, hidden_rows=50)])
    torch.testing.assert_close(weight.sum((1, 2, 3)), torch.ones(2))
    assert not weight[0, 0, :9].any()


def test_velocity_and_clean_estimate_undo_each_other_and_the_schedule_ends_in_pure_noise():
    schedule = build_schedule()
    clean, noise, step = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([10, 400, 999])
    alpha, sigma = signal_and_noise(schedule, step)
    back = clean_estimate(noised(clean, noise, alpha, sigma), velocity(clean, noise, alpha, sigma), alpha, sigma)
    torch.testing.assert_close(back, clean, rtol=1e-4, atol=1e-4)
    assert float(snr(schedule)[-1]) == pytest.approx(0.0, abs=1e-6)
    assert (snr(schedule).diff() <= 0).all()


def test_a_model_folder_comes_back_to_the_bit(tmp_path):
    model = tiny_model()
    save_inpainter(model, tmp_path)
    again = load_inpainter(tmp_path)
    inputs = to_inputs([made()], model.text)
    with torch.no_grad():
        noisy, step = torch.randn(1, 4, 32, 32), torch.tensor([100])
        torch.testing.assert_close(again(noisy, step, inputs), model(noisy, step, inputs), rtol=0, atol=0)
    assert again.text.tokens(["posteroseptal 26-50 %"]).tolist() == model.text.tokens(["posteroseptal 26-50 %"]).tolist()
    assert fingerprint(tmp_path, role="a") == fingerprint(tmp_path, role="a") != fingerprint(tmp_path, role="b")


def test_a_pickle_is_refused_and_a_missing_part_is_named(tmp_path):
    save_inpainter(tiny_model(), tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ModelError, match=r"diffusion_pytorch_model.safetensors: cannot be read: No such file"):
        load_inpainter(tmp_path)
    with pytest.raises(ModelError, match="vae, unet"):
        load_inpainter(tmp_path / "nowhere")


def test_latents_have_unit_variance_after_fitting_the_scale():
    torch.manual_seed(0)
    autoencoder = build_autoencoder(8)
    images = torch.randn(8, 1, 64, 64)
    fit_scale(autoencoder, images)
    with torch.no_grad():
        assert float(encode(autoencoder, images).std()) == pytest.approx(1.0, abs=1e-3)
        assert decode(autoencoder, encode(autoencoder, images)).shape == images.shape


def test_a_caption_owes_nothing_to_its_batch():
    text = build_text_encoder(16, layers=1).eval()
    alone = text.read(["No late enhancement"])
    together = text.read(["Transmural enhancement in the mid inferoseptal wall", "No late enhancement"])[1:]
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)
